"""The first GAN: fully connected networks, fitted on one class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_aug.models.gans.latent import LatentGAN

GENERATOR_UNITS = 30
DISCRIMINATOR_UNITS = 6
"""Units of a hidden layer for each of `width`: at 40 those of the authors' networks for MNIST."""
PIECES = 5


class FullyConnectedGAN(LatentGAN):
    """Latent vectors to images without convolutions (Goodfellow et al. 2014, arXiv:1406.2661).

    Networks of the paper's kind (section 5: ReLUs, maxout and dropout) and, as it advises in
    section 3, a generator that maximises log D(G(z)). Changed:

    - Adam in place of momentum, whose rates would have to be found for each data set.
    - Normally distributed latents, as all GANs here have them; the paper leaves them open.
    - A tanh in place of the last sigmoid: images are in [-1, 1] here.
    - No dropout of the discriminator's pixels, as in the authors' code; the augmentation, which the
      paper does not have, cuts squares from all that it sees.
    """

    MIN_SIZE = 8
    POWER_OF_TWO = False


class Maxout(nn.Module):
    """Units that are the largest of `PIECES` linear ones (Goodfellow et al. 2013, arXiv:1302.4389).

    Each of the units sees all inputs.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.pieces = nn.Linear(inputs, PIECES * units)

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, inputs) to (B, units)."""
        return self.pieces(values).unflatten(1, (PIECES, -1)).amax(dim=1)


class Generator(nn.Module):
    """Latent vectors to images of any size: two hidden layers of ReLUs, tanh.

    A hidden layer has `GENERATOR_UNITS` times `width` units.
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
        return self.layers(latents).unflatten(1, self.shape)


class Discriminator(nn.Module):
    """Images of any size to logits: two hidden layers of maxout units, each followed by dropout.

    A hidden layer has `DISCRIMINATOR_UNITS` times `width` units; `dropout` is the share of them
    left out in training.
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
