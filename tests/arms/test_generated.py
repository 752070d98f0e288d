"""Generated images: which an arm takes, and what their GANs may have seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from support import ORIGIN

from gan_aug.arms.filter import far_enough
from gan_aug.arms.unlabelled import of_one_class
from gan_aug.data.image_table import ClassImages
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import Splits, make_splits
from gan_aug.data.synthetic import write_set
from gan_aug.study.rules import saw_only_training_images

RANDOM = np.random.default_rng(0)


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
    made, alone = ClassImages(images, sources), ClassImages(images)
    kept = [far_enough(of, splits.train, "pneumonia", 0.01).tolist() for of in (made, alone)]
    assert kept == [[False, False, True, True, True], [False, True, True, True, True]]


def test_distances_are_in_medians_of_those_between_real_images(splits: Splits) -> None:
    made, of_draw = (t.of_class("pneumonia").images for t in (splits.unused, splits.train))
    rows, real = (x.reshape(len(x), -1).astype(float) for x in (made, of_draw))
    between = cdist(real, real)
    np.fill_diagonal(between, np.inf)
    expected = cdist(rows, real).min(axis=1) >= np.median(between.min(axis=1))
    assert set(expected.tolist()) == {True, False}
    found = far_enough(ClassImages(made), splits.train, "pneumonia", 1)
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_far_enough_from_a_single_real_image(splits: Splits) -> None:
    """It has no neighbour to measure by; the arm's line then says that none passed."""
    one = replace(splits, train=splits.train.take(np.array([0])))
    (name,) = (name for name, count in one.train.counts().items() if count)
    made = ClassImages(splits.unused.of_class(name).images)
    assert not far_enough(made, one.train, name, 0.1).any()


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_sources_count_as_images_that_a_gan_saw(split: str, splits: Splits, tmp_path: Path) -> None:
    images = RANDOM.integers(0, 256, (2, 1, 16, 16), np.uint8)
    sources = [splits.train.hashes[0], getattr(splits, split).hashes[0]]
    made = {"pneumonia": ClassImages(images, [str(h) for h in sources])}
    seen = splits.train.hashes.tolist()
    write_set(tmp_path / "synthetic" / "pneumonia_gan", made, ORIGIN | {"seen_hashes": seen})
    passed, detail = saw_only_training_images(splits, tmp_path)
    assert passed == (split == "train")
    assert (", 0 of them" if passed else ", 1 of them") in detail


def test_no_split_of_a_gan_of_unlabelled_images_has_a_class(splits: Splits) -> None:
    without = of_one_class(splits, splits.unused)
    for name in ("train", "validation", "test", "development", "internal"):
        assert not getattr(without, name).labels.any()
    np.testing.assert_array_equal(without.train.hashes, splits.unused.hashes)
    assert list(without.classes) == ["unlabelled", "labelled"]


@pytest.mark.parametrize(("other", "passed"), [("unused", True), ("train", False)])
def test_a_gan_without_labels_may_have_seen_those_images_alone(
    splits: Splits, tmp_path: Path, other: str, passed: bool
) -> None:
    allowed = set(splits.unused.hashes.tolist())
    made = {"normal": ClassImages(np.zeros((1, 1, 16, 16), np.uint8))}
    for train_class in ("unlabelled", "normal"):
        seen = {"seen_hashes": getattr(splits, other).hashes.tolist(), "train_class": train_class}
        write_set(tmp_path / train_class / "synthetic" / "gan", made, ORIGIN | seen)
        found = saw_only_training_images(splits, tmp_path / train_class, allowed)[0]
        assert found == (passed if train_class == "unlabelled" else not passed)
