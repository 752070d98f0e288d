"""Further training images without labels: those of a GAN that is fitted on them, or themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_aug.arms.base import AddedFrom, Draw, Settled, Typed
from gan_aug.arms.gan import GANImages
from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ClassImages, Images, ImageTable
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import read_set, write_set
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import remove_folder
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.class_facts import GanFacts, gan_facts
from gan_aug.settings.models import GeneratorSettings

if TYPE_CHECKING:
    from gan_aug.settings.arms import ArmSettings, SettledArm
    from gan_aug.settings.study import SettledStudy

NAME = "unlabelled"
"""The class of all images of a GAN that is fitted without labels."""
_NONE = "labelled"
"""The other one of its data set, which needs two: of no image."""
CANDIDATES = 16
"""Images made for each one wanted: which class they are of is predicted afterwards."""


class Unlabelled(AddedFrom):
    """Images whose classes a classifier of the draw's real images predicts.

    With `added.source: gan` they are of a GAN fitted on `study.unlabelled` further training images;
    with `real` they are these images.
    """

    @classmethod
    def chosen(cls, arm: ArmSettings) -> bool:
        """Whether the arm says so, whatever its source."""
        return bool(arm.added.unlabelled)

    def predicts(self, arm: ArmSettings) -> bool:
        """Always."""
        return True

    def check(self, typed: Typed) -> None:
        """Check that there are such images, and a GAN that needs no classes."""
        arm, settings, where = typed.arm, typed.settings, f"{typed.key}.added.unlabelled=true"
        added, model = arm.added, settings.model
        if settings.study.unlabelled is None:
            raise GanAugError(f"{where}: there are none; set study.unlabelled=NUMBER")
        if added.source not in ("gan", "real"):
            raise GanAugError(
                f"{where}: is of a GAN (source: gan) or of the images themselves (source: real), "
                f"not of source={added.source}"
            )
        if added.source == "gan" and isinstance(model, GeneratorSettings):
            raise GanAugError(
                f"{where}: needs a GAN, and model={model.name} is none; set model=dcgan"
            )
        if added.source == "gan" and gan_facts(model) != GanFacts("one", False):
            raise GanAugError(
                f"{where}: model={model.name} is fitted on classes, which unlabelled images have "
                "not; choose one that is fitted on one class, as dcgan"
            )
        of_labelled = GANImages.of(arm)
        others = {"added.replicate": of_labelled.replicate, "added.filter": of_labelled.filter.on}
        if wrong := [key for key, there in others.items() if there]:
            raise GanAugError(f"{where}: {wrong[0]} has no place beside it; leave it out")

    def check_settled(self, settled: Settled) -> None:
        """Check that the draw leaves as many images over."""
        unlabelled_of(settled.settings, settled.splits)

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return the first images that are predicted to be of the class."""
        of_gan = arm.added.source == "gan"
        made = draw.once((NAME, of_gan), lambda: _of_gan(draw) if of_gan else _themselves(draw))
        if len(made[name]) < count:
            more = "study.gan_batches" if of_gan else "study.unlabelled"
            raise GanAugError(
                f"arm {arm.title!r}: only {len(made[name])} images are taken for {name}, {count} "
                f"are wanted; lower added.count, or raise {more}"
            )
        return ClassImages(made[name][:count])


def needs_gan(arm: SettledArm) -> bool:
    """Tell whether an arm adds images of a GAN that is fitted without labels."""
    of_gan = arm.added.unlabelled and arm.added.source == "gan"
    return of_gan and any(arm.added.count.values())


def unlabelled_of(settings: SettledStudy, splits: Splits) -> ImageTable:
    """Return the first `study.unlabelled` of the images that a draw leaves over, in random order.

    They are of the classes that they happen to be of, and keep their labels, which no arm reads.

    Raises:
        GanAugError: there are not as many.
    """
    wanted, left = settings.study.unlabelled or 0, splits.unused
    if wanted > len(left):
        raise GanAugError(
            f"study.unlabelled={wanted}: the draw leaves only {len(left)} training images over; "
            "ask for fewer"
        )
    random = np.random.default_rng(stream_seed(NAME, settings.seed, settings.draw))
    return left.take(random.permutation(len(left))[:wanted])


def of_one_class(splits: Splits, table: ImageTable) -> Splits:
    """Return splits for a GAN that is fitted on `table` and knows no class."""
    classes = Classes((NAME, _NONE), None)

    def without_labels(one: ImageTable) -> ImageTable:
        return replace(one, labels=np.zeros(len(one), np.int64), classes=classes)

    tables = {"train": table, "unused": splits.unused.take(slice(0, 0)), **splits.held_out}
    bare: dict[str, Any] = {name: without_labels(one) for name, one in tables.items()}
    external = {name: bare.pop(name) for name in splits.external}
    return replace(splits, **bare, external=external)


def _by_class(images: Images, draw: Draw) -> dict[str, Images]:
    predicted = draw.probabilities(images).argmax(1)
    return {name: images[predicted == i] for i, name in enumerate(draw.splits.classes)}


def _themselves(draw: Draw) -> dict[str, Images]:
    return _by_class(np.asarray(unlabelled_of(draw.settings, draw.splits).images), draw)


def _of_gan(draw: Draw) -> dict[str, Images]:
    """Generate images of a GAN that knows no class, and write those of each predicted class."""
    settings, table = draw.settings, unlabelled_of(draw.settings, draw.splits)
    wanted = [sum(a.added.count.values()) for a in settings.arms.values() if needs_gan(a)]
    seed = stream_seed("latents", settings.seed, settings.draw, NAME)
    bare = of_one_class(draw.splits, table)
    made, head = draw.made_of(bare, NAME, CANDIDATES * max(wanted), seed)
    by_class = _by_class(made.images, draw)
    folder = draw.folder / "synthetic" / f"{NAME}_gan"
    if folder.exists():
        remove_folder(folder)
    sets = {name: ClassImages(images) for name, images in by_class.items() if len(images)}
    write_set(folder, sets, head)
    # As any set is read: it refuses what has seen an image that it must not.
    read_set(folder, replace(draw.splits, train=table))
    return by_class
