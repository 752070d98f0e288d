"""Differentiable augmentation for GANs on few images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DiffAugment(nn.Module):
    """Random, differentiable changes of what the discriminator sees, real or generated.

    After Zhao et al. 2020 (arXiv:2006.10738, section 3.3), without its colour saturation, which
    grey X-rays do not have. Each image of a batch gets changes of its own. A range of 0 turns a
    change off.

    Args:
        brightness: added shift, uniform in [-brightness, brightness], on the [-1, 1] scale.
        contrast: factor about the image's mean, uniform in [1 - contrast, 1 + contrast].
        translation: shift up to this share of the side, each way; zeros move in.
        cutout: side of the blanked square, as a share of the image's side.
    """

    def __init__(
        self, brightness: float, contrast: float, translation: float, cutout: float
    ) -> None:
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.translation = translation
        self.cutout = cutout

    def forward(self, images: Tensor) -> Tensor:
        """Change images (B, C, H, W) in [-1, 1]; the result can leave that range slightly."""
        if self.brightness > 0 or self.contrast > 0:
            images = self._tone(images)
        if self.translation > 0:
            images = self._translate(images)
        if self.cutout > 0:
            images = self._cut(images)
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

    def _cut(self, images: Tensor) -> Tensor:
        side = images.shape[-1]
        length = int(side * self.cutout + 0.5)
        # The centre is anywhere in the image, so the square is often cut by the border.
        low = torch.randint(0, side + 1, (2, len(images), 1), device=images.device) - length // 2
        steps = torch.arange(side, device=images.device)
        hit = (steps >= low) & (steps < low + length)
        keep = ~(hit[0][:, :, None] & hit[1][:, None, :])
        return images * keep[:, None]
