"""Exchange rates on curves that are known."""

from __future__ import annotations

import numpy as np
import pytest

from gan_aug.report import worth as module
from gan_aug.report.crossed import Means, over_patients
from gan_aug.report.worth import Rate, Sensitivity, monotone

SIZES = np.array([25.0, 50, 100, 200, 400])
OWN = 25


def exchange(
    sizes: np.ndarray, ruler: np.ndarray, arm: np.ndarray, higher_is_better: bool = True
) -> Rate:
    means = Means(np.column_stack([ruler, arm]))
    return module.exchange(sizes, OWN, means, higher_is_better)


def sensitivity(sizes: np.ndarray, ruler: np.ndarray, higher_is_better: bool = True) -> Sensitivity:
    return module.sensitivity(sizes, Means(ruler), higher_is_better)


def curve(n: np.ndarray | float) -> np.ndarray:
    return np.asarray(0.7 + 0.03 * np.log2(np.asarray(n) / 25))


def simulate(
    random: np.random.Generator, worth: float, draws: int = 10, noise: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """Return a ruler, and an arm that performs like `worth` real images."""
    level = random.normal(0, 0.03, (draws, 1))
    ruler = curve(SIZES) + level + random.normal(0, noise, (draws, len(SIZES)))
    return ruler, curve(worth) + level[:, 0] + random.normal(0, noise, draws)


@pytest.mark.parametrize("worth", [25, 60, 100, 300, 400])
def test_without_noise_the_place_is_found(worth: float) -> None:
    ruler, arm = simulate(np.random.default_rng(0), worth, noise=0)
    found = exchange(SIZES, ruler, arm)
    assert found.images == pytest.approx(worth)
    assert found.outside == 0
    fallen = exchange(SIZES, 1 - ruler, 1 - arm, higher_is_better=False)
    assert fallen.images == pytest.approx(worth)


@pytest.mark.parametrize("worth", [35, 60, 100, 250])
def test_the_interval_covers(worth: float) -> None:
    random = np.random.default_rng(1)
    found = [exchange(SIZES, *simulate(random, worth)) for _ in range(600)]
    covered = np.mean([(r.low or 0) <= worth <= (r.high or np.inf) for r in found])
    # Between numbers of the ruler its noise is averaged, a little less than at them.
    assert covered > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 600)
    places = [r.images or {-1: 0, 1: np.inf}[r.outside] for r in found]
    assert np.median(places) == pytest.approx(worth, rel=0.1)


def test_a_noisier_curve_gives_a_wider_interval() -> None:
    def width(noise_of_ruler: float) -> float:
        random = np.random.default_rng(2)
        widths = []
        for _ in range(100):
            ruler, arm = simulate(random, 100, noise=0.003)
            ruler += random.normal(0, noise_of_ruler, ruler.shape)
            found = exchange(SIZES, ruler, arm)
            widths.append(np.log((found.high or 1e9) / (found.low or 1e-9)))
        return float(np.median(widths))

    assert width(0.02) > 2 * width(0.0)


def test_beyond_the_ends_is_said_as_such() -> None:
    random = np.random.default_rng(3)
    above = exchange(SIZES, *simulate(random, 3000))
    assert (above.images, above.high, above.outside) == (None, None, 1)
    assert above.low == pytest.approx(400)
    below = exchange(SIZES, *simulate(random, 2))
    assert (below.images, below.low, below.outside) == (None, None, -1)
    assert below.high == pytest.approx(25)
    near = exchange(SIZES, *simulate(random, 400))
    assert near.high is None
    assert near.low is not None


@pytest.mark.parametrize("noise", [0.001, 0.003, 0.01])
def test_it_covers_on_steep_rulers_too(noise: float) -> None:
    """However small the noise: the ends of an interval lie on no grid."""
    random = np.random.default_rng(6)
    found = [exchange(SIZES, *simulate(random, 70, noise=noise)) for _ in range(600)]
    covered = np.mean([(r.low or 0) <= 70 <= (r.high or np.inf) for r in found])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 600) < covered < 0.95 + 0.04


@pytest.mark.parametrize("shape", ["hump", "plateau", "dip", "line"])
def test_place_and_interval_never_contradict_each_other(shape: str) -> None:
    means = {
        "hump": [0.80, 0.85, 0.87, 0.86, 0.855],
        "plateau": [0.80, 0.85, 0.85, 0.85, 0.85],
        "dip": [0.80, 0.79, 0.82, 0.84, 0.86],
        "line": [0.80, 0.82, 0.84, 0.86, 0.88],
    }[shape]
    random = np.random.default_rng(8)
    for worth in (0.79, 0.81, 0.845, 0.86, 0.862, 0.87, 0.9):
        for noise in [0.01, 0.0005] * 50:
            ruler = np.array(means) + random.normal(0, noise, (8, 5))
            r = exchange(SIZES, ruler, worth + random.normal(0, noise, 8))
            low, high = r.low or 0.0, r.high or np.inf
            if r.outside:
                assert r.images is None
                assert (r.high if r.outside > 0 else r.low) is None
            else:
                assert r.images is not None
                assert low <= r.images * (1 + 1e-9)
                assert r.images <= high * (1 + 1e-9)


