"""StarGAN: one generator that translates images between any two classes."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import GAN, Batch, Losses
from gan_aug.models.gans.latent import SYNTHESIS_BATCH
from gan_aug.models.gans.request import Request, Synthesised
from gan_aug.models.losses import gradient_penalty
from gan_aug.models.networks.patchgan import PatchMean


class StarGAN(GAN):
    """Images and a class to images of that class (Choi et al. 2018, arXiv:1711.09020).

    In training each image is translated to a class drawn at random, its own among them, and back.
    A discriminator tells real images from translated ones, patch by patch, and the classes apart.

    Changed, for a few hundred images of 64x64 and a short training:

    - Networks a quarter as wide, with half as many residual blocks; batches of half the size;
      four times the learning rates.
    - The discriminator halves images down to 4x4, the paper's down to 2x2.
    - The source logit of an image is the mean over its patches, in the gradient penalty too.
    - One class an image, so the class loss is softmax cross entropy, as for the paper's facial
      expressions; its attributes, which go together, have one sigmoid each.
    - Augmentation of what the discriminator sees takes the place of mirrored images, and samples
      come from averaged weights.

    Args:
        class_weight: weight of the class losses.
        cycle_weight: weight of the reconstruction.
        penalty: weight of the gradient penalty.
        **players: see `GAN`.

    Raises:
        GanAugError: an adaptive augmentation.
    """

    def __init__(
        self, class_weight: float, cycle_weight: float, penalty: float, **players: Any
    ) -> None:
        super().__init__(**players)
        refuse_adaptive(self.augment, "a Wasserstein critic's")
        self.class_weight, self.cycle_weight, self.penalty = class_weight, cycle_weight, penalty
        self._wanted: Tensor | None = None

    def fake(self, batch: Batch) -> Tensor:
        """Translate the batch's images to classes drawn at random, each as likely as any other."""
        classes = int(self.generator.classes)  # type: ignore[arg-type]
        self._wanted = torch.randint(classes, batch["label"].shape, device=self.device)
        made: Tensor = self.generator(batch["image"], self._wanted)
        return made

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits (B, 4, 4) of being real; the class does not count."""
        found: Tensor = self.discriminator(images)[0]
        return found

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return `real`, `fake` and `gradient_penalty` (eq. 8) and `class` (eq. 2)."""
        reals, fakes = self.augment(batch["image"]), self.augment(fakes)
        real_logits, class_logits = self.discriminator(reals)
        critic = self.critic(0)
        return {
            "real": -real_logits.mean(),
            "fake": critic(fakes).mean(),
            "gradient_penalty": self.penalty * gradient_penalty(critic, reals, fakes),
            "class": self.class_weight * F.cross_entropy(class_logits, batch["label"]),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return `adversarial` (eq. 8), `class` (eq. 3) and `reconstruction` (eq. 4)."""
        assert self._wanted is not None
        logits, class_logits = self.discriminator(self.augment(fakes))
        again = self.generator(fakes, batch["label"])
        return {
            "adversarial": -logits.mean(),
            "class": self.class_weight * F.cross_entropy(class_logits, self._wanted),
            "reconstruction": self.cycle_weight * F.l1_loss(again, batch["image"]),
        }

    @torch.no_grad()
    def synthesise(self, request: Request) -> Synthesised:
        """Translate the sources."""
        assert request.sources is not None
        self.ema_generator.eval()
        images = []
        for part in torch.split(request.sources.images, SYNTHESIS_BATCH):
            labels = torch.full((len(part),), request.label, device=self.device)
            images.append(self.ema_generator(part.to(self.device), labels).cpu())
        return Synthesised(torch.cat(images), request.sources.hashes)

    def critic(self, label: int) -> nn.Module:
        """Return what tells real images, of any class: (N, C, H, W) to the patches' mean (N,)."""
        trunk, source = self.discriminator.trunk, self.discriminator.source
        return PatchMean(nn.Sequential(*cast(nn.Sequential, trunk), cast(nn.Module, source)))
