"""A GAN of a small class leaves images to measure it with, and says so before it is fitted."""

from __future__ import annotations

from typing import Any

import pytest
from support import settings_of
from tables import of_counts

from gan_aug.data.held_out import left_to_measure
from gan_aug.data.settle import say_what_is_left, settle_training
from gan_aug.data.source import Source
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.commands import TrainSettings


def source(train: dict[str, int], validation: int) -> Source:
    test, val = (of_counts(name, dict.fromkeys(train, validation)) for name in ("test", "val"))
    return Source(of_counts("train", train), test, val)


def gan(model: str = "dcgan", **changes: Any) -> TrainSettings:
    found: TrainSettings = settings_of(
        "train", "+experiment=gan", "data.root=x", f"model={model}", **changes
    )
    return found


def taken(settings: TrainSettings, data: Source) -> dict[str, int]:
    return settle_training(settings, data)[1].splits.train.counts()


def test_validation_images_are_enough_to_measure_a_gan_of_all_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As of the 134 malignant training images of BUSI, beside which 34 are for validation."""
    data = source({"benign": 280, "malignant": 134, "normal": 85}, 34)
    settled, prepared = settle_training(gan(data__train_class="malignant"), data)
    splits = prepared.splits
    assert splits.train.counts() == {"benign": 0, "malignant": 134, "normal": 0}
    say_what_is_left(settled, data)
    said = capsys.readouterr()
    assert "left to measure it with (evaluate, explain), twice: 17 malignant" in said.out
    assert said.err == ""


@pytest.mark.parametrize("select", [None, "kid"])
def test_else_some_are_held_out(select: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    data = source({"benign": 280, "malignant": 180}, 34 if select else 8)
    changes = {"quality__select": select, "quality__every_n_epochs": 1 if select else None}
    splits = settle_training(gan(data__train_class="malignant", **changes), data)[1].splits
    kept = splits.train.counts()["malignant"]
    assert 120 <= kept < 180
    left = left_to_measure(splits, ["malignant"], validation=select is None)
    assert left["malignant"] >= 10
    assert f"held out: {180 - kept} of 180 malignant images" in capsys.readouterr().out


def test_a_class_too_small_for_that_is_taken_whole_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = source({"benign": 280, "malignant": 20}, 4)
    settled, prepared = settle_training(gan(data__train_class="malignant"), data)
    splits = prepared.splits
    assert splits.train.counts()["malignant"] == 20
    say_what_is_left(settled, data)
    said = capsys.readouterr()
    assert "twice: 2 malignant" in said.out
    assert "evaluate and explain need 10 malignant images twice" in said.err
    assert "data.subset.malignant=NUMBER" in said.err


def test_what_is_typed_is_taken() -> None:
    data = source({"a": 150, "b": 150}, 4)
    assert taken(gan(data__train_class="a", data__subset={"a": 149}), data) == {"a": 149, "b": 0}
    assert taken(gan(data__train_class="a", data__subset=60), data) == {"a": 60, "b": 60}


def test_of_large_classes_and_classifiers_nothing_is_held_out() -> None:
    data = source({"a": 150, "b": 150}, 4)
    assert taken(gan("cnn", trainer__max_epochs=1), data) == {"a": 150, "b": 150}
    assert taken(gan("cdcgan"), source({"a": 150, "b": 150}, 30)) == {"a": 150, "b": 150}
    held = taken(gan("cyclegan"), data)  # translates both
    assert all(100 <= n < 150 for n in held.values())


def test_how_long_follows_from_the_images() -> None:
    """40 images in batches of 8 are five an epoch: 60 batches are 12 epochs."""
    data = source({"a": 40, "b": 90}, 60)
    small = {"model__batch_size": 8, "model__batches": 60, "data__train_class": "a"}
    assert settle_training(gan(**small), data)[0].trainer.max_epochs == 12
    both = gan("cdcgan", model__batch_size=8, model__batches=60, quality__every_n_epochs="auto")
    settled = settle_training(both, data)[0]
    assert (settled.trainer.max_epochs, settled.quality.every_n_epochs) == (4, 1)
    with pytest.raises(GanAugError, match=r"trainer\.max_epochs=null: a classifier needs"):
        settle_training(gan("cnn"), data)
