"""What a GAN is not fitted on, so that something is left to measure it with."""

from __future__ import annotations

import copy
from collections.abc import Collection
from itertools import chain
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_aug.data.held_out import FEWEST, left_to_measure
from gan_aug.data.prepare import cut
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits
from gan_aug.run.errors import warn
from gan_aug.settings.gan_classes import classes_made

_TRIES = 12


def hold_out(cfg: DictConfig, source: Source) -> DictConfig:
    """Return a GAN's configuration that leaves images to measure with, where there are few.

    Where `data.subset` names no number for a class that the GAN makes, it takes all images of it,
    but for as many as `evaluate` needs; a third at the most. Of classes that it does not need it
    takes none. A number that was typed is left as it is.

    Args:
        cfg: of `train`; not changed.
        source: the data set.

    Raises:
        GanAugError: a setting that does not fit the GAN or the data.
    """
    if cfg.model.kind != "gan":
        return cfg
    held, classes = copy.deepcopy(cfg), source.classes
    typed: Any = OmegaConf.to_container(cfg.data, resolve=True)
    subset = classes.numbers(typed["subset"], "data.subset")
    made = _made(cfg, source)
    needed = {*made, *chain(*made.values())}
    free = [name for name in made if subset[name] is None]
    subset = {n: 0 if k is None and n not in needed else k for n, k in subset.items()}
    held.data.subset = subset
    for name in free:
        all_of_it = cut(held.data, source).train.counts()[name]
        for tried in range(_TRIES + 1):
            if tried:
                held.data.subset[name] = all_of_it - round(all_of_it * tried / _TRIES / 3)
            if _left(held, source, [name])[name] >= FEWEST:
                break
        else:  # two thirds would not do either
            held.data.subset[name] = None
        if (kept := held.data.subset[name]) is not None:
            print(
                f"held out: {all_of_it - kept} of {all_of_it} {name} images, to measure the GAN "
                f"with (data.subset.{name}={kept})"
            )
    return held


def with_other_classes(splits: Splits) -> dict[str, int] | None:
    """Return training images of each class, some of those that a GAN was not fitted on too.

    Metrics that train a classifier need some of each. Images of one class do not depend on how many
    there are of another; at most half of those of unseen patients are taken.

    Args:
        splits: the GAN's draw.

    Returns:
        What `data.subset` is to measure it; None where there are images of all classes.
    """
    counts, left = splits.train.counts(), splits.unused.counts()
    taken = {n: min(max(counts.values()), left[n] // 2) for n, m in counts.items() if not m}
    return counts | taken if any(taken.values()) else None


def say_what_is_left(cfg: DictConfig, source: Source) -> None:
    """Print how many images a GAN will be measured with, before it is fitted.

    Args:
        cfg: settled, of `train`.
        source: the data set.
    """
    if cfg.model.kind != "gan":
        return
    made = classes_made(cfg.model, cfg.data.train_class, source.classes.names)
    left = _left(cfg, source, made)
    listed = ", ".join(f"{n} {name}" for name, n in left.items())
    print(f"  left to measure it with (evaluate, explain), twice: {listed}")
    if few := [name for name, n in left.items() if n < FEWEST]:
        warn(
            f"evaluate and explain need {FEWEST} {few[0]} images twice that the GAN has not seen, "
            f"and cannot measure it with fewer; leave it more (data.subset.{few[0]}=NUMBER)"
        )


def _made(cfg: DictConfig, source: Source) -> dict[str, list[str]]:
    classes, model = source.classes, OmegaConf.to_container(cfg.model, resolve=True)
    assert isinstance(model, dict)
    train_class = cfg.data.train_class
    if train_class is not None:
        train_class = classes.named(train_class, "data.train_class")
    if model.get("pair") is not None:
        model["pair"] = classes.all_named(model["pair"], "model.pair")
    return classes_made(model, train_class, classes.names)


def _left(cfg: DictConfig, source: Source, names: Collection[str]) -> dict[str, int]:
    """Return the images on each side; validation has chosen nothing where nothing selects."""
    splits = cut(cfg.data, source)
    if (subset := with_other_classes(splits)) is not None:  # as evaluate will cut them
        data = copy.deepcopy(cfg.data)
        data.subset = subset
        splits = cut(data, source)
    return left_to_measure(splits, names, validation=cfg.quality.select is None)
