"""DCGAN: an unconditional GAN of convolutions, fitted on one class."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.networks.blocks import draw_weights, halving_layers, inner_widths, normed


class DCGAN(LatentGAN):
    """Latent vectors to images by convolutions (Radford et al. 2015, arXiv:1511.06434).

    The networks are the paper's (section 3). It draws latents uniformly; the normal distribution of
    later practice is used here.
    """


class Generator(nn.Module):
    """Latent vectors to images: transposed convolutions from 4x4 up, batch norm, ReLU, tanh."""

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        maps = inner_widths(image_size, width)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([latent_dim, *maps])):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            up = nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False)
            layers += normed(up, nn.BatchNorm2d)
        layers += [nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers).apply(draw_weights)

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to images (B, C, H, W) in [-1, 1]."""
        return self.layers(latents[:, :, None, None])


def discriminator_layers(
    image_size: int, channels: int, width: int, spectral_norm: bool
) -> list[nn.Module]:
    """Return the discriminator's layers from images to 4x4 maps.

    Spectral norm takes the place of batch norm (Miyato et al. 2018, arXiv:1802.05957, section 4).
    """
    norm = None if spectral_norm else nn.BatchNorm2d
    return halving_layers(image_size, channels, width, norm, bias=spectral_norm)


class Discriminator(nn.Module):
    """Images to logits: strided convolutions down to 4x4, batch norm, leaky ReLU 0.2."""

    def __init__(self, image_size: int, channels: int, width: int, spectral_norm: bool) -> None:
        super().__init__()
        layers = discriminator_layers(image_size, channels, width, spectral_norm)
        features = inner_widths(image_size, width)[0]
        layers.append(nn.Conv2d(features, 1, 4, 1, 0, bias=spectral_norm))
        self.layers = nn.Sequential(*layers).apply(draw_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B,): large means real."""
        return torch.flatten(self.layers(images))
