"""Paired comparisons over draws. A draw is the unit: repeats are averaged before anything else.

With as many repeats in every draw, the t interval and the paired t-test of the draws' means are
those of a mixed model with draws as its random effect, and they agree with each other.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import product
from typing import TypeVar

import numpy as np
import polars as pl
from scipy import stats
from scipy.special import stdtr, stdtrit

from gan_aug.report.predictions import Numbers

CONFIDENCE = 0.95
LEAST_DRAWS = 6
"""With fewer there is neither an interval nor a test: the draws themselves say as much."""
POWER = 0.8
MOST_DRAWS = 1_000_000
EQUAL = 1e-9
"""A standard deviation, as a share, below which draws differ by nothing but rounding."""
MOST_EXACT = 13
"""Draws up to which all 2^n signs are gone through."""


@dataclass(frozen=True)
class Error:
    """The standard error of a mean, and the degrees of freedom that it is estimated with."""

    se: float
    freedom: float
    patients: int | None = None  # that it is over, besides the draws; None: over draws alone

    def half(self, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the t interval."""
        return float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.se

    def beyond(self, room: float) -> float:
        """Return the chance that a mean of 0 comes out at `room` or above."""
        if self.se < 1e-12:  # equal in every draw, but for rounding
            return 0.0 if room > 1e-12 else 1.0
        return float(stdtr(self.freedom, -room / self.se))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One arm against another, on the draws that have both.

    Where the test patients are the same in all draws, and known, the interval and `p` are over
    draws and patients (`gan_aug.report.crossed`); where each draw has its own, over draws. With
    fewer than `LEAST_DRAWS` draws there is neither interval nor p.
    """

    draws: int
    mean: float  # of the differences, arm minus reference
    sd: float | None  # of the draws' differences; None with one draw, like `se` and `freedom`
    se: float | None  # standard error of the mean
    freedom: float | None  # its degrees of freedom
    patients: int | None  # test patients that `se`, the interval and `p` are over, besides draws
    low: float | None = None  # lower end of the 95% interval
    high: float | None = None
    over_draws: tuple[float, float] | None = None  # 95% interval for the very patients of the test
    p: float | None = None  # of the t-test that goes with the interval
    p_wilcoxon: float | None = None  # of the signed-rank test over the draws, a second opinion
    p_holm: float | None = None  # `p` after Holm's correction over the family, by `correct`
    better: int  # draws in which the arm was better
    worse: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval; None with too few draws."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def alike(self) -> bool:
        """Whether all draws have the same difference: what other draws would show is not known."""
        return self.sd is not None and self.sd < EQUAL

    @property
    def errors(self) -> list[Error]:
        """Of the mean: over draws, and over patients too where known; the larger one counts."""
        if self.sd is None or self.se is None or self.freedom is None:
            return []
        of_draws = Error(self.sd / self.draws**0.5, self.draws - 1)
        if self.patients is None:
            return [of_draws]
        return [of_draws, Error(self.se, self.freedom, self.patients)]

    @property
    def of_patients(self) -> Error | None:
        """The part of the error that no further draw takes away; None where there is none."""
        if self.patients is None or self.sd is None or self.se is None:
            return None
        left = self.se**2 - self.sd**2 / self.draws
        return Error(left**0.5, self.patients - 1, self.patients) if left > 1e-15 else None


Compared = TypeVar("Compared", bound=Comparison)


def t_interval(values: Numbers) -> tuple[float, float]:
    """Return the 95% t interval of the mean of at least 2 values; of no width where all equal."""
    half, mean = Error(float(stats.sem(values)), len(values) - 1).half(), float(np.mean(values))
    return mean - half, mean + half


def signed_rank_p(differences: Numbers) -> float:
    """Return the p-value of Wilcoxon's signed-rank test, zeros split between both sides.

    Up to 13 draws it is exact, with ties too: scipy's `wilcoxon` then ranks anew for each of the
    2^n signs, which took most of a report's time; a change of signs leaves ranks as they are.
    """
    differences = differences.round(12)  # what is equal but for rounding is a tie
    sizes = np.abs(differences)
    if not sizes.any():
        return 1.0
    if len(sizes) > MOST_EXACT or len(np.unique(sizes[sizes > 0])) == len(sizes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ties, which the normal approximation handles
            return float(stats.wilcoxon(differences, zero_method="zsplit").pvalue)
    signed_ranks = np.sign(differences) * stats.rankdata(sizes)
    sums, observed = _all_signs(len(sizes)) @ signed_ranks, signed_ranks.sum()
    tails = np.mean(sums <= observed), np.mean(sums >= observed)  # halves of ranks add up exactly
    return float(min(1.0, 2 * min(tails)))


@cache
def _all_signs(n: int) -> Numbers:
    return np.array([*product((-1.0, 1.0), repeat=n)])


def compare(
    arm: Numbers, reference: Numbers, higher_is_better: bool = True, crossed: Error | None = None
) -> Comparison:
    """Compare two arms, draw by draw: (n,) values of the same draws in the same order.

    `crossed` is the error of the mean difference over draws and test patients, where these are the
    same in all draws. An interval is never narrower than that over draws, and a p never smaller.
    """
    differences = np.asarray(arm, float) - np.asarray(reference, float)
    n, mean, sign = len(differences), float(differences.mean()), 1 if higher_is_better else -1
    sd = float(differences.std(ddof=1)) if n > 1 else None
    own = None if sd is None else Error(sd / n**0.5, n - 1)
    error = crossed or own
    comparison = Comparison(
        draws=n,
        mean=mean,
        sd=sd,
        se=None if error is None else error.se,
        freedom=None if error is None else error.freedom,
        patients=None if crossed is None else crossed.patients,
        better=int((sign * differences > 1e-12).sum()),
        worse=int((sign * differences < -1e-12).sum()),
    )
    if n < LEAST_DRAWS or own is None:
        return comparison
    half = max(one.half() for one in comparison.errors)
    return replace(
        comparison,
        low=mean - half,
        high=mean + half,
        over_draws=None if crossed is None else (mean - own.half(), mean + own.half()),
        p=max(min(1.0, 2 * one.beyond(abs(mean))) for one in comparison.errors),
        p_wilcoxon=signed_rank_p(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values after Holm's correction (Holm 1979), in the order they came in."""
    # statsmodels' multipletests collects garbage in every call, which made up half of a report.
    order = np.argsort(p_values, kind="stable")
    steps = [(len(order) - k) * p_values[i] for k, i in enumerate(order)]
    corrected = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(p) for p in corrected[np.argsort(order)]] if len(order) else []


