"""From settings to settled ones, which the data set's classes, channels and numbers join."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain

from gan_aug.data.batches import epochs_of
from gan_aug.data.classes import Classes
from gan_aug.data.held_out import FEWEST, left_to_measure
from gan_aug.data.prepare import Prepared, cut, prepare
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.settings.base import Plain
from gan_aug.settings.class_facts import classes_made
from gan_aug.settings.commands import SettledTrain, TrainSettings
from gan_aug.settings.data import DataSettings
from gan_aug.settings.models import GanSettings, GeneratorSettings
from gan_aug.settings.values import AUTO

_TRIES = 12
CURVE_POINTS = 9
"""How often a GAN is measured in `model.batches` where `quality.every_n_epochs` is auto."""


def settle_training(settings: TrainSettings, source: Source) -> tuple[SettledTrain, Prepared]:
    """Return the settings of a training run that know its data, and its images.

    A GAN leaves images to measure it with, where there are few: of a class that it makes and for
    which `data.subset` names no number it takes all but as many as `evaluate` needs, two thirds at
    the least. Of classes that it does not need it takes none.

    Raises:
        GanAugError: a setting that does not fit the data.
    """
    model, data, classes = settings.model, settings.data, source.classes
    values, made = Plain(), dict[str, list[str]]()
    if isinstance(model, GanSettings | GeneratorSettings):
        subset = classes.numbers(data.subset, "data.subset")
        if isinstance(model, GanSettings) and model.pair is not None:
            pair = classes.all_named(model.pair, "model.pair")
            model = model.model_copy(update={"pair": pair})
            values["model.pair"] = pair
        made = classes_made(model, _train_class(data, classes), classes.names)
        data = data.model_copy(update={"subset": _held_out(settings, subset, made, source)})
    prepared = prepare(data, source)
    values |= named(data, prepared.splits)
    if isinstance(model, GanSettings):
        counts = prepared.splits.train.counts()
        fitted_on = sum(counts[name] for name in made)
        epochs = epochs_of(model.batches, fitted_on, data.batch_size)
        values["trainer.max_epochs"] = settings.trainer.max_epochs or epochs
        if settings.quality.every_n_epochs == AUTO:
            values["quality.every_n_epochs"] = max(1, round(epochs / CURVE_POINTS))
    elif isinstance(model, GeneratorSettings):
        values["quality.every_n_epochs"] = None  # nobody sees it before it is fitted
    else:
        check_all_classes(values["data.subset"])
        if settings.trainer.max_epochs is None:
            raise GanAugError(
                "trainer.max_epochs=null: a classifier needs a number; set it to 30, say"
            )
    return settings.changed(SettledTrain, values), prepared


def _train_class(data: DataSettings, classes: Classes) -> str | None:
    typed = data.train_class
    return None if typed is None else classes.named(typed, "data.train_class")


def named(data: DataSettings, splits: Splits) -> Plain:
    """Return what the data set decides of `data`; raise GanAugError if a setting names no class."""
    classes = splits.classes
    return {
        "data.classes": list(classes.names),
        "data.num_classes": len(classes),
        "data.positive": classes.positive,
        "data.channels": splits.channels,
        "data.train_class": _train_class(data, classes),
        "data.subset": classes.numbers(data.subset, "data.subset"),
    }


def check_all_classes(subset: Mapping[str, int | None]) -> None:
    """Raise GanAugError if a classifier would have no images of some class."""
    for name, number in subset.items():
        if number == 0:
            raise GanAugError(f"data.subset.{name}=0: a classifier needs images of each class")


def _held_out(
    settings: TrainSettings,
    subset: Mapping[str, int | None],
    made: Mapping[str, list[str]],
    source: Source,
) -> dict[str, int | None]:
    """Return how many images of each class a GAN is fitted on; None: all that are left."""
    data, chosen = settings.data, settings.quality.select is not None
    needed = {*made, *chain(*made.values())}
    free = [name for name in made if subset[name] is None]
    subset = {n: 0 if k is None and n not in needed else k for n, k in subset.items()}
    for name in free:
        all_of_it = cut(data.model_copy(update={"subset": subset}), source).train.counts()[name]
        for tried in range(_TRIES + 1):
            if tried:
                subset[name] = all_of_it - round(all_of_it * tried / _TRIES / 3)
            held = data.model_copy(update={"subset": subset})
            if _left(held, source, [name], chosen)[name] >= FEWEST:
                break
        else:  # two thirds would not do either
            subset[name] = None
        if (kept := subset[name]) is not None:
            print(
                f"held out: {all_of_it - kept} of {all_of_it} {name} images, to measure it "
                f"with (data.subset.{name}={kept})"
            )
    return subset


def with_other_classes(splits: Splits) -> dict[str, int] | None:
    """Return `data.subset` to measure a GAN with: some of the classes it was not fitted on too.

    Metrics that train a classifier need some of each; None where there are images of all. At most
    half of the images of unseen patients are taken.
    """
    counts, left = splits.train.counts(), splits.unused.counts()
    taken = {n: min(max(counts.values()), left[n] // 2) for n, m in counts.items() if not m}
    return counts | taken if any(taken.values()) else None


def say_what_is_left(settings: SettledTrain, source: Source) -> None:
    """Print how many images a GAN will be measured with, before it is fitted."""
    if not isinstance(settings.model, GanSettings | GeneratorSettings):
        return
    made = classes_made(settings.model, settings.data.train_class, source.classes.names)
    left = _left(settings.data, source, made, settings.quality.select is not None)
    listed = ", ".join(f"{n} {name}" for name, n in left.items())
    print(f"  left to measure it with (evaluate, explain), twice: {listed}")
    if few := [name for name, n in left.items() if n < FEWEST]:
        warn(
            f"evaluate and explain need {FEWEST} {few[0]} images twice that it has not seen, "
            f"and cannot measure it with fewer; leave it more (data.subset.{few[0]}=NUMBER)"
        )


def _left(
    data: DataSettings, source: Source, names: Collection[str], chosen: bool
) -> dict[str, int]:
    """Return the images on each side; validation has chosen nothing where nothing selects."""
    splits = cut(data, source)
    if (subset := with_other_classes(splits)) is not None:  # as evaluate will cut them
        splits = cut(data.model_copy(update={"subset": subset}), source)
    return left_to_measure(splits, names, validation=not chosen)
