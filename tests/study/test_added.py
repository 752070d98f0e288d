"""AddedImages images: distances, and what the filter keeps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_aug.study.added import nearest_distance

RANDOM = np.random.default_rng(0)
A = RANDOM.integers(0, 256, (5, 1, 8, 8), np.uint8)
B = RANDOM.integers(0, 256, (7, 1, 8, 8), np.uint8)


def test_nearest_distance_agrees_with_scipy() -> None:
    flat = [x.reshape(len(x), -1).astype(float) for x in (A, B)]
    expected = cdist(*flat).min(axis=1) / 8
    assert nearest_distance(A, B) == pytest.approx(expected)


def test_a_copy_is_at_no_distance_and_an_image_is_not_its_own_neighbour() -> None:
    assert nearest_distance(A, np.concatenate([B, A[2:3]]))[2] == 0
    assert (nearest_distance(A, A, same=True) > 0).all()
