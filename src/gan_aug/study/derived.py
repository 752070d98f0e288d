"""Numbers that a study takes from its data, where they are `auto`: the same for all draws."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from gan_aug.data.held_out import FEWEST
from gan_aug.data.source import Source, lasting, without_conflicts
from gan_aug.run.errors import GanAugError
from gan_aug.settings.ranges import AUTO

KEYS = ("data.internal_per_class", "data.subset", "study.count", "study.ruler")
"""What may be `auto`."""
_FEWEST_TRAINING = 25
"""Training images of a class that a study can be cut from."""
_MOST_INTERNAL, _MOST_WITHOUT_RARE = 100, 50


def derive(cfg: DictConfig, source: Source) -> DictConfig:
    """Return a study's configuration with a number wherever it says `auto`.

    They follow from the images that every draw has, so that all draws have the same ones. With
    `study.rare` one class is scarce and filled up to the others; without, all have as many images.

    Args:
        cfg: of a study; not changed.
        source: the data set.

    Raises:
        GanAugError: there are too few images, or numbers that were typed leave none.
    """
    auto = [key for key in KEYS if OmegaConf.select(cfg, key) == AUTO]
    if not auto:
        return cfg
    derived, classes = copy.deepcopy(cfg), source.classes
    usable = without_conflicts(source, cfg.data.on_conflict)
    have = lasting(usable, cfg.data.development_per_class, cfg.data.val_per_class)
    scarce = min(have, key=lambda name: have[name])
    if have[scarce] < _FEWEST_TRAINING:
        raise GanAugError(
            f"{auto[0]}=auto: there are only {have[scarce]} training images of {scarce}, a study "
            f"needs {_FEWEST_TRAINING} of each class; bring more, or leave the class out "
            "(data.classes=[A,B])"
        )
    with open_dict(derived):
        if cfg.data.internal_per_class == AUTO:
            derived.data.internal_per_class = min(_MOST_INTERNAL, have[scarce] // 5)
        left = {name: n - derived.data.internal_per_class for name, n in have.items()}
        typed: Any = OmegaConf.to_container(cfg.data, resolve=True)
        given = classes.numbers(None if typed["subset"] == AUTO else typed["subset"], "data.subset")
        rare = None
        if cfg.study.get("rare") is not None:
            rare = derived.study.rare = classes.named(cfg.study.rare, "study.rare")
        subset, count = _numbers(given, left, rare)
        if "data.subset" in auto or "rare" in cfg.study:
            derived.data.subset = subset
        if "study.count" in auto:
            derived.study.count = count
        if "study.ruler" in auto:
            varied = list(classes) if rare is None else [rare]
            sizes = _sizes(min(subset[n] for n in varied), min(left[n] for n in varied))
            derived.study.ruler = sizes if rare is None else {rare: sizes}
        print("numbers from the data:")
        for key, value in numbers_of(derived).items():
            print(f"  {key}={value}".replace("'", ""))
        if "rare" in cfg.study:
            added = classes.numbers(_plain(derived.study.count), "study.count")
            counts = {name: n or 0 for name, n in added.items()}
            _leave_out_more_real(derived, counts, {n: left[n] - k for n, k in subset.items()})
            _leave_out_quality(derived, source, counts, {n: have[n] - subset[n] for n in have})
    return derived


def numbers_of(cfg: DictConfig) -> dict[str, Any]:
    """Return what a study's data may have decided, as plain containers by key."""
    return {key: _plain(OmegaConf.select(cfg, key)) for key in KEYS}


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


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


def _leave_out_more_real(
    cfg: DictConfig, count: Mapping[str, int], left: Mapping[str, int]
) -> None:
    """Leave out the arms of further real images where there are not as many."""
    lacking = [name for name, n in count.items() if n > left[name]]
    for arm in [name for name, arm in cfg.arms.items() if arm.added.source == "real"]:
        if lacking:
            del cfg.arms[arm]
            print(
                f"without the arm {arm}: it adds {count[lacking[0]]} further {lacking[0]} images, "
                f"there are {left[lacking[0]]}"
            )


def _leave_out_quality(
    cfg: DictConfig, source: Source, count: Mapping[str, int], unseen: Mapping[str, int]
) -> None:
    """Measure no quality where some draw may have too few images to measure with."""
    brought = source.validation is not None and cfg.study.gan_select is None
    validation = source.validation.counts() if brought and source.validation is not None else {}
    for name in (name for name, n in count.items() if n and cfg.quality.use):
        # Half of the training folder fits the reference classifier, the rest has two sides.
        side = unseen[name] / 4 + validation.get(name, 0) / 2
        if side < 1.5 * FEWEST:
            cfg.quality.use = []
            print(
                f"quality.use=[]: about {side:.0f} {name} images on each side are left to measure "
                f"its GANs with, and draws differ; {FEWEST} are the fewest"
            )
