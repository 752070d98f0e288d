"""What the arms of a study must be, checked before the first of them is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.arms.base import Settled, Typed, mixing_of, mixings_of, own_gans, source_of
from gan_aug.arms.folder import FolderImages
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError

if TYPE_CHECKING:
    from gan_aug.settings.study import SettledStudy, StudySettings


def check_arms(settings: StudySettings) -> None:
    """Refuse wrong settings of arms, before the data is read."""
    for name, arm in settings.arms.items():
        typed = Typed(name, settings)
        if "/" in name:
            raise GanAugError(f"{typed.key}: a name of an arm holds no /, it names files")
        _check_arm(typed)
        _check_mixing(typed)
        source_of(arm).check(typed)
        mixing_of(arm).check(typed)


def _check_arm(typed: Typed) -> None:
    arm, where = typed.arm, typed.key
    if source_of(arm).predicts(arm) and "real" not in typed.settings.arms:
        key = "labels" if arm.added.labels else "unlabelled" if arm.added.unlabelled else None
        raise GanAugError(
            f"{where}.added.{key or 'filter.min_confidence'}: needs the arm real, whose classifier "
            "predicts classes; add '+arm@arms.real=real'"
        )
    of_folder = FolderImages.of(arm)
    for key, value in (("dir", of_folder.dir), ("seen", of_folder.seen)):
        if value is not None and arm.added.source != FolderImages.name:
            raise GanAugError(
                f"{where}.added.{key}={value}: is of images from a folder, and this arm has "
                f"added.source={arm.added.source}; set that to {FolderImages.name}, or leave "
                f"{key} out"
            )
    if arm.real is not None and (arm.added.source == "gan" or typed.name == "real"):
        why = "its GAN saw all of them"
        if typed.name == "real":
            why = "the others are compared with it"
        raise GanAugError(
            f"{where}.real={arm.real}: this arm takes all of the draw's images, {why}; leave it "
            "null, and set data.subset"
        )


def _check_mixing(typed: Typed) -> None:
    """Check that an arm's added images join the real ones in one way."""
    mixings = mixings_of(typed.arm)
    for mixing in mixings:
        others = [other.key() for other in mixings if other is not mixing]
        if mixing.alone and others:
            raise mixing.excludes(typed, others[0])


def check_settled_arms(settings: SettledStudy, splits: Splits) -> None:
    """Check the images of each arm, once the data set has said which classes there are.

    Raises:
        GanAugError: an arm begins without images of some class, wants GAN images of one that the
            GAN does not make, or more real ones than the draw has; or all have images of
            replicates, and none of the GAN itself.
    """
    for arm_name, arm in settings.arms.items():
        settled = Settled(arm_name, settings, splits)
        for name, own in splits.train.counts().items():
            first = None if arm.real is None else arm.real[name]
            if first is not None and first > own:
                raise GanAugError(
                    f"{settled.key}.real.{name}={first}: the draw has only {own} {name} images; "
                    "ask for fewer"
                )
        source_of(arm).check_settled(settled)
        mixing_of(arm).check_settled(settled)
    gans = own_gans(settings.arms)
    for name, replicate in gans:
        if replicate and (name, 0) not in gans:
            raise GanAugError(
                f"arms: all that add GAN images of {name} have added.replicate, which is another "
                "GAN beside the first; leave it 0 in one of them"
            )
