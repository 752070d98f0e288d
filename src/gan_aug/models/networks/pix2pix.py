"""Pix2pix networks (Isola et al. 2017, arXiv:1611.07004, section 3.2 and appendix 6.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_aug.models.networks.instance_norm import InstanceNorm
from gan_aug.models.networks.patchgan import MAX_MULTIPLE, PatchGAN, draw_weights
from gan_aug.run.errors import GanAugError

MIN_SIZE = 32
DROPPED_LAYERS = 2
"""Decoder layers with dropout, the ones next to the bottleneck; the paper has 3 of 8."""


class Generator(nn.Module):
    """Conditions and noise to images: a U-Net from the image's size to 4x4 and back.

    Encoder and decoder layers of the same size are joined by skip connections. The noise says which
    units of the first decoder layers are dropped: it is an argument, so that images can be made
    again from a seed. Changed: the encoder ends at 4x4, as instance norm of a single pixel is 0.

    Args:
        image_size: a power of two from 32.
        channels: of the conditions and of the images.
        width: feature maps at half the image's resolution; doubles towards 4x4, up to 8 times.
        dropout: share of the units of these layers that is dropped, 0.5 in the paper.

    Attributes:
        noise_dim: units that can be dropped.

    Raises:
        GanAugError: an image size the network cannot make.
    """

    def __init__(self, image_size: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        if image_size < MIN_SIZE or image_size & (image_size - 1):
            raise GanAugError(
                f"data.image_size={image_size}: pix2pix takes powers of two from {MIN_SIZE}"
            )
        levels = image_size.bit_length() - 3
        maps = [width * min(2**i, MAX_MULTIPLE) for i in range(levels)]
        down, up = nn.ModuleList(), nn.ModuleList()
        for i in range(levels):
            first = i == 0  # the paper: no norm on the input layer
            convolution = nn.Conv2d(
                channels if first else maps[i - 1], maps[i], 4, 2, 1, bias=first
            )
            rest = [] if first else [InstanceNorm(maps[i])]
            down.append(nn.Sequential(convolution, *rest, nn.LeakyReLU(0.2)))
        for i in reversed(range(1, levels)):
            before = maps[i] if i == levels - 1 else 2 * maps[i]
            transposed = nn.ConvTranspose2d(before, maps[i - 1], 4, 2, 1, bias=False)
            up.append(nn.Sequential(transposed, InstanceNorm(maps[i - 1])))
        self.down, self.up = down.apply(draw_weights), up.apply(draw_weights)
        self.last = nn.ConvTranspose2d(2 * maps[0], channels, 4, 2, 1).apply(draw_weights)
        self.dropout = dropout
        # The decoder's layers make maps of 8x8, 16x16 ...
        self._dropped = [
            (maps[levels - 2 - i], 8 * 2**i, 8 * 2**i)
            for i in range(min(DROPPED_LAYERS, levels - 1))
        ]
        self.noise_dim = sum(math.prod(shape) for shape in self._dropped)

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Make images.

        Args:
            conditions: (B, C, H, W).
            noise: (B, noise_dim), uniform in [0, 1): below `dropout` the unit is dropped.

        Returns:
            (B, C, H, W) in [-1, 1], float32.
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
        found: Tensor = self.last(torch.cat([maps, skips[0]], dim=1))
        return torch.tanh(found.float())


class Discriminator(PatchGAN):
    """A PatchGAN of images with their conditions (2 C channels, the condition first).

    Args:
        channels: of the images.
        width: see `PatchGAN`.
        patch_layers: see `PatchGAN`.
        spectral_norm: see `PatchGAN`.
    """

    def __init__(self, channels: int, width: int, patch_layers: int, spectral_norm: bool) -> None:
        super().__init__(2 * channels, width, patch_layers, spectral_norm)
