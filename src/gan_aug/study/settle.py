"""From a study's settings to settled ones: what its data decides joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

from gan_aug.arms.check import check_arms, check_settled_arms
from gan_aug.data.classes import Classes
from gan_aug.data.held_out import FEWEST
from gan_aug.data.prepare import prepare
from gan_aug.data.settle import check_all_classes, named
from gan_aug.data.source import FEWEST_TRAINING, Source, lasting, without_conflicts
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.runtime.hardware import settle_precision
from gan_aug.runtime.record import Run
from gan_aug.settings.alike import may_be_redone
from gan_aug.settings.base import Plain
from gan_aug.settings.data import DataSettings
from gan_aug.settings.design import ruler_arms
from gan_aug.settings.models import GanSettings
from gan_aug.settings.study import SettledStudy, StudySettings
from gan_aug.settings.values import AUTO
from gan_aug.study.groups import check_groups, settle_groups
from gan_aug.study.other_draws import check_goes_with, other_draws

_MOST_INTERNAL, _MOST_WITHOUT_RARE = 100, 50
_FEWEST_LEFT = 3
"""Training images of a class beside the internal test: a draw takes a third, its ruler goes on."""


def settle_study(settings: StudySettings, source: Source) -> tuple[SettledStudy, Splits]:
    """Return settings that know the data, and the images of the draw; refuse what does not fit."""
    settings, classes = derive(settings, source), source.classes
    splits = prepare(settings.data, source).splits
    values = named(settings.data, splits)
    check_all_classes(values["data.subset"])
    model = settings.model
    if isinstance(model, GanSettings) and model.pair is not None:
        values["model.pair"] = classes.all_named(model.pair, "model.pair")
    usual = _added(settings, classes)
    arms: Plain = {}
    for name, arm in settings.arms.items():
        arms[name] = arm.model_dump(by_alias=True, exclude_unset=True)
        arms[name]["title"] = arm.title.replace("GAN", model.called)  # what made the images
        typed = classes.numbers(arm.added.count, f"arms.{name}.added.count")
        arms[name]["added"]["count"] = {n: usual[n] if k is None else k for n, k in typed.items()}
        if arm.real is not None:
            arms[name]["real"] = classes.numbers(arm.real, f"arms.{name}.real")
    arms |= ruler_arms(settings, arms, splits.train.counts(), values["data.subset"])
    values |= {"study.count": usual, "arms": arms} | settle_groups(settings.study, source)
    if further := [name for name in source.external if name not in settings.study.splits]:
        values["study.splits"] = [*settings.study.splits, *further]
    settled = settings.changed(SettledStudy, values)
    check_groups(settled.study, splits)
    return settled, splits


def settle_draw(
    settings: StudySettings, read: Callable[[DataSettings], Source], run: Run
) -> tuple[SettledStudy, Splits]:
    """Return what a draw is run with; refuse what does not fit its data or the study's other draws.

    Args:
        settings: as typed.
        read: gives the data set, once the arms are sound.
        run: of the draw; an earlier part of it may have settled what is open.
    """
    check_arms(settings)
    settled, splits = settle_study(settings, read(settings.data))
    others = (record.config for _, record in other_draws(Path(settings.study_dir)))
    settled = settle_precision(settled, chain(run.before, others))
    check_settled_arms(settled, splits)
    check_goes_with(run.folder, settled.plain(), splits, may_be_redone(settings))
    return settled, splits


def _added(settings: StudySettings, classes: Classes) -> dict[str, int]:
    numbers = classes.numbers(settings.study.count, "study.count")
    return {name: number or 0 for name, number in numbers.items()}


def numbers_of(settings: StudySettings) -> Plain:
    """Return what a study's data may have decided, by key."""
    return {
        "data.internal_per_class": settings.data.internal_per_class,
        "data.subset": settings.data.subset,
        "study.count": settings.study.count,
        "study.ruler": settings.study.ruler,
    }


