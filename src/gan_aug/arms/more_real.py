"""Further real images, of those that a draw leaves over: is it data that is missing?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.arms.base import AddedFrom, Draw, Settled
from gan_aug.data.image_table import ClassImages
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.design import ARM

if TYPE_CHECKING:
    from gan_aug.settings.arms import SettledArm


class MoreReal(AddedFrom):
    """Real images of the unused pool, in a random order that all arms share."""

    name = "real"

    def check_settled(self, settled: Settled) -> None:
        """Check that the draw leaves as many images over."""
        hint = " in study.ruler" if settled.name.startswith(ARM.format("")) else ""
        for name, left in settled.splits.unused.counts().items():
            if (count := settled.arm.added.count[name]) > left:
                raise GanAugError(
                    f"{settled.key}.added.count.{name}={count}: the draw leaves only {left} "
                    f"{name} training images over; ask for fewer{hint}"
                )

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return the first of them: of a larger number a smaller one is part."""
        table = draw.splits.unused.of_class(name)
        order = draw.random("real", name).permutation(len(table))
        return ClassImages(table.images[order[:count]])