def hypothesis(arm: str, reference: str, values: pl.DataFrame) -> Hashable:
    """Name what a comparison tests, for `correct`, from a table of `draw` and both arms' values.

    Conditions have fits in common: `classic` less `real` is the same under every GAN. The same arms
    with the same values in the same draws are one hypothesis, wherever it stands. (Where one
    condition lacks a draw they are two, which costs power but is no error.)
    """
    return arm, reference, values.to_numpy().astype(float).tobytes()


def holm_once(p_values: Sequence[float | None], of: Sequence[Hashable]) -> list[float | None]:
    """Return p values after Holm's correction over hypotheses, each counted once.

    `of` is the hypothesis of each; equal ones have equal p values. What was not tested has None,
    and keeps it.
    """
    once = {name: p for name, p in zip(of, p_values, strict=True) if p is not None}
    corrected = dict(zip(once, holm([*once.values()]), strict=True))
    return [None if p is None else corrected[name] for name, p in zip(of, p_values, strict=True)]


def correct(family: Sequence[Compared], of: Sequence[Hashable]) -> list[Compared]:
    """Fill in `p_holm` (Holm 1979) over a family of comparisons; each `hypothesis` counts once."""
    corrected = holm_once([one.p for one in family], of)
    return [replace(one, p_holm=p) for one, p in zip(family, corrected, strict=True)]


def draws_needed(
    sd: float, difference: float, alpha: float = 0.05, of_patients: Error | None = None
) -> int | None:
    """Return the draws that show a true difference with 80% power, two-sided.

    Args:
        sd: of the paired differences, above 0.
        difference: to be shown, above 0, in the same unit.
        alpha: level of the test.
        of_patients: what the test patients, the same in all draws, add to the error however many
            draws there are (`Comparison.of_patients`).

    Returns:
        The number, at least 6; None where it is beyond a million, as where `of_patients` alone is
        too much (`visible_difference` of it says what no number of draws would show).
    """

    def shows(draws: int) -> bool:
        of_draws, freedom = sd**2 / draws, draws - 1.0
        variance = of_draws
        if of_patients is not None:
            variance += of_patients.se**2
            apart = of_draws**2 / freedom + of_patients.se**4 / of_patients.freedom
            freedom = variance**2 / apart  # Satterthwaite
        return _power(difference / variance**0.5, freedom, alpha) >= POWER

    if not shows(MOST_DRAWS):
        return None
    low = high = LEAST_DRAWS
    while not shows(high):
        low, high = high, min(2 * high, MOST_DRAWS)
    return low + bisect_left(range(low, high), True, key=shows)


def visible_difference(error: Error, alpha: float = 0.05) -> float:
    """Return the smallest true difference that a test with this error shows with 80% power."""
    low, high = 0.0, 1.0
    while _power(high, error.freedom, alpha) < POWER:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        shown = _power(middle, error.freedom, alpha) >= POWER
        low, high = (low, middle) if shown else (middle, high)
    return high * error.se


@lru_cache
def _power(errors: float, freedom: float, alpha: float) -> float:
    """Return the power of a t-test where the truth is so many standard errors from 0.

    The tail on the other side adds nothing where the power is 0.8.
    """
    if errors > 1000:  # where scipy's noncentral t has no value
        return 1.0
    return float(stats.nct.sf(stdtrit(freedom, 1 - alpha / 2), freedom, errors))
