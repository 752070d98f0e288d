"""The first GAN: fully connected networks, fitted on one class."""

from __future__ import annotations

from gan_aug.models.gans.latent import LatentGAN


class FullyConnectedGAN(LatentGAN):
    """Latent vectors to images without convolutions (Goodfellow et al. 2014, arXiv:1406.2661).

    Networks of the paper's kind (`gan_aug.models.networks.gan`: ReLUs, maxout and dropout) and, as
    it advises in section 3, a generator that maximises log D(G(z)). Changed:

    - Adam in place of momentum, whose rates would have to be found for each data set.
    - Normally distributed latents, as all GANs here have them; the paper leaves them open.
    - A tanh in place of the last sigmoid: images are in [-1, 1] here.
    - No dropout of the discriminator's pixels, as in the authors' code; the augmentation, which the
      paper does not have, cuts squares from all that it sees.

    Args:
        **settings: see `LatentGAN` and `GAN`.
    """
