"""WGAN-GP: a critic of slope 1 that measures how far apart images are, fitted on one class."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.losses import gradient_penalty


class WGANGP(LatentGAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1).

    The generator is DCGAN's, with batch norm, and the critic has layer norm in its place
    (`gan_aug.models.networks.wgan_gp`). Changed:

    - What the critic sees is augmented, so the straight lines of its penalty join augmented images:
      it is between those that its slope is to be 1.
    - Samples come from averaged weights.
    - A sixtieth of the paper's generator steps. So that there are as many: two critic steps before
      each in place of five, batches of 32 in place of 64, a quarter of the width; and twice the
      learning rates.

    Args:
        penalty: weight of the gradient penalty, lambda of eq. 3.
        **settings: see `LatentGAN` and `GAN`; the loss is not chosen.

    Raises:
        GanAugError: an adaptive augmentation.
    """

    def __init__(self, penalty: float, **settings: Any) -> None:
        super().__init__(loss="wasserstein", real_label=1.0, **settings)
        self.penalty = penalty

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real`, `fake` and `penalty` (eq. 3)."""

        def critic(images: Tensor) -> Tensor:
            return self.logits(images, batch)

        ends = self.augment(batch["image"]), self.augment(fakes)
        penalty = self.penalty * gradient_penalty(critic, *ends)
        return super().discriminator_losses(batch, fakes) | {"penalty": penalty}

    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return the critic's means, and its estimate of the Wasserstein distance between them."""
        found = super().diagnostics(batch, fakes)
        distance = found["score/D(x)"] - found["score/D(G(z)) before g step"]
        return found | {"score/wasserstein distance": distance}
