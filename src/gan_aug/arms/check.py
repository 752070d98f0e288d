"""What the arms of a study must be, checked before the first of them is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.arms.base import mixing_of, mixings_of, own_gans, source_of
from gan_aug.arms.folder import FolderImages
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError

if TYPE_CHECKING:
    from gan_aug.settings.arms import ArmSettings
    from gan_aug.settings.study import SettledStudy, StudySettings


def check_arms(settings: StudySettings) -> None:
    """Refuse wrong settings of arms, before the data is read."""
    for name, arm in settings.arms.items():
        where = f"arms.{name}"
        if "/" in name:
            raise GanAugError(f"{where}: a name of an arm holds no /, it names files")
        _check_arm(where, arm, settings)
        _check_mixing(where, arm)
        source_of(arm).check(where, arm, settings)
        mixing_of(arm).check(where, arm, settings)


def _check_arm(where: str, arm: ArmSettings, settings: StudySettings) -> None:
    if source_of(arm).predicts(arm) and "real" not in settings.arms:
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
    if arm.real is not None and (arm.added.source == "gan" or where == "arms.real"):
        why = "its GAN saw all of them"
        if where == "arms.real":
            why = "the others are compared with it"
        raise GanAugError(
            f"{where}.real={arm.real}: this arm takes all of the draw's images, {why}; leave it "
            "null, and set data.subset"
        )


def _check_mixing(where: str, arm: ArmSettings) -> None:
    """Check that an arm's added images join the real ones in one way."""
    mixings = mixings_of(arm)
    for mixing in mixings:
        others = [other.key() for other in mixings if other is not mixing]
        if mixing.alone and others:
            raise mixing.excludes(where, others[0])


def check_settled_arms(settings: SettledStudy, splits: Splits) -> None:
    """Check the images of each arm, once the data set has said which classes there are.

    Raises:
        GanAugError: an arm begins without images of some class, wants GAN images of one that the
            GAN does not make, or more real ones than the draw has; or all have images of
            replicates, and none of the GAN itself.
    """
    for arm_name, arm in settings.arms.items():
        where = f"arms.{arm_name}"
        for name, own in splits.train.counts().items():
            first = None if arm.real is None else arm.real[name]
            if first is not None and first > own:
                raise GanAugError(
                    f"{where}.real.{name}={first}: the draw has only {own} {name} images; ask for "
                    "fewer"
                )
        source_of(arm).check_settled(where, arm, settings, splits)
        mixing_of(arm).check_settled(where, arm, settings, splits)
    gans = own_gans(settings.arms)
    for name, replicate in gans:
        if replicate and (name, 0) not in gans:
            raise GanAugError(
                f"arms: all that add GAN images of {name} have added.replicate, which is another "
                "GAN beside the first; leave it 0 in one of them"
            )
