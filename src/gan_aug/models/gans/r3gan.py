"""R3GAN: a relativistic loss and penalties on both kinds of images, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.losses import squared_gradient
from gan_aug.run.errors import GanAugError


class R3GAN(LatentGAN):
    """A regularised relativistic GAN (Huang et al. 2024, arXiv:2501.05441).

    Each generated image is judged against the real image at its place in the batch (eq. 2), so that
    it does not help the generator to leave real images out. The gradient of the discriminator is
    penalised at real images (R1) and at generated ones (R2), in every step (eq. 3). There is no
    normalisation, and no other trick.

    Changed from the paper: the networks are narrower and have one block at each resolution; two
    generator steps follow each of the discriminator's, in place of one; gamma,
    the learning rates and Adam's betas stay what they are, where the paper moves them over 20
    million images; images are augmented by DiffAugment. As in the paper, generated images are not
    bounded while the networks are trained.

    Args:
        gamma: weight of R1 and R2; what is best depends on the size of the images.
        **settings: see `LatentGAN` and `GAN`.

    Raises:
        GanAugError: spectral norm, another R1, or an adaptive augmentation.
    """

    def __init__(self, gamma: float, **settings: Any) -> None:
        if settings["spectral_norm"]:
            raise GanAugError(
                "model.spectral_norm=true: r3gan begins with weights of zero, which cannot be "
                "normalised; set model.spectral_norm=false"
            )
        if settings["r1_gamma"]:
            raise GanAugError(
                f"model.r1.gamma={settings['r1_gamma']}: r3gan has R1 in every step, weighed by "
                "model.gamma; set model.r1.gamma=0"
            )
        refuse_adaptive(settings["augment"], "a relativistic discriminator's")
        # f of eq. 1 and 2 is the non-saturating loss; it is given differences of logits.
        super().__init__(loss="non_saturating", real_label=1.0, **settings)
        self.gamma = gamma

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `adversarial`, `r1` and `r2`."""
        reals = batch["image"].detach().requires_grad_(True)
        fakes = fakes.detach().requires_grad_(True)
        real_logits, fake_logits = self.judge(reals, batch), self.judge(fakes, batch)
        return {
            "adversarial": self.loss.generator(real_logits - fake_logits),
            "r1": self.gamma / 2 * squared_gradient(real_logits, reals).mean(),
            "r2": self.gamma / 2 * squared_gradient(fake_logits, fakes).mean(),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the term `adversarial`."""
        real_logits, fake_logits = self.judge(batch["image"], batch), self.judge(fakes, batch)
        return {"adversarial": self.loss.generator(fake_logits - real_logits)}

    @torch.no_grad()
    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return D(x), and D(G(z)) for one z before and after the generator's step.

        Of a pair of a real and a generated image, each is the probability of being the real one.
        """
        assert self._latents is not None
        real_logits = self.logits(batch["image"], batch)

        def score(images: Tensor) -> Tensor:
            return self.loss.score(self.logits(images, batch) - real_logits).mean()

        before = score(fakes)
        again = self.make(self.generator, self._latents, batch["label"])
        return {
            "score/D(x)": 1 - before,
            "score/D(G(z)) before g step": before,
            "score/D(G(z)) after g step": score(again),
        }
