"""Intervals over draws and patients against written-out formulas and simulation."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import stats
from support import BINARY

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import choose_threshold, measure, metric_names
from gan_aug.report.crossed import over_patients
from gan_aug.report.metrics import contributions
from gan_aug.report.statistics import compare, t_interval


def crossed_interval(differences: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    return over_patients(differences[None], patients).interval(np.ones(1))


RANDOM = np.random.default_rng(0)
LABELS = np.repeat([0, 1], [30, 50])
SCORES = np.round(np.clip(0.25 * LABELS + RANDOM.normal(0.4, 0.2, 80), 0, 1), 2)  # with ties
PAIRS = np.stack([1 - SCORES, SCORES], axis=1)


def test_contributions_average_to_the_metrics() -> None:
    scores, labels = torch.tensor(PAIRS), torch.tensor(LABELS)
    threshold = choose_threshold(scores, labels, BINARY)
    found = contributions(PAIRS, LABELS, BINARY, threshold)
    expected = measure(scores, labels, BINARY, threshold)
    for metric in metric_names(BINARY):
        assert found[metric].mean() == pytest.approx(expected["at_0.5"][metric], abs=1e-6)
    at_validation = found["accuracy_at_validation_threshold"].mean()
    assert at_validation == pytest.approx(expected["at_validation_threshold"]["accuracy"])


def test_contributions_of_many_classes_average_to_the_metrics() -> None:
    classes = Classes(("a", "b", "c"), None)
    labels = np.arange(90) % 3
    scores = RANDOM.dirichlet((1, 1, 1), 90) + 0.4 * np.eye(3)[labels]
    scores /= scores.sum(axis=1, keepdims=True)
    found = contributions(scores, labels, classes, None)
    expected = measure(torch.tensor(scores), torch.tensor(labels), classes, None)["at_largest"]
    assert found.keys() == {*metric_names(classes)}
    for metric, values in found.items():
        assert values.mean() == pytest.approx(expected[metric], abs=1e-6)


@pytest.mark.parametrize("metric", ["auroc", "auprc", "sensitivity"])
def test_contributions_are_what_an_image_less_changes(metric: str) -> None:
    """A jackknife's pseudo-values, from the metrics themselves."""
    scores, labels = torch.tensor(PAIRS), torch.tensor(LABELS)

    def of(kept: torch.Tensor) -> float:
        return measure(scores[kept], labels[kept], BINARY, 0.5)["at_0.5"][metric]

    n = len(LABELS)
    every = torch.arange(n)
    without = np.array([of(every[every != i]) for i in range(n)])
    pseudo = n * of(every) - (n - 1) * without
    found = contributions(PAIRS, LABELS, BINARY, 0.5)[metric]
    assert np.corrcoef(found, pseudo)[0, 1] > 0.99
    assert found.std() == pytest.approx(pseudo.std(), rel=0.05)


def test_the_calibration_error_moves_by_what_an_image_adds_to_its_bin() -> None:
    """Each image 50 times and one of them once more, so that no bin's gap turns."""
    found = contributions(PAIRS, LABELS, BINARY, 0.5)["calibration_error"]
    scores, labels = torch.tensor(PAIRS), torch.tensor(LABELS)
    every = torch.arange(len(LABELS)).repeat(50)
    for i in range(0, len(LABELS), 7):
        more = torch.cat([every, torch.tensor([i])])
        value = measure(scores[more], labels[more], BINARY, 0.5)["at_0.5"]["calibration_error"]
        expected = (50 * found.sum() + found[i]) / len(more)
        assert value == pytest.approx(expected, abs=1e-6)


def delong_variance(scores: np.ndarray, other: np.ndarray) -> float:
    """DeLong 1988, equation 8 and on, of a difference of two areas, pair by pair."""
    above = []
    for s in (scores, other):
        x, y = s[LABELS == 1][:, None], s[LABELS == 0][None]
        above.append((x > y) + 0.5 * (x == y))
    difference = above[0].astype(float) - above[1]
    by_x, by_y = difference.mean(axis=1), difference.mean(axis=0)
    return float(by_x.var(ddof=1) / len(by_x) + by_y.var(ddof=1) / len(by_y))


def test_equal_draws_leave_the_interval_of_delong() -> None:
    """Where draws do not differ, patients alone make it; each image is a patient's only one."""
    other = np.clip(SCORES + RANDOM.normal(0, 0.15, 80), 0, 1)
    one, two = (
        contributions(np.stack([1 - s, s], axis=1), LABELS, BINARY, 0.5)["auroc"]
        for s in (SCORES, other)
    )
    low, high = crossed_interval(np.tile(one - two, (10, 1)), np.arange(80))
    half = stats.t.ppf(0.975, 79) * np.sqrt(delong_variance(SCORES, other))
    assert (high - low) / 2 == pytest.approx(half, rel=0.03)  # n - 1 of each class, of all here


