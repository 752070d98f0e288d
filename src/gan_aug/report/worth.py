"""What the arms of a study are worth in real images, where it has a ruler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_aug.report.draw_result import RulerFacts
from gan_aug.report.exchange import Rate, Sensitivity, exchange, monotone, sensitivity
from gan_aug.report.results import LOWER_IS_BETTER, Condition, Study
from gan_aug.report.statistics import Comparison, compare
from gan_aug.settings.draw import Swept

SHOWN = ("accuracy", "auroc")
"""Metrics that are looked up on the ruler, besides those of the endpoints."""


@dataclass(frozen=True)
class ArmWorth:
    """An arm on the ruler.

    Attributes:
        mean: of the endpoint over draws.
        rate: how many real images it performs like.
        worth: in words, the real images of each varied class that it is worth beyond its own.
    """

    mean: float
    rate: Rate
    worth: str


@dataclass(frozen=True)
class Measure:
    """A ruler under one condition, on one endpoint.

    Attributes:
        condition: which.
        label: the condition in words.
        split: of the endpoint.
        metric: of the endpoint.
        draws: with all of the ruler's arms.
        sizes: numbers of real images of each varied class.
        classes: the varied ones.
        own: real images of each that the arms have.
        means: over draws, of each size.
        curve: the means made monotone.
        sensitivity: whether the endpoint sees further real images.
        arms: by name.
        most: the ruler's end less `real`.
    """

    condition: Swept
    label: str
    split: str
    metric: str
    draws: int
    sizes: list[int]
    classes: list[str]
    own: int
    means: list[float]
    curve: list[float]
    sensitivity: Sensitivity
    arms: dict[str, ArmWorth]
    most: Comparison


def measure_worth(study: Study, splits: list[str]) -> list[Measure]:
    """Look up every arm on the ruler of its condition; none where the study has no ruler."""
    return [
        measure
        for condition in study.conditions
        for split in splits
        for metric in dict.fromkeys([*(e.name for e in study.endpoints), *SHOWN])
        if (measure := _measure(study, condition, split, metric)) is not None
    ]


def _measure(study: Study, condition: Condition, split: str, metric: str) -> Measure | None:
    facts = study.of(condition)[0].result.ruler
    if facts is None:
        return None
    up = metric not in LOWER_IS_BETTER
    values = study.by_draw(condition, split, metric)
    if not {*facts.arms} <= {*values.columns}:
        return None
    whole = values.dropna(subset=["real", *facts.arms])
    further = further_images(facts)
    if not len(whole) or len(further) < 2:  # a ruler that ends there says nothing of more images
        return None
    seen = whole[list(further)].to_numpy(float)
    sizes = np.array(list(facts.arms.values()), float)
    ruler = whole[list(facts.arms)].to_numpy(float)
    arms = {}
    for arm in study.arms:
        both = whole.dropna(subset=[arm]) if arm in whole else whole[:0]
        if len(both):
            reached = both[arm].to_numpy(float)
            rate = exchange(sizes, both[list(facts.arms)].to_numpy(float), reached, up)
            arms[arm] = ArmWorth(float(reached.mean()), rate, words(rate, facts))
    return Measure(
        condition=study.named(condition),
        label=study.label(condition),
        split=split,
        metric=metric,
        draws=len(whole),
        sizes=list(facts.arms.values()),
        classes=facts.classes,
        own=facts.own,
        means=ruler.mean(axis=0).tolist(),
        curve=monotone(sizes, ruler, up).tolist(),
        sensitivity=sensitivity(np.array([*further.values()], float), seen, up),
        arms=arms,
        most=compare(seen[:, -1], seen[:, 0], up),
    )


def further_images(facts: RulerFacts) -> dict[str, int]:
    """Return the arms that have the arms' own number of real images, or more, and how many."""
    return {"real": facts.own} | {arm: n for arm, n in facts.arms.items() if n > facts.own}


def words(rate: Rate, facts: RulerFacts) -> str:
    """Return a rate as real images beyond the draw's own: `+3 (-8 to +15)`, `+350 or more`."""
    start, end = min(facts.arms.values()), max(facts.arms.values())

    def beyond_own(images: float) -> str:
        return f"{round(images) - facts.own:+d}"

    less, more = f"{beyond_own(start)} or less", f"{beyond_own(end)} or more"
    if rate.images is not None:
        middle = beyond_own(rate.images)
    else:
        middle = less if rate.outside < 0 else more
    if not rate.known:
        return middle
    told = (rate.low is not None and round(rate.low) == end) or (
        rate.high is not None and round(rate.high) == start
    )
    if rate.images is None and told:  # from all of the ruler
        return middle
    low = less if rate.low is None else beyond_own(rate.low)
    high = more if rate.high is None else beyond_own(rate.high)
    return f"{middle} ({low} to {high})"
