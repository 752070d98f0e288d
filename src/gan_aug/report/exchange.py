"""Exchange rates: as many real images as a way of training is worth, read off a ruler.

The ruler is a study's arms of more and more real images. What an arm reaches is looked up on the
curve that they draw, made monotone; the interval goes from the first to the last number of real
images whose performance, in the same draws, is not told apart from the arm's at the 5 % level by
a t-test, and holds the place on the curve. That is Fieller's way (1954, J. R. Stat. Soc. B 16:175)
of an interval for a place on a curve: it carries the curve's own uncertainty and the arm's, and
where the ruler ends it says so in place of a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import isotonic_regression

from gan_aug.report.statistics import CONFIDENCE, LEAST_DRAWS, t_interval

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Sensitivity:
    """Whether an endpoint sees further real images (assay sensitivity, ICH E10, section 1.5).

    Attributes:
        start: real images from which on this is.
        gain: in the endpoint from a doubling of the real images, mean over draws of the slope of a
            line against their logarithm; where lower is better, a fall is a gain.
        interval: 95%, over draws; None with too few.
    """

    start: int
    gain: float
    interval: tuple[float, float] | None

    @property
    def seen(self) -> bool:
        """Whether more real images are shown to make it better; only then can it tell of others."""
        # An endpoint that never moves has a gain of rounding errors, in an interval of no width.
        return self.interval is not None and self.interval[0] > 1e-12


@dataclass(frozen=True)
class Rate:
    """How many real images an arm performs like.

    Attributes:
        images: of each varied class; None: fewer than the ruler's start or more than its end.
        low: lower end of the 95% interval; None: below the ruler's start.
        high: upper end; None: beyond the ruler's end.
        outside: -1 or 1 where the arm itself lies below or above the whole ruler; 0 elsewhere.
        known: whether there are draws enough for an interval; `low` and `high` mean nothing else.
    """

    images: float | None
    low: float | None
    high: float | None
    outside: int
    known: bool


def sensitivity(sizes: Numbers, ruler: Numbers, higher_is_better: bool = True) -> Sensitivity:
    """Return what an endpoint gains from a doubling of the real images.

    Args:
        sizes: (S,) growing numbers of real images, at least 2. The first is what the arms have:
            what fewer images lack says nothing of what further ones would do.
        ruler: (draws, S) the endpoint with so many.
        higher_is_better: which sign is a gain.
    """
    doublings = np.log2(sizes)
    off = doublings - doublings.mean()
    slopes = (1 if higher_is_better else -1) * ruler @ off / (off @ off)
    enough = len(slopes) >= LEAST_DRAWS
    interval = t_interval(slopes) if enough else None
    return Sensitivity(int(sizes[0]), float(slopes.mean()), interval)


def monotone(sizes: Numbers, ruler: Numbers, higher_is_better: bool = True) -> Numbers:
    """Return the mean curve, made monotone by isotonic regression (Barlow et al. 1972).

    Args:
        sizes: (S,) growing numbers of real images.
        ruler: (draws, S) the endpoint with so many.
        higher_is_better: whether it rises or falls with the number.
    """
    found: Numbers = isotonic_regression(ruler.mean(axis=0), increasing=higher_is_better).x
    return found


def exchange(sizes: Numbers, ruler: Numbers, arm: Numbers, higher_is_better: bool = True) -> Rate:
    """Return how many real images an arm performs like.

    Args:
        sizes: (S,) growing numbers of real images, at least 2.
        ruler: (draws, S) the endpoint with so many.
        arm: (draws,) the endpoint of the arm in the same draws.
        higher_is_better: whether it rises or falls with the number of images.
    """
    sign = 1 if higher_is_better else -1
    curve, reached = sign * monotone(sizes, ruler, higher_is_better), sign * arm.mean()
    # An arm that is one end of the ruler may differ from it by rounding.
    outside = -1 if reached < curve[0] - 1e-12 else 1 if reached > curve[-1] + 1e-12 else 0
    reached = reached if outside else np.clip(reached, curve[0], curve[-1])
    images = None if outside else _place(sizes, curve, float(reached))
    if len(arm) < LEAST_DRAWS:
        return Rate(images, None, None, outside, False)
    alike = _alike(np.log(sizes), sign * ruler, sign * arm)
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


def _alike(logs: Numbers, ruler: Numbers, arm: Numbers) -> list[float]:
    """Return ends of the places that a t-test does not tell from an arm.

    Between two numbers of the ruler each draw's difference is u + t v at the share t of the way,
    so that the test's border is a quadratic in t, as in Fieller's theorem.
    """
    n = len(arm)
    c = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) ** 2 / n
    found = []
    for i in range(len(logs) - 1):
        u, v = arm - ruler[:, i], ruler[:, i] - ruler[:, i + 1]
        (uu, uv), (_, vv) = np.cov(u, v)
        square = v.mean() ** 2 - c * vv
        linear = 2 * (u.mean() * v.mean() - c * uv)
        constant = u.mean() ** 2 - c * uu
        roots = np.roots([square, linear, constant])
        inside = [float(t.real) for t in roots if abs(t.imag) < 1e-9 and 0 <= t.real <= 1]
        within = [t for t in (0.0, 1.0) if square * t * t + linear * t + constant <= 0]
        found += [float(logs[i] + t * (logs[i + 1] - logs[i])) for t in (*inside, *within)]
    return found


def _place(sizes: Numbers, curve: Numbers, reached: float) -> float:
    """Return where a growing curve reaches a value; in the middle of where it is flat."""
    logs = np.log(sizes)
    first = int(np.argmax(curve >= reached))
    last = len(curve) - 1 - int(np.argmax(curve[::-1] <= reached))
    if last > first:
        return float(np.exp((logs[first] + logs[last]) / 2))
    if first == 0 or curve[first] == reached:
        return float(sizes[first])
    part = (reached - curve[first - 1]) / (curve[first] - curve[first - 1])
    return float(np.exp(logs[first - 1] + part * (logs[first] - logs[first - 1])))
