"""R3GAN networks without labels (Huang et al. 2024, arXiv:2501.05441, section 4, config E)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_aug.models.networks.sides import SMALLEST, sides
from gan_aug.run.errors import GanAugError

MAX_MULTIPLE = 8
"""Feature maps stop doubling at this multiple of the width."""
EXPANSION = 2
"""Times as many maps between the 1x1 convolutions of a block as outside."""
GROUP_SIZE = 16
"""Maps in a group of the 3x3 convolution."""
SLOPE = 0.2
"""Of leaky ReLU for negative inputs."""


def _multiples(image_size: int) -> list[int]:
    """Return the width multiple of each map, from 4x4 to the image."""
    return [min(image_size // side, MAX_MULTIPLE) for side in sides(image_size, "r3gan")]


def _convolution(
    before: int, after: int, kernel: int, gain: float = 1.0, bias: bool = False, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution whose weights are from N(0, gain / sqrt(inputs))."""
    layer = nn.Conv2d(before, after, kernel, 1, kernel // 2, groups=groups, bias=bias)
    inputs = before // groups * kernel**2
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """Maps plus what an inverted bottleneck makes of them: 1x1, grouped 3x3, 1x1.

    In place of normalisation, weights begin so that the variance of the maps does not grow with the
    number of blocks (Zhang et al. 2019, arXiv:1901.09321, section 3): the last convolution with
    zeros, the others smaller by blocks^(-1/4).

    Args:
        width: of the network.
        multiple: of it: how many maps there are.
        blocks: in the network.

    Raises:
        GanAugError: maps that cannot be cut into groups.
    """

    def __init__(self, width: int, multiple: int, blocks: int) -> None:
        super().__init__()
        least = GROUP_SIZE // EXPANSION
        if width > least and width % least:
            raise GanAugError(
                f"model.width={width}: r3gan cuts its maps into groups of {GROUP_SIZE}; set a "
                f"multiple of {least}, or less than {least}"
            )
        maps, inner = multiple * width, multiple * width * EXPANSION
        groups = multiple * max(1, width // least)
        gain = nn.init.calculate_gain("leaky_relu", SLOPE) * blocks**-0.25
        self.branch = nn.Sequential(
            _convolution(maps, inner, 1, gain, bias=True),
            nn.LeakyReLU(SLOPE, inplace=True),
            _convolution(inner, inner, 3, gain, bias=True, groups=groups),
            nn.LeakyReLU(SLOPE, inplace=True),
            _convolution(inner, maps, 1, gain=0.0),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map maps (B, F, S, S) to as many."""
        changed: Tensor = maps + self.branch(maps)
        return changed


class _Start(nn.Module):
    """Latent vectors to maps of 4x4: learned patterns, each times a number."""

    def __init__(self, latent_dim: int, maps: int) -> None:
        super().__init__()
        self.patterns = nn.Parameter(torch.randn(maps, SMALLEST, SMALLEST))
        self.strength = nn.Linear(latent_dim, maps, bias=False)
        nn.init.normal_(self.strength.weight, 0.0, 1 / math.sqrt(latent_dim))

    def forward(self, latents: Tensor) -> Tensor:
        strength: Tensor = self.strength(latents)
        return self.patterns * strength[:, :, None, None]


class Generator(nn.Module):
    """Latent vectors to images: residual blocks, bilinear upsampling, no normalisation.

    While it is trained nothing bounds the images, as in the paper: the discriminator teaches it
    what they are like. (A tanh would end the training of dark images: where it is nearly -1 it
    passes no gradient, and without normalisation nothing brings it back.) In evaluation mode what
    lies outside [-1, 1] is cut off.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        latent_dim: length of the latent vectors.
        width: feature maps at the image's resolution; doubles towards 4x4.
        blocks: residual blocks at each resolution.

    Raises:
        GanAugError: an image size or a width that the network cannot have.
    """

    def __init__(
        self, image_size: int, channels: int, latent_dim: int, width: int, blocks: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        multiples = _multiples(image_size)
        total = blocks * len(multiples)
        layers: list[nn.Module] = [_Start(latent_dim, width * multiples[0])]
        before = multiples[0]
        for i, multiple in enumerate(multiples):
            if multiple != before:
                layers.append(_convolution(width * before, width * multiple, 1))
            if i > 0:
                layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            layers += [Block(width, multiple, total) for _ in range(blocks)]
            before = multiple
        self.stages = nn.Sequential(*layers, _convolution(width * before, channels, 1))

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to images (B, C, H, W), in evaluation mode in [-1, 1]."""
        images: Tensor = self.stages(latents)
        return images if self.training else images.clamp(-1, 1)


class Discriminator(nn.Module):
    """Images to logits: the generator in reverse.

    Bilinear resampling to half the side is the mean of 2x2 cells.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        width: feature maps at the image's resolution; doubles towards 4x4.
        blocks: residual blocks at each resolution.

    Raises:
        GanAugError: an image size or a width that the network cannot have.
    """

    def __init__(self, image_size: int, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        multiples = _multiples(image_size)[::-1]
        total = blocks * len(multiples)
        layers: list[nn.Module] = [_convolution(channels, width, 1)]
        before = 1
        for i, multiple in enumerate(multiples):
            if i > 0:
                layers.append(nn.AvgPool2d(2))
            if multiple != before:
                layers.append(_convolution(width * before, width * multiple, 1))
            layers += [Block(width, multiple, total) for _ in range(blocks)]
            before = multiple
        self.stages = nn.Sequential(*layers)
        self.patterns = nn.Parameter(torch.randn(width * before, SMALLEST, SMALLEST) / SMALLEST)
        self.last = nn.Linear(width * before, 1, bias=False)
        nn.init.normal_(self.last.weight, 0.0, 1 / math.sqrt(width * before))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B,): large means more real than others."""
        maps = self.stages(images)
        # Only differences of logits count, and their common level is free to drift: bfloat16 would
        # round the differences away.
        with torch.autocast(maps.device.type, enabled=False):
            found = (maps.float() * self.patterns).sum(dim=(2, 3))
            return torch.flatten(self.last(found))
