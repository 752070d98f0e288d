"""The rules of measurement, checked on what a job has done (see CONTRIBUTING.md)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from omegaconf import DictConfig

from gan_aug.arms.base import mixing_of
from gan_aug.arms.unlabelled import NAME, unlabelled_of
from gan_aug.data.manifest import Manifest
from gan_aug.data.splits import Splits, check_disjoint
from gan_aug.report.records import DrawResult, FitResult, RuleCheck
from gan_aug.run.errors import GanAugError
from gan_aug.settings.commands import SettledStudy
from gan_aug.settings.control import control_of
from gan_aug.settings.draw import ArmSettings, draw_settings
from gan_aug.settings.steps import steps_of
from gan_aug.settings.whole import of_plain


def check_rules(
    cfg: DictConfig, splits: Splits, result: DrawResult, folder: Path
) -> list[RuleCheck]:
    """Check the rules that one draw can keep or break; the report checks those over draws.

    Args:
        cfg: the study's configuration.
        splits: the draw.
        result: the job's, without these checks.
        folder: the job's, with its synthetic sets.
    """
    return [
        RuleCheck(rule=rule, title=title, passed=passed, detail=detail)
        for rule, title, (passed, detail) in (
            (
                1,
                "A GAN saw only training images of its own draw",
                saw_only_training_images(splits, folder, _without_labels(cfg, splits)),
            ),
            (2, "No exact duplicate crosses a split or counts twice", _duplicates(splits)),
            (3, "Validation and internal test are cut by patient", _patients(splits)),
            (
                4,
                "All arms have the same weights and budget of steps, and used what they say",
                _equal(cfg, splits, result),
            ),
            (5, "Test images decide nothing", _decided(cfg, splits, result)),
            (6, "Controls ride along", _controls(cfg)),
            (7, "Accuracy stands beside threshold-free metrics", (True, _beside(splits))),
        )
    ]


def _without_labels(cfg: DictConfig, splits: Splits) -> set[str]:
    if cfg.study.unlabelled is None:
        return set()
    return set(unlabelled_of(of_plain(cfg, SettledStudy), splits).hashes.tolist())


def saw_only_training_images(
    splits: Splits, folder: Path, unlabelled: Collection[str] = ()
) -> tuple[bool, str]:
    """Check what the synthetic sets of a job say of their GANs: rule 1.

    Args:
        splits: the draw's.
        folder: the job's.
        unlabelled: hashes of further training images, which one of the GANs was fitted on.

    Returns:
        Whether all that GANs were fitted on, and all sources of translations, are training images
        of the draw; and what was counted.
    """
    own, foreign, n = set(splits.train.hashes.tolist()), 0, 0
    for path in folder.glob("synthetic/*/manifest.json"):
        manifest = Manifest.of(path.parent, "synthetic set")
        n += len(manifest.seen)
        without_labels = manifest.train_class == NAME
        foreign += len(manifest.seen - (set(unlabelled) if without_labels else own))
    if not n:
        return True, "the draw has no GAN"
    return foreign == 0, f"{n} images seen by GANs, {foreign} of them not of this draw's training"


def _duplicates(splits: Splits) -> tuple[bool, str]:
    try:
        check_disjoint(splits)
    except GanAugError as error:
        return False, str(error)
    return True, f"{splits.notes['duplicates']['left_out_of_training']} copies left out of training"


def _patients(splits: Splits) -> tuple[bool, str]:
    groups = [set(t.patients.tolist()) for t in (splits.train, splits.validation, splits.internal)]
    common = len(groups[0] & groups[1]) + len(groups[0] & groups[2]) + len(groups[1] & groups[2])
    unknown = splits.notes.get("files_without_patient_id", 0)
    what = "groups of near duplicates or of a known patient" if unknown else "patients"
    detail = f"{sum(map(len, groups))} {what}, {common} on both sides of a cut"
    if unknown:
        detail += f"; {unknown} images of the data set do not tell their patient"
    return common == 0 and not unknown, detail


def _equal(cfg: DictConfig, splits: Splits, result: DrawResult) -> tuple[bool, str]:
    steps = {fit.steps for fit in result.fits}
    starts: dict[int, set[str]] = {}
    for fit in result.fits:
        starts.setdefault(fit.repeat, set()).add(fit.initial_weights)
    same = len(steps) == 1 and all(len(found) == 1 for found in starts.values())
    n = sum(map(len, starts.values()))
    wrong = [found for fit in result.fits if (found := _misused(cfg, splits, result, fit))]
    counted = f"{len(result.fits)} fits used the images they say"
    return (
        same and not wrong,
        f"{sorted(steps)} steps, {n} initial weights for {len(starts)} repeats; "
        f"{wrong[0] if wrong else counted}",
    )


def _misused(cfg: DictConfig, splits: Splits, result: DrawResult, fit: FitResult) -> str | None:
    """Return how the images that a fit was shown differ from what its arm says; None: they do not.

    `used` was counted while it trained.
    """
    name, used = fit.arm, fit.used
    shown = used.real.total + used.added.total
    arm, mixing = cfg.arms[name], mixing_of(of_plain(cfg, SettledStudy).arms[name])
    if shown != fit.steps * mixing.shown(cfg.data.batch_size):
        return f"{name} was shown {shown} images in {fit.steps} batches"
    own = {k: (arm.real or {}).get(k) or n for k, n in splits.train.counts().items()}
    for part, says, images in (
        ("real", own, used.real.images),
        ("added", result.arms[name].added, used.added.images),
    ):
        if images != says:
            return f"{name} used {images} {part} images of {says}"
    if mixing.added_share is not None and used.added.total:
        share = used.added.total / shown
        if abs(share - mixing.added_share) > 0.5 / cfg.data.batch_size:
            return f"{name} was shown {share:.1%} added images, not {mixing.added_share:.1%}"
    return None


def _decided(cfg: DictConfig, splits: Splits, result: DrawResult) -> tuple[bool, str]:
    if cfg.classifier.patience is not None:
        return False, "early stopping is on"
    how = "no threshold, the most probable class counts"
    if splits.classes.positive is not None:
        how = f"{len(result.fits)} thresholds are those of validation"
    if not steps_of(cfg.study).chosen:
        return True, f"last weights, no early stopping; {how}"
    pretraining = {str(name): float(arm.pretrain) for name, arm in cfg.arms.items()}
    if (wrong := chosen_by_validation(result.fits, pretraining)) is not None:
        return False, wrong
    chosen = [fit.chosen for fit in result.fits if fit.chosen is not None]
    return (
        True,
        f"weights of the lowest validation loss, {min(chosen)} to {max(chosen)} steps; {how}",
    )


def chosen_by_validation(fits: list[FitResult], pretraining: dict[str, float]) -> str | None:
    """Return which fit has other weights than those of its lowest validation loss; None: none.

    Args:
        fits: of a study whose steps validation chooses.
        pretraining: arm to the share of its steps before which nothing is chosen.
    """
    for fit in fits:
        first = round(pretraining[fit.arm] * fit.steps)
        later = [point for point in fit.curve if point["step"] > first]
        if fit.chosen != min(later, key=lambda point: point["val_loss"])["step"]:
            return f"the steps of {fit.arm} are not those with the lowest validation loss"
    return None


def _controls(cfg: DictConfig) -> tuple[bool, str]:
    settings = draw_settings(cfg)
    arms = settings.arms.values()
    found = {
        "real": any(_plain(arm) for arm in arms),
        "classic": any(arm.augment and arm.added.source == "none" for arm in arms),
        "oversample": any(arm.balanced and arm.added.source == "none" for arm in arms),
    }
    missing = [name for name, there in found.items() if not there]
    if control_of(settings) is None and settings.asked.added.source == "gan":
        asked = settings.study.question.arm
        missing.append(f"copies of real images, used just as {asked} uses GAN images")
    return not missing, f"missing: {', '.join(missing)}" if missing else f"{', '.join(found)}"


def _plain(arm: ArmSettings) -> bool:
    return arm.added.source == "none" and not (arm.augment or arm.balanced)


def _beside(splits: Splits) -> str:
    how = "by the most probable class"
    if splits.classes.positive is not None:
        how = "at 0.5 and at the threshold chosen on validation"
    return f"{how}, for every fit and split"
