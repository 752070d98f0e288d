"""Pairs: each real image of a batch stands beside its translation, or its copy."""

from __future__ import annotations

from pydantic import Field

from gan_aug.arms.base import ArmImages, Mixing, Parts, Settled, Typed, source_of
from gan_aug.arms.gan import GANImages
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.class_facts import gan_facts


class Paired(Mixing):
    """Half of a batch is real images, the other half images that were made of just these."""

    alone = "puts an added image with every real one"
    paired: bool = Field(
        default=False, description="each image stands beside a translation or a copy of it"
    )

    def check(self, typed: Typed) -> None:
        """Check that added images are made of real ones, and none of them is filtered out."""
        arm, settings = typed.arm, typed.settings
        if arm.balanced:
            raise self.excludes(typed, "balanced")
        if arm.added.source == "gan" and GANImages.of(arm).filter.on:
            raise GanAugError(
                f"{typed.key}.added.filter: would leave some image of added.paired alone; set both "
                "of its limits to 0"
            )
        translates = arm.added.source == "gan" and gan_facts(settings.model).translates
        if not (translates or arm.added.source == "duplicate"):
            raise self.refused(
                typed,
                "an image is paired with its translation or copy; choose a model that translates "
                "(cyclegan, stargan, pix2pix), or added.source=duplicate",
            )
        if (size := settings.data.batch_size) % 2:
            raise GanAugError(
                f"data.batch_size={size}: {typed.key} has pairs; choose an even number"
            )

    def check_settled(self, settled: Settled) -> None:
        """Check that every real image has a partner."""
        arm, settings, splits = settled.arm, settled.settings, settled.splits
        own, alone, source = splits.train.counts(), set(splits.classes), source_of(arm)
        for name in splits.classes:
            made_of, count = source.translated(name, settings), arm.added.count[name]
            alone -= set(made_of)
            needed = sum(own[original] for original in made_of)
            if count < needed:
                raise GanAugError(
                    f"{settled.key}.added.count.{name}={count}: with added.paired each "
                    f"of the {needed} {' and '.join(made_of)} images has one; set it to {needed} "
                    "or more"
                )
        if alone:
            raise self.refused(
                settled,
                f"model={settings.model.name} translates no {' and no '.join(sorted(alone))}; "
                "choose a model.pair, or a model, of all classes",
            )

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return a group of real images, and the partners of each."""
        real, added, _ = images.rows
        partners = [added[images.sources == row] for row in real]
        if alone := sum(not len(made) for made in partners):
            raise GanAugError(
                f"arm {title!r}: added.paired=true, but {alone} of {len(real)} real images "
                "have no added one that was made of them; raise added.count"
            )
        return Parts([(real, batch_size // 2)], partners=partners)