def test_few_draws_give_a_place_and_no_interval() -> None:
    found = exchange(SIZES, *simulate(np.random.default_rng(4), 100, draws=5))
    assert found.images is not None
    assert not found.known


def test_a_flat_ruler_is_not_sensitive() -> None:
    random = np.random.default_rng(5)
    flat = [sensitivity(SIZES, random.normal(0.8, 0.02, (10, 5))).seen for _ in range(400)]
    assert np.mean(flat) < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)
    rising = sensitivity(SIZES, simulate(random, 100)[0])
    assert rising.seen
    assert rising.gain == pytest.approx(0.03, abs=0.005)
    falling = sensitivity(SIZES, -simulate(random, 100)[0], higher_is_better=False)
    assert falling.seen
    assert not sensitivity(SIZES, -simulate(random, 100)[0]).seen
    assert not sensitivity(SIZES, simulate(random, 100, draws=5)[0]).seen


@pytest.mark.parametrize("stops", [(25, 50, 100, 200, 400), (25, 50, 100, 250), (15, 60, 240)])
@pytest.mark.parametrize("constant", [0.1, 0.625, 0.9])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_an_endpoint_that_never_moves_is_not_sensitive(
    stops: tuple[int, ...], constant: float, higher_is_better: bool
) -> None:
    ruler = np.full((8, len(stops)), constant)
    assert not sensitivity(np.array(stops, float), ruler, higher_is_better).seen


@pytest.mark.parametrize("end", [0, -1])
def test_an_arm_that_is_an_end_of_the_ruler_is_on_it(end: int) -> None:
    ruler, _ = simulate(np.random.default_rng(9), 100)
    for off in (-1e-16, 0.0, 1e-16, 3e-16):
        found = exchange(SIZES, ruler, ruler[:, end] + off)
        assert found.outside == 0
        assert found.images == pytest.approx(SIZES[end])


def test_the_curve_does_not_fall() -> None:
    ruler = np.array([[0.70, 0.74, 0.72, 0.80, 0.79]])
    assert monotone(ruler) == pytest.approx([0.70, 0.73, 0.73, 0.795, 0.795])
    # Where it is flat, an arm that is as good lies in the middle, on the logarithm's scale.
    found = exchange(SIZES, np.tile(ruler, (2, 1)), np.array([0.73, 0.73]))
    assert found.images == pytest.approx(np.sqrt(50 * 100))


@pytest.mark.parametrize("own", [25, 50, 100])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_real_images_alone_are_worth_their_own_number(own: int, noise: float) -> None:
    """Also where the mean curve falls there, so that making it monotone moves it."""
    random = np.random.default_rng(10)
    for means in ([0.70, 0.74, 0.72, 0.80, 0.79], [0.7, 0.73, 0.76, 0.79, 0.82]):
        ruler = np.array(means) + random.normal(0, noise, (8, 5))
        real = ruler[:, list(SIZES).index(own)]
        found = module.exchange(SIZES, own, Means(np.column_stack([ruler, real])))
        assert found.images == own
        assert (found.low or 0) <= own * (1 + 1e-9)
        assert own <= (found.high or np.inf) * (1 + 1e-9)


def test_the_same_test_patients_in_all_draws_make_a_rate_and_the_sight_less_sure() -> None:
    """Draws that hardly differ, patients that do: what holds for some need not hold for others."""
    random = np.random.default_rng(11)
    reached = curve(np.array([*SIZES, 100.0]))[:, None, None]
    own_taste = random.normal(0, 0.3, (6, 1, 80))
    by_image = reached + own_taste + random.normal(0, 0.02, (6, 8, 80))
    crossed = over_patients(by_image, np.arange(80))
    alone = Means(crossed.values)
    narrow, wide = (module.exchange(SIZES, OWN, means) for means in (alone, crossed))
    assert narrow.images == pytest.approx(wide.images)
    assert (wide.low or 25) < (narrow.low or 25)
    assert (wide.high or 400) > (narrow.high or 400)
    few, many = (
        module.sensitivity(SIZES, Means(m.values[:, :-1], *parts)).interval
        for m, parts in (
            (alone, ()),
            (crossed, (crossed.of_patients[:-1, :-1], crossed.between[:-1, :-1], 80)),
        )
    )
    assert many[0] < few[0] < few[1] < many[1]
