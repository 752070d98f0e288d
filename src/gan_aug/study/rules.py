"""The rules of measurement, checked on what a job has done (docs/method/rules.md)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from gan_aug.arms.base import mixing_of, mixings_of, source_of
from gan_aug.arms.unlabelled import NAME, unlabelled_of
from gan_aug.data.external_set import DECLARED
from gan_aug.data.origin import Manifest
from gan_aug.data.splits import Splits, check_disjoint
from gan_aug.report.records import DrawResult, FitResult, RuleCheck, Unlabelled, maker_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.arms import ArmSettings
from gan_aug.settings.study import SettledStudy, StudySettings

_CLASSIC = "gan_aug.models.augment.ClassicAugment"


def check_rules(
    settings: SettledStudy, splits: Splits, result: DrawResult, folder: Path
) -> list[RuleCheck]:
    """Check the rules that one draw can keep or break; the report checks those over draws."""
    beside = "by the most probable class"
    if splits.classes.positive is not None:
        beside = "at 0.5 and at the threshold chosen on validation"
    maker = maker_of([result.method])
    titled = {
        f"A {maker} saw only training images of its own draw": _seen(
            settings, splits, result, folder
        ),
        "No exact duplicate crosses a split or counts twice": _duplicates(splits),
        "Validation and internal test are cut by patient": _patients(splits),
        "All arms have the same weights and budget of steps, and used what they say": _equal(
            settings, splits, result
        ),
        "Test images decide nothing": _decided(settings, splits, result),
        "Controls ride along": _controls(settings),
        "Accuracy stands beside threshold-free metrics": (
            True,
            f"{beside}, for every fit and split",
        ),
    }
    return [
        RuleCheck(rule=rule, title=title, passed=passed, detail=detail)
        for rule, (title, (passed, detail)) in enumerate(titled.items(), 1)
    ]


def saw_only_training_images(
    splits: Splits, folder: Path, unlabelled: Set[str] = frozenset()
) -> tuple[bool, str]:
    """Check what the synthetic sets in a job's folder say of their GANs: rule 1.

    `unlabelled` are hashes of further training images, which one of the GANs was fitted on.

    Returns:
        Whether all that GANs were fitted on, and all sources of translations, are training images
        of the draw; and what was counted.
    """
    own, foreign, n = set(splits.train.hashes.tolist()), 0, 0
    for path in folder.glob("synthetic/*/manifest.json"):
        manifest = Manifest.of(path.parent, "synthetic set")
        n += len(manifest.seen)
        foreign += len(manifest.seen - (unlabelled if manifest.train_class == NAME else own))
    if not n:
        return True, "the draw keeps no images of a GAN"
    return (
        foreign == 0,
        f"{n} images seen by generators, {foreign} of them not of this draw's training",
    )


def _seen(
    settings: SettledStudy, splits: Splits, result: DrawResult, folder: Path
) -> tuple[bool, str]:
    """Check what GANs and learners saw, and what is declared of generators of external sets."""
    unlabelled = set[str]()
    if settings.study.unlabelled is not None:
        unlabelled |= set(unlabelled_of(settings, splits).hashes.tolist())
    passed, said = saw_only_training_images(splits, folder, unlabelled)
    learners = [name for name, arm in settings.arms.items() if mixing_of(arm).unlabelled]
    if learners:
        held_out = {h for table in splits.held_out.values() for h in table.hashes.tolist()}
        passed &= not (n := len(unlabelled & held_out))
        said += (
            f"; {' and '.join(learners)} saw the draw's training images and {len(unlabelled)} "
            f"unlabelled ones, {n} of them held out"
        )
    for one in result.external:
        passed &= one.seen != "unknown"
        said += f"; of {one.dir} {DECLARED[one.seen]}"
    return passed, said


def _duplicates(splits: Splits) -> tuple[bool, str]:
    try:
        check_disjoint(splits)
    except GanAugError as error:
        return False, str(error)
    return True, f"{splits.notes['duplicates']['left_out_of_training']} copies left out of training"


def _patients(splits: Splits) -> tuple[bool, str]:
    groups = [set(t.patients.tolist()) for t in (splits.train, splits.validation, splits.internal)]
    common = len(groups[0] & groups[1]) + len(groups[0] & groups[2]) + len(groups[1] & groups[2])
    unknown = splits.notes["files_without_patient_id"]
    what = "patients, groups of near duplicates or single images" if unknown else "patients"
    detail = f"{sum(map(len, groups))} {what}, {common} on both sides of a cut"
    if unknown:
        detail += f"; {unknown} images of the data set do not tell their patient"
    return common == 0 and not unknown, detail


def _equal(settings: SettledStudy, splits: Splits, result: DrawResult) -> tuple[bool, str]:
    steps = {fit.steps for fit in result.fits}
    starts: dict[int, set[str]] = {}
    for fit in result.fits:
        starts.setdefault(fit.repeat, set()).add(fit.initial_weights)
    n = sum(map(len, starts.values()))
    wrong = [said for fit in result.fits if (said := _misused(settings, splits, result, fit))]
    return (
        len(steps) == 1 and n == len(starts) and not wrong,
        f"{sorted(steps)} steps, {n} initial weights for {len(starts)} repeats; "
        f"{wrong[0] if wrong else f'{len(result.fits)} fits used the images they say'}",
    )


def _misused(
    settings: SettledStudy, splits: Splits, result: DrawResult, fit: FitResult
) -> str | None:
    """Return how the images that a fit was shown differ from what its arm says; None: they do not.

    `used` was counted while it trained.
    """
    name, used, batch_size = fit.arm, fit.used, settings.data.batch_size
    shown = used.real.total + used.added.total
    arm = settings.arms[name]
    mixing = mixing_of(arm)
    if shown != fit.steps * mixing.shown(batch_size):
        return f"{name} was shown {shown} images in {fit.steps} batches"
    own = {k: (arm.real or {}).get(k) or n for k, n in splits.train.counts().items()}
    if (wrong := _misused_unlabelled(settings, mixing.unlabelled, fit)) is not None:
        return f"{name} {wrong}"
    for part, says, images in (
        ("real", own, used.real.images),
        ("added", result.arms[name].added, used.added.images),
    ):
        if images != says:
            return f"{name} used {images} {part} images of {says}"
    if mixing.added_share is not None and used.added.total:
        share = used.added.total / shown
        if abs(share - mixing.added_share) > 0.5 / batch_size:
            return f"{name} was shown {share:.1%} added images, not {mixing.added_share:.1%}"
    return None


def _misused_unlabelled(settings: SettledStudy, each: int, fit: FitResult) -> str | None:
    """Return how unlabelled images were shown otherwise than `each` in a batch; None: they were."""
    shown, there = fit.steps * each, settings.study.unlabelled or 0
    says = Unlabelled(images=min(shown, there), shown=shown) if each else None
    if fit.used.unlabelled == says:
        return None
    is_, should = (
        "none" if one is None else f"{one.images}, {one.shown} times"
        for one in (fit.used.unlabelled, says)
    )
    return f"was shown unlabelled images: {is_}; it should have been {should}"


def _decided(settings: SettledStudy, splits: Splits, result: DrawResult) -> tuple[bool, str]:
    how = "no threshold, the most probable class counts"
    if splits.classes.positive is not None:
        how = f"{len(result.fits)} thresholds are those of validation"
    if not settings.study.steps.chosen:
        return True, f"last weights, no early stopping; {how}"
    if (wrong := chosen_by_validation(result.fits, settings.arms)) is not None:
        return False, wrong
    chosen = [fit.chosen for fit in result.fits if fit.chosen is not None]
    return (
        True,
        f"weights of the lowest validation loss, {min(chosen)} to {max(chosen)} steps; {how}",
    )


def chosen_by_validation(fits: list[FitResult], arms: Mapping[str, ArmSettings]) -> str | None:
    """Return which fit has other weights than those of its lowest validation loss; None: none."""
    for fit in fits:
        # Some arms train first on what no choice is made from.
        first = mixing_of(arms[fit.arm]).first_steps(fit.steps)
        later = [point for point in fit.curve if point["step"] > first]
        if fit.chosen != min(later, key=lambda point: point["val_loss"])["step"]:
            return f"the steps of {fit.arm} are not those with the lowest validation loss"
    return None


def _controls(settings: StudySettings) -> tuple[bool, str]:
    # What an arm changes of real images alone; of two changes at once nobody can tell which it was.
    changed = [
        (arm.augment and arm.augment.class_path, arm.balanced)
        for arm in settings.arms.values()
        if arm.added.source == "none" and not (mixing_of(arm).unlabelled or mixings_of(arm))
    ]
    controls = {"real": (None, False), "classic": (_CLASSIC, False), "oversample": (None, True)}
    missing = [name for name, change in controls.items() if change not in changed]
    asked = settings.study.question.arm
    arm = settings.arms[asked]
    if control_of(settings) is None and source_of(arm).generated(arm):
        missing.append(f"copies of real images, used just as {asked} uses generated ones")
    return not missing, f"missing: {', '.join(missing)}" if missing else ", ".join(controls)


def control_of(settings: StudySettings) -> str | None:
    """Return the arm that adds copies of real images just as the asked arm adds generated ones.

    None where no arm differs from the asked one by its added images alone.
    """
    of_images: Any = {"title": True, "added": {"source", "dir", "seen", "filter"}}
    uses = {name: arm.model_dump(exclude=of_images) for name, arm in settings.arms.items()}
    asked = settings.study.question.arm
    for name, arm in settings.arms.items():
        if name != asked and arm.added.source == "duplicate" and uses[name] == uses[asked]:
            return name
    return None
