"""A synthetic set joins training only when its manifest allows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from gan_aug.data.phantom import Phantom
from gan_aug.data.splits import Splits, make_splits
from gan_aug.data.synthetic import read_set, write_set
from gan_aug.errors import GanAugError


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    source = Phantom(40, 10, 0).load(16, 1, tmp_path_factory.mktemp("cache"))
    return make_splits(source, 0, {"normal": 12, "pneumonia": 12}, 3, 6)


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"pneumonia": random.integers(0, 256, (9, 1, 16, 16), np.uint8)}


def write(folder: Path, images: dict[str, np.ndarray], splits: Splits, **changes: Any) -> Path:
    origin = {
        "model": "dcgan",
        "draw": splits.draw,
        "data_fingerprint": splits.fingerprint,
        "seen_hashes": splits.train.hashes[splits.train.labels == 1].tolist(),
    }
    write_set(folder, images, origin | changes)
    return folder


def test_round_trip(tmp_path: Path, images: dict[str, np.ndarray], splits: Splits) -> None:
    folder = write(tmp_path / "set", images, splits)
    made = read_set(folder, 5, 16, 1, splits)
    np.testing.assert_array_equal(made.images, images["pneumonia"][:5])
    assert made.labels.tolist() == [1] * 5
    assert len(read_set(folder, None, 16, 1, splits).labels) == 9
    assert len(read_set(folder, 0, 16, 1, splits).labels) == 0


def test_colour_round_trip(tmp_path: Path, splits: Splits) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), np.uint8)
    folder = write(tmp_path / "set", {"normal": images}, splits)
    np.testing.assert_array_equal(read_set(folder, None, 16, 3, splits).images, images)


def test_image_folder_reads_it(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", images | {"normal": images["pneumonia"][:4]}, splits)
    dataset = ImageFolder(str(folder))
    assert dataset.classes == ["normal", "pneumonia"]
    assert len(dataset) == 13


def test_nothing_is_overwritten(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", images, splits)
    with pytest.raises(GanAugError, match="exists already"):
        write(folder, images, splits)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("split", ["test", "validation", "development"])
def test_a_generator_that_saw_one_held_out_image_is_refused(
    split: str, tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    seen = [*splits.train.hashes.tolist(), str(getattr(splits, split).hashes[0])]
    folder = write(tmp_path / "set", images, splits, seen_hashes=seen)
    with pytest.raises(GanAugError, match=f"its generator saw 1 {split} images"):
        read_set(folder, None, 16, 1, splits)


def test_a_generator_of_another_draw_is_refused(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", images, splits, draw=7, seen_hashes=["foreign"])
    with pytest.raises(GanAugError, match="not training images of draw=0"):
        read_set(folder, None, 16, 1, splits)


@pytest.mark.parametrize(
    ("size", "channels", "message"),
    [(32, 1, "data.image_size=32"), (16, 3, "data.channels=3")],
)
def test_another_shape_is_refused(
    size: int,
    channels: int,
    message: str,
    tmp_path: Path,
    images: dict[str, np.ndarray],
    splits: Splits,
) -> None:
    folder = write(tmp_path / "set", images, splits)
    with pytest.raises(GanAugError, match=message):
        read_set(folder, None, size, channels, splits)


def test_an_unknown_class_is_refused(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", {"cat": images["pneumonia"]}, splits)
    with pytest.raises(GanAugError, match="has class cat"):
        read_set(folder, None, 16, 1, splits)


def test_too_few_images(tmp_path: Path, images: dict[str, np.ndarray], splits: Splits) -> None:
    folder = write(tmp_path / "set", images, splits)
    with pytest.raises(GanAugError, match=r"data\.synthetic\.count=10.*has 9 pneumonia"):
        read_set(folder, 10, 16, 1, splits)


def test_a_swapped_file_is_refused(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    """For example a real test image put in a generated one's place."""
    folder = write(tmp_path / "set", images, splits)
    Image.fromarray(splits.test.images[0, 0]).save(folder / "pneumonia" / "00003.png")
    with pytest.raises(GanAugError, match=r"00003\.png: is not the file its manifest lists"):
        read_set(folder, None, 16, 1, splits)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "manifest.json").unlink(), "has no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "lacks"),
        (lambda f: (f / "manifest.json").write_text(json.dumps({"files": {}})), "seen_hashes"),
        (lambda f: (f / "pneumonia" / "00000.png").unlink(), "00000.png: cannot be read"),
    ],
)
def test_damaged_sets(
    break_it: Any, message: str, tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", images, splits)
    break_it(folder)
    with pytest.raises(GanAugError, match=message):
        read_set(folder, None, 16, 1, splits)
