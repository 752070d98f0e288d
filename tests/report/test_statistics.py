"""The report's statistics against scipy, statsmodels and counting by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import tt_solve_power

from gan_aug.report.statistics import (
    Comparison,
    Error,
    compare,
    correct,
    draws_needed,
    holm_once,
    hypothesis,
    signed_rank_p,
    t_interval,
    visible_difference,
)

RANDOM = np.random.default_rng(5)
REFERENCE = RANDOM.normal(0.8, 0.02, 12)
ARM = REFERENCE + RANDOM.normal(0.01, 0.01, 12)


@pytest.mark.parametrize("seed", range(8))
def test_interval_and_test_agree(seed: int) -> None:
    """The interval leaves 0 out just where p is below 0.05."""
    random = np.random.default_rng(seed)
    for shift in np.linspace(0, 0.02, 21):
        found = compare(REFERENCE + random.normal(shift, 0.012, 12), REFERENCE)
        assert found.low is not None
        assert found.high is not None
        assert found.p is not None
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05)


@pytest.mark.parametrize("draws", [6, 10])
def test_the_interval_covers_with_few_draws(draws: int) -> None:
    random = np.random.default_rng(1)
    intervals = [t_interval(random.normal(0, 1, draws)) for _ in range(2000)]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.935 < covered < 0.965  # 0.95, three standard errors


def test_it_is_the_interval_of_a_mixed_model_over_draws_and_repeats() -> None:
    """statsmodels' restricted maximum likelihood gives the same standard error."""
    random = np.random.default_rng(3)
    draws, repeats = 12, 4
    table = random.normal(0.01, 0.05, (draws, 1)) + random.normal(0, 0.02, (draws, repeats))
    fitted = MixedLM(
        table.ravel(), np.ones(table.size), groups=np.repeat(np.arange(draws), repeats)
    ).fit(reml=True)
    low, high = t_interval(table.mean(axis=1))
    half = stats.t.ppf(0.975, draws - 1) * fitted.bse[0]
    assert (high - low) / 2 == pytest.approx(half, rel=1e-3)
    assert (high + low) / 2 == pytest.approx(fitted.params[0], abs=1e-9)


def test_interval_and_tests_are_those_of_scipy() -> None:
    found, expected = compare(ARM, REFERENCE), stats.ttest_rel(ARM, REFERENCE)
    interval = expected.confidence_interval(0.95)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(ARM - REFERENCE).pvalue)
    assert found.mean == pytest.approx((ARM - REFERENCE).mean())
    assert found.sd == pytest.approx((ARM - REFERENCE).std(ddof=1))
    assert (found.better, found.worse) == ((ARM > REFERENCE).sum(), (ARM < REFERENCE).sum())


@pytest.mark.parametrize("draws", [5, 6, 7, 8, 9, 10, 13, 14, 16])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_the_signed_rank_test_is_scipys_with_ties_and_zeros_too(draws: int, decimals: int) -> None:
    random = np.random.default_rng(draws)
    differences = random.normal(0.3, 1, draws).round(decimals)
    expected = stats.wilcoxon(differences, zero_method="zsplit").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, abs=1e-12)


def test_swapping_the_arms_turns_the_sign() -> None:
    one, other = compare(ARM, REFERENCE), compare(REFERENCE, ARM)
    assert one.mean == -other.mean
    assert one.p == pytest.approx(other.p)
    assert (one.better, one.worse) == (other.worse, other.better)


