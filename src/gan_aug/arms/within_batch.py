"""The images of a batch are mixed with each other, by torchvision's CutMix or MixUp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from gan_aug.arms.base import Mixing
from gan_aug.settings.values import Above0

if TYPE_CHECKING:
    from torch import nn

    from gan_aug.data.batches import Batch

_ALONE = "mixes the images of a batch with each other"


class MixUpWithin(Mixing):
    """Mixup as published (Zhang et al. 2018, arXiv:1710.09412, equation 1).

    A batch is mixed with itself in another order: l x + (1 - l) x', and the targets likewise. l is
    from Beta(alpha, alpha), one for each batch, as in the authors' code.
    """

    of_arm = True
    alone = _ALONE
    mixup: Above0 | None = Field(
        default=None, description="alpha of mixup of a batch's images with each other; null: none"
    )

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Mix all images of a batch."""
        from torchvision.transforms.v2 import MixUp

        return _mixed(MixUp(alpha=self.mixup), batch, random)


class CutMix(Mixing):
    """CutMix (Yun et al. 2019, arXiv:1905.04899, equations 1 and 2).

    A patch of each image is replaced by that of another one, and the targets are mixed by its area.
    Its share of the image is from Beta(alpha, alpha), its place from the uniform distribution; both
    once for each batch. Where it leaves the image it is cut, and the area that is left counts.
    """

    of_arm = True
    alone = _ALONE
    cutmix: Above0 | None = Field(
        default=None, description="alpha of CutMix, patches of a batch's other images; null: none"
    )

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Replace a patch of each image of a batch."""
        from torchvision.transforms.v2 import CutMix as Transform

        return _mixed(Transform(alpha=self.cutmix), batch, random)


def _mixed(transform: nn.Module, batch: Batch, random: np.random.Generator) -> Batch:
    """Return a batch in another order, each image mixed with the one before it."""
    import torch

    # The library mixes neighbours, and a balanced batch is in the order of its classes.
    order = torch.from_numpy(random.permutation(len(batch["label"])))
    own = {name: column[order.to(column.device)] for name, column in batch.items()}
    # What is learned of an image, and its weight, are mixed by the same share.
    learned = torch.cat([own["target"], own["weight"][:, None]], dim=1)
    with torch.random.fork_rng(devices=[]):  # the library draws from the global state
        torch.manual_seed(int(random.integers(2**63)))
        images, learned = transform(own["image"], learned)
    # Into the batch's own memory: its layout is the one that convolutions are fast in.
    image = batch["image"].copy_(images)
    return own | {"image": image, "target": learned[:, :-1], "weight": learned[:, -1]}
