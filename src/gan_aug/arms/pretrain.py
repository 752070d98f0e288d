"""Pretraining: the first steps on added images alone, then on real ones."""

from __future__ import annotations

from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts, Settled, Typed
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.values import Share


class Pretrain(Mixing):
    """Two phases, of added images and of real ones."""

    of_arm = True
    alone = "keeps added and real images apart"
    pretrain: Share = Field(
        default=0, description="share of the steps that come first, on added images alone"
    )

    def first_steps(self, steps: int) -> int:
        """Return how many of all steps are on added images."""
        return round(self.pretrain * steps)

    def check(self, typed: Typed) -> None:
        """Check that both phases have steps, and the second one validations."""
        study = typed.settings.study
        steps, every = study.steps, study.validate_every
        first = self.first_steps(steps.max)
        if not 0 < first < steps.max:
            raise self.refused(
                typed,
                f"leaves no step of study.steps={steps.max} on one of its sides; choose another, "
                "or set it to 0",
            )
        if steps.chosen and steps.max // every * every <= first:
            raise self.refused(
                typed,
                "leaves no validation after it to choose steps from; lower "
                f"study.validate_every={every}",
            )

    def check_settled(self, settled: Settled) -> None:
        """Check that there are added images of each class."""
        added = settled.arm.added
        if added.source == "none" or not all(added.count.values()):
            raise self.refused(
                settled,
                f"needs added images of each class, it has {dict(added.count)}; raise "
                f"{settled.key}.added.count",
            )

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return the added images first, and then the real ones."""
        if not len(images.added):  # the fit that is asked about added images has none
            raise GanAugError(
                f"arm {title!r}: pretrain={self.pretrain} needs added images, and here there are "
                "none; set it to 0"
            )
        real, added, _ = images.rows
        return Parts([(real, batch_size)], first=[(added, batch_size)])
