"""Pix2pix: an image from a condition, learnt from pairs of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.base import AT_ONCE, Batch, Losses
from gan_aug.models.gans.translation import TranslationGAN
from gan_aug.models.losses import adversarial_loss
from gan_aug.models.networks.blocks import (
    PATCH_MULTIPLE,
    InstanceNorm,
    PatchGAN,
    PatchMean,
    draw_without_bias,
    sides,
    widths,
)

DROPPED_LAYERS = 2
"""Decoder layers with dropout, the ones next to the bottleneck; the paper has 3 of 8."""
LUNGS = ((0.31, 0.47), (0.69, 0.47))
"""Centres of the hidden fields, (x, y) as shares of the side; a frontal chest X-ray is meant."""
LUNG_REACH = (0.175, 0.32)
"""From a field's centre to its edge, to the side and up: read off a mean of children's X-rays."""
BLUR = 1 / 16
"""Standard deviation of the Gaussian, as a share of the side: no rib is left, the lungs are."""


class Pix2Pix(TranslationGAN):
    """A U-Net and a PatchGAN that sees image and condition (Isola et al. 2017, arXiv:1611.07004).

    The generator minimises the GAN loss in its non-saturating form and the L1 distance to the image
    that the condition belongs to (eq. 4). Its noise is dropout, in training and in synthesis.

    These are no true pairs: nobody is X-rayed twice, with and without a disease. The condition is
    derived from the image itself. Fitted on the images of one class, the generator
    learns to complete what it is shown in the manner of that class; given what is left of another
    class's image, it does the same. That this changes the class is a hope that has to be measured.
    With `lung_mask` it fills lungs of its class into the chest of another patient, and all outside
    stays as it was. `edges` and `blur` show the lungs as well: they carry over more of the patient,
    and of the patient's class.

    Changed for some 300 images of 64 pixels and minutes on a CPU: a width of 32 (64); the U-Net
    ends at 4x4 pixels and has dropout in 2 layers; patches of 34 pixels (70 at 256); instance norm,
    which is the paper's batch norm of one image, so that batches of 16 (1 to 10) change nothing but
    the number of steps; in place of the paper's jitter and mirroring `augment`, which changes an
    image and its condition alike, for the discriminator alone; samples come from an average of the
    weights.

    `condition` is one of `CONDITIONS`, `l1_weight` lambda of eq. 4.
    """

    def __init__(self, condition: str, l1_weight: float, **players: Any) -> None:
        super().__init__(**players)
        self.condition = CONDITIONS[condition]
        self.l1_weight = l1_weight
        self.loss = adversarial_loss("non_saturating", 1.0)
        self.noise_dim = int(self.generator.noise_dim)  # type: ignore[arg-type]

    def fake(self, batch: Batch) -> Tensor:
        """Make the batch's images from their conditions, with fresh noise."""
        noise = torch.rand(len(batch["image"]), self.noise_dim, device=self.device)
        return self.generator(self.condition(batch["image"]), noise)

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Ask the discriminator about images with the conditions of the batch's images."""
        return self.discriminator(self._with_condition(images, batch))

    def seen_logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of images and conditions that are augmented alike."""
        return self.discriminator(self.augment(self._with_condition(images, batch)))

    def _with_condition(self, images: Tensor, batch: Batch) -> Tensor:
        return torch.cat([self.condition(batch["image"]), images], dim=1)

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real` and `fake`, halved as in section 3.3."""
        return {n: 0.5 * loss for n, loss in super().discriminator_losses(batch, fakes).items()}

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `adversarial` and `l1`."""
        losses = super().generator_losses(batch, fakes)
        return losses | {"l1": self.l1_weight * (fakes - batch["image"]).abs().mean()}

    def translate(
        self, generator: nn.Module, images: Tensor, label: int, random: torch.Generator
    ) -> Tensor:
        """Make images from the conditions of others, with fresh noise."""
        noise = torch.rand(AT_ONCE, self.noise_dim, generator=random)[: len(images)]
        return generator(self.condition(images), noise.to(self.device))

    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of images with their own conditions, averaged over patches."""
        layers = cast(PatchGAN, self.discriminator).layers
        return PatchMean(nn.Sequential(_WithCondition(self.condition), *layers))


class _WithCondition(nn.Module):
    """Images (B, C, H, W) to their own conditions and themselves (B, 2 C, H, W)."""

    def __init__(self, condition: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.condition = condition

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.condition(images), images], dim=1)


