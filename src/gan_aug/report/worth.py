"""What the arms of a study are worth in real images, where it has a ruler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_aug.report.crossed import Means, OverPatients
from gan_aug.report.exchange import Rate, Sensitivity, exchange, monotone, sensitivity
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.records import RulerFacts
from gan_aug.report.statistics import Comparison, compare
from gan_aug.report.study import Condition, Study, Swept

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
        sizes: numbers of real images of each varied class, `own` among them, where `real` is it.
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


def measure_worth(study: Study, splits: list[str], over: OverPatients) -> list[Measure]:
    """Look up every arm on the ruler of its condition; none where the study has no ruler.

    Args:
        study: the study.
        splits: which of its splits.
        over: its predictions, for intervals over patients.
    """
    return [
        measure
        for condition in study.conditions
        for split in splits
        for metric in dict.fromkeys([*(e.name for e in study.endpoints), *SHOWN])
        if (measure := _measure(study, condition, split, metric, over)) is not None
    ]


def _measure(
    study: Study, condition: Condition, split: str, metric: str, over: OverPatients
) -> Measure | None:
    facts = study.of(condition)[0].result.ruler
    if facts is None:
        return None
    up = metric not in LOWER_IS_BETTER
    values = study.by_draw(condition, split, metric)
    if not {"real", *facts.arms} <= {*values.columns}:
        return None
    ruler, further = ruler_of(facts), further_images(facts)
    whole = values.drop_nulls(list(ruler))
    if not len(whole) or len(further) < 2:  # a ruler that ends there says nothing of more images
        return None
    sizes = np.array([*ruler.values()], float)

    def means_of(arms: list[str]) -> Means:
        rows = whole.drop_nulls(arms)
        found = over.means(condition, split, metric, arms, rows["draw"].to_list())
        return found or Means(np.stack([rows[arm].to_numpy() for arm in arms], axis=1))

    arms = {}
    for arm in study.arms:
        if arm in whole and whole[arm].null_count() < len(whole):
            means = means_of([*ruler, arm])
            rate = exchange(sizes, facts.own, means, up)
            arms[arm] = ArmWorth(float(means.values[:, -1].mean()), rate, words(rate, facts))
    seen = means_of([*further])
    return Measure(
        condition=study.named(condition),
        label=study.label(condition),
        split=split,
        metric=metric,
        draws=len(whole),
        sizes=[*ruler.values()],
        classes=facts.classes,
        own=facts.own,
        means=whole.select(*ruler).to_numpy().mean(axis=0).tolist(),
        curve=monotone(whole.select(*ruler).to_numpy(), up).tolist(),
        sensitivity=sensitivity(np.array([*further.values()], float), seen, up),
        arms=arms,
        most=compare(
            seen.values[:, -1],
            seen.values[:, 0],
            up,
            seen.error(np.array([-1.0, *[0.0] * (len(further) - 2), 1.0])),
        ),
    )


def ruler_of(facts: RulerFacts) -> dict[str, int]:
    """Return the arms of growing numbers of real images: `real` is that of the arms' own number."""
    others = {arm: n for arm, n in facts.arms.items() if n != facts.own}
    return dict(sorted(({"real": facts.own} | others).items(), key=lambda item: item[1]))


def further_images(facts: RulerFacts) -> dict[str, int]:
    """Return the arms that have the arms' own number of real images, or more, and how many."""
    return {arm: n for arm, n in ruler_of(facts).items() if n >= facts.own}


def words(rate: Rate, facts: RulerFacts) -> str:
    """Return a rate as real images beyond the draw's own: `+3 (-8 to +15)`, `+350 or more`."""
    start, *_, end = ruler_of(facts).values()

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
