"""PGGAN: both networks grow from 4x4 to the images' size while they are trained, on one class."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.wgan_gp import WGANGP
from gan_aug.models.losses import gradient_penalty
from gan_aug.models.networks.pggan import Discriminator
from gan_aug.run.errors import GanAugError


class PGGAN(WGANGP):
    """Progressive growing (Karras et al. 2018, arXiv:1710.10196).

    The networks are the paper's (`gan_aug.models.networks.pggan`), with equalised learning rates,
    pixel norm and the standard deviation of the minibatch; latents are points of a hypersphere.
    Stage 0 makes images of 4x4. Each stage is trained as it is for a while, then the next is faded
    in, in real images too; the last has the rest of the training. All that is computed is of the
    stage's size, and so are the images at which the critic is to have slope 1. How far the networks
    have grown is a function of `share_done`, and kept in a buffer of each: a checkpoint alone makes
    images of the stage that it was saved in.

    Adam's state is kept when a stage is added, where the published code clears it: with betas
    (0, 0.99) it remembers some hundred steps. Weights that are not reached yet, or left behind, get
    no gradient and no step; as Adam counts the steps of each weight, new ones start afresh.

    The penalty is on the gradient of all logits' sum, as in the published code: the images of a
    group reach each other's logits through the standard deviation of the minibatch.

    Changed from the paper:

    - At most 8 times `width` feature maps, where it has 512; they double from the image on.
    - Stages take shares of a few thousand steps; each fade and each stage has 800 000 images there.
    - Twice the learning rates.
    - One batch size, where it has 16 images up to 128x128 and then fewer.
    - The discriminator's cells of 2x2 are averaged before the activation instead of after it: so
      it is one step with the convolution, a quarter faster.
    - What the discriminator sees is augmented, at the stage's size: a few hundred images are soon
      known by heart. It has no augmentation.
    - Averaged weights forget sooner than with 0.999, as the training is shorter.

    Args:
        fade: share of the training that each fade takes.
        stable: share of it that 4x4, and each later stage but the last, is trained on as it is.
        penalty: weight of the gradient penalty (appendix A.1; Gulrajani et al. 2017, eq. 3).
        drift: weight of the mean square of the logits of real images, which keeps them near 0
            (appendix A.1).
        **settings: see `LatentGAN` and `GAN`; latents are on a sphere, so there is no truncation.

    Raises:
        GanAugError: shares that leave nothing for the last stage, or see `WGANGP`.
    """

    def __init__(
        self, fade: float, stable: float, penalty: float, drift: float, **settings: Any
    ) -> None:
        super().__init__(penalty=penalty, truncation=None, **settings)
        self.fade, self.stable, self.drift = fade, stable, drift
        self.top = int(self.generator.top)  # type: ignore[arg-type]
        if self.top * (fade + stable) >= 1:
            raise GanAugError(
                f"model.growth.fade={fade:g}, model.growth.stable={stable:g}: the {self.top} "
                f"stages before the last take {self.top * (fade + stable):g} of the training; set "
                f"them so that both together stay below 1/{self.top}"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Grow, fade the real images too, and do the step."""
        growth = growth_at(self.share_done, self.fade, self.stable, self.top)
        # The EMA's as well: averaging numbers that are equal keeps them so.
        for network in (self.generator, self.discriminator, self.ema_generator):
            network.growth.fill_(growth)  # type: ignore[operator]
        images = cast(Discriminator, self.discriminator).faded(batch["image"])
        super().training_step(batch | {"image": images}, batch_idx)

    def judge(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of images that are augmented at the stage's size."""
        return self.logits(self._seen(images), batch)

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real`, `fake`, `penalty` and `drift` (appendix A.1)."""

        def critic(images: Tensor) -> Tensor:
            return self.logits(images, batch)

        seen_reals, seen_fakes = self._seen(batch["image"]), self._seen(fakes)
        reals = critic(seen_reals)
        return {
            "real": self.loss.real(reals),
            "fake": self.loss.fake(critic(seen_fakes)),
            "penalty": self.penalty * gradient_penalty(critic, seen_reals, seen_fakes),
            "drift": self.drift * reals.float().square().mean(),
        }

    def _seen(self, images: Tensor) -> Tensor:
        reduced = cast(Discriminator, self.discriminator).reduced(images)
        found: Tensor = self.augment(reduced)
        return found


def growth_at(share_done: float, fade: float, stable: float, top: int) -> float:
    """Return how far the networks have grown (`gan_aug.models.networks.pggan`).

    Args:
        share_done: of the training, from 0 to 1.
        fade: see `PGGAN`.
        stable: see `PGGAN`.
        top: the last stage.
    """
    stage, place = divmod(share_done, stable + fade)
    return min(stage + max(0.0, place - stable) / fade, float(top))
