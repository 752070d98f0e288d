"""Folders that people really have: each is made here as small as it can be, and read as typed."""

from __future__ import annotations

import os
import shutil
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_files import dicom
from support import ROOT, settings_of, write_image

from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import load, prepare, print_left_out
from gan_aug.data.settle import named
from gan_aug.data.source import Source
from gan_aug.data.sources.chest_xray import NOT_IN_LAYOUT, ChestXray
from gan_aug.data.sources.layout import find_entries
from gan_aug.data.sources.patients import PatientPattern
from gan_aug.data.sources.tree import OTHER_ENDING, Tree
from gan_aug.data.splits import check_disjoint, make_splits
from gan_aug.data.stored import check_stored_data
from gan_aug.runtime.arguments import _in_grammar
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.commands import InspectSettings

Read = Callable[..., Source]
NFC, NFD = (unicodedata.normalize(form, "폐렴") for form in ("NFC", "NFD"))
ISOLATED = "hidden, or of the system"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images that is still empty."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(root: Path) -> Callable[..., InspectSettings]:
    """Return the settings of `inspect` for `root`, and those that are typed after it."""
    own = (f"data.root={root}", "data.image_size=16", f"data.cache_dir={root.parent / 'cache'}")
    return lambda *typed: settings_of("inspect", *own, *map(_in_grammar, typed))


@pytest.fixture
def read(settings: Callable[..., InspectSettings]) -> Read:
    """Read `root` with the settings of `inspect`, and those that are typed after it."""
    return lambda *typed: load(settings(*typed).data)


def pictures(folder: Path, n: int = 6, stem: str = "p", suffix: str = ".png") -> None:
    """Write images of noise, each another one."""
    for path in (folder / f"{stem}{i:02d}{suffix}" for i in range(n)):
        write_image(path, _seed(path))


def two(folder: Path, n: int = 6, names: tuple[str, ...] = ("A", "B")) -> None:
    """Write a folder of images for each class."""
    for name in names:
        pictures(folder / name, n, name[:1].lower())


