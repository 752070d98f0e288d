"""Images that an arm adds: distances, and what the filter keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from support import ORIGIN

from gan_aug.arms.filter import far_enough, nearest_distance
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import Splits, make_splits
from gan_aug.data.synthetic import Generated, write_set
from gan_aug.study.rules import saw_only_training_images

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


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    source = Phantom(40, 10, 0).load(16, 1, tmp_path_factory.mktemp("cache"))
    return make_splits(source, 0, {"normal": 12, "pneumonia": 12}, 3, 6)


def test_neither_copies_of_training_images_nor_of_their_own_sources_are_far_enough(
    splits: Splits,
) -> None:
    real, other = (splits.train.of_class(name) for name in ("pneumonia", "normal"))
    noise = RANDOM.integers(0, 256, (3, *real.images.shape[1:]), np.uint8)
    images = np.stack([real.images[0], other.images[1], *noise])
    sources = other.hashes[[0, 1, 2, 3, 4]].tolist()
    made, alone = Generated(images, sources), Generated(images)
    kept = [far_enough(of, splits.train, "pneumonia", 0.01).tolist() for of in (made, alone)]
    assert kept == [[False, False, True, True, True], [False, True, True, True, True]]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_sources_count_as_images_that_a_gan_saw(split: str, splits: Splits, tmp_path: Path) -> None:
    images = RANDOM.integers(0, 256, (2, 1, 16, 16), np.uint8)
    sources = [splits.train.hashes[0], getattr(splits, split).hashes[0]]
    made = {"pneumonia": Generated(images, [str(h) for h in sources])}
    seen = splits.train.hashes.tolist()
    write_set(tmp_path / "synthetic" / "pneumonia_gan", made, ORIGIN | {"seen_hashes": seen})
    passed, detail = saw_only_training_images(splits, tmp_path)
    assert passed == (split == "train")
    assert (", 0 of them" if passed else ", 1 of them") in detail
