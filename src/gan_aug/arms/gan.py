"""Images of GANs that were fitted on the draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from gan_aug.arms.base import Draw, Settled
from gan_aug.arms.filter import Filtered
from gan_aug.data.image_table import ClassImages
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.class_facts import made_with

if TYPE_CHECKING:
    from gan_aug.settings.arms import SettledArm
    from gan_aug.settings.study import SettledStudy


class GANImages(Filtered):
    """Images of the draw's GANs, or of replicates of them."""

    name = "gan"
    replicate: int = Field(
        default=0, ge=0, le=100, description="1, 2 ...: another GAN, of other first weights"
    )

    def check_settled(self, settled: Settled) -> None:
        """Check that the GAN makes images of each class that is asked for."""
        settings = settled.settings
        for name, count in settled.arm.added.count.items():
            made = made_with(settings.model, name, settings.data.classes)
            if count and name not in made:
                raise GanAugError(
                    f"{settled.key}.added.count.{name}={count}: model={settings.model.name} makes "
                    f"{', '.join(made)} only; set it, or study.count, to 0 for this class, or "
                    "choose another model.pair"
                )

    def translated(self, name: str, settings: SettledStudy) -> list[str]:
        """Return the classes that the GAN translates into one."""
        return made_with(settings.model, name, settings.data.classes).get(name, [])

    def of_own_gans(self, arm: SettledArm) -> dict[tuple[str, int], int]:
        """Return the images wanted of each class, times the candidates of the filter."""
        times = self.filter.candidates if self.filter.on else 1
        counts = arm.added.count.items()
        return {(name, self.replicate): count * times for name, count in counts if count}

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return the first images of the class that pass the filter."""
        candidates = draw.made(name, self.replicate).first(count * self.filter.candidates)
        return self.filter.first(count, candidates, draw, name, arm.title)
