"""Exchange rates: as many real images as a way of training is worth, read off a study's ruler.

The ruler is a study's arms of more and more real images, among them `real` itself. What an arm
reaches is looked up on the curve that they draw, made monotone. The curve is anchored at `real`: an
arm is put as far above it as it differs from `real` in its own draws, so that `real` itself is
worth just its own images, also where making it monotone moved the curve there.

The interval goes from the first to the last number of real images whose performance, in the same
draws, is not told apart from the arm's at the 5 % level by a t-test, and holds the place on the
curve. That is Fieller's way (1954, J. R. Stat. Soc. B 16:175) of an interval for a place on a
curve: it carries the curve's own uncertainty and the arm's, and where the ruler ends it says so in
place of a number. Where the test patients are the same in all draws the test is over draws and
patients (`gan_aug.report.crossed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from gan_aug.report.crossed import Means, OverPatients
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.predictions import Numbers
from gan_aug.report.records import RulerFacts
from gan_aug.report.statistics import LEAST_DRAWS, Comparison, compare
from gan_aug.report.study import Condition, Study, label_of

SHOWN = ("accuracy", "auroc")
"""Metrics that are looked up on the ruler, besides those of the endpoints."""
TIE = 1e-12
"""Differences of an endpoint up to which are rounding."""
STEPS = 50
"""Places between two numbers of real images where the test is made to find where it turns."""


@dataclass(frozen=True)
class Sensitivity:
    """Whether an endpoint sees further real images (assay sensitivity, ICH E10, section 1.5).

    The gain is that from a doubling of the real images: the mean over draws of the slope of a line
    against their logarithm; where lower is better, a fall is a gain.
    """

    start: int  # real images from which on this is
    gain: float
    interval: tuple[float, float] | None  # 95%, over draws, and over patients where fixed

    @property
    def seen(self) -> bool:
        """Whether more real images are shown to make it better; only then can it tell of others."""
        # An endpoint that never moves has a gain of rounding errors, in an interval of no width.
        return self.interval is not None and self.interval[0] > 1e-12


@dataclass(frozen=True)
class Rate:
    """How many real images of each varied class an arm performs like, with a 95% interval."""

    images: float | None  # None: fewer than the ruler's start or more than its end
    low: float | None  # None: below the ruler's start
    high: float | None  # None: beyond the ruler's end
    outside: int  # -1 or 1 where the arm itself lies below or above the whole ruler; else 0
    known: bool  # whether draws are enough for an interval; else `low` and `high` mean nothing


@dataclass(frozen=True)
class ArmWorth:
    """An arm on the ruler."""

    mean: float  # of the endpoint over draws
    rate: Rate
    worth: str  # in words, the real images of each varied class that it is worth beyond its own


@dataclass(frozen=True)
class Measure:
    """A ruler under one condition, on one endpoint."""

    condition: Condition
    label: str  # the condition in words
    split: str
    metric: str
    draws: int  # with all of the ruler's arms
    sizes: list[int]  # numbers of real images of each varied class, `own` among them
    classes: list[str]  # the varied ones
    own: int  # real images of each that the arms have
    means: list[float]  # over draws, of each size
    curve: list[float]  # the means made monotone
    sensitivity: Sensitivity
    arms: dict[str, ArmWorth]
    most: Comparison  # the ruler's end less `real`

    @property
    def varied(self) -> str:
        """The varied classes in words: `each class`, or `the class malignant`."""
        return "each class" if len(self.classes) > 1 else f"the class {self.classes[0]}"


def measures_on(worth: Sequence[Measure], where: tuple[str, str]) -> list[Measure]:
    """Return the rulers on an endpoint, under each condition that has one."""
    return [one for one in worth if (one.split, one.metric) == where]


def measure_on(
    worth: Sequence[Measure], condition: Condition, where: tuple[str, str]
) -> Measure | None:
    """Return the ruler on an endpoint under a condition; None where none was laid on it."""
    return next((one for one in measures_on(worth, where) if one.condition == condition), None)


def measure_worth(study: Study, splits: list[str], over: OverPatients) -> list[Measure]:
    """Look up every arm on the ruler of its condition; none where the study has no ruler."""
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
    ruler, further = facts.sizes, facts.further
    whole = values.drop_nulls(list(ruler))
    if not len(whole) or len(further) < 2:  # a ruler that ends there says nothing of more images
        return None
    sizes, on_ruler = np.array([*ruler.values()], float), whole.select(*ruler).to_numpy()

    def means_of(arms: list[str]) -> Means:
        rows = whole.drop_nulls(arms)
        means = over.means(condition, split, metric, arms, rows["draw"].to_list())
        return means or Means(np.stack([rows[arm].to_numpy() for arm in arms], axis=1))

    arms = {}
    for arm in study.arms:
        if whole[arm].null_count() < len(whole):
            means = means_of([*ruler, arm])
            rate = exchange(sizes, facts.own, means, up)
            arms[arm] = ArmWorth(float(means.values[:, -1].mean()), rate, words(rate, facts))
    seen = means_of([*further])
    ends = np.array([-1.0, *[0.0] * (len(further) - 2), 1.0])
    return Measure(
        condition=condition,
        label=label_of(condition),
        split=split,
        metric=metric,
        draws=len(whole),
        sizes=[*ruler.values()],
        classes=facts.classes,
        own=facts.own,
        means=on_ruler.mean(axis=0).tolist(),
        curve=monotone(on_ruler, up).tolist(),
        sensitivity=sensitivity(np.array([*further.values()], float), seen, up),
        arms=arms,
        most=compare(seen.values[:, -1], seen.values[:, 0], up, seen.error(ends)),
    )


def words(rate: Rate, facts: RulerFacts) -> str:
    """Return a rate as real images beyond the draw's own: `+3 (-8 to +15)`, `+350 or more`."""
    start, *_, end = facts.sizes.values()

    def beyond_own(images: float) -> str:
        return f"{round(images) - facts.own:+d}"

    less, more = f"{beyond_own(start)} or less", f"{beyond_own(end)} or more"
    if rate.images is not None:
        middle = beyond_own(rate.images)
    else:
        middle = less if rate.outside < 0 else more
    if not rate.known:
        return middle
    from_all = (rate.low is not None and round(rate.low) == end) or (
        rate.high is not None and round(rate.high) == start
    )
    if rate.images is None and from_all:
        return middle
    low = less if rate.low is None else beyond_own(rate.low)
    high = more if rate.high is None else beyond_own(rate.high)
    return f"{middle} ({low} to {high})"