def test_images_of_one_patient_count_as_one() -> None:
    values = RANDOM.normal(0, 1, (8, 40)) + RANDOM.normal(0, 2, 40)
    alone = crossed_interval(values, np.arange(40))
    thrice = crossed_interval(np.repeat(values, 3, axis=1), np.repeat(np.arange(40), 3))
    as_others = crossed_interval(np.repeat(values, 3, axis=1), np.arange(120))
    assert thrice == pytest.approx(alone)
    assert as_others[1] - as_others[0] < 0.8 * (alone[1] - alone[0])


@pytest.mark.parametrize("of_patients", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("of_draws", [0.0, 0.02, 0.2])
def test_it_is_never_narrower_than_over_draws(of_draws: float, of_patients: float) -> None:
    for seed in range(40):
        random = np.random.default_rng(seed)
        values = simulate(random, of_draws, of_patients)
        low, high = t_interval(values.mean(axis=1))
        wide_low, wide_high = crossed_interval(values, PATIENTS)
        assert wide_low <= low + 1e-12
        assert wide_high >= high - 1e-12


@pytest.mark.parametrize("draws", [6, 10])
def test_it_is_never_absurdly_wide(draws: int) -> None:
    """Degrees of freedom far below one would give quantiles beyond all numbers."""
    for seed in range(300):
        values = np.random.default_rng(seed).normal(0, 0.5, (draws, 120))
        values -= 0.9 * values.mean(axis=1, keepdims=True)  # draws hardly differ
        low, high = crossed_interval(values, PATIENTS)
        assert (high - low) / 2 < 3 * values.std() / np.sqrt(draws * 60)


PATIENTS = np.repeat(np.arange(60), np.tile([1, 1, 4], 20))
"""120 images of 60 patients, some with several."""


def simulate(random: np.random.Generator, of_draws: float, of_patients: float) -> np.ndarray:
    """Return differences of mean 0 of 8 draws and 120 images."""
    patients = random.normal(0, of_patients, 60)[PATIENTS]
    return random.normal(0, of_draws, (8, 1)) + patients + random.normal(0, 0.5, (8, 120))


@pytest.mark.parametrize("of_patients", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("of_draws", [0.0, 0.05, 0.2])
def test_it_covers(of_draws: float, of_patients: float) -> None:
    random = np.random.default_rng(7)
    ends = [crossed_interval(simulate(random, of_draws, of_patients), PATIENTS)
            for _ in range(600)]  # fmt: skip
    covered = np.mean([low <= 0 <= high for low, high in ends])
    assert covered > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 600)


def test_it_covers_other_patients_value_where_an_interval_over_draws_does_not() -> None:
    """Both are of the same studies: 10 draws, 300 test patients, who differ as on NIH's X-rays."""
    random = np.random.default_rng(3)
    patients = np.arange(300)
    studies = 400
    inside = np.zeros(2)
    for _ in range(studies):
        values = random.normal(0, 0.008, (10, 1)) + random.normal(0, 0.16, 300)
        values = values + random.normal(0, 0.2, (10, 300))
        intervals = (t_interval(values.mean(axis=1)), crossed_interval(values, patients))
        inside += [low <= 0 <= high for low, high in intervals]
    alone, crossed = inside / studies
    assert 0.4 < alone < 0.75
    assert abs(crossed - 0.95) < 3 * np.sqrt(0.95 * 0.05 / studies)


def test_the_test_goes_with_the_interval() -> None:
    random = np.random.default_rng(4)
    for shift in np.linspace(0, 0.6, 25):
        values = simulate(random, 0.1, 0.5) + shift
        means = over_patients(np.stack([values, np.zeros_like(values)]), PATIENTS)
        found = compare(*means.values.T, crossed=means.error(np.array([1.0, -1.0])))
        assert found.interval == pytest.approx(crossed_interval(values, PATIENTS))
        assert found.over_draws == pytest.approx(t_interval(values.mean(axis=1)))
        assert found.p is not None
        assert found.low is not None
        assert (found.low > 0) == (found.p < 0.05 and found.mean > 0)
        assert found.patients == 60


def test_many_patients_take_no_more_memory_than_their_images() -> None:
    """A set of data.external may have a hundred thousand, each with an image of their own."""
    images = np.random.default_rng(0).random((2, 2, 4000))
    tracemalloc.start()
    try:
        means = over_patients(images, np.arange(4000))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert means.patients == 4000
    assert most < 10 * images.nbytes
