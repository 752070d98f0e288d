"""Paired comparisons over draws. A draw is the unit: repeats are averaged before anything else.

With as many repeats in every draw, the t interval and the paired t-test of the draws' means are
those of a mixed model with draws as its random effect, and they agree with each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import TTestPower

CONFIDENCE = 0.95
LEAST_DRAWS = 6
"""With fewer there is neither an interval nor a test: the draws themselves say as much."""
MOST_EXACT = 13
"""Draws up to which all 2^n signs are gone through."""

Numbers = NDArray[np.float64]
Hypothesis = tuple[str, str, bytes]
"""Arm, reference, the draws and the values of both."""


@dataclass(frozen=True)
class Comparison:
    """One arm against another, on the draws that have both.

    Attributes:
        draws: how many.
        mean: of the differences, arm minus reference.
        sd: of the differences, None with one draw.
        low: lower end of the 95% interval; None with too few draws, like the following.
        high: upper end.
        p: of the paired t-test.
        p_wilcoxon: of the signed-rank test, a second opinion.
        p_holm: `p` after Holm's correction over the family; filled in by `correct`.
        better: draws in which the arm was better.
        worse: draws in which it was worse.
    """

    draws: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    p: float | None
    p_wilcoxon: float | None
    p_holm: float | None
    better: int
    worse: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval; None with too few draws."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def t_interval(values: Numbers) -> tuple[float, float]:
    """Return the 95% interval of the mean by the t distribution.

    Args:
        values: (n,), n at least 2; equal values give an interval of no width.
    """
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
    mean = float(np.mean(values))
    return mean - float(half), mean + float(half)


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
    found = stats.permutation_test(
        (signed_ranks,), np.sum, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    return float(found.pvalue)


def compare(arm: Numbers, reference: Numbers, higher_is_better: bool = True) -> Comparison:
    """Compare two arms, draw by draw.

    Args:
        arm: (n,) one value a draw.
        reference: (n,) of the same draws in the same order.
        higher_is_better: which sign counts as better.
    """
    differences = np.asarray(arm, float) - np.asarray(reference, float)
    n = len(differences)
    low = high = p = p_wilcoxon = None
    if n >= LEAST_DRAWS:
        low, high = t_interval(differences)
        if np.ptp(differences) < 1e-12:
            # Equal in every draw: no evidence where they are 0, and no noise where they are not.
            p = 1.0 if abs(differences[0]) < 1e-12 else 0.0
        else:
            p = float(stats.ttest_rel(arm, reference).pvalue)
        p_wilcoxon = signed_rank_p(differences)
    sign = 1 if higher_is_better else -1
    return Comparison(
        draws=n,
        mean=float(differences.mean()),
        sd=float(differences.std(ddof=1)) if n > 1 else None,
        low=low,
        high=high,
        p=p,
        p_wilcoxon=p_wilcoxon,
        p_holm=None,
        better=int((sign * differences > 1e-12).sum()),
        worse=int((sign * differences < -1e-12).sum()),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values after Holm's correction (Holm 1979), in the order they came in."""
    # statsmodels' multipletests collects garbage in every call, which made up half of a report.
    order = np.argsort(p_values, kind="stable")
    steps = [(len(order) - k) * p_values[i] for k, i in enumerate(order)]
    corrected = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(p) for p in corrected[np.argsort(order)]] if len(order) else []


def hypothesis(arm: str, reference: str, values: pd.DataFrame) -> Hypothesis:
    """Name what a comparison tests, for `correct` and `holm_once`.

    Conditions have fits in common: `classic` less `real` is the same under every GAN. The same
    arms with the same values in the same draws are one hypothesis, wherever it stands. (Where one
    condition lacks a draw they are two, which costs power but is no error.)

    Args:
        arm: which.
        reference: what it is compared with.
        values: (draws, 2) of both, the draws as index.
    """
    return arm, reference, values.reset_index().to_numpy(float).tobytes()


def holm_once(p_values: Sequence[float], of: Sequence[Hashable]) -> list[float]:
    """Return p values after Holm's correction over hypotheses, each counted once.

    Args:
        p_values: of the tests.
        of: the hypothesis of each; equal ones have equal p values.
    """
    once = dict(zip(of, p_values, strict=True))
    corrected = dict(zip(once, holm([*once.values()]), strict=True))
    return [corrected[name] for name in of]


def correct(family: list[Comparison], of: Sequence[Hashable]) -> list[Comparison]:
    """Fill in `p_holm` over a family of comparisons (Holm 1979).

    Args:
        family: the comparisons.
        of: the `hypothesis` of each; it counts once.
    """
    tested = [i for i, c in enumerate(family) if c.p is not None]
    p_values = holm_once([family[i].p or 0.0 for i in tested], [of[i] for i in tested])
    done = list(family)
    for i, p in zip(tested, p_values, strict=True):
        done[i] = replace(family[i], p_holm=p)
    return done


def draws_needed(sd: float, difference: float, alpha: float = 0.05) -> int | None:
    """Return the draws that show a true difference with 80% power, two-sided.

    Args:
        sd: of the paired differences.
        difference: to be shown, above 0, in the same unit.
        alpha: level of the test.

    Returns:
        The number, at least 6; None where it is beyond a million.
    """
    if sd <= 0:
        return LEAST_DRAWS
    effect = difference / sd
    if effect < 0.003:
        return None
    n = 2.0
    power = TTestPower()
    # One tail at half the level: the other one adds nothing where the power is 0.8, and is NaN in
    # scipy for large families, which ended the search at once.
    # solve_power fails to converge for large effects: step up to them instead.
    if effect < 1:
        n = float(power.solve_power(effect, None, alpha / 2, 0.8, alternative="larger"))
    else:
        while power.power(effect, n, alpha / 2, alternative="larger") < 0.8:
            n += 1
    return max(LEAST_DRAWS, int(np.ceil(n - 1e-9)))


def visible_difference(sd: float, draws: int) -> float:
    """Return the smallest true difference that so many draws show with 80% power at 5%."""
    power = TTestPower()

    def shows(effect: float) -> bool:
        return bool(power.power(effect, draws, 0.05 / 2, alternative="larger") >= 0.8)

    low, high = 0.0, 0.01
    while not shows(high):
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high * sd
