"""Mixup: an added image is mixed into every real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts, Settled, Typed
from gan_aug.settings.values import Above0

if TYPE_CHECKING:
    from gan_aug.data.batches import Batch


class MixUp(Mixing):
    """Mixup (Zhang et al. 2018, arXiv:1710.09412, equation 1).

    A real image x and an added one x' become one, l x + (1 - l) x', and their targets likewise.
    l is from Beta(alpha, alpha). Batches take as many added images as real ones.
    """

    alone = "puts an added image with every real one"
    mixup: Above0 | None = Field(
        default=None, description="alpha of mixup of added and real images; null: none"
    )

    def check(self, typed: Typed) -> None:
        """Check that there is something to mix in."""
        if typed.arm.added.source == "none":
            raise self.refused(
                typed,
                "this arm adds no images to mix in; choose added.source=duplicate to mix real "
                "ones, or gan",
            )

    def check_settled(self, settled: Settled) -> None:
        """Check that there are added images."""
        if not any(settled.arm.added.count.values()):
            reason = (
                f"needs added images, there are none; raise {settled.key}.added.count, or "
                "study.count"
            )
            raise self.refused(settled, reason)

    def shown(self, batch_size: int) -> int:
        """Two images become one."""
        return 2 * batch_size

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return a group of real images and one of as many added ones."""
        if not len(images.added):  # the fit that is asked about added images has none
            return super().parts(images, batch_size, title)
        real, added, _ = images.rows
        return Parts([(real, batch_size), (added, batch_size)])

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Mix the second half of a batch, in another order, into the first."""
        import torch

        assert self.mixup is not None
        n = len(batch["label"]) // 2
        share = torch.from_numpy(random.beta(self.mixup, self.mixup, n)).float()
        # Groups of a batch are in the order of the classes: of mixed classes too, then.
        partner = torch.from_numpy(random.permutation(n)) + n

        def mix(images: torch.Tensor) -> torch.Tensor:
            own = share.view(-1, *(1 for _ in images.shape[1:])).to(images.device)
            # In place: new grey images would not be channels_last, and convolutions twice as slow.
            return images[:n].mul_(own).add_((1 - own) * images[partner.to(images.device)])

        mixed = {name: mix(batch[name]) for name in ("image", "target", "weight")}
        return mixed | {"label": batch["label"][:n]}
