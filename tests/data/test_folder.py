"""Anyone's images: folders, names that tell patients, tables, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_files import dicom, draw, write_odd, write_sixteen_bits
from PIL import Image
from support import write_image

from gan_aug.data.image_table import concatenate
from gan_aug.data.source import Source
from gan_aug.data.sources.folder import Folder
from gan_aug.data.splits import check_disjoint, make_splits
from gan_aug.runtime.errors import GanAugError

PATIENTS = r"(p\d+)_"


def load(root: Path, channels: int | None = None, size: int = 16, **changes: Any) -> Source:
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


def test_folders_of_splits_are_taken_as_they_are(root: Path) -> None:
    for split, patients in {
        "train": range(12),
        "Valid": range(12, 16),
        "test": range(16, 20),
    }.items():
        for name in ("sick", "well"):
            (root / split / name).mkdir(parents=True)
            for patient in patients:
                for own in (patient, patient + 100):
                    for path in (root / name).glob(f"p{own}_*"):
                        path.rename(root / split / name / path.name)
    for name in ("sick", "well"):
        (root / name).rmdir()
    (root / "notes").mkdir()
    source = load(root, patient_regex=PATIENTS)
    assert source.train.counts() == {"sick": 24, "well": 24}
    assert source.validation is not None
    assert source.validation.counts() == source.test.counts() == {"sick": 8, "well": 8}
    skipped = {"notes/": "beside the folders of the splits (0 files)"}
    assert source.notes.files_skipped == skipped
    (root / "train" / "sick" / "p18_x.png").write_bytes(
        (root / "train" / "sick" / "p1_sick0.png").read_bytes()
    )
    (warning,) = load(root, patient_regex=PATIENTS).notes.warnings
    assert warning.startswith("1 patients are in train and in test, such as p18")


def write_table(root: Path, text: str) -> str:
    path = root.parent / "labels.csv"
    path.write_text(text, encoding="utf-8-sig")
    return str(path)


def test_a_table_says_what_each_file_is(root: Path) -> None:
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png"))
    lines = ["path,label,patient,site,split,age"]
    for i, file in enumerate(files):
        split = ("train", "train", "val", "test")[i // 2 % 4]
        lines.append(f"{file},grade {i // 8 % 2},7,site{i // 2},{split},50")
    source = load(root, table=write_table(root, "\n".join(lines)))
    assert source.classes.names == ("grade 0", "grade 1")
    assert len(source.train) == 40
    assert source.train.patients[0] == "site0/7"
    assert len(sides(source)[0]) == 20


LINES = ["path,label,split", "sick/p0_sick0.png,a,train", "well/p0_well0.png,b,train"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _: [], "cannot be read as CSV"),
        (lambda x: ["file,label", *x[1:]], "lacks the column path"),
        (lambda x: x[:1], "has no rows"),
        (lambda x: [*x, ",b,train"], "line 4: has no path"),
        (lambda x: [*x, "x.png,,train"], "line 4: has no label"),
        (lambda x: [*x, "../x.png,b,train"], r"line 4: \.\./x\.png leads out of data\.root"),
        (lambda x: [*x, "/etc/x.png,b,train"], "leads out of"),
        (lambda x: [*x, "sick/x.png,b,later"], "line 4: split=later is none of"),
        (lambda x: [*x, "sick/x.png,b,"], "has no split, others have"),
        (lambda x: [*x, "sick/x.png,b,test"], "test has no images of a"),
        (lambda x: [*x, x[1]], "in 2 rows"),
        (lambda x: [x[0], x[1]], "only the class a"),
        (lambda x: [x[0], x[1], "well/none.png,b,train"], r"none\.png: cannot be read"),
        (lambda x: [x[0], x[1], "well/p0_well0.png,b/c,train"], "'b/c' cannot name a class"),
    ],
)
def test_tables_that_are_not_sound(
    root: Path, edit: Callable[[list[str]], list[str]], message: str
) -> None:
    with pytest.raises(GanAugError, match=message) as caught:
        load(root, table=write_table(root, "\n".join(edit(LINES))))
    assert "\n" not in str(caught.value)


def twins(root: Path) -> None:
    for split in ("val", "Validation"):
        for name in ("sick", "well"):
            write_image(root / split / name / "x.png", len(split))


@pytest.mark.parametrize(
    ("edit", "changes", "message"),
    [
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
    ],
)
def test_folders_that_are_not_sound(
    root: Path, edit: Callable[[Path], None], changes: dict[str, Any], message: str
) -> None:
    edit(root)
    with pytest.raises(GanAugError, match=message):
        load(root, **changes)


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(GanAugError, match="has no folder with images; it needs a folder for each"):
        load(tmp_path / "empty")
    with pytest.raises(GanAugError, match="no such folder"):
        load(tmp_path / "none")
    (tmp_path / "xrays.zip").touch()
    with pytest.raises(GanAugError, match="is a file; unpack it"):
        load(tmp_path / "xrays.zip")


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


def test_patients_of_dicom_headers(tmp_path: Path) -> None:
    root = tmp_path / "dicom"
    for name in ("a", "b"):
        for i in range(12):
            pixels = np.random.default_rng([len(name), i, ord(name)]).integers(0, 4096, (20, 20))
            (root / name).mkdir(parents=True, exist_ok=True)
            data = dicom(pixels.astype(np.uint16), 12, patient=f"{name}{i // 2}")
            (root / name / f"scan{i}").write_bytes(data)  # without an ending
    source = load(root)
    assert source.patients_known
    assert {p for side in sides(source) for p in side} == {
        f"{n}{i}" for n in "ab" for i in range(6)
    }


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
