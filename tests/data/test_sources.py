"""The three data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan_aug.data.chest_xray import ChestXray, parse_name
from gan_aug.data.image_table import SUBTYPES
from gan_aug.data.phantom import Phantom
from gan_aug.data.pneumoniamnist import PneumoniaMNIST
from gan_aug.data.splits import check_disjoint, make_splits
from gan_aug.errors import GanAugError


@pytest.mark.parametrize(
    ("stem", "folder", "patient", "subtype"),
    [
        ("person12_bacteria_47", "pneumonia", "person12", "bacteria"),
        ("person447_virus_921_1", "pneumonia", "person447", "virus"),
        ("IM-0115-0001", "normal", "IM-0115", "normal"),
        ("IM-0115-0001-0002", "normal", "IM-0115", "normal"),
        ("NORMAL2-IM-0115-0001", "normal", "IM-0115", "normal"),
        ("scan7", "normal", None, "normal"),
        ("scan7", "pneumonia", None, "unknown"),
    ],
)
def test_names(stem: str, folder: str, patient: str | None, subtype: str) -> None:
    assert parse_name(stem, folder) == (patient, subtype)


def test_real_xrays(real_xrays: Path, tmp_path: Path) -> None:
    """The counts of the original project, and what is known of these files."""
    source = ChestXray(str(real_xrays), download=False, on_bad_file="error").load(32, 1, tmp_path)
    assert source.train.counts() == {"normal": 1341, "pneumonia": 3875}
    kinds = [int((source.train.subtypes == i).sum()) for i in range(len(SUBTYPES))]
    assert kinds == [1341, 2530, 1345, 0]
    splits = make_splits(source, 0, {"normal": 400, "pneumonia": 300}, 30, 100)
    check_disjoint(splits)
    assert splits.notes["available"] == {
        "train": {"normal": 1311, "pneumonia": 3845},
        "test": {"normal": 204, "pneumonia": 360},
    }
    assert splits.train.counts() == {"normal": 400, "pneumonia": 300}
    duplicates = splits.notes["duplicates"]
    assert duplicates["extra_copies_in_train"] + duplicates["extra_copies_in_test"] == 32
    assert duplicates["train_copies_of_held_out_images"] == 0
    assert source.notes["files_without_patient_id"] == 0


def test_phantoms_are_fixed_by_their_seed(tmp_path: Path) -> None:
    a, b, c = (
        Phantom(10, 4, seed).load(32, 1, tmp_path / str(i)) for i, seed in enumerate((0, 0, 1))
    )
    np.testing.assert_array_equal(a.train.images, b.train.images)
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    assert a.train.counts() == {"normal": 10, "pneumonia": 10}
    assert not set(a.train.hashes) & set(a.test.hashes)
    assert len(set(a.train.patients)) < len(a.train)  # some patients have two images


def test_phantoms_in_colour_and_size(tmp_path: Path) -> None:
    source = Phantom(2, 2, 0).load(48, 3, tmp_path)
    assert source.train.images.shape == (4, 3, 48, 48)


def write_npz(folder: Path, size: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 12), ("val", 6), ("test", 8)):
        arrays[f"{split}_images"] = random.integers(0, 256, (n, size, size), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2)[:, None]
    name = "pneumoniamnist.npz" if size == 28 else f"pneumoniamnist_{size}.npz"
    np.savez(folder / name, **arrays)
    return arrays


@pytest.mark.parametrize("size", [28, 64, 128, 224])
def test_pneumoniamnist_reads_a_file_that_is_there(size: int, tmp_path: Path) -> None:
    arrays = write_npz(tmp_path, size)
    source = PneumoniaMNIST(str(tmp_path), download=False).load(size, 1, tmp_path)
    np.testing.assert_array_equal(source.train.images[:, 0], arrays["train_images"])
    assert source.train.counts() == {"normal": 6, "pneumonia": 6}
    assert source.validation is not None
    np.testing.assert_array_equal(source.validation.images[:, 0], arrays["val_images"])
    np.testing.assert_array_equal(source.test.labels, arrays["test_labels"][:, 0])


def test_pneumoniamnist_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "pneumoniamnist_64.npz").write_bytes(b"hello")
    with pytest.raises(GanAugError, match=r"pneumoniamnist_64\.npz could not be read"):
        PneumoniaMNIST(str(tmp_path), download=False).load(64, 1, tmp_path)
