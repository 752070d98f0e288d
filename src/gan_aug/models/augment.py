"""Random changes of images: differentiable ones for GANs, the classic ones for classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DiffAugment(nn.Module):
    """Random, differentiable changes of what the discriminator sees, real or generated.

    After Zhao et al. 2020 (arXiv:2006.10738, section 3.3), but for colour saturation: X-rays are
    grey. Each image of a batch gets changes of its own, uniform in the ranges of
    `gan_aug.settings.models.AugmentNode`; 0 turns one off. Where images are shifted, zeros move in.
    """

    def __init__(
        self, brightness: float, contrast: float, translation: float, cutout: float
    ) -> None:
        super().__init__()
        self.brightness, self.contrast = brightness, contrast
        self.translation, self.cutout = translation, cutout

    def forward(self, images: Tensor) -> Tensor:
        """Change images (B, C, H, W) in [-1, 1]; the result can leave that range slightly."""
        if self.brightness > 0 or self.contrast > 0:
            images = self._tone(images)
        if self.translation > 0:
            images = self._translate(images)
        if self.cutout > 0:
            images = cut(images, self.cutout)
        return images

    def _tone(self, images: Tensor) -> Tensor:
        shape = (len(images), 1, 1, 1)
        shift = (torch.rand(shape, device=images.device) * 2 - 1) * self.brightness
        factor = 1 + (torch.rand(shape, device=images.device) * 2 - 1) * self.contrast
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        return (images - mean) * factor + mean + shift

    def _translate(self, images: Tensor) -> Tensor:
        side = images.shape[-1]
        reach = int(side * self.translation + 0.5)
        padded = F.pad(images, (reach, reach, reach, reach))
        offset = torch.randint(0, 2 * reach + 1, (2, len(images), 1), device=images.device)
        steps = torch.arange(side, device=images.device)
        rows, columns = (steps + offset[0])[:, :, None], (steps + offset[1])[:, None, :]
        batch = torch.arange(len(images), device=images.device)[:, None, None]
        # Indexing puts the channels last; moving them back keeps that memory format.
        return padded.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2)


class ClassicAugment(nn.Module):
    """What is usual for X-rays: flip, rotation, shift, scale, contrast, brightness; and a hole.

    Each image of a batch gets changes of its own, uniform in the ranges of
    `gan_aug.settings.models.AugmentNode`. The border is repeated where the image ends; a
    magnification above 1 crops.
    """

    def __init__(
        self,
        flip: float,
        degrees: float,
        shift: float,
        scale: Sequence[float],
        contrast: float,
        brightness: float,
        cutout: float = 0.0,
    ) -> None:
        super().__init__()
        self.flip, self.degrees, self.shift = flip, degrees, shift
        self.smallest, self.largest = scale
        self.contrast, self.brightness, self.cutout = contrast, brightness, cutout

    def forward(self, images: Tensor) -> Tensor:
        """Change images (B, C, H, W) in [-1, 1]; the result stays in that range."""
        n, device = len(images), images.device

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(n, device=device) * (high - low) + low

        angle = torch.deg2rad(uniform(-self.degrees, self.degrees))
        # affine_grid maps places of the result to places of the image: a scale of 2 divides by 2.
        factor = 1 / uniform(self.smallest, self.largest)
        mirror = torch.where(torch.rand(n, device=device) < self.flip, -1.0, 1.0)
        x, y = (2 * uniform(-self.shift, self.shift) for _ in "xy")
        theta = affine(angle, factor, factor, mirror, x, y)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        mean = moved.mean(dim=(1, 2, 3), keepdim=True)
        gain = uniform(1 - self.contrast, 1 + self.contrast).view(n, 1, 1, 1)
        lift = uniform(-self.brightness, self.brightness).view(n, 1, 1, 1)
        changed = ((moved - mean) * gain + mean + lift).clamp(-1, 1)
        return cut(changed, self.cutout) if self.cutout > 0 else changed


def affine(
    angle: Tensor, across: Tensor, down: Tensor, mirror: Tensor, x: Tensor, y: Tensor
) -> Tensor:
    """Return what `affine_grid` takes (N, 2, 3): a turn, scales, -1 where mirrored, and a shift."""
    cos, sin = angle.cos(), angle.sin()
    rows = [cos * across * mirror, -sin * down, x, sin * across * mirror, cos * down, y]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def cut(images: Tensor, share: float) -> Tensor:
    """Set a square in each of images (B, C, H, W) to 0; its side is a share of the image's.

    After DeVries & Taylor 2017 (arXiv:1708.04552). The centre is anywhere in the image, so the
    square is often cut by the border.
    """
    side = images.shape[-1]
    length = int(side * share + 0.5)
    low = torch.randint(0, side + 1, (2, len(images), 1), device=images.device) - length // 2
    steps = torch.arange(side, device=images.device)
    hit = (steps >= low) & (steps < low + length)
    keep = ~(hit[0][:, :, None] & hit[1][:, None, :])
    return images * keep[:, None]
