"""What `gan_aug.inspect` finds in a folder, on the terminal, in inspect.json and on the page."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pages_check import check_contents
from PIL import Image
from support import read_json, settings_of, write_image

from gan_aug.data.prepare import load
from gan_aug.runtime.errors import GanAugError

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of 20 patients; one copy within a class and split, one across classes."""
    folder = tmp_path / "pictures"
    seed = 0
    for name in ("a", "b", "c"):
        for patient in range(20):
            write_image(folder / name / f"p{patient}{name}_0.png", seed := seed + 1)
    write_image(folder / "a" / "p0a_1.png", 1)  # as p0a_0
    shutil.copy(folder / "a" / "p3a_0.png", folder / "b" / "p3a_9.png")
    (folder / "c" / "broken.png").write_text("no image")
    (folder / "c" / "readme.txt").write_text("nothing")
    return folder


def test_what_is_found(root: Path, command: Command, tmp_path: Path) -> None:
    result = command(
        "inspect", "data.root=pictures", r"data.patient_regex=(p\d+[abc])_", "data.image_size=16",
        "hydra.run.dir=found",
    )  # fmt: skip
    found = read_json(tmp_path / "found" / "inspect.json")
    assert found["classes"] == ["a", "b", "c"]
    assert {name: sum(of[name] for of in found["images"].values()) for name in "abc"} == {
        "a": 21, "b": 21, "c": 20,
    }  # fmt: skip
    assert sum(found["patients"]["train"].values()) > 30
    assert found["patients_in_several_classes"] == 1
    assert found["patients_in_several_splits"] == 0
    assert found["exact"]["groups"] == 2
    assert found["exact"]["across_classes"] == 1
    assert found["exact"]["across_splits"] == 0
    assert sorted(found["exact"]["all"][0]["paths"]) == ["a/p3a_0.png", "b/p3a_9.png"]
    assert found["exact"]["all"][0]["classes"] == ["a", "b"]
    assert found["near"]["groups"] == 0
    assert found["skipped"]["c/readme.txt"] == "no image by its name or first bytes"
    assert found["skipped"]["c/broken.png"].startswith("not a sound image")
    assert sorted(found["skipped_by_reason"].values()) == [1, 1]
    with (tmp_path / "found" / "duplicates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["group"], row["class"], row["path"]) for row in rows] == [
        ("1", "a", "a/p3a_0.png"),
        ("1", "b", "b/p3a_9.png"),
        ("2", "a", "a/p0a_0.png"),
        ("2", "a", "a/p0a_1.png"),
    ]
    assert [row["in_several_classes"] for row in rows] == ["true", "true", "false", "false"]
    assert found["sizes"] == {"50 x 40": 62}
    assert "In more than one class, byte for byte: 1, such as" in result.stderr
    assert "data.on_conflict=drop" in result.stderr
    assert "A study needs 25 training images of each class, and a has 1" in result.stderr
    for part in (
        "images (patients)",
        "known; 1 in several classes",
        "skipped c/broken.png",
        "skipped 1 file: no image by its name",
        "in two classes, same bytes: a/p3a_0.png, b/p3a_9.png",
    ):
        assert part in result.stdout
    page = (tmp_path / "found" / "inspect.html").read_text()
    assert (
        len(re.findall(r'<img src="data:image/png;base64,', page)) == 8
    )  # sheet, mean of each; duplicates
    assert page.index("The same image in two classes") < page.index(">Duplicates</h2>")
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # self-contained
    assert "Duplicates" in check_contents(page)
    for part in ("c/broken.png", "p3a_9.png"):
        assert part in page


