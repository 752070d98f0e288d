"""Networks that grow (Karras et al. 2018, arXiv:1710.10196, sections 2 to 4 and appendix A.1).

Stage 0 is 4x4 and every further one has twice the side. How far a network has grown is one number,
its buffer `growth`: 2 is stage 2, and 2.3 is stage 3 faded in by 0.3 over stage 2.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.networks.equalised import (
    EqualConv2d,
    EqualDownConv2d,
    EqualLinear,
    EqualUpConv2d,
)
from gan_aug.run.errors import GanAugError

FIRST_SIDE = 4
MIN_SIZE = 32
MAX_MULTIPLE = 8
"""Feature maps stop doubling at this multiple of the width."""
EPSILON = 1e-8
GROUP = 4
MOMENTUM = 0.1


def _widths(image_size: int, width: int) -> list[int]:
    """Return the feature maps of each stage, from 4x4 up."""
    if image_size < MIN_SIZE or image_size & (image_size - 1):
        raise GanAugError(
            f"data.image_size={image_size}: PGGAN takes powers of two from {MIN_SIZE}"
        )
    top = (image_size // FIRST_SIDE).bit_length() - 1
    return [width * min(2 ** (top - stage), MAX_MULTIPLE) for stage in range(top + 1)]


def _in_use(growth: Tensor) -> tuple[int, float]:
    """Return the largest stage in use, and how far it is faded in: 1 is wholly, never 0."""
    value = float(growth)
    stage = math.ceil(value)
    return stage, 1.0 - (stage - value)


def _doubled(images: Tensor) -> Tensor:
    # On a GPU, autocast enlarges in float32, and lerp wants both of one type.
    return F.interpolate(images, scale_factor=2.0, mode="nearest").to(images.dtype)


def _halved(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, 2)


class PixelNorm(nn.Module):
    """Feature vectors to a mean square of 1 (section 4.2)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W) at each place, or vectors (B, C)."""
        mean_square = maps.square().mean(dim=1, keepdim=True, dtype=torch.float32)
        return maps * torch.rsqrt(mean_square + EPSILON).to(maps.dtype)


class MinibatchStd(nn.Module):
    """One more map that says how much images differ from each other (section 3).

    It holds the standard deviation over a group of images, averaged over features and places. As in
    the published code, groups are of 4 images; the whole batch is one group where 4 does not
    divide it. In evaluation it holds the running mean of training, so that what is made of an image
    does not depend on those beside it, and of a single one can be told.

    Attributes:
        usual: the running mean over all batches that it has seen in training.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + 1, H, W)."""
        count = len(maps)
        if self.training:
            size = count if count % GROUP else GROUP
            groups = maps.float().reshape(-1, size, *maps.shape[1:])
            variance = groups.var(dim=1, correction=0)
            found = (variance + EPSILON).sqrt().mean(dim=(1, 2, 3))
            self.usual.lerp_(found.detach().mean(), MOMENTUM)
            found = found.repeat_interleave(count // len(found))
        else:
            found = self.usual.expand(count)
        spread = found.to(maps.dtype)[:, None, None, None].expand(-1, 1, *maps.shape[2:])
        return torch.cat([maps, spread], dim=1)


def _from_latents(latent_dim: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        EqualLinear(latent_dim, after * FIRST_SIDE**2),
        nn.Unflatten(1, (after, FIRST_SIDE, FIRST_SIDE)),
        nn.LeakyReLU(0.2, inplace=True),
        PixelNorm(),
        EqualConv2d(after, after, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        PixelNorm(),
    )


def _up(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        EqualUpConv2d(before, after),
        nn.LeakyReLU(0.2, inplace=True),
        PixelNorm(),
        EqualConv2d(after, after, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        PixelNorm(),
    )


def _down(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        EqualConv2d(before, before, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        EqualDownConv2d(before, after),
        nn.LeakyReLU(0.2, inplace=True),
    )


def _to_logit(before: int) -> nn.Sequential:
    return nn.Sequential(
        MinibatchStd(),
        EqualConv2d(before + 1, before, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        EqualConv2d(before, before, FIRST_SIDE),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Flatten(),
        EqualLinear(before, 1, gain=1.0),
    )


class Generator(nn.Module):
    """Latent vectors to images of the stage in use, enlarged (table 2, left).

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        latent_dim: length of the latent vectors.
        width: feature maps of the last stage; doubles towards 4x4, up to 8 times.

    Attributes:
        growth: float32 scalar, see the module.
        top: the last stage.

    Raises:
        GanAugError: an image size the network cannot make.
    """

    growth: Tensor

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        widths = _widths(image_size, width)
        self.image_size, self.latent_dim, self.top = image_size, latent_dim, len(widths) - 1
        self.normalise = PixelNorm()
        self.blocks = nn.ModuleList(
            [_from_latents(latent_dim, widths[0]), *(_up(a, b) for a, b in pairwise(widths))]
        )
        self.to_image = nn.ModuleList(EqualConv2d(w, channels, 1, gain=1.0) for w in widths)
        self.register_buffer("growth", torch.zeros(()))

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim), whose length does not count, to images (B, C, H, W).

        The last layer is linear, as in the paper; in evaluation images are clamped to [-1, 1].
        """
        stage, fade = _in_use(self.growth)
        maps = self.normalise(latents)
        for older in range(stage):
            maps = self.blocks[older](maps)
        images: Tensor = self.to_image[stage](self.blocks[stage](maps))
        if fade < 1.0:
            images = torch.lerp(_doubled(self.to_image[stage - 1](maps)), images, fade)
        images = F.interpolate(images, size=self.image_size, mode="nearest")
        return images if self.training else images.clamp(-1.0, 1.0)


class Discriminator(nn.Module):
    """Images, reduced to the stage in use, to logits (table 2, right).

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        width: feature maps of the last stage; doubles towards 4x4, up to 8 times.

    Attributes:
        growth: float32 scalar, see the module.

    Raises:
        GanAugError: an image size the network cannot take.
    """

    growth: Tensor

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        widths = _widths(image_size, width)
        self.from_image = nn.ModuleList(
            nn.Sequential(EqualConv2d(channels, w, 1), nn.LeakyReLU(0.2, inplace=True))
            for w in widths
        )
        self.blocks = nn.ModuleList(
            [_to_logit(widths[0]), *(_down(b, a) for a, b in pairwise(widths))]
        )
        self.register_buffer("growth", torch.zeros(()))

    def reduced(self, images: Tensor) -> Tensor:
        """Average images (B, C, H, W) over cells, down to the stage in use: (B, C, h, w)."""
        stage, _ = _in_use(self.growth)
        cell = images.shape[-1] // (FIRST_SIDE * 2**stage)
        return F.avg_pool2d(images, cell) if cell > 1 else images

    def faded(self, images: Tensor) -> Tensor:
        """Reduce real images, with what the new stage adds as strong as it is in generated ones."""
        images = self.reduced(images)
        _, fade = _in_use(self.growth)
        return images if fade == 1.0 else torch.lerp(_doubled(_halved(images)), images, fade)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W), of any stage from the one in use, to logits (B,)."""
        stage, fade = _in_use(self.growth)
        images = self.reduced(images)
        maps = self.blocks[stage](self.from_image[stage](images))
        if fade < 1.0:
            maps = torch.lerp(self.from_image[stage - 1](_halved(images)), maps, fade)
        for older in reversed(range(stage)):
            maps = self.blocks[older](maps)
        logits: Tensor = maps.flatten()
        return logits