def sensitivity(sizes: Numbers, ruler: Means, higher_is_better: bool = True) -> Sensitivity:
    """Return what an endpoint gains from a doubling of the real images.

    Sizes are (S,) growing numbers of real images, at least 2, the ruler the endpoint with so many.
    The first is what the arms have: what fewer images lack says nothing of what further ones would
    do.
    """
    doublings = np.log2(sizes)
    off = doublings - doublings.mean()
    slope = (1 if higher_is_better else -1) * off / (off @ off)
    enough = len(ruler.values) >= LEAST_DRAWS
    interval = ruler.interval(slope) if enough else None
    return Sensitivity(int(sizes[0]), float(ruler.mean(slope)), interval)


def monotone(ruler: Numbers, higher_is_better: bool = True) -> Numbers:
    """Return the mean curve of (draws, S), monotone by isotonic regression (Barlow et al. 1972)."""
    curve: Numbers = isotonic_regression(ruler.mean(axis=0), increasing=higher_is_better).x
    return curve


def exchange(sizes: Numbers, own: int, means: Means, higher_is_better: bool = True) -> Rate:
    """Return how many real images an arm performs like.

    Sizes are (S,) growing numbers of real images, at least 2, `own` one of them, which the arm has.
    The means are of S + 1 arms: the endpoint with so many real images, and that of the arm.
    """
    sign = 1 if higher_is_better else -1
    ruler, arm = means.values[:, :-1], means.values[:, -1]
    curve = sign * monotone(ruler, higher_is_better)
    anchor = int(np.searchsorted(sizes, own))
    reached = curve[anchor] + sign * float((arm - ruler[:, anchor]).mean())
    # An arm that is one end of the ruler may differ from it by rounding.
    outside = -1 if reached < curve[0] - TIE else 1 if reached > curve[-1] + TIE else 0
    reached = reached if outside else np.clip(reached, curve[0], curve[-1])
    images = None if outside else _place(sizes, curve, float(reached), anchor)
    if len(arm) < LEAST_DRAWS:
        return Rate(images, None, None, outside, False)
    alike = _alike(np.log(sizes), means)
    start, end = np.log(sizes[[0, -1]])
    low, high = (min(alike), max(alike)) if alike else (end, start)
    if images is not None:  # the mean may fall where the monotone curve is flat
        low, high = min(low, np.log(images)), max(high, np.log(images))
    return Rate(
        images,
        None if outside < 0 or low <= start else float(np.exp(low)),
        None if outside > 0 or high >= end else float(np.exp(high)),
        outside,
        True,
    )


