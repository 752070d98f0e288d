"""StarGAN's networks (Choi et al. 2018, arXiv:1711.09020, tables 4 and 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.networks.dcgan import map_widths
from gan_aug.models.networks.instance_norm import InstanceNorm


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to what they are given.

    Args:
        maps: feature maps, before and after.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(maps, maps, 3, 1, 1, bias=False),
            InstanceNorm(maps),
            nn.ReLU(inplace=True),
            nn.Conv2d(maps, maps, 3, 1, 1, bias=False),
            InstanceNorm(maps),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Change maps (B, F, H, W)."""
        changed: Tensor = maps + self.layers(maps)
        return changed


class Generator(nn.Module):
    """Images and the classes they are to have to images.

    Each class has a map beside the image's channels, 1 where it is asked for and 0 where another
    is. Two halvings, residual blocks, two doublings.

    Args:
        channels: of the images.
        width: feature maps at full resolution.
        blocks: residual blocks.
        classes: how many.
    """

    def __init__(self, channels: int, width: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = []

        def add(convolution: nn.Module, maps: int) -> None:
            layers.extend([convolution, InstanceNorm(maps), nn.ReLU(inplace=True)])

        add(nn.Conv2d(channels + classes, width, 7, 1, 3, bias=False), width)
        for maps in (2 * width, 4 * width):
            add(nn.Conv2d(maps // 2, maps, 4, 2, 1, bias=False), maps)
        layers.extend(ResidualBlock(4 * width) for _ in range(blocks))
        for maps in (2 * width, width):
            add(nn.ConvTranspose2d(2 * maps, maps, 4, 2, 1, bias=False), maps)
        layers.append(nn.Conv2d(width, channels, 7, 1, 3, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translate images (B, C, H, W) in [-1, 1] to classes (B,), int64; float32 as they are."""
        wanted = F.one_hot(labels, self.classes).to(images.dtype)[:, :, None, None]
        maps = wanted.expand(-1, -1, *images.shape[2:])
        made: Tensor = self.layers(torch.cat([images, maps], dim=1))
        return torch.tanh(made.float())


class Discriminator(nn.Module):
    """Images to logits of being real, one for each patch, and of the classes.

    Halvings down to 4x4 without normalisation, then a convolution for each of the two.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        width: feature maps at half the image's resolution; doubles towards 4x4.
        classes: how many.

    Raises:
        GanAugError: an image size the network cannot take.
    """

    def __init__(self, image_size: int, channels: int, width: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for after in map_widths(image_size, width):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.01, inplace=True)]
            before = after
        self.trunk = nn.Sequential(*layers)
        self.source = nn.Conv2d(before, 1, 3, 1, 1, bias=False)
        self.classes = nn.Conv2d(before, classes, 4, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, 4, 4) of real and (B, K) of classes."""
        maps = self.trunk(images)
        return self.source(maps)[:, 0], self.classes(maps)[:, :, 0, 0]