class Generator(nn.Module):
    """Conditions and noise to images: a U-Net from the image's size to 4x4 and back (appendix 6.1).

    Encoder and decoder layers of the same size are joined by skip connections. The noise says which
    units of the first decoder layers are dropped, a share of `dropout` (0.5 in the paper): it is an
    argument, so that images can be made again from a seed. Changed: the encoder ends at 4x4, as
    instance norm of a single pixel is 0.

    Attributes:
        noise_dim: units that can be dropped.
    """

    def __init__(self, image_size: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        inner = sides(image_size)[:-1]
        maps = widths(inner, width, PATCH_MULTIPLE)  # from 4x4 up
        down, up = nn.ModuleList(), nn.ModuleList()
        for i, (before, after) in enumerate(pairwise([channels, *maps[::-1]])):
            first = i == 0  # the paper: no norm on the input layer
            convolution = nn.Conv2d(before, after, 4, 2, 1, bias=first)
            rest = [] if first else [InstanceNorm(after)]
            down.append(nn.Sequential(convolution, *rest, nn.LeakyReLU(0.2)))
        for i, (before, after) in enumerate(pairwise(maps)):
            joined = before if i == 0 else 2 * before
            transposed = nn.ConvTranspose2d(joined, after, 4, 2, 1, bias=False)
            up.append(nn.Sequential(transposed, InstanceNorm(after)))
        self.down, self.up = down.apply(draw_without_bias), up.apply(draw_without_bias)
        self.last = nn.ConvTranspose2d(2 * maps[-1], channels, 4, 2, 1).apply(draw_without_bias)
        self.dropout = dropout
        after_4x4 = list(zip(maps, inner, inner, strict=True))[1:]
        self._dropped = after_4x4[:DROPPED_LAYERS]
        self.noise_dim = sum(math.prod(shape) for shape in self._dropped)

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Map conditions (B, C, H, W) to images (B, C, H, W) in [-1, 1], float32.

        Where noise (B, noise_dim), uniform in [0, 1), is below `dropout`, the unit is dropped.
        """
        skips, maps = [], conditions
        for layer in self.down:
            maps = layer(maps)
            skips.append(maps)
        units = [math.prod(shape) for shape in self._dropped]
        kept = torch.split(noise >= self.dropout, units, dim=1)
        for i, layer in enumerate(self.up):
            if i > 0:
                maps = torch.cat([maps, skips[-1 - i]], dim=1)
            maps = layer(maps)
            if i < len(kept):
                mask = kept[i].view(-1, *self._dropped[i]) / (1 - self.dropout)
                maps = maps * mask.to(maps.dtype)
            maps = torch.relu(maps)
        return torch.tanh(self.last(torch.cat([maps, skips[0]], dim=1)).float())


class Discriminator(PatchGAN):
    """A PatchGAN of images with their conditions (2 C channels, the condition first)."""

    def __init__(self, channels: int, width: int, patch_layers: int, spectral_norm: bool) -> None:
        super().__init__(2 * channels, width, patch_layers, spectral_norm)


def hidden(side: int, device: torch.device) -> Tensor:
    """Return where `lung_mask` hides an image: bool (side, side), two rounded fields."""
    places = (torch.arange(side, device=device) + 0.5) / side
    across, up = LUNG_REACH
    inside = torch.zeros(side, side, dtype=torch.bool, device=device)
    for x, y in LUNGS:
        # A fourth power rounds less than an ellipse: lungs are broad at their bases.
        inside |= ((places - x) / across) ** 4 + (((places - y) / up) ** 4)[:, None] < 1
    return inside


def lung_mask(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) with mid-grey, which is 0, in place of the lung fields."""
    return images.masked_fill(hidden(images.shape[-1], images.device), 0.0)


def blur(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) blurred by a Gaussian, reflected at the border."""
    sd = BLUR * images.shape[-1]
    radius = math.ceil(3 * sd)
    steps = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.exp(-0.5 * (steps / sd) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(images, (radius,) * 4, mode="reflect")
    for dim in (2, 3):
        # Not a convolution: that would be in bf16 under autocast.
        padded = (padded.unfold(dim, len(weights), 1) * weights).sum(dim=-1)
    return padded


def edges(images: Tensor) -> Tensor:
    """Return the Sobel magnitude of images (B, C, H, W), scaled from [-1, 1] to [0, 1] before.

    It is 0 where an image is even, and at most 4 * sqrt(2).
    """
    a = F.pad(images / 2, (1, 1, 1, 1), mode="reflect")
    down = a[..., 2:, :] - a[..., :-2, :]
    right = a[..., 2:] - a[..., :-2]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    right = right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]
    # Unlike a square root, it has a gradient at 0.
    magnitude: Tensor = torch.linalg.vector_norm(torch.stack([down, right]), dim=0)
    return magnitude


CONDITIONS = {"lung_mask": lung_mask, "blur": blur, "edges": edges}
"""What is derived from images (B, C, H, W) in [-1, 1]: such conditions, float32."""
