"""Fully connected networks (Goodfellow et al. 2014, arXiv:1406.2661, section 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GENERATOR_UNITS = 30
DISCRIMINATOR_UNITS = 6
"""Units of a hidden layer for each of `width`: at 40 those of the authors' networks for MNIST."""
PIECES = 5


class Maxout(nn.Module):
    """Units that are the largest of `PIECES` linear ones (Goodfellow et al. 2013, arXiv:1302.4389).

    Args:
        inputs: how many numbers each unit sees.
        units: how many units.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.pieces = nn.Linear(inputs, PIECES * units)

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, inputs) to (B, units)."""
        pieces: Tensor = self.pieces(values).unflatten(1, (PIECES, -1))
        return pieces.amax(dim=1)


class Generator(nn.Module):
    """Latent vectors to images: two hidden layers of ReLUs, tanh.

    Args:
        image_size: any.
        channels: of the images.
        latent_dim: length of the latent vectors.
        width: a hidden layer has `GENERATOR_UNITS` times as many units.
    """

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.shape = (channels, image_size, image_size)
        units = GENERATOR_UNITS * width
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, units),
            nn.ReLU(inplace=True),
            nn.Linear(units, units),
            nn.ReLU(inplace=True),
            nn.Linear(units, channels * image_size**2),
            nn.Tanh(),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to images (B, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(latents).unflatten(1, self.shape)
        return images


class Discriminator(nn.Module):
    """Images to logits: two hidden layers of maxout units, each followed by dropout.

    Args:
        image_size: any.
        channels: of the images.
        width: a hidden layer has `DISCRIMINATOR_UNITS` times as many units.
        dropout: share of hidden units left out in training.
    """

    def __init__(self, image_size: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        units = DISCRIMINATOR_UNITS * width
        self.layers = nn.Sequential(
            nn.Flatten(),
            Maxout(channels * image_size**2, units),
            nn.Dropout(dropout),
            Maxout(units, units),
            nn.Dropout(dropout),
            nn.Linear(units, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B,): large means real."""
        return torch.flatten(self.layers(images))
