"""A fixed share of each batch is added images."""

from __future__ import annotations

from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts, Typed
from gan_aug.settings.values import Share


class Ratio(Mixing):
    """Real and added images have streams of their own, and shares of each batch."""

    ratio: Share | None = Field(
        default=None, description="share of added images in each batch; null: as shuffled"
    )

    @property
    def added_share(self) -> float | None:
        """The ratio."""
        return self.ratio

    def check(self, typed: Typed) -> None:
        """Check that a batch has images of both kinds."""
        size = typed.settings.data.batch_size
        added = round((self.ratio or 0) * size)
        if typed.arm.added.source != "none" and not 0 < added < size:
            left = "no added image" if added == 0 else "no real image"
            raise self.refused(
                typed,
                f"leaves {left} in a batch of {size} (data.batch_size); choose a ratio from "
                f"{1 / size:.3g} to {1 - 1 / size:.3g}, or null",
            )

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return a group of each kind; without added images, of real ones alone."""
        if not len(images.added):
            return super().parts(images, batch_size, title)
        size = round((self.ratio or 0) * batch_size)
        real, added, _ = images.rows
        return Parts([(real, batch_size - size), (added, size)])
