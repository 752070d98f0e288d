"""A fixed share of each batch is added images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts, Shuffled
from gan_aug.run.errors import GanAugError
from gan_aug.settings.values import Share

if TYPE_CHECKING:
    from gan_aug.settings.arms import ArmSettings
    from gan_aug.settings.study import StudySettings


class Ratio(Mixing):
    """Real and added images have streams of their own, and shares of each batch."""

    ratio: Share | None = Field(
        default=None, description="share of each batch that is added; null: shuffled"
    )

    @property
    def on(self) -> bool:
        """0 is a share too, and refused."""
        return self.ratio is not None

    @property
    def added_share(self) -> float | None:
        """The ratio."""
        return self.ratio

    def check(self, where: str, arm: ArmSettings, settings: StudySettings) -> None:
        """Check that a batch has images of both kinds."""
        assert self.ratio is not None
        size = settings.data.batch_size
        added = round(self.ratio * size)
        if arm.added.source != "none" and not 0 < added < size:
            left = "no added image" if added == 0 else "no real image"
            raise GanAugError(
                f"{where}.added.ratio={self.ratio}: leaves {left} in a batch of {size} "
                f"(data.batch_size); choose a ratio from {1 / size:.3g} to {1 - 1 / size:.3g}, or "
                "null"
            )

    def parts(self, images: ArmImages, batch_size: int, steps: int, title: str) -> Parts:
        """Return a group of each kind; without added images, of real ones alone."""
        assert self.ratio is not None
        if not len(images.added):
            return Shuffled().parts(images, batch_size, steps, title)
        size = round(self.ratio * batch_size)
        return Parts([(images.real, batch_size - size), (images.added, size)])
