"""Pix2pix: an image from a condition, learnt from pairs of them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_aug.models.gans.base import GAN, Batch, Losses
from gan_aug.models.gans.request import Request, Synthesised
from gan_aug.models.losses import adversarial_loss
from gan_aug.models.networks.condition import Condition, WithCondition
from gan_aug.models.networks.patchgan import PatchGAN, PatchMean

TRANSLATED_AT_ONCE = 64
"""Images made at once; fixed, so that a seed gives the same images for any count."""


class Pix2Pix(GAN):
    """A U-Net and a PatchGAN that sees image and condition (Isola et al. 2017, arXiv:1611.07004).

    The generator minimises the GAN loss in its non-saturating form and the L1 distance to the image
    that the condition belongs to (eq. 4). Its noise is dropout, in training and in synthesis.

    These are no true pairs: nobody is X-rayed twice, with and without a disease. The condition is
    derived from the image itself (`Condition`). Fitted on the images of one class, the generator
    learns to complete what it is shown in the manner of that class; given what is left of another
    class's image, it does the same. That this changes the class is a hope that has to be measured.
    With `lung_mask` it fills lungs of its class into the chest of another patient, and all outside
    stays as it was. `edges` and `blur` show the lungs as well: they carry over more of the patient,
    and of the patient's class.

    Changed for some 300 images of 64 pixels and minutes on a CPU: a width of 32 (64); the U-Net
    ends at 4x4 pixels and has dropout in 2 layers; patches of 34 pixels (70 at 256); instance norm,
    which is the paper's batch norm of one image, so that batches of 16 (1 to 10) change nothing but
    the number of steps; in place of the paper's jitter and mirroring `augment`, which changes an
    image and its condition alike, for the discriminator alone; samples come from an average of the
    weights.

    Args:
        condition: `lung_mask`, `blur` or `edges`.
        l1_weight: lambda of eq. 4.
        **players: see `GAN`; the networks are those of `gan_aug.models.networks.pix2pix`.

    Raises:
        GanAugError: an unknown condition.
    """

    def __init__(self, condition: str, l1_weight: float, **players: Any) -> None:
        super().__init__(**players)
        self.condition = Condition(condition)
        self.l1_weight = l1_weight
        self.loss = adversarial_loss("non_saturating", 1.0)
        self.noise_dim = int(self.generator.noise_dim)  # type: ignore[arg-type]

    def fake(self, batch: Batch) -> Tensor:
        """Make the batch's images from their conditions, with fresh noise."""
        noise = torch.rand(len(batch["image"]), self.noise_dim, device=self.device)
        made: Tensor = self.generator(self.condition(batch["image"]), noise)
        return made

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Ask the discriminator about images with the conditions of the batch's images."""
        logits: Tensor = self.discriminator(self._with_condition(images, batch))
        return logits

    def judge(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of images and conditions that are augmented alike."""
        logits: Tensor = self.discriminator(self.augment(self._with_condition(images, batch)))
        return logits

    def _with_condition(self, images: Tensor, batch: Batch) -> Tensor:
        return torch.cat([self.condition(batch["image"]), images], dim=1)

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real` and `fake`, halved as in section 3.3."""
        return {
            "real": 0.5 * self.loss.real(self.judge_real(batch)),
            "fake": 0.5 * self.loss.fake(self.judge(fakes, batch)),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `adversarial` and `l1`."""
        return {
            "adversarial": self.loss.generator(self.judge(fakes, batch)),
            "l1": self.l1_weight * (fakes - batch["image"]).abs().mean(),
        }

    @torch.no_grad()
    def synthesise(self, request: Request) -> Synthesised:
        """Make images from the conditions of the sources, with fresh noise."""
        assert request.sources is not None
        self.ema_generator.eval()
        made = []
        for part in torch.split(request.sources.images, TRANSLATED_AT_ONCE):
            noise = torch.rand(TRANSLATED_AT_ONCE, self.noise_dim, generator=request.random)
            conditions = self.condition(part.to(self.device))
            made.append(self.ema_generator(conditions, noise[: len(part)].to(self.device)).cpu())
        return Synthesised(torch.cat(made), request.sources.hashes)

    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of images with their own conditions, averaged over patches."""
        layers = cast(PatchGAN, self.discriminator).layers
        return PatchMean(nn.Sequential(WithCondition(self.condition), *layers))
