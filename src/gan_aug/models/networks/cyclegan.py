"""CycleGAN networks (Zhu et al. 2017, arXiv:1703.10593, appendix 7.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.networks.instance_norm import InstanceNorm
from gan_aug.models.networks.patchgan import PatchGAN, draw_weights

ENDS = 5
"""Side of the first and the last kernel."""


class _Reflect(nn.Module):
    """Reflection padding in the maps' own precision: autocast's is in float32, and slower."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            return F.pad(maps, (self.pixels,) * 4, mode="reflect")


def _convolution(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
    layer = nn.Conv2d(before, after, kernel, stride, bias=False)
    return [_Reflect(kernel // 2), layer, InstanceNorm(after)]


class _Residual(nn.Module):
    def __init__(self, maps: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(maps, maps, 3, 1), nn.ReLU(inplace=True), *_convolution(maps, maps, 3, 1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        changed: Tensor = self.layers(maps)
        return maps + changed


class Generator(nn.Module):
    """Images of one class to images of another: down to a quarter, residual blocks, up again.

    In the paper's words c5s1-w, d2w, d4w, R4w times `blocks`, u2w, uw, c5s1-C. The image's side
    must be a multiple of 4. Changed: the first and the last kernel have 5 pixels a side (7 for
    images of 128 or more), instance norm has a scale and a shift of its own.

    Args:
        channels: of the images.
        width: feature maps at full resolution, 64 in the paper; four times as many in the blocks.
        blocks: residual blocks, 6 in the paper for 128 pixels.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        layers = [*_convolution(channels, width, ENDS, 1), nn.ReLU(inplace=True)]
        for maps in (width, 2 * width):
            layers += [*_convolution(maps, 2 * maps, 3, 2), nn.ReLU(inplace=True)]
        layers += [_Residual(4 * width) for _ in range(blocks)]
        for maps in (4 * width, 2 * width):
            layers += [
                nn.ConvTranspose2d(maps, maps // 2, 3, 2, 1, output_padding=1, bias=False),
                InstanceNorm(maps // 2),
                nn.ReLU(inplace=True),
            ]
        layers += [_Reflect(ENDS // 2), nn.Conv2d(width, channels, ENDS)]
        self.layers = nn.Sequential(*layers).apply(draw_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to such images, float32."""
        maps: Tensor = self.layers(images)
        return torch.tanh(maps.float())


class Generators(nn.Module):
    """Two generators, each for the images of one class of a pair.

    Args:
        channels: see `Generator`.
        width: see `Generator`.
        blocks: see `Generator`.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.of = nn.ModuleList(Generator(channels, width, blocks) for _ in range(2))

    def forward(self, images: Tensor, which: int) -> Tensor:
        """Translate images (B, C, H, W) in [-1, 1] to the pair's class `which`, 0 or 1."""
        made: Tensor = self.of[which](images)
        return made


class Discriminators(nn.Module):
    """Two discriminators, each of the images of one class of a pair.

    Args:
        channels: of the images.
        width: see `PatchGAN`.
        patch_layers: see `PatchGAN`.
        spectral_norm: see `PatchGAN`.
    """

    def __init__(self, channels: int, width: int, patch_layers: int, spectral_norm: bool) -> None:
        super().__init__()
        self.of = nn.ModuleList(
            PatchGAN(channels, width, patch_layers, spectral_norm) for _ in range(2)
        )

    def forward(self, images: Tensor, which: int) -> Tensor:
        """Map images (B, C, H, W) to logits (B, h, w) of the pair's class `which`, 0 or 1."""
        logits: Tensor = self.of[which](images)
        return logits