def _alike(logs: Numbers, means: Means) -> list[float]:
    """Return ends of the places that a t-test does not tell from an arm.

    Between two numbers of the ruler each draw's difference is u + t v at the share t of the way:
    a combination of three means, whose test turns where its border crosses 0.
    """
    alike: list[float] = []
    middles = means.values.mean(axis=0)
    for i in range(len(logs) - 1):
        # Where the means are equal nothing is told, however narrow that is.
        u, v = middles[[i, i + 1]] - middles[-1]
        equal = [u / (u - v)] if u * v < 0 else []
        shares = np.sort(np.append(np.linspace(0, 1, STEPS + 1), equal))
        within = np.flatnonzero(_beyond(means, i, shares) <= TIE)
        if not len(within):
            continue
        first, last = within[[0, -1]]
        ends = [shares[first], shares[last]]
        if first > 0:
            ends[0] = _turn(means, i, shares[first], shares[first - 1])
        if last < len(shares) - 1:
            ends[1] = _turn(means, i, shares[last], shares[last + 1])
        alike += [float(logs[i] + t * (logs[i + 1] - logs[i])) for t in ends]
    return alike


def _beyond(means: Means, i: int, shares: Numbers) -> Numbers:
    """Return by how much differences are beyond their intervals; 0 or below: not told apart."""
    weights = np.zeros((len(shares), means.values.shape[1]))
    weights[:, -1] = 1
    weights[:, i], weights[:, i + 1] = shares - 1, -shares
    return np.abs(means.mean(weights)) - means.half(weights)


def _turn(means: Means, i: int, within: float, out: float) -> float:
    """Return the last share, from one that is not told towards one that is, that is not told."""
    for _ in range(3):
        shares = np.linspace(within, out, STEPS + 1)
        apart = int(np.argmax(_beyond(means, i, shares) > TIE))
        if apart == 0:  # the first one lay on the border
            return within
        within, out = float(shares[apart - 1]), float(shares[apart])
    return within


def _place(sizes: Numbers, curve: Numbers, reached: float, anchor: int) -> float:
    """Return where a growing curve reaches a value.

    Where it is flat there: at the anchor, if that lies there too, else in the middle.
    """
    logs = np.log(sizes)
    first = int(np.argmax(curve >= reached - TIE))
    last = len(curve) - 1 - int(np.argmax(curve[::-1] <= reached + TIE))
    if first <= anchor <= last:
        return float(sizes[anchor])
    if last > first:
        return float(np.exp((logs[first] + logs[last]) / 2))
    if first == 0 or abs(curve[first] - reached) <= TIE:
        return float(sizes[first])
    part = (reached - curve[first - 1]) / (curve[first] - curve[first - 1])
    return float(np.exp(logs[first - 1] + part * (logs[first] - logs[first - 1])))
