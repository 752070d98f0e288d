"""What the arms of a study must be, checked before the first of them is fitted."""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.arms.base import Draw, check_mixing, mixing_of, source_names, source_of
from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.draw import ArmSettings, arms_of
from gan_aug.settings.ranges import ARM_RULES, check_augment, check_ranges


def check_arms(cfg: DictConfig) -> None:
    """Check the settings of all arms, before the data is read.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    if not cfg.arms:
        raise GanAugError(
            "arms: there are none; add +study=seed_protocol, or another of conf/study"
        )
    for name, arm in cfg.arms.items():
        if not isinstance(arm, DictConfig):
            raise GanAugError(
                f"arms.{name}={as_typed(arm)}: an arm is a group of settings, as in conf/arm; to "
                f"leave it out write '~arms.{name}'"
            )
        if "/" in str(name):
            raise GanAugError(f"arms.{name}: a name of an arm holds no /, it names files")
        check_ranges(arm, ARM_RULES, f"arms.{name}.")
        for key, node in (("augment", arm.augment), ("added.augment", arm.added.augment)):
            check_augment(node, f"arms.{name}.{key}")
        if arm.added.source not in source_names():
            raise GanAugError(
                f"arms.{name}.added.source={arm.added.source}: must be one of "
                f"{', '.join(source_names())}"
            )
    arms = arms_of(cfg)
    for name, one in arms.items():
        _check_arm(f"arms.{name}", one, cfg)
    own = [arm for arm in arms.values() if arm.added.source == "gan" and not arm.added.unlabelled]
    if own and all(arm.added.replicate for arm in own):
        raise GanAugError(
            "arms: all that add GAN images have added.replicate, which is another GAN beside the "
            "first; leave it 0 in one of them"
        )


def predicts(arm: ArmSettings) -> bool:
    """Tell whether a classifier of real images is asked about the images that an arm adds."""
    adds = arm.added.source != "none"
    return adds and (arm.added.labels is not None or source_of(arm).predicts)


def _check_arm(where: str, arm: ArmSettings, cfg: DictConfig) -> None:
    source, mixing = source_of(arm), mixing_of(arm)
    if predicts(arm) and "real" not in cfg.arms:
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
    source.check(where, arm, cfg)
    mixing.check(where, arm, cfg)


def check_settled_arms(cfg: DictConfig) -> None:
    """Check what each arm adds, once the data set has said which classes there are.

    Args:
        cfg: from `gan_aug.data.settle.settle`.

    Raises:
        GanAugError: an arm begins without images of some class, or wants GAN images of one that the
            GAN does not make.
    """
    for name, arm in arms_of(cfg).items():
        source_of(arm).check_settled(f"arms.{name}", arm, cfg)
        mixing_of(arm).check_settled(f"arms.{name}", arm, cfg)


def check_images(draw: Draw) -> None:
    """Check that a draw has the images that its arms ask for.

    Raises:
        GanAugError: it has not.
    """
    for arm_name, arm in draw.arms.items():
        for name, own in draw.splits.train.counts().items():
            first = None if arm.real is None else arm.real[name]
            if first is not None and first > own:
                raise GanAugError(
                    f"arms.{arm_name}.real.{name}={first}: the draw has only {own} {name} images; "
                    "ask for fewer"
                )
        mixing_of(arm).check_draw(f"arms.{arm_name}", arm, draw)
        source_of(arm).check_draw(f"arms.{arm_name}", arm, draw)
