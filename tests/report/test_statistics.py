"""The report's statistics against scipy, statsmodels and counting by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import tt_solve_power

from gan_aug.report.statistics import (
    Comparison,
    bca_interval,
    compare,
    correct,
    draws_needed,
    interval_over_images,
    signed_rank_p,
    visible_difference,
)

RANDOM = np.random.default_rng(5)
REFERENCE = RANDOM.normal(0.8, 0.02, 12)
ARM = REFERENCE + RANDOM.normal(0.01, 0.01, 12)


def bca_by_hand(values: np.ndarray, seed: int, resamples: int = 40000) -> tuple[float, float]:
    """Efron 1987, written out, with the expanded percentiles of Hesterberg 2015."""
    random = np.random.default_rng(seed)
    n = len(values)
    means = values[random.integers(0, n, (resamples, n))].mean(axis=1)
    z0 = stats.norm.ppf(((means < values.mean()).mean() + (means <= values.mean()).mean()) / 2)
    jackknife = np.array([np.delete(values, i).mean() for i in range(n)])
    d = jackknife.mean() - jackknife
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = np.sqrt(n / (n - 1)) * stats.t.ppf([0.025, 0.975], n - 1)
    low, high = np.quantile(means, stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))))
    return float(low), float(high)


@pytest.mark.parametrize("values", [ARM - REFERENCE, np.exp(RANDOM.normal(0, 1, 15))])
def test_the_interval_is_bca(values: np.ndarray) -> None:
    expected = bca_by_hand(values, seed=1)
    width = expected[1] - expected[0]
    assert bca_interval(values) == pytest.approx(expected, abs=0.04 * width)
    plain = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert bca_interval(values) != pytest.approx(plain, abs=0.001 * width)


@pytest.mark.parametrize(("draws", "least"), [(5, 360), (10, 370)])
def test_the_interval_covers_with_few_draws(draws: int, least: int) -> None:
    random = np.random.default_rng(1)
    intervals = [bca_interval(random.normal(0, 1, draws)) for _ in range(400)]
    covered = sum(low <= 0 <= high for low, high in intervals)
    assert covered >= least  # 344 and 360 without the widening


def test_the_tests_are_those_of_scipy() -> None:
    found = compare(ARM, REFERENCE)
    assert found.p == pytest.approx(stats.ttest_rel(ARM, REFERENCE).pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(ARM - REFERENCE).pvalue)
    assert found.mean == pytest.approx((ARM - REFERENCE).mean())
    assert found.sd == pytest.approx((ARM - REFERENCE).std(ddof=1))
    assert (found.better, found.worse) == ((ARM > REFERENCE).sum(), (ARM < REFERENCE).sum())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_the_signed_rank_test_is_scipys_with_ties_and_zeros_too(seed: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    differences = random.normal(0.3, 1, 5 + seed).round(decimals)
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


def test_few_draws_give_no_interval() -> None:
    found = compare(ARM[:4], REFERENCE[:4])
    assert (found.low, found.high, found.p) == (None, None, None)
    assert compare(ARM[:1], REFERENCE[:1]).sd is None


def test_holm_by_hand() -> None:
    def with_p(p: float | None) -> Comparison:
        return Comparison(9, 0.0, 1.0, 0.0, 0.0, p, p, None, 0, 0)

    corrected = correct([with_p(p) for p in (0.04, None, 0.01, 0.03)])
    # Sorted: 0.01 x 3, then the largest so far of 0.03 x 2 and 0.04 x 1.
    assert [c.p_holm for c in corrected] == [
        pytest.approx(0.06),
        None,
        pytest.approx(0.03),
        pytest.approx(0.06),
    ]


def test_holm_agrees_with_statsmodels() -> None:
    ps = np.random.default_rng(1).random(12) ** 3
    family = [Comparison(9, 0.0, 1.0, 0.0, 0.0, p, p, None, 0, 0) for p in ps]
    expected = multipletests(ps, method="holm")[1]
    assert [c.p_holm for c in correct(family)] == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(("sd", "difference"), [(0.02, 0.01), (0.037, 0.03), (0.01, 0.03)])
def test_draws_needed_have_the_power(sd: float, difference: float, alpha: float) -> None:
    n = draws_needed(sd, difference, alpha)
    assert n is not None

    def power(draws: float) -> float:
        return float(tt_solve_power(difference / sd, draws, alpha, None))

    assert power(n) >= 0.8
    assert n == 5 or power(n - 1) < 0.8


def test_draws_needed_at_the_ends() -> None:
    assert draws_needed(0.0, 0.01) == 5
    assert draws_needed(10.0, 0.01) is None


@pytest.mark.parametrize("draws", [5, 12, 200])
def test_the_visible_difference_has_the_power(draws: int) -> None:
    found = visible_difference(0.02, draws)
    assert tt_solve_power(found / 0.02, draws, 0.05, None) == pytest.approx(0.8, abs=1e-6)


def test_resampling_images_too_makes_the_interval_wider() -> None:
    random = np.random.default_rng(0)
    image = random.random(200) < 0.15  # images that the arm gets right and the reference wrong
    reference = random.random((10, 2, 200)) < 0.75
    arm = reference | image
    low, high = interval_over_images(arm, reference)
    differences = arm.mean((1, 2)) - reference.mean((1, 2))
    over_draws = bca_interval(differences)
    assert low < differences.mean() < high
    assert high - low > 2 * (over_draws[1] - over_draws[0])
    shares = (arm.mean(1) - reference.mean(1)).mean(axis=0)
    by_theory = 2 * 1.96 * shares.std() / np.sqrt(200)
    assert high - low == pytest.approx(by_theory, rel=0.25)
