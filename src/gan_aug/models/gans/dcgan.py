"""DCGAN: an unconditional GAN of convolutions, fitted on one class."""

from __future__ import annotations

from gan_aug.models.gans.latent import LatentGAN


class DCGAN(LatentGAN):
    """Latent vectors to images by convolutions (Radford et al. 2015, arXiv:1511.06434).

    The networks are the paper's (`gan_aug.models.networks.dcgan`). It draws latents uniformly; the
    normal distribution of later practice is used here.

    Args:
        **settings: see `LatentGAN` and `GAN`.
    """
