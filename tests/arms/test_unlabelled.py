"""A GAN that is fitted on images without labels: what it is given, and what it may have seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import ORIGIN

from gan_aug.arms.unlabelled import of_one_class
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import Splits, make_splits
from gan_aug.data.synthetic import Generated, write_set
from gan_aug.study.rules import saw_only_training_images


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    source = Phantom(40, 10, 0).load(16, 1, tmp_path_factory.mktemp("cache"))
    return make_splits(source, 0, {"normal": 12, "pneumonia": 12}, 3, 6)


def test_no_split_of_such_a_gan_has_a_class(splits: Splits) -> None:
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
    made = {"normal": Generated(np.zeros((1, 1, 16, 16), np.uint8))}
    for train_class in ("unlabelled", "normal"):
        seen = {"seen_hashes": getattr(splits, other).hashes.tolist(), "train_class": train_class}
        write_set(tmp_path / train_class / "synthetic" / "gan", made, ORIGIN | seen)
        found = saw_only_training_images(splits, tmp_path / train_class, allowed)[0]
        assert found == (passed if train_class == "unlabelled" else not passed)