def dicoms(folder: Path, names: list[str], patient: str | None = None, **header: Any) -> None:
    """Write DICOM files of noise; each is a patient of its own where none is named."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        pixels = np.random.default_rng(_seed(folder / name)).integers(0, 256, (20, 24), np.uint8)
        whose = f"{folder.name}{i}" if patient is None else patient
        (folder / name).write_bytes(dicom(pixels, patient=whose, **header))


def _seed(path: Path) -> int:
    return zlib.crc32("/".join(path.parts[-4:]).encode())


def counts(source: Source) -> dict[str, int]:
    """Return how many images of each class were read, in all splits."""
    tables = source.tables().values()
    return {name: sum(table.counts()[name] for table in tables) for name in source.classes}


def paths(source: Source) -> set[str]:
    """Return the files that were read."""
    tables = source.tables().values()
    return {path for table in tables for path in table.paths.tolist()}


def noise(*key: object, shape: tuple[int, ...] = (40, 50)) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(repr(key).encode())).integers(0, 256, shape, np.uint8)


def every(source: Source) -> np.ndarray:
    """Return the images (N, C, H, W) of all splits, in the order of their paths."""
    tables = source.tables().values()
    order = np.argsort(np.concatenate([table.paths for table in tables]))
    return np.concatenate([table.images for table in tables])[order].astype(int)


def computed_tomography(root: Path) -> np.ndarray:
    """Write slices of signed values without a window; returns these, in Hounsfield units."""
    found = []
    for name in ("A", "B"):
        (root / name).mkdir()
        for i in range(6):
            hu = (noise(name, i).astype(np.int16) * 8 - 1000).astype(np.int16)
            data = dicom(hu, 16, patient=f"{name}{i}")
            (root / name / f"{i}.dcm").write_bytes(data)
            found.append(hu)
    return np.stack(found)


def test_16_signed_values_need_a_window(root: Path, read: Read) -> None:
    hu = computed_tomography(root)
    with pytest.raises(GanAugError, match=r"A/0\.dcm: .*set data\.window=\[CENTRE,WIDTH\]"):
        read("data.on_bad_file=error")
    # Where nothing else is left the reason is given too.
    with pytest.raises(GanAugError, match=r"class A can be read.*set data\.window="):
        read("data.on_bad_file=skip")
    for typed in ("[40,400]", "percentiles"):
        source = read("data.on_bad_file=error", "data.image_size=48", f"data.window={typed}")
        # Of 2041 equally frequent values the percentiles are near the ends.
        low, high = (-160, 240) if typed != "percentiles" else (-992, 1032)
        images = every(source)
        assert counts(source) == {"A": 6, "B": 6}
        assert len(np.unique(images)) > 200
        assert abs(images.mean() - 255 * ((hu - low) / (high - low)).clip(0, 1).mean()) < 1


@pytest.mark.parametrize("window", [[40], [40, 0], 40, "wide", ["a", "b"], [40, -1], [1, 2, 3]])
def test_16_a_window_that_is_none(window: Any) -> None:
    with pytest.raises(GanAugError, match=r"data\.window=.*centre and width as \[40,400\]"):
        settings_of("inspect", data__window=window)


def test_06_dicom_without_its_suffix(root: Path, read: Read) -> None:
    for name in ("A", "B"):
        dicoms(root / name, [f"1.2.840.113619.2.5.{i}.{78 + i}" for i in range(5)])
        dicoms(root / name, [f"IM{i}.IMA" for i in range(5)], patient=f"{name}x")
        (root / name / "report.1.2").write_text("no image")
    source = read()
    assert counts(source) == {"A": 10, "B": 10}
    assert source.patients_known
    patients = {patient for table in source.tables().values() for patient in table.patients}
    assert patients == {f"{name}{i}" for name in "AB" for i in (*range(5), "x")}
    assert source.notes.modes == {"DICOM": 20}
    assert sorted(source.notes.files_skipped) == ["A/report.1.2", "B/report.1.2"]


@pytest.mark.parametrize(
    "names",
    [("Training", "Testing"), ("train", "valid", "TEST"), ("training", "dev", "testing")],
)
def test_01_splits_by_any_usual_name(root: Path, read: Read, names: tuple[str, ...]) -> None:
    for name in names:
        two(root / name, 10, ("glioma", "notumor"))
    source = read()
    assert source.classes.names == ("glioma", "notumor")
    assert {path.split("/")[0] for path in source.test.paths} == {names[-1]}
    assert len(source.test) == 20
    assert source.validation is not None
    assert len(source.validation) == (20 if len(names) == 3 else 4)
    assert source.notes.files_skipped == {}


def test_02_masks_beside_their_images(root: Path, read: Read) -> None:
    for name in ("benign", "malignant"):
        for i in range(6):
            stem = f"{name} ({i + 1})"
            write_image(root / name / f"{stem}.png", i)
            write_image(root / name / f"{stem}_mask.png", 100 + i)
        write_image(root / name / f"{name} (1)_mask_1.png", 200)
    source = read()
    (warning,) = source.notes.warnings
    assert (
        "14 of 26 images look like masks of others, such as benign/benign (1)_mask.png" in warning
    )
    typed = warning.partition("'")[2].rstrip("'")
    assert typed == 'data.exclude=["*_mask*"]'
    without = read(typed)
    assert counts(without) == {"benign": 6, "malignant": 6}
    assert without.notes.warnings == []
    assert without.notes.files_left_out == {"data.exclude=*_mask*": 14}
    assert without.notes.files_skipped["benign/benign (1)_mask.png"] == "data.exclude=*_mask*"
    assert without.fingerprint() != source.fingerprint()


def test_02_masks_in_folders(root: Path, read: Read) -> None:
    for name in ("COVID", "Normal"):
        pictures(root / name / "images", stem=name)
        pictures(root / name / "masks", stem=name)
    source = read()
    assert counts(source) == {"COVID": 12, "Normal": 12}
    (warning,) = source.notes.warnings
    assert "12 of 24 images look like masks of others, such as COVID/masks/COVID00.png" in warning
    without = read(warning.partition("'")[2].rstrip("'"))
    assert {path.split("/")[1] for path in paths(without)} == {"images"}
    folder = "data.exclude=*/masks/* (6 files)"
    assert without.notes.files_skipped == {"COVID/masks/": folder, "Normal/masks/": folder}


def test_masks_on_faces_are_classes(root: Path, read: Read) -> None:
    two(root, names=("with_mask", "without_mask"))
    assert read().notes.warnings == []


def test_a_pattern_that_leaves_out_everything_or_nothing_is_named(root: Path, read: Read) -> None:
    two(root)
    with pytest.raises(GanAugError, match=r"no folder with images; data\.exclude leaves files out"):
        read("data.exclude=['*']")
    (warning,) = read("data.exclude=[*_msk*]").notes.warnings
    assert warning.startswith("data.exclude=*_msk*: leaves out no file")


def test_07_hidden_folders(root: Path, read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    two(root, 10)
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX"):
        pictures(root / "A" / name, 5, name)
    (root / "B" / "Thumbs.db").write_bytes(b"x")
    (root / "B" / "._b01.png").write_bytes(b"x")
    (root / ".git" / "objects").mkdir(parents=True)
    (root / ".git" / "objects" / "1a").write_bytes(b"x")
    (root / "B" / "notes.txt").write_text("x")
    (root / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    for suffix, name in ((".jpg", "x.jfif"), (".png", "x.1")):
        pictures(root, 1, "new", suffix)
        (root / f"new00{suffix}").rename(root / "B" / name)
    source = read()
    assert counts(source) == {"A": 10, "B": 10}
    assert source.notes.files_skipped == {
        ".git/": f"{ISOLATED} (1 file)",
        "DICOMDIR": "a DICOM directory",
        "A/.ipynb_checkpoints/": f"{ISOLATED} (5 files)",
        "A/@eaDir/": f"{ISOLATED} (5 files)",
        "A/__MACOSX/": f"{ISOLATED} (5 files)",
        "B/._b01.png": ISOLATED,
        "B/Thumbs.db": ISOLATED,
        "B/notes.txt": "no image by its name or first bytes",
        "B/x.1": OTHER_ENDING,
        "B/x.jfif": OTHER_ENDING,
    }
    print_left_out(source)
    (line,) = capsys.readouterr().out.splitlines()
    assert f"not read: 1 (a DICOM directory); 2 ({OTHER_ENDING}); 18 ({ISOLATED}); 1 (no im" in line


def test_08_linked_folders_and_images_above_the_classes(root: Path, read: Read) -> None:
    two(root)
    pictures(root.parent / "elsewhere", 9, "e")
    (root / "A" / "more").symlink_to(root.parent / "elsewhere")
    (root / "A" / "loop").symlink_to(root)
    (root / "A" / "above").symlink_to(root.parent)
    (root / "B" / "twice").symlink_to(root / "A")
    (root / "B" / "self").symlink_to("self")
    write_image(root / "overview.png", 1)
    source = read()
    assert counts(source) == {"A": 15, "B": 6}
    assert source.notes.files_skipped == {
        "overview.png": "an image outside the class folders",
        "A/above/": "a link to a folder that is read already",
        "A/loop/": "a link to a folder that is read already",
        "B/twice/": "a link to a folder that is read already",
        "B/self": "a link to nowhere",
    }


def test_a_class_that_is_a_link_to_another_is_named(root: Path, read: Read) -> None:
    two(root)
    (root / "C").symlink_to("A")
    (warning,) = read().notes.warnings
    assert warning == "C/ is no class: a link to a folder that is read already"


def test_11_one_patient_id_for_all(root: Path, read: Read) -> None:
    for name in ("A", "B"):
        dicoms(root / name, [f"{i}.dcm" for i in range(10)], patient="ANONYMOUS")
    with pytest.raises(GanAugError) as caught:
        read()
    assert "all 20 images have the one PatientID ANONYMOUS" in str(caught.value)
    source = read(str(caught.value).rpartition(" set ")[2].strip("'"))
    assert counts(source) == {"A": 10, "B": 10}
    assert source.patients_known
    assert set(source.test.patients.tolist()) < {f"{i}.dcm" for i in range(10)}


def test_11_one_patient_id_for_all_of_splits(root: Path, read: Read) -> None:
    for split in ("train", "val", "test"):
        for name in ("A", "B"):
            dicoms(root / split / name, [f"{i}.dcm" for i in range(3)], patient="ANONYMOUS")
    (warning,) = read().notes.warnings
    assert warning.startswith("all 18 images have the one PatientID ANONYMOUS")


def test_where_no_patients_are_known_no_message_speaks_of_them(root: Path, read: Read) -> None:
    two(root)
    with pytest.raises(GanAugError) as caught:
        read("data.test_share=0.01")
    assert "of the 6 images of A by whole groups of near duplicates" in str(caught.value)
    assert "patient" not in str(caught.value)
    source = read()
    assert source.notes.warnings == []
    splits = make_splits(source, 0, {"A": None, "B": None}, 0, 1)
    (said,) = splits.notes["warnings"]
    assert said.startswith("the patient of 12 images is not known")
    said = (
        "^the group of near duplicates unknown .* is in training and in validation; mend the data"
    )
    with pytest.raises(GanAugError, match=said) as caught:
        check_disjoint(replace(splits, validation=_other_bytes(splits.train)))
    assert "patient" not in str(caught.value)


def _other_bytes(table: ImageTable) -> ImageTable:
    return replace(table, hashes=np.array([f"other {h}" for h in table.hashes]))


def test_11_one_patient_id_of_some_images(root: Path, read: Read) -> None:
    two(root)
    dicoms(root / "A", ["1.dcm", "2.dcm"], patient="ANONYMOUS")
    warnings = read().notes.warnings
    assert warnings[0].startswith("nothing tells the patient of 12 of 14 files: A/a00.png, ")
    assert warnings[1].startswith("2 images have the one PatientID ANONYMOUS")


def test_11_one_patient_id_of_each_class(root: Path, read: Read) -> None:
    for name in ("A", "B"):
        dicoms(root / name, [f"{i}.dcm" for i in range(10)], patient=f"anonymous {name}")
    match = (
        r"10 images of A by whole patients \(anonymous A has 10 of them\); .*data\.patient_regex"
    )
    with pytest.raises(GanAugError, match=match):
        read()


@pytest.mark.parametrize(
    ("names", "typed"),
    [
        (("0", "1"), ("0", "1")),
        (("no", "yes"), ("no", "yes")),
        (("no", "yes"), ("'no'", "'yes'")),
        ((NFD, "정상"), (NFC, "정상")),
        (("[A]", "null"), ("'[A]'", "'null'")),
    ],
)
def test_12_to_14_names_work_as_typed(
    root: Path,
    settings: Callable[..., InspectSettings],
    names: tuple[str, str],
    typed: tuple[str, str],
) -> None:
    two(root, 12, names)
    (a, b), (one, other) = typed, (unicodedata.normalize("NFC", name) for name in names)
    cfg = settings(f"data.subset={{{a}: 5, {b}: 3}}", f"data.positive={b}")
    splits = prepare(cfg.data).splits
    assert splits.train.counts() == {one: 5, other: 3}
    assert splits.classes.positive == other
    assert named(cfg.data, splits)["data.subset"] == {one: 5, other: 3}


BUSI = ROOT.parent / "shared" / "busi"


@pytest.mark.skipif(not BUSI.is_dir(), reason="needs ../shared/busi")
def test_an_image_of_two_classes_of_busi(
    root: Path, settings: Callable[..., InspectSettings]
) -> None:
    for name, same in (("benign", 433), ("malignant", 145)):
        (root / name).mkdir()
        for i in (same, *range(20, 30)):
            shutil.copy(BUSI / name / f"{name} ({i}).jpeg", root / name)
    match = r"benign \(433\).jpeg and malignant/malignant \(145\).jpeg: are the same image, in two"
    with pytest.raises(GanAugError, match=match):
        prepare(settings().data)
    splits = prepare(settings("data.on_conflict=drop").data).splits
    parts = (splits.train, splits.validation, splits.test)
    kept = {path for part in parts for path in part.paths.tolist()}
    left = {"benign/benign (433).jpeg", "malignant/malignant (145).jpeg"}
    assert len(kept) == 20
    assert not kept & left
    assert splits.notes["conflicts_left_out"] == [sorted(left)]


def test_14_names_in_the_two_forms_of_unicode(root: Path, read: Read) -> None:
    two(root / "train", 8, (NFD, "정상"))
    two(root / "test", 8, (NFC, "정상"))
    source = read(f"data.exclude=['*/{NFC}/*00.png']", f"data.positive='{NFD}'")
    assert counts(source) == {NFC: 14, "정상": 16}
    assert source.classes.positive == NFC
    assert any(path.startswith(f"train/{NFD}/") for path in paths(source))


def test_14_two_folders_of_one_name(root: Path, read: Read) -> None:
    two(root, 8, (NFC, NFD))
    with pytest.raises(GanAugError, match=f"two folders are named {NFC}, in two forms of Unicode"):
        read()


def test_17_one_file_without_a_patient_hides_no_warning(root: Path, read: Read) -> None:
    for split in ("train", "test"):
        for name in ("A", "B"):
            for i in range(6):
                write_image(root / split / name / f"{name}p{i:02d}_{split}.png", len(split) + i)
    write_image(root / "train" / "A" / "overview.png", 99)
    source = read(r"data.patient_regex='([AB]p\d+)_.*'")
    unmatched, crossing = source.notes.warnings
    assert unmatched.endswith("does not match 1 of 25 files: train/A/overview.png")
    assert crossing.startswith("12 patients are in train and in test, such as Ap00")
    assert not source.patients_known


@pytest.mark.parametrize("pattern", [r"(patient\d+)", r"([^/]+)/.*"])
def test_18_folders_of_patients(root: Path, read: Read, pattern: str) -> None:
    for name in ("A", "B"):
        for patient in range(10):
            pictures(root / name / f"patient{patient:02d}", 2, name)
    source = read(f"data.patient_regex='{pattern}'")
    assert counts(source) == {"A": 20, "B": 20}
    assert source.patients_known
    assert set(source.train.patients.tolist()) <= {f"patient{i:02d}" for i in range(10)}
    assert not set(source.train.patients.tolist()) & set(source.test.patients.tolist())


@pytest.mark.parametrize("names", [("test positive", "test negative"), ("training", "valve")])
def test_classes_whose_names_contain_one_split(
    root: Path, read: Read, names: tuple[str, ...]
) -> None:
    two(root, names=names)
    assert counts(read()) == dict.fromkeys(names, 6)


def test_what_gan_aug_wrote_is_not_read(root: Path, read: Read) -> None:
    two(root)
    for place, name, text in (
        ("runs/dcgan/1", "run.json", '{"versions": {"gan_aug": "0"}}'),
        ("made", "manifest.json", '{"seen_hashes": []}'),
        ("study", "declaration.json", '{"endpoints": []}'),
    ):
        pictures(root / place / "figures", 2)
        (root / place / name).write_text(text)
    (root / "runs" / "reference").mkdir()
    (root / "runs" / "reference" / "1.pt").write_bytes(b"x")
    pictures(root / "C")
    (root / "C" / "manifest.json").write_text("{}")  # of somebody else
    (root / "A" / "run.json").write_text('{"versions": {"gan_aug": "0"}}')  # hydra.run.dir=A
    source = read()
    assert counts(source) == {"A": 6, "B": 6, "C": 6}
    assert source.notes.files_skipped == {
        "A/run.json": "no image by its name or first bytes",
        "C/manifest.json": "no image by its name or first bytes",
        "made/": "written by gan_aug (3 files)",
        "runs/": "written by gan_aug (4 files)",
        "study/": "written by gan_aug (3 files)",
    }


def test_splits_below_their_classes(root: Path, read: Read) -> None:
    for name in ("A", "B"):
        for split in ("Train", "test"):
            pictures(root / name / split, 8, name + split)
    write_image(root / "A" / "loose.png", 1)
    source = read()
    assert source.classes.names == ("A", "B")
    assert {path.split("/")[1] for path in source.test.paths} == {"test"}
    assert counts(source) == {"A": 16, "B": 16}
    assert source.notes.files_skipped == {"A/loose.png": "an image outside the class folders"}


@pytest.mark.parametrize("folder", ["", "{}{}"], ids=["images", "folders of patients"])
def test_classes_that_are_called_as_splits_are(root: Path, read: Read, folder: str) -> None:
    for name in ("test", "control"):
        for i in range(8):
            pictures(root / name / folder.format(name, i), 1, f"{i}")
    assert counts(read()) == {"test": 8, "control": 8}


def under(*parts: str) -> list[str]:
    """Return the paths that lead through a word of each part: a/c, a/d, b/c, b/d of a b, c d."""
    return ["/".join(path) for path in product(*(part.split() for part in parts))]


REPEATED = "hold the same folders .* not taken for classes"
LIKE_SPLITS = "are named like splits, so they are not taken"
REFUSED: dict[str, tuple[list[str], str]] = {
    "folds": (["fold1", *under("fold1 fold2 fold3", "A B")], REPEATED),
    "sites of which one lacks a class": (
        [*under("Seoul", "benign malignant"), *under("Busan", "benign malignant normal")],
        REPEATED,
    ),
    "folds of splits": (under("1 2", "train test", "A B"), REPEATED),
    "folds that lack classes": (["1/A", "1/B", "2/A", "2/C", "3/B", "3/C"], REPEATED),
    "patients above their classes": ([f"p{i}/{'AB'[i % 2]}" for i in range(8)], REPEATED),
    "splits of classes": (["trainA", "trainB", "testA", "testB"], LIKE_SPLITS),
    "splits of a year": (["train2017", "val2017"], LIKE_SPLITS),
    "classes of splits": (["A_train", "B_train", "A_test", "B_test"], LIKE_SPLITS),
    "sets": (["TRAINING set", "TESTING set"], LIKE_SPLITS),
    "camel case": (under("trainSet testSet", "A B"), LIKE_SPLITS),
    "splits without classes": (
        ["train", "test"],
        "test/ and train/ hold images and no class folders; make a folder for",
    ),
    "a folder above": (
        under("Dataset_with_GT", "A B"),
        "only the class Dataset_with_GT; .* name the folder that holds",
    ),
    "images alone": (["images"], "only the class images; .* say in data.table what each image is"),
    "a test folder beside classes": (
        ["A", "B", *under("test", "A B")],
        "named as splits, test/ stand without training images",
    ),
    "a val folder in train": (
        under("train train/val test", "A B"),
        "named as splits, train/val/ stand without",
    ),
    "images of test in a class": (
        ["A", "B", "A/test"],
        "A/test/ is named as a split, and A/ has no train/",
    ),
    "another case in another split": (
        [*under("train", "NORMAL ILL"), *under("test", "Normal ILL")],
        "test has the class Normal where others have NORMAL",
    ),
    "a class of other files": (
        ["A", "B", "C/scan.nii"],
        r"C/ stands among the class folders and has no image; scan\.nii",
    ),
    "packed": (
        ["A.zip", "B.zip"],
        r"has no folder with images; unpack A\.zip; it needs a folder for",
    ),
    "pointers of git lfs": (
        ["A", "B/b.png"],
        r"class B can be read; .*stands for an image that git lfs pull",
    ),
    "a class without its train": (
        ["A/train", "A/test", "B"],
        "A/test/ is named as a split, and B/ has no train/",
    ),
}
"""Folders of images, and files that are none; and what is said of them."""


@pytest.mark.parametrize("layout", REFUSED)
def test_layouts_that_are_refused(layout: str, root: Path, read: Read) -> None:
    places, message = REFUSED[layout]
    for place in (root / place for place in places):
        if place.suffix:
            place.parent.mkdir(exist_ok=True)
            place.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        else:
            pictures(place)
    with pytest.raises(GanAugError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


def test_what_stands_beside_the_splits_is_one_entry(root: Path, read: Read) -> None:
    for split in ("train", "test"):
        two(root / split)
    two(root / "unlabelled")
    pictures(root / "val")
    (root / "notes" / "old").mkdir(parents=True)
    (root / "notes" / "old" / "a.txt").write_text("x")
    beside = "beside the folders of the splits"
    source = read()
    assert source.notes.files_skipped == {
        "notes/": f"{beside} (1 file)",
        "unlabelled/": f"{beside} (12 files)",
        "val/": f"{beside} (6 files)",
    }
    assert source.notes.files_left_out == {beside: 19}
    (warning,) = source.notes.warnings
    assert warning.startswith("val/ is named like a split")
    assert warning.endswith("6 files are not read")


def test_a_folder_that_cannot_be_read(
    root: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(root)
    pictures(root / "A" / "locked")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(GanAugError, match=r"A/locked: cannot be read \(Permission denied\)"):
        read("data.on_bad_file=error")
    source = read()
    assert source.notes.files_skipped == {"A/locked/": "cannot be read (Permission denied)"}
    assert source.notes.files_left_out == {"cannot be read (Permission denied)": 1}


def test_folders_may_be_nested_deeper_than_calls(root: Path) -> None:
    folders = ["/".join(["A", *"d" * n]) for n in range(2000)]
    tree = Tree([f"{folders[-1]}/x.png", "B/y.png"], folders={"", "B", *folders})
    entries = find_entries(root, tree, PatientPattern(None))
    assert [(entry.label, entry.path) for entry in entries] == [
        ("A", f"{folders[-1]}/x.png"),
        ("B", "B/y.png"),
    ]
    assert tree.reasons == {}
    tree.list_unread({"B/y.png"}, "no", lambda _: "unread")
    assert tree.reasons == {"A/": "unread (1 file)"}


def test_a_checkpoint_may_say_what_was_left_out() -> None:
    settings = settings_of("inspect").plain()["data"]
    source = settings["source"] | {"exclude": ["*_mask*"], "columns": {"path": "file"}}
    assert check_stored_data(settings | {"source": source}, "x", own=True)["source"] == source
    bad = source | {"columns": {"_target_": "os.system"}}
    with pytest.raises(GanAugError, match="is no plain value"):
        check_stored_data(settings | {"source": bad}, "x", own=True)


def test_the_xrays_list_what_is_not_theirs(kaggle_folder: Path, tmp_path: Path) -> None:
    pictures(kaggle_folder / "val" / "NORMAL", 2)
    pictures(kaggle_folder / "train" / "NORMAL" / "more", 3)
    (kaggle_folder / "train" / "NORMAL" / "Thumbs.db").write_bytes(b"x")
    (kaggle_folder / "readme.txt").write_text("x")
    exclude = ["train/*virus*", "*nothing*"]
    source = ChestXray(str(kaggle_folder), False, "error", exclude=exclude).load(16, 1, tmp_path)
    assert source.train.counts() == {"normal": 24, "pneumonia": 12}
    virus = [path for path in source.notes.files_skipped if "virus" in path]
    assert len(virus) == 12
    assert {k: v for k, v in source.notes.files_skipped.items() if k not in virus} == {
        "readme.txt": "no image by its name or first bytes",
        "train/NORMAL/Thumbs.db": ISOLATED,
        "train/NORMAL/more/": f"{NOT_IN_LAYOUT} (3 files)",
        "val/": f"{NOT_IN_LAYOUT} (2 files)",
    }
    (warning,) = source.notes.warnings
    assert warning.startswith("data.exclude=*nothing*: leaves out no file")


def test_no_class_vanishes_from_a_split(root: Path, read: Read) -> None:
    for split in ("train", "test"):
        two(root / split)
    for path in (root / "test" / "B").iterdir():
        path.write_text("no image")
    match = r"no file of the class B in test can be read; .* \(test/B/b00\.png: not a"
    with pytest.raises(GanAugError, match=match):
        read()
    with pytest.raises(GanAugError, match="train has no images of A, other splits have"):
        read("data.exclude=[train/A/*]")


@pytest.mark.parametrize("name", [b"\xc6\xf3\xb7\xc5", b"\xc6\xf3.png"])
def test_names_that_are_not_utf_8(root: Path, read: Read, name: bytes) -> None:
    two(root)
    odd = os.fsencode(root / "A") + b"/" + name
    write_image(Path(os.fsdecode(odd if name.endswith(b"png") else odd + b"/x.png")), 1)
    with pytest.raises(GanAugError, match=r"A/\\xc6\\xf3.*: a name that is not UTF-8; rename"):
        read("data.on_bad_file=error")
    (listed,) = read().notes.files_skipped.items()
    assert listed[0].startswith("A/\\xc6\\xf3")
    assert listed[1] == "a name that is not UTF-8"


@pytest.mark.parametrize("suffix", ["", ".dat"])
def test_a_fifo_is_not_waited_for(root: Path, read: Read, suffix: str) -> None:
    two(root)
    os.mkfifo(root / "A" / f"pipe{suffix}")
    assert read().notes.files_skipped == {f"A/pipe{suffix}": "neither a file nor a folder"}
