"""Images of a generator that gan_aug did not fit, from a folder: an external set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import Field

from gan_aug.arms.base import Draw, Settled, Typed
from gan_aug.arms.filter import Filtered
from gan_aug.arms.gan import GANImages
from gan_aug.data.external_set import ExternalSet, read_external
from gan_aug.data.image_table import ClassImages
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.by_name import normal
from gan_aug.settings.values import MEANINGS, PathText, Seen

if TYPE_CHECKING:
    from gan_aug.settings.arms import ArmSettings, SettledArm
    from gan_aug.settings.study import SettledStudy


class FolderImages(Filtered):
    """Images of a folder with a folder for each class, in the order of their names."""

    name = "folder"
    dir: PathText | None = Field(
        default=None, description="folder of the images, with a folder for each class"
    )
    seen: Seen | None = Field(default=None, description=f"what their generator saw: {MEANINGS}")

    def generated(self, arm: ArmSettings) -> bool:
        """Always."""
        return True

    def check(self, typed: Typed) -> None:
        """Check that it says which folder, and what the generator saw."""
        arm, where = typed.arm, typed.key
        if self.dir is None:
            raise GanAugError(
                f"{where}.added.dir: is missing; name the folder of the images, a folder for each "
                "class in it (in study=external once, as study.added.dir=DIR)"
            )
        if self.seen is None:
            raise GanAugError(
                f"{where}.added.seen: is missing; declare what the generator of {self.dir} saw "
                f"(in study=external once, as study.added.seen=draw): {MEANINGS}"
            )
        if not Path(self.dir).expanduser().is_dir():
            raise GanAugError(
                f"{where}.added.dir={self.dir}: no such folder; name one with a folder of images "
                "for each class"
            )
        if replicate := GANImages.of(arm).replicate:
            raise GanAugError(
                f"{where}.added.replicate={replicate}: is of a study's own GANs; for another set "
                "of images name another folder"
            )
        if arm.real is not None and self.seen == "draw":
            raise GanAugError(
                f"{where}.real={arm.real}: this arm takes all of the draw's images, its generator "
                "saw all of them; leave it null, and set data.subset"
            )

    def check_settled(self, settled: Settled) -> None:
        """Read the images, and check that there are as many as are asked for."""
        there = self.read(settled.key, settled.settings, settled.splits)
        for name, count in settled.arm.added.count.items():
            have = len(there.by_class[name])
            if count > have:
                lost = [
                    path for path in there.unread if normal(path.partition("/")[0]) == normal(name)
                ]
                not_read = f" ({lost[0]} is not read: {there.unread[lost[0]]})" if lost else ""
                raise GanAugError(
                    f"{settled.key}.added.count.{name}={count}: {self.dir} has {have} images of "
                    f"{name}{not_read}; make more, or lower it or study.count"
                )

    def read(self, where: str, settings: SettledStudy, splits: Splits) -> ExternalSet:
        """Return the images of the folder, checked; `where` is `arms.NAME`."""
        folder, seen = Path(self.dir or ""), cast("Seen", self.seen)
        return read_external(folder, seen, splits, settings.data, f"{where}.added.dir")

    def of_draw(self, draw: Draw) -> ExternalSet:
        """Return the images of the folder, read once for all arms of a draw."""
        there: ExternalSet = draw.once(
            (self.name, self.dir, self.seen), lambda: self.read("arms", draw.settings, draw.splits)
        )
        return there

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return the first images of the class that pass the filter."""
        made = self.of_draw(draw).by_class[name]
        if len(made) < count:
            raise GanAugError(
                f"{self.dir}: has only {len(made)} images of {name} by now, {count} are wanted; "
                "put them back, and repeat the command"
            )
        what, remedy = f"images of {self.dir}", "bring more"
        return self.filter.first(count, made, draw, name, arm.title, what, remedy)
