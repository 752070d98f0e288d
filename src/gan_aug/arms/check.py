"""What the arms of a study must be, checked before the first of them is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_aug.arms.base import Draw, check_mixing, mixing_of, source_of
from gan_aug.run.errors import GanAugError

if TYPE_CHECKING:
    from gan_aug.settings.arms import ArmSettings
    from gan_aug.settings.study import SettledStudy, StudySettings


def check_arms(settings: StudySettings) -> None:
    """Check the settings of all arms, before the data is read.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    if not settings.arms:
        raise GanAugError(
            "arms: there are none; add +study=seed_protocol, or another of conf/study"
        )
    for name, arm in settings.arms.items():
        if "/" in name:
            raise GanAugError(f"arms.{name}: a name of an arm holds no /, it names files")
        _check_arm(f"arms.{name}", arm, settings)


def predicts(arm: ArmSettings) -> bool:
    """Tell whether a classifier of real images is asked about the images that an arm adds."""
    adds = arm.added.source != "none"
    return adds and (arm.added.labels is not None or source_of(arm).predicts)


def _check_arm(where: str, arm: ArmSettings, settings: StudySettings) -> None:
    source, mixing = source_of(arm), mixing_of(arm)
    if predicts(arm) and "real" not in settings.arms:
        key = "labels" if arm.added.labels else "unlabelled" if arm.added.unlabelled else None
        raise GanAugError(
            f"{where}.added.{key or 'filter.min_confidence'}: needs the arm real, whose classifier "
            "predicts classes; add '+arm@arms.real=real'"
        )
    if arm.real is not None and (source.fits_gan(arm) or where == "arms.real"):
        why = "its GAN saw all of them"
        if where == "arms.real":
            why = "the others are compared with it"
        raise GanAugError(
            f"{where}.real={arm.real}: this arm takes all of the draw's images, {why}; leave it "
            "null, and set data.subset"
        )
    check_mixing(where, arm)
    source.check(where, arm, settings)
    mixing.check(where, arm, settings)


def check_settled_arms(settings: SettledStudy) -> None:
    """Check what each arm adds, once the data set has said which classes there are.

    Raises:
        GanAugError: an arm begins without images of some class, or wants GAN images of one that the
            GAN does not make; or all have images of replicates, and none of the GAN itself.
    """
    of_own_gans = set[tuple[str, int]]()
    for name, arm in settings.arms.items():
        source_of(arm).check_settled(f"arms.{name}", arm, settings)
        mixing_of(arm).check_settled(f"arms.{name}", arm, settings)
        of_own_gans |= source_of(arm).of_own_gans(arm).keys()
    for name, replicate in sorted(of_own_gans):
        if replicate and (name, 0) not in of_own_gans:
            raise GanAugError(
                f"arms: all that add GAN images of {name} have added.replicate, which is another "
                "GAN beside the first; leave it 0 in one of them"
            )


def check_images(draw: Draw) -> None:
    """Check that a draw has the images that its arms ask for.

    Raises:
        GanAugError: it has not.
    """
    for arm_name, arm in draw.settings.arms.items():
        for name, own in draw.splits.train.counts().items():
            first = None if arm.real is None else arm.real[name]
            if first is not None and first > own:
                raise GanAugError(
                    f"arms.{arm_name}.real.{name}={first}: the draw has only {own} {name} images; "
                    "ask for fewer"
                )
        mixing_of(arm).check_draw(f"arms.{arm_name}", arm, draw)
        source_of(arm).check_draw(f"arms.{arm_name}", arm, draw)
