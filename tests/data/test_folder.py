"""Anyone's images: folders, names that tell patients, tables, and what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_files import draw, write_odd, write_sixteen_bits
from PIL import Image
from support import write_image

from gan_aug.data.image_table import concatenate
from gan_aug.data.source import Source
from gan_aug.data.sources.folder import Folder
from gan_aug.data.splits import check_disjoint, make_splits
from gan_aug.runtime.errors import GanAugError

PATIENTS = r"(p\d+)_"


def load(root: Path, channels: int | None = None, size: int = 16, **changes: Any) -> Source:
    if "table" in changes:
        changes["table"] = str(root.parent / changes["table"])
    folder = Folder(str(root), **{"val_share": 0.25} | changes)
    return folder.load(size, channels, root.parent / "cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of 20 patients, two images each; every fifth patient is in both classes."""
    folder = tmp_path / "내 사진 (2026)"
    seed = 0
    for name in ("sick", "well"):
        for patient in range(20):
            own = patient if patient % 5 == 0 else patient + 100 * (name == "well")
            for i in range(2):
                write_image(folder / name / f"p{own}_{name}{i}.png", seed := seed + 1)
    return folder


def sides(source: Source) -> list[set[str]]:
    assert source.validation is not None
    tables = (source.train, source.validation, source.test)
    return [set(table.patients.tolist()) for table in tables]


def test_splits_are_cut_by_patient_with_the_stated_shares(root: Path) -> None:
    source = load(root, patient_regex=PATIENTS)
    assert source.classes.names == ("sick", "well")
    assert source.patients_known
    train, validation, test = sides(source)
    assert not train & validation and not train & test and not validation & test  # noqa: PT018
    assert source.test.counts() == {"sick": 8, "well": 8}
    assert source.validation is not None
    assert source.validation.counts() == {"sick": 8, "well": 8}  # of 32
    assert sum(map(len, (source.train, source.validation, source.test))) == 80
    again, other = (
        load(root, patient_regex=PATIENTS),
        load(root, patient_regex=PATIENTS, split_seed=1),
    )
    assert again.fingerprint() == source.fingerprint() != other.fingerprint()
    check_disjoint(make_splits(source, 0, {"sick": 10, "well": 10}, 0, 10, 4))


def test_without_patients_near_duplicates_stay_together_and_it_is_said(root: Path) -> None:
    with Image.open(root / "sick" / "p0_sick0.png") as image:
        image.resize((100, 80)).save(root / "sick" / "other_name.jpg", quality=90)
    source = load(root)
    assert not source.patients_known
    every = source.tables().values()
    found = {
        path: patient
        for table in every
        for path, patient in zip(table.paths.tolist(), table.patients.tolist(), strict=True)
    }
    assert found["sick/other_name.jpg"] == found["sick/p0_sick0.png"]
    assert len(set(found.values())) == len(found) - 1
    notes = make_splits(source, 0, {"sick": 5, "well": 5}, 0, 5).notes
    assert any("cannot be excluded" in warning for warning in notes["warnings"])


def table(*rows: str) -> Callable[[Path], None]:
    """Return what writes a table beside the folder."""
    lines = "\n".join(["path,label,split", "sick/p0_sick0.png,a,train", *rows])
    return lambda root: write(root.parent / "labels.csv", lines)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8-sig")


def a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.touch()


def nothing(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


TABLE = {"table": "labels.csv"}


def twins(root: Path) -> None:
    for split in ("val", "Validation"):
        for name in ("sick", "well"):
            write_image(root / split / name / "x.png", len(split))


@pytest.mark.parametrize(
    ("edit", "changes", "message"),
    [
        (a_file, {}, "is a file; unpack it"),
        (nothing, {}, "has no folder with images; it needs a folder for each"),
        (shutil.rmtree, {}, "no such folder"),
        (twins, {}, "two folders of one split"),
        (lambda _: None, {"patient_regex": "(x"}, "is no regular expression"),
        (lambda _: None, {"patient_regex": "p.*"}, "has no group that is the patient"),
        (lambda _: None, {"patient_regex": "(z+)"}, "matches the start of no path"),
        (
            lambda _: None,
            {"positive": "ill"},
            "positive=ill: ill is none of the classes sick, well",
        ),
        (lambda _: None, {"test_share": 0.01}, r"data\.test_share=0\.01: cannot be taken of"),
        (lambda _: None, {"table": "nowhere.csv"}, r"nowhere\.csv: cannot be read"),
        (table("well/p0_well0.png,b,"), TABLE, "p0_well0.png has no split, others have"),
        (table(), TABLE, "only the class a"),
        (table("well/none.png,b,train"), TABLE, r"none\.png: cannot be read"),
    ],
)
def test_folders_that_are_not_sound(
    root: Path, edit: Callable[[Path], None], changes: dict[str, Any], message: str
) -> None:
    edit(root)
    with pytest.raises(GanAugError, match=message) as caught:
        load(root, **changes)
    assert "\n" not in str(caught.value)


def test_odd_files_of_five_classes(tmp_path: Path) -> None:
    root = tmp_path / "odd"
    written: dict[str, np.ndarray] = {}
    for label, name in enumerate(("원", "stripes", "a square", "ring", "dots")):
        for i in range(12):
            pixels = draw(label, i)
            path = write_odd(root / name / f"사진 {i}", pixels, i)
            written[path.relative_to(root).as_posix()] = pixels
        write_sixteen_bits(root / name / "deep.png", label)
        (root / name / "notes.txt").write_text("not an image")
        (root / name / ".DS_Store").write_text("")
        (root / name / "LICENSE").write_text("")
    source = load(root, size=32)
    assert source.channels == 3
    assert sorted(source.classes.names) == sorted(["원", "stripes", "a square", "ring", "dots"])
    assert len(source.notes.files_skipped) == 15
    assert source.notes.modes == {"RGB": 30, "P": 10, "DICOM": 10, "RGBA": 10, "I;16": 5}
    every = source.tables().values()
    for table in every:
        for path, image in zip(table.paths.tolist(), table.images, strict=True):
            if path in written:
                expected = Image.fromarray(written[path]).resize(
                    (32, 32), Image.Resampling.BILINEAR
                )
                difference = image.transpose(1, 2, 0).astype(int) - np.asarray(expected)
                assert np.abs(difference).mean() < 12, path  # JPEG and 64 colours lose a little
    assert load(root, channels=1, size=32).channels == 1


@pytest.mark.parametrize(
    ("fit", "corner", "edge"), [("squeeze", 0, 255), ("pad", 0, 0), ("crop", 255, 255)]
)
def test_pictures_that_are_not_square(tmp_path: Path, fit: str, corner: int, edge: int) -> None:
    """Of a wide one with a white middle: left and middle of its upper edge."""
    for name in ("a", "b"):
        for i in range(6):
            write_image(tmp_path / "x" / name / f"{i}.png", i + 10 * (name == "b"), (60, 20))
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "x" / "a" / "wide.png")
    every = concatenate(*load(tmp_path / "x", fit=fit).tables().values())
    (image,) = every.images[every.paths == "a/wide.png"]
    assert (image[0, 0, 2], image[0, 0, 8]) == (corner, edge)
    assert image[0, 8, 8] == 255
