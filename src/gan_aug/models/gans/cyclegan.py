"""CycleGAN: translation between two classes, learnt without pairs of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import GAN, Batch, Losses
from gan_aug.models.gans.image_pool import ImagePool
from gan_aug.models.gans.request import Request, Synthesised
from gan_aug.models.networks.cyclegan import Discriminators
from gan_aug.models.networks.patchgan import PatchGAN, PatchMean
from gan_aug.settings.gan_classes import classes_made

TRANSLATED_AT_ONCE = 64


class CycleGAN(GAN):
    """Two generators, each other's inverse, and a discriminator of each class.

    Zhu et al. 2017, arXiv:1703.10593: least-squares losses (section 4), cycle consistency (eq. 2),
    the identity loss (section 5.2), a pool of generated images for the discriminators.

    `source` of a batch, its first half, is of the pair's first class, `target` of its second. The
    images of `fake` have the same order: the first half is of the first class, made from `target`.

    Changed for some 700 images of 64 pixels and minutes on a CPU: a width of 16 and 3 residual
    blocks (64, and 6 for 128 pixels); patches of 34 pixels (70 at 256); 4 images of each class in a
    batch (1), which is faster an image, about 40 passes over the images (200), twice the learning
    rates; samples come from an average of the weights.

    Generated images keep the geometry of their sources, which the cycle loss asks for: the disease
    may change, the patient does not. So a set of them is as varied as its sources, and no more.

    Augmentation, off by default, reaches the discriminators alone: the cycle and the identity loss
    compare images as they are. With 196 patches an image and a pool, the discriminators should
    overfit less than one of whole images does.

    Args:
        classes: of the data set.
        pair: two of them; None: the data set's two.
        image_size: side of the images, for the pools.
        channels: of the images, for the pools.
        pool: generated images kept for each discriminator.
        cycle_weight: lambda of eq. 3.
        identity_weight: of the identity loss, as a share of `cycle_weight`.
        **players: see `GAN`; the networks are `Generators` and `Discriminators`.

    Raises:
        GanAugError: not two of the classes, or an adaptive augmentation.
    """

    ONLY_TRAINED_WITH = (*GAN.ONLY_TRAINED_WITH, "pools.")

    def __init__(
        self,
        classes: Sequence[str],
        pair: Sequence[str] | None,
        image_size: int,
        channels: int,
        pool: int,
        cycle_weight: float,
        identity_weight: float,
        **players: Any,
    ) -> None:
        super().__init__(**players)
        refuse_adaptive(self.augment, "the least-squares loss's")
        settings = {"name": "cyclegan", "fitted_on": "two", "sources": "other", "pair": pair}
        self.pair = [list(classes).index(name) for name in classes_made(settings, None, classes)]
        self.pools = nn.ModuleList(ImagePool(pool, channels, image_size) for _ in range(2))
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight

    def fake(self, batch: Batch) -> Tensor:
        """Translate `target` to the first class and `source` to the second."""
        return torch.cat([self.generator(batch["target"], 0), self.generator(batch["source"], 1)])

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Ask the first class's discriminator about the first half, the second's about the rest."""
        halves = images.chunk(2)
        return torch.cat([self.discriminator(half, which) for which, half in enumerate(halves)])

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real` and `fake`, of both discriminators together.

        Each one's loss is halved (section 4). A mean over both is half of the sum of their means.
        """
        halves = zip(self.pools, fakes.chunk(2), strict=True)
        shown = torch.cat([pool(half) for pool, half in halves])
        return {
            "real": (self.judge_real(batch) - 1).square().mean(),
            "fake": self.judge(shown, batch).square().mean(),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `adversarial`, `cycle` and `identity`, of both generators together."""
        first, second = fakes.chunk(2)
        cycle, identity = [], []
        for which, (real, fake) in enumerate([(batch["source"], second), (batch["target"], first)]):
            # Both are to become `real`: the translation of itself, and the image as it was.
            again, same = self.generator(torch.cat([fake, real]), which).chunk(2)
            cycle.append((again - real).abs().mean())
            identity.append((same - real).abs().mean())
        return {
            "adversarial": 2 * (self.judge(fakes, batch) - 1).square().mean(),
            "cycle": self.cycle_weight * torch.stack(cycle).sum(),
            "identity": self.cycle_weight * self.identity_weight * torch.stack(identity).sum(),
        }

    @torch.no_grad()
    def synthesise(self, request: Request) -> Synthesised:
        """Translate the sources to the class; nothing is random."""
        assert request.sources is not None
        self.ema_generator.eval()
        which = self.pair.index(request.label)
        parts = torch.split(request.sources.images, TRANSLATED_AT_ONCE)
        made = [self.ema_generator(part.to(self.device), which).cpu() for part in parts]
        return Synthesised(torch.cat(made), request.sources.hashes)

    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of a class, averaged over patches."""
        own = cast(Discriminators, self.discriminator).of[self.pair.index(label)]
        return PatchMean(cast(PatchGAN, own).layers)