@see("too-few")
def derive(settings: StudySettings, source: Source) -> StudySettings:
    """Return a study's settings with a number wherever they say `auto`.

    They follow from the images that every draw has, so that all draws have the same ones. With
    `study.rare` one class is scarce and filled up to the others; without, all have as many images.

    Raises:
        GanAugError: there are too few images, or numbers that were typed leave none.
    """
    auto = [key for key, value in numbers_of(settings).items() if value == AUTO]
    if not auto:
        return settings
    data, study, classes = settings.data, settings.study, source.classes
    with see("classes"):
        rare = None if study.rare is None else classes.named(study.rare, "study.rare")
    usable = without_conflicts(source, data.on_conflict)
    have = lasting(usable, data.development_per_class, data.val_per_class)
    scarce = min(have, key=lambda name: have[name])
    if have[scarce] < FEWEST_TRAINING:
        others = ",".join(name for name in classes if name != scarce)
        leave = f", or leave the class out (data.classes=[{others}])" if "," in others else ""
        aside = data.shares()
        if source.validation is None:
            aside.append("data.val_per_class=")
        if data.development_per_class:
            aside.append("data.development_per_class=")
        fewer = f", or set fewer aside ({', '.join(aside)})" if aside else ""
        raise GanAugError(
            f"{auto[0]}=auto: there are only {have[scarce]} training images of {scarce}, a study "
            f"needs {FEWEST_TRAINING} of each class beside test and validation images; bring "
            f"more{fewer}{leave}"
        )
    usual = min(_MOST_INTERNAL, have[scarce] // 5)
    internal = usual if data.internal_per_class == AUTO else data.internal_per_class
    left = {name: n - internal for name, n in have.items()}
    if left[scarce] < _FEWEST_LEFT:
        raise GanAugError(
            f"data.internal_per_class={internal}: there are only {have[scarce]} training images of "
            f"{scarce}, and a draw needs some of them; choose a smaller number"
        )
    typed = None if data.subset == AUTO else data.subset
    given = classes.numbers(typed, "data.subset")
    check_all_classes(given)
    subset, count = _numbers(given, left, rare)
    values: Plain = {"data.internal_per_class": internal}
    if study.takes_from_data:
        values["study.rare"] = rare
    if "data.subset" in auto or study.takes_from_data:
        values["data.subset"] = subset
    if "study.count" in auto:
        values["study.count"] = count
    if "study.ruler" in auto:
        varied = list(classes) if rare is None else [rare]
        sizes = _sizes(min(subset[n] for n in varied), min(left[n] for n in varied))
        values["study.ruler"] = sizes if rare is None else {rare: sizes}
    derived = settings.changed(StudySettings, values)
    print("numbers from the data:")
    for key, value in numbers_of(derived).items():
        print(f"  {key}={value}".replace("'", ""))
    if not study.takes_from_data:
        return derived
    added = _added(derived, classes)
    values = _without_more_real(derived, added, {n: left[n] - k for n, k in subset.items()})
    values |= _without_quality(derived, source, added, {n: have[n] - subset[n] for n in have})
    return derived.changed(StudySettings, values)


def _numbers(
    given: Mapping[str, int | None], left: Mapping[str, int], rare: str | None
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the draw's training images of each class, and how many images are added."""
    if rare is None:
        usual = min(_MOST_WITHOUT_RARE, min(left.values()) // 3)  # the ruler goes on to all of them
        subset = {name: usual if n is None else n for name, n in given.items()}
        return subset, {name: 2 * n for name, n in subset.items()}
    others = [name for name in given if name != rare]
    level = min(left[n] if (number := given[n]) is None else number for n in others)
    own = given[rare]
    if own is None:  # half of what there is: the ruler needs further ones
        own = min(left[rare], level) // 2
    if not own:
        raise GanAugError(
            f"study.rare={rare}: a draw gets half as many images of it as of another class, and "
            f"half of {level} is none; raise data.subset"
        )
    if own >= level:
        raise GanAugError(
            f"study.rare={rare}: a draw has {own} images of it and {level} of another class, so "
            f"there is nothing to fill up; lower data.subset.{rare}, or leave study.rare out"
        )
    subset = {name: level if n is None else n for name, n in given.items()} | {rare: own}
    return subset, {name: level - own if name == rare else 0 for name in given}


def _sizes(own: int, most: int) -> list[int]:
    """Return the sizes of a ruler: from half of what a draw has, doubled, to all there is."""
    if most <= own:
        raise GanAugError(
            f"study.ruler=auto: a draw has {own} images and the data {most}, so that a ruler has "
            "nothing to go on to; lower data.subset"
        )
    sizes = [size for size in (own // 2, own, 2 * own, 4 * own, 8 * own) if 0 < size <= most]
    return sizes if sizes[-1] > 0.8 * most or sizes[-1] == 8 * own else [*sizes, most]


def _without_more_real(
    settings: StudySettings, count: Mapping[str, int], left: Mapping[str, int]
) -> Plain:
    """Leave out the arms of further real images where there are not as many."""
    lacking = next((name for name, n in count.items() if n > left[name]), None)
    out = [name for name, arm in settings.arms.items() if arm.added.source == "real"]
    if lacking is None or not out:
        return {}
    for arm in out:
        print(
            f"without the arm {arm}: it adds {count[lacking]} further {lacking} images, there are "
            f"{left[lacking]}"
        )
    kept = {name: arm for name, arm in settings.arms.items() if name not in out}
    return {"arms": {n: a.model_dump(by_alias=True, exclude_unset=True) for n, a in kept.items()}}


def _without_quality(
    settings: StudySettings, source: Source, count: Mapping[str, int], unseen: Mapping[str, int]
) -> Plain:
    """Measure no quality where some draw may have too few images to measure with."""
    validation: Mapping[str, int] = {}
    if source.validation is not None and settings.study.gan_select is None:
        validation = source.validation.counts()
    for name in (name for name, n in count.items() if n and settings.quality.use):
        # Half of the training folder fits the reference classifier, the rest has two sides.
        side = unseen[name] / 4 + validation.get(name, 0) / 2
        if side < 1.5 * FEWEST:
            print(
                f"quality.use=[], so generated images are not measured: about {side:.0f} {name} "
                f"images on each side are left to measure them with, and a draw with fewer than "
                f"{FEWEST} would stop"
            )
            return {"quality.use": []}
    return {}
