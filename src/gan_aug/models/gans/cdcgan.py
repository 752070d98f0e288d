"""A DCGAN of all classes at once: each image is made, and judged, as one of its class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_aug.models.gans.base import Batch
from gan_aug.models.gans.latent import LatentGAN


class CDCGAN(LatentGAN):
    """Latent vectors and a class to images (Miyato & Koyama 2018, arXiv:1802.05637).

    The generator is told the class by conditional batch norm, the discriminator by a projection
    (`gan_aug.models.networks.cdcgan`). Generated images take the classes of the batch's real ones.

    Changed: DCGAN's convolutions in place of the paper's ResNets, which are for 1000 classes at
    128x128 and cost many times as much; features averaged over places, not summed, since with sums
    the discriminator of a small set soon has nothing left to learn; batch norm in the discriminator
    and DCGAN's loss, since with spectral norm and the hinge loss it learned more slowly; one
    discriminator step for two of the generator, where the paper has five for one: in a short
    training the generator needs its steps; and Adam with 0.5 and 0.999, DCGAN's, in place of 0 and
    0.9.

    Args:
        **settings: see `LatentGAN` and `GAN`.
    """

    def make(self, generator: nn.Module, latents: Tensor, labels: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of classes (B,)."""
        images: Tensor = generator(latents, labels)
        return images

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Ask the discriminator about images as of the batch's classes."""
        found: Tensor = self.discriminator(images, batch["label"])
        return found

    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of one class: images (N, C, H, W) to logits (N,)."""
        return _Critic(self.discriminator, label)


class _Critic(nn.Module):
    """A conditional discriminator, for one class."""

    def __init__(self, discriminator: nn.Module, label: int) -> None:
        super().__init__()
        self.discriminator, self.label = discriminator, label
        self.layers = discriminator.layers  # the chain that `explain` shows

    def forward(self, images: Tensor) -> Tensor:
        labels = torch.full((len(images),), self.label, device=images.device)
        found: Tensor = self.discriminator(images, labels)
        return found