def test_all_pairs_across_classes_are_shown(
    command: Command, tmp_path: Path, cache_home: Path
) -> None:
    """Of 30, each again in the other class: exact copies, and others that were saved anew."""
    for i in range(30):
        write_image(tmp_path / "pictures" / "[A]" / f"{i:02d}.png", i)
        other = tmp_path / "pictures" / "B" / f"again {i:02d}.png"
        other.parent.mkdir(exist_ok=True)
        if i % 2:
            Image.open(tmp_path / "pictures" / "[A]" / f"{i:02d}.png").save(
                other.with_suffix(".tif")
            )
        else:
            shutil.copy(tmp_path / "pictures" / "[A]" / f"{i:02d}.png", other)
    for i in range(100, 140):
        write_image(tmp_path / "pictures" / "[A]" / f"{i}.png", i)
        write_image(tmp_path / "pictures" / "B" / f"{i}.png", 100 * i)
    (tmp_path / "pictures" / "B" / "\x1b[31mred.txt").write_text("no image")
    result = command("inspect", "data.root=pictures", "hydra.run.dir=found")
    page = (tmp_path / "found" / "inspect.html").read_text()
    for kind in ("exact", "near"):
        groups = read_json(tmp_path / "found" / "inspect.json")[kind]["all"]
        assert sum(set(group["classes"]) == {"[A]", "B"} for group in groups) == 15, kind
    conflicts, duplicates = "The same image in two classes</h2>", ">Duplicates</h2>"
    of_conflicts = page[page.index(conflicts) : page.index(duplicates)]
    assert of_conflicts.count("<img") == 30
    with (tmp_path / "found" / "duplicates.csv").open(newline="") as file:
        assert sum(row["in_several_classes"] == "true" for row in csv.DictReader(file)) == 60
    assert "[A]" in result.stdout, "brackets are no style"
    assert "\x1b" not in result.stdout
    assert r"\x1b[31mred.txt" in result.stdout
    data = ("data=folder", "data.root=pictures", "data.val_per_class=5", "data.image_size=32")
    train = ("+experiment=cnn_baseline", *data, "data.subset=10", "data.development_per_class=0")
    refused = command("train", *train)
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    for part in ("B/again 00.png and [A]/00.png", "15 such images in all", "=drop"):
        assert part in line


def test_patients_that_nothing_tells(root: Path, command: Command, tmp_path: Path) -> None:
    small = ("data.fit=pad", "data.image_size=16")
    result = command("inspect", "data.root=pictures", *small, "hydra.run.dir=found")
    assert "leakage between training and test images of one patient" in result.stderr
    assert read_json(tmp_path / "found" / "inspect.json")["patients"] is None
    assert "not known for 62 images" in result.stdout


def test_other_data_sets_can_be_looked_at(command: Command, tmp_path: Path) -> None:
    small = ("data.source.train_per_class=4", "data.source.test_per_class=4", "data.fit=crop")
    result = command("inspect", "data=phantom", *small, "data.image_size=16", "hydra.run.dir=found")
    assert "pneumonia (positive)" in result.stdout


def test_a_data_set_that_has_changed_is_looked_at_again(
    root: Path, command: Command, tmp_path: Path
) -> None:
    """The same command into the same folder showed what had been there before."""
    arguments = ("inspect", "data.root=pictures", "data.image_size=16", "hydra.run.dir=found")
    first = command(*arguments)
    assert first.returncode == 0, first.stderr
    fingerprint = read_json(tmp_path / "found" / "run.json")["data"]["fingerprint"]
    (root / "c" / "broken.png").unlink()
    for i in range(5):
        write_image(root / "c" / f"new{i}.png", 900 + i)
    again = command(*arguments)
    assert again.returncode == 0, again.stderr
    found = read_json(tmp_path / "found" / "inspect.json")
    assert sum(of["c"] for of in found["images"].values()) == 25
    assert read_json(tmp_path / "found" / "run.json")["data"]["fingerprint"] != fingerprint
    assert "new0.png" not in str(found["skipped"])
    assert "broken.png" not in (tmp_path / "found" / "inspect.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "data.root=DIR"),
        (["data.root=.", "data.fit=bend"], "data.fit=bend: .*squeeze, pad, crop"),
        (["data.root=.", "images=0"], "images=0: must be a whole number from 1"),
        (["data.root=.", "images=abc"], "images=abc: must be a whole number from 1"),
        (["data.root=.", "data.test_share=1"], "data.test_share=1: .*between 0 and 1"),
    ],
)
def test_bad_input_is_refused(
    arguments: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GanAugError, match=part):
        load(settings_of("inspect", *arguments).data)


def test_external_tests_are_shown_beside(
    kaggle_folder: Path, command: Command, tmp_path: Path
) -> None:
    for i, name in enumerate(("Normal", "Normal", "Pneumonia")):
        write_image(tmp_path / "nih" / name / f"{i}.jpeg", 900 + i)
    copied = next((kaggle_folder / "train" / "NORMAL").iterdir())
    shutil.copy(copied, tmp_path / "nih" / "Normal")
    result = command(
        "inspect", "data=chest_xray", f"data.root={kaggle_folder}", "data.external={nih: nih}",
        "hydra.run.dir=out",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said = "2 normal, 1 pneumonia, patients not known; left out: 1 in the data set too"
    assert said in " ".join((tmp_path / "out" / "inspect.html").read_text().split())
    assert "external test nih" in result.stdout
    assert "warning: data.external.nih: 1 of its images are in the data set too" in result.stderr
