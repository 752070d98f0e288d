"""DCGAN networks (Radford, Metz & Chintala 2015, arXiv:1511.06434, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_aug.run.errors import GanAugError

MIN_SIZE = 32
MAX_MULTIPLE = 16
"""Feature maps stop doubling at this multiple of the width: large images would need thousands."""


def map_widths(image_size: int, width: int) -> list[int]:
    """Return the number of each inner feature map's channels, from the largest map to 4x4.

    Args:
        image_size: a power of two from 32.
        width: channels at half the image's resolution.

    Raises:
        GanAugError: another image size.
    """
    if image_size < MIN_SIZE or image_size & (image_size - 1):
        raise GanAugError(
            f"data.image_size={image_size}: this GAN takes powers of two from {MIN_SIZE}"
        )
    return [width * min(2**i, MAX_MULTIPLE) for i in range(image_size.bit_length() - 3)]


def initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), as section 4 of the paper says."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def halving_layers(
    image_size: int, channels: int, width: int, spectral_norm: bool
) -> list[nn.Module]:
    """Return the discriminator's layers from images to 4x4 maps; see `Discriminator`."""
    layers: list[nn.Module] = []
    before = channels
    for i, after in enumerate(map_widths(image_size, width)):
        layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=spectral_norm))
        if i > 0 and not spectral_norm:  # the paper: no batch norm on the input layer
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        before = after
    return layers


class Generator(nn.Module):
    """Latent vectors to images: transposed convolutions from 4x4 up, batch norm, ReLU, tanh.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        latent_dim: length of the latent vectors.
        width: feature maps at half the image's resolution; doubles towards 4x4.

    Raises:
        GanAugError: an image size the network cannot make.
    """

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        layers: list[nn.Module] = []
        before = latent_dim
        for i, after in enumerate(reversed(map_widths(image_size, width))):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
            before = after
        layers += [nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers).apply(initialise)

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to images (B, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(latents[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images to logits: strided convolutions down to 4x4, batch norm, leaky ReLU 0.2.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        width: feature maps at half the image's resolution; doubles towards 4x4.
        spectral_norm: its weights are going to be normalised, which takes the place of batch norm
            (Miyato et al. 2018, arXiv:1802.05957, section 4).

    Raises:
        GanAugError: an image size the network cannot take.
    """

    def __init__(self, image_size: int, channels: int, width: int, spectral_norm: bool) -> None:
        super().__init__()
        layers = halving_layers(image_size, channels, width, spectral_norm)
        before = map_widths(image_size, width)[-1]
        layers.append(nn.Conv2d(before, 1, 4, 1, 0, bias=spectral_norm))
        self.layers = nn.Sequential(*layers).apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B,): large means real."""
        return torch.flatten(self.layers(images))
