"""The three data sets."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import write_image

from gan_aug.data.source import Source
from gan_aug.data.sources.chest_xray import ChestXray, contradictions, list_images, parse_name
from gan_aug.data.sources.medmnist import MedMNIST, classes_of, file_name, single_label_sets
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.sources.tree import find_files
from gan_aug.data.splits import check_disjoint, make_splits
from gan_aug.runtime.errors import GanAugError


@pytest.mark.parametrize(
    ("stem", "patient", "subtype"),
    [
        ("person12_bacteria_47", "person12", "bacteria"),
        ("person447_virus_921_1", "person447", "virus"),
        ("IM-0115-0001", "IM-0115", None),
        ("IM-0115-0001-0002", "IM-0115", None),
        ("NORMAL2-IM-0115-0001", "IM-0115", None),
        ("scan7", None, None),
    ],
)
def test_names(stem: str, patient: str | None, subtype: str | None) -> None:
    assert parse_name(stem) == (patient, subtype)


@pytest.mark.slow
def test_real_xrays(real_xrays: Path, tmp_path: Path) -> None:
    """The counts of the original project, what is known of these files, and their three kinds."""
    source = ChestXray(str(real_xrays), download=False, on_bad_file="error").load(16, 1, tmp_path)
    assert source.train.counts() == {"normal": 1341, "pneumonia": 3875}
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
    assert source.notes.files_without_patient_id == 0
    three = ChestXray(str(real_xrays), False, "error", "subtype").load(16, 1, tmp_path)
    assert three.train.counts() == {"normal": 1341, "bacteria": 2530, "virus": 1345}
    assert three.test.counts() == {"normal": 234, "bacteria": 242, "virus": 148}
    assert three.classes.positive is None
    assert source.classes.positive == "pneumonia"
    assert three.fingerprint() != source.fingerprint()
    assert np.array_equal(three.train.labels == 0, source.train.labels == 0)


def test_a_name_that_tells_no_kind_of_pneumonia(kaggle_folder: Path, tmp_path: Path) -> None:
    path = next((kaggle_folder / "train" / "PNEUMONIA").iterdir())
    path.rename(path.with_name("scan7.jpeg"))
    source = ChestXray(str(kaggle_folder), False, "error", "subtype")
    with pytest.raises(GanAugError, match=r"scan7\.jpeg: its name says neither bacteria nor virus"):
        source.load(16, 1, tmp_path / "cache")


def test_an_xray_whose_name_tells_no_patient(kaggle_folder: Path, tmp_path: Path) -> None:
    """Else a report would speak of patients, and a run warn of nothing."""
    xrays = ChestXray(str(kaggle_folder), False, "error")
    assert xrays.load(16, 1, tmp_path / "cache").patients_known
    path = next((kaggle_folder / "test" / "PNEUMONIA").iterdir())
    path.rename(path.with_name("scan7.jpeg"))
    source = xrays.load(16, 1, tmp_path / "cache")
    assert source.notes.files_without_patient_id == 1
    assert not source.patients_known


def test_phantoms_of_three_classes_are_the_same_pictures(tmp_path: Path) -> None:
    two, three = (
        Phantom(20, 4, 0, target).load(32, 1, tmp_path) for target in ("class", "subtype")
    )
    assert np.array_equal(two.train.images, three.train.images)
    assert three.classes.names == ("normal", "bacteria", "virus")
    assert three.train.counts()["normal"] == 20
    assert min(three.train.counts().values()) > 0


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


def write_npz(
    folder: Path, size: int, name: str = "pneumoniamnist", classes: int = 2, *channels: int
) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 12), ("val", 6), ("test", 8)):
        shape = (classes // 2 * n, size, size, *channels)
        arrays[f"{split}_images"] = random.integers(0, 256, shape, np.uint8)
        arrays[f"{split}_labels"] = (np.arange(len(arrays[f"{split}_images"])) % classes)[:, None]
    np.savez(folder / file_name(name, size), **arrays)
    return arrays


def read_npz(
    folder: Path, size: int, channels: int | None = 1, name: str = "pneumoniamnist"
) -> Source:
    return MedMNIST(name, str(folder), download=False).load(size, channels, folder)


def test_pneumoniamnist_reads_a_file_that_is_there(tmp_path: Path) -> None:
    arrays = write_npz(tmp_path, 28)
    source = read_npz(tmp_path, 28)
    np.testing.assert_array_equal(source.train.images[:, 0], arrays["train_images"])
    assert source.train.counts() == {"normal": 6, "pneumonia": 6}
    assert source.validation is not None
    np.testing.assert_array_equal(source.validation.images[:, 0], arrays["val_images"])
    np.testing.assert_array_equal(source.test.labels, arrays["test_labels"][:, 0])


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        ([28], 32, 28),
        ([28], 64, 28),
        ([28, 64], 32, 64),
        ([28, 64, 224], 64, 64),
        ([64, 128], 200, 128),
        ([128], 28, 128),
    ],
)
def test_pneumoniamnist_takes_the_file_there_is_and_says_so(
    there: list[int], wanted: int, taken: int, tmp_path: Path
) -> None:
    arrays = {size: write_npz(tmp_path, size) for size in there}
    source = read_npz(tmp_path, wanted, 3)
    assert source.train.images.shape == (12, 3, wanted, wanted)
    first = arrays[taken]["train_images"][0]
    size = (wanted, wanted)
    expected = np.asarray(Image.fromarray(first).resize(size, Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(source.train.images[0, 1], expected)
    # The same file is the same data set at any size.
    assert source.train.hashes[0] == hashlib.sha256(first.tobytes()).hexdigest()
    if wanted == taken:
        assert source.notes.scaled is None
    else:
        assert source.notes.scaled.startswith(f"images scaled from {taken} to {wanted} pixels")


def other_shape(arrays: dict[str, np.ndarray]) -> None:
    arrays["train_images"] = arrays["train_images"][:, :20]


def other_labels(arrays: dict[str, np.ndarray]) -> None:
    arrays["val_labels"] = arrays["val_labels"] + 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (other_shape, "train_images are not uint8"),
        (other_labels, "val_labels are not a whole number from 0 to 1"),
    ],
)
def test_pneumoniamnist_with_other_arrays(
    edit: Callable[[dict[str, np.ndarray]], None], message: str, tmp_path: Path
) -> None:
    arrays = write_npz(tmp_path, 28)
    edit(arrays)
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    with pytest.raises(GanAugError, match=rf"pneumoniamnist\.npz: {message}"):
        read_npz(tmp_path, 28)


def test_pneumoniamnist_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    """The sizes are looked at before anything is unpacked."""
    path = tmp_path / "pneumoniamnist.npz"
    write_npz(tmp_path, 28)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in ("train_images.npy", "val_labels.npy"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, data in parts.items():
                archive.writestr(part, data + bytes(2**23) if part == name else data)
        with pytest.raises(GanAugError, match=rf"{name[:-4]} unpack to 83\d+ bytes, MedMNIST's"):
            read_npz(tmp_path, 28)


def test_pneumoniamnist_that_is_absent_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(GanAugError, match=r"holds none of pneumoniamnist\.npz, .*download=true"):
        read_npz(tmp_path, 64)
    (tmp_path / "pneumoniamnist_64.npz").write_bytes(b"hello")
    with pytest.raises(GanAugError, match=r"pneumoniamnist_64\.npz could not be read"):
        read_npz(tmp_path, 64)


def test_a_set_of_eight_classes_in_colour(tmp_path: Path) -> None:
    arrays = write_npz(tmp_path, 28, "bloodmnist", 8, 3)
    source = read_npz(tmp_path, 28, None, "bloodmnist")
    assert source.channels == 3
    assert source.classes.positive is None
    assert source.classes.names[3] == "immature_granulocytes"
    assert source.train.counts() == dict.fromkeys(source.classes, 6)
    np.testing.assert_array_equal(source.train.images, arrays["train_images"].transpose(0, 3, 1, 2))
    grey = read_npz(tmp_path, 28, 1, "bloodmnist")
    assert grey.train.images.shape == (48, 1, 28, 28)
    assert grey.fingerprint() == source.fingerprint()


def test_every_set_with_one_label_has_classes() -> None:
    found = {name: classes_of(info) for name, info in single_label_sets().items()}
    assert {"pneumoniamnist", "bloodmnist", "retinamnist", "organsmnist"} <= found.keys()
    assert {len(classes) for classes in found.values()} >= {2, 4, 5, 7, 8, 9, 11}
    assert file_name("bloodmnist", 28) == "bloodmnist.npz"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("chestmnist", "is multi-label.*; or ask one finding against the rest: save its images as"),
        ("organmnist3d", "is three-dimensional"),
        ("mnist", "is no set of medmnist"),
    ],
)
def test_other_sets_of_medmnist_are_refused(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(GanAugError, match=rf"data\.set={name}: {why}") as refused:
        read_npz(tmp_path, 28, 1, name)
    assert re.search("choose one .*bloodmnist", str(refused.value))


def load_xrays(root: Path, cache: Path) -> Source:
    return ChestXray(str(root), download=False, on_bad_file="error").load(16, 1, cache)


@pytest.mark.parametrize("other", ["train/normal", "Train/NORMAL"])
def test_two_folders_of_one_class_are_refused(
    kaggle_folder: Path, tmp_path: Path, other: str
) -> None:
    write_image(kaggle_folder / other / "IM-9999-0001.jpeg", 999)
    with pytest.raises(GanAugError, match=rf"NORMAL and {other}: two folders of one class|"
                       rf"{other} and train/NORMAL: two folders of one class"):  # fmt: skip
        load_xrays(kaggle_folder, tmp_path / "cache")


def test_a_class_folder_that_is_a_file(kaggle_folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(kaggle_folder / "test" / "NORMAL")
    (kaggle_folder / "test" / "NORMAL").write_text("")
    with pytest.raises(
        GanAugError, match="test/NORMAL: no normal image in test/ is read; the class folder is"
    ):
        load_xrays(kaggle_folder, tmp_path / "cache")


def test_the_real_xrays_contradict_nothing(real_xrays: Path) -> None:
    entries = list_images(find_files(real_xrays, [], "error").images, real_xrays)
    assert len(entries) == 5840
    assert contradictions(entries) == []