def test_where_lower_is_better_a_fall_counts_as_better() -> None:
    found = compare(ARM, ARM + 0.01, higher_is_better=False)
    assert (found.better, found.worse) == (12, 0)
    assert found.mean == pytest.approx(-0.01)


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.01, 0.0)])
def test_equal_differences_give_an_interval_of_no_width(shift: float, p: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(REFERENCE + shift, REFERENCE)
    assert found.low == pytest.approx(shift)
    assert found.high == pytest.approx(shift)
    assert found.p == p
    assert found.p_wilcoxon == (pytest.approx(2 / 2**12) if shift else 1)  # of 12 signs


def test_differences_that_are_equal_but_for_rounding_are_ties() -> None:
    differences = np.array([0.01, 0.01, -0.01, 0.02, 0.02, -0.03, 0.01, 0.0])
    noisy = differences + np.array([0, 1, -1, 1, 0, -1, 1, 1]) * 1e-17
    assert (noisy != differences).any()
    assert signed_rank_p(noisy) == signed_rank_p(differences)


def test_few_draws_give_no_interval() -> None:
    found = compare(ARM[:5], REFERENCE[:5])
    assert (found.low, found.high, found.p) == (None, None, None)
    assert compare(ARM[:1], REFERENCE[:1]).sd is None


def with_p(p: float | None) -> Comparison:
    return replace(compare(ARM, REFERENCE), p=p)


def test_holm_by_hand() -> None:
    corrected = correct([with_p(p) for p in (0.04, None, 0.01, 0.03)], "abcd")
    # Sorted: 0.01 x 3, then the largest so far of 0.03 x 2 and 0.04 x 1.
    assert [c.p_holm for c in corrected] == [
        pytest.approx(0.06),
        None,
        pytest.approx(0.03),
        pytest.approx(0.06),
    ]


def test_a_hypothesis_that_stands_twice_counts_once() -> None:
    # Two hypotheses, not three: 0.01 x 2, 0.03 x 1.
    assert holm_once([0.01, 0.03, 0.01], ["a", "b", "a"]) == [0.02, 0.03, 0.02]
    values = pl.DataFrame({"draw": range(len(ARM)), "classic": ARM, "real": REFERENCE})
    same = hypothesis("classic", "real", values)
    assert same == hypothesis("classic", "real", values.clone())
    assert same != hypothesis("mixup", "real", values)
    # Shifted alike: the differences are the same, the fits are not.
    assert same != hypothesis(
        "classic", "real", values.with_columns(pl.col("classic", "real") + 0.5)
    )
    assert same != hypothesis("classic", "real", values.with_columns(pl.col("draw") + 1))


def test_holm_agrees_with_statsmodels() -> None:
    ps = np.random.default_rng(1).random(12) ** 3
    family = [with_p(p) for p in ps]
    expected = multipletests(ps, method="holm")[1]
    assert [c.p_holm for c in correct(family, range(len(family)))] == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(("sd", "difference"), [(0.02, 0.01), (0.037, 0.03), (0.02, 0.03)])
def test_draws_needed_have_the_power(sd: float, difference: float, alpha: float) -> None:
    n = draws_needed(sd, difference, alpha)
    assert n is not None

    def power(draws: float) -> float:
        return float(tt_solve_power(difference / sd, draws, alpha, None))

    assert power(n) >= 0.8
    assert n == 6 or power(n - 1) < 0.8


@pytest.mark.parametrize("effect", [0.2, 1.0, 1.35, 2.05, 2.65])
@pytest.mark.parametrize("family", [20, 30, 48, 90, 400])
def test_draws_needed_have_the_power_in_large_families(effect: float, family: int) -> None:
    """By numerical integration: scipy's noncentral t has no value for some of these."""
    alpha = 0.05 / family
    n = draws_needed(1.0, effect, alpha)
    assert n is not None

    def power(draws: int) -> float:
        # P(Z + effect sqrt(n) > t s), with s^2 chi-squared / (n - 1)
        border = stats.t.ppf(1 - alpha / 2, draws - 1)
        share = (np.arange(20000) + 0.5) / 20000
        spread = np.sqrt(stats.chi2.ppf(share, draws - 1) / (draws - 1))
        return float(stats.norm.sf(border * spread - effect * np.sqrt(draws)).mean())

    assert power(n) >= 0.799
    assert n == 6 or power(n - 1) < 0.801


def test_draws_needed_at_the_ends() -> None:
    assert draws_needed(1e-6, 0.01) == 6
    assert draws_needed(10.0, 0.01) is None


@pytest.mark.parametrize("draws", [6, 12, 200])
def test_the_visible_difference_has_the_power(draws: int) -> None:
    found = visible_difference(Error(0.02 / draws**0.5, draws - 1))
    assert tt_solve_power(found / 0.02, draws, 0.05, None) == pytest.approx(0.8, abs=1e-6)


def test_where_patients_are_the_same_further_draws_show_only_so_much() -> None:
    of_patients = Error(0.004, 299, 300)
    limit = visible_difference(of_patients)
    assert limit == pytest.approx(0.0112, abs=1e-4)  # 2.8 standard errors
    assert draws_needed(0.01, 0.99 * limit, of_patients=of_patients) is None
    more, alone = (draws_needed(0.01, 1.2 * limit, of_patients=o) for o in (of_patients, None))
    assert more is not None
    assert alone is not None
    assert more > alone
