"""Tests of the procedural chest radiographs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gan_aug.data.sources import radiograph
from gan_aug.data.sources.anatomy import PATTERNS

Floats = NDArray[np.float64]


def render(
    pattern: str, seed: int | tuple[int, ...], size: int, anatomy: int | None = None
) -> NDArray[np.uint8]:
    words = (seed,) if isinstance(seed, int) else seed
    return radiograph.render(pattern, words, size, words if anatomy is None else (anatomy,))


def _correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(np.corrcoef(a.astype(float).ravel(), b.astype(float).ravel())[0, 1])


def _halve(image: NDArray[np.uint8]) -> Floats:
    n = len(image) // 2
    halved: Floats = image.reshape(n, 2, n, 2).mean(axis=(1, 3))
    return halved


def _lung_boxes(image: NDArray[np.generic]) -> Floats:
    """Pixels of a 64 px picture that lie in the lungs of almost every patient."""
    right, left = image[..., 22:40, 15:23], image[..., 22:34, 43:49]
    lead = image.shape[:-2]
    return np.concatenate([right.reshape(*lead, -1), left.reshape(*lead, -1)], axis=-1)


@pytest.fixture(scope="module")
def normals() -> NDArray[np.uint8]:
    """Normal pictures (24, 64, 64)."""
    return np.stack([render("none", (3, i), 64) for i in range(24)])


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size", [16, 64, 100])
def test_shape_type_and_repeatability(pattern: str, size: int) -> None:
    first = render(pattern, (5, 8), size)
    assert first.shape == (size, size)
    assert first.dtype == np.uint8
    assert first.std() > 20
    assert np.array_equal(first, render(pattern, (5, 8), size))


def test_seed_and_anatomy_decide_the_picture() -> None:
    base = render("none", 5, 64)
    for other in (
        render("none", 6, 64),
        render("none", (5, 0), 64),
        render("none", (0, 5), 64),
        render("none", 5, 64, anatomy=1),
    ):
        assert (base != other).mean() > 0.3
    assert not np.array_equal(render("none", 5, 64, anatomy=1), render("none", 5, 64, anatomy=2))


def test_global_random_state_is_neither_read_nor_changed() -> None:
    np.random.seed(0)
    before = render("patchy", 9, 32)
    after_render = np.random.random()
    np.random.seed(0)
    assert np.random.random() == after_render
    assert np.array_equal(before, render("patchy", 9, 32))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_same_picture_at_every_size(pattern: str) -> None:
    at_64, at_32 = render(pattern, 1, 64), render(pattern, 1, 32)
    assert _correlation(_halve(render(pattern, 1, 128)), at_64) > 0.97
    assert _correlation(_halve(at_64), at_32) > 0.97
    # 224 and 32 have no common working grid; their ratio is whole, so compare by averaging.
    coarse = render(pattern, 1, 224).reshape(32, 7, 32, 7).mean(axis=(1, 3))
    assert _correlation(coarse, at_32) > 0.95


def test_same_anatomy_looks_more_alike(normals: NDArray[np.uint8]) -> None:
    first, again = (
        [render("none", (number, i), 64, anatomy=i) for i in range(16)] for number in (1, 2)
    )
    same = [_correlation(one, other) for one, other in zip(first, again, strict=True)]
    others = again[1:] + again[:1]
    different = [_correlation(one, other) for one, other in zip(first, others, strict=True)]
    assert np.mean(same) > np.mean(different) + 0.03
    assert max(same) < 0.999  # another exposure, not the same picture


def test_tones_are_those_of_a_chest_film(normals: NDArray[np.uint8]) -> None:
    lungs = _lung_boxes(normals).mean(axis=1)
    middle = normals[:, 24:44, 30:36].mean(axis=(1, 2))
    abdomen = normals[:, 54:62, 22:42].mean(axis=(1, 2))
    assert (lungs < middle).mean() >= 0.95
    assert (middle - lungs).mean() > 50
    assert (abdomen - lungs).mean() > 40
    corners = np.concatenate([normals[:, :5, :5], normals[:, :5, -5:]])
    assert corners.mean() < lungs.mean()
    # The heart lies to the image's right of the spine.
    heart = normals[:, 32:42, 36:40].mean()
    mirrored = normals[:, 32:42, 24:28].mean()
    assert heart > mirrored + 10


def test_normals_vary_in_exposure(normals: NDArray[np.uint8]) -> None:
    assert normals.mean(axis=(1, 2)).std() > 8


@pytest.mark.parametrize("pattern", PATTERNS[1:])
def test_opacities_brighten_the_lungs_and_nothing_else(
    pattern: str, normals: NDArray[np.uint8]
) -> None:
    ill = np.stack([render(pattern, (3, i), 64) for i in range(24)])
    change = ill.astype(float) - normals
    per_image = _lung_boxes(change).mean(axis=1)
    assert per_image.mean() > 4
    assert change[:, :, 30:34].mean() < 0.4 * per_image.mean()  # spine
    assert abs(change[:, :6].mean()) < 0.5  # above the lungs
    # Severity is continuous: some cases barely show and some are plain.
    peak = np.abs(change).max(axis=(1, 2))
    assert np.percentile(peak, 10) < 0.6 * np.percentile(peak, 90)


def test_classes_overlap(normals: NDArray[np.uint8]) -> None:
    lungs = _lung_boxes(normals).mean(axis=1)
    ill = np.stack([render(PATTERNS[1 + i % 3], (4, i), 64) for i in range(24)])
    brighter = (_lung_boxes(ill).mean(axis=1)[:, None] > lungs[None, :]).mean()
    assert 0.5 < brighter < 0.9  # lung brightness alone: better than chance, far from enough
