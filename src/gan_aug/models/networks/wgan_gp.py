"""The critic of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_aug.models.networks.dcgan import MAX_MULTIPLE

SLOPE = 0.2
SMALLEST_MAP = 4


class LayerNorm(nn.GroupNorm):
    """All maps of an image together to mean 0 and variance 1 (Ba et al. 2016, arXiv:1607.06450).

    Scaled and shifted for each map. No image's result depends on the others of the batch, without
    which the penalty on each image's gradient would mean nothing (section 4).

    Args:
        channels: maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)


class Critic(nn.Module):
    """Images to unbounded scores: strided convolutions, layer norm, leaky ReLU 0.2.

    The discriminator of DCGAN with layer norm in place of batch norm; weights are drawn as He et
    al. 2015 (arXiv:1502.01852) do.

    Args:
        image_size: what the generator makes.
        channels: of the images.
        width: feature maps at half the image's resolution; doubles towards 4x4.
    """

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, after, size = channels, width, image_size
        while size > SMALLEST_MAP:
            layers.append(nn.Conv2d(before, after, 4, 2, 1))
            if size < image_size:  # no norm next to the image, as in DCGAN
                layers.append(LayerNorm(after))
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
            before, after, size = after, min(2 * after, MAX_MULTIPLE * width), size // 2
        layers.append(nn.Conv2d(before, 1, size))
        self.layers = nn.Sequential(*layers).apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to scores (B,): large means real."""
        return torch.flatten(self.layers(images))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, SLOPE)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
