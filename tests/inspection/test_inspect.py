"""What `gan_aug.inspect` finds in a folder, on the terminal, in inspect.json and on the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import write_image

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


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_what_is_found(root: Path, command: Command, tmp_path: Path) -> None:
    result = command(
        "inspect", "data.root=pictures", r"data.patient_regex=(p\d+[abc])_", "data.image_size=32",
        "hydra.run.dir=found",
    )  # fmt: skip
    found = read(tmp_path / "found" / "inspect.json")
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
    assert sorted(found["exact"]["examples"][0]) == ["a/p3a_0.png", "b/p3a_9.png"]
    assert found["near"]["groups"] == 0
    assert found["skipped"]["c/readme.txt"] == "no image by its name"
    assert found["skipped"]["c/broken.png"] == "not an image that Pillow can read"
    assert found["sizes"] == {"50 x 40": 62}
    assert "1 images are in more than one class, byte for byte" in result.stderr
    for part in ("images (patients)", "known; 1 in several classes", "skipped c/broken.png"):
        assert part in result.stdout
    page = (tmp_path / "found" / "inspect.html").read_text()
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == 6  # sheet, mean of each
    assert not re.search(r'(src|href)="(?!data:)', page)  # self-contained
    for part in ("c/broken.png", "p3a_9.png"):
        assert part in page


def test_patients_that_nothing_tells(root: Path, command: Command, tmp_path: Path) -> None:
    result = command("inspect", "data.root=pictures", "hydra.run.dir=found")
    assert "leakage between training and test images of one patient" in result.stderr
    assert read(tmp_path / "found" / "inspect.json")["patients"] is None
    assert "not known for 62 images" in result.stdout


def test_other_data_sets_can_be_looked_at(command: Command, tmp_path: Path) -> None:
    small = ("data.source.train_per_class=30", "data.source.test_per_class=30")
    result = command("inspect", "data=phantom", *small, "data.image_size=32", "hydra.run.dir=found")
    assert "pneumonia (positive)" in result.stdout
    again = command("inspect", "data=phantom", *small, "data.image_size=32", "hydra.run.dir=found")
    assert "finished already" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["data.root=DIR"]),
        (["data.root=nowhere"], ["data.root=nowhere", "no such folder"]),
        (["data.root=.", "data.fit=bend"], ["data.fit=bend", "squeeze, pad, crop"]),
        (["data.root=.", "images=0"], ["images=0", "whole number from 1"]),
        (["data.root=.", "images=abc"], ["images=abc", "whole number from 1"]),
        (["data.root=.", "data.test_share=1"], ["data.test_share=1", "between 0 and 1"]),
        (["data.root=.", "data.patient_regex=(x"], ["data.patient_regex", "regular expression"]),
        (["data=medmnist", "data.set=chestmnist"], ["chestmnist", "multi-label", "bloodmnist"]),
    ],
)
def test_bad_input_gets_one_line(
    root: Path, command: Command, arguments: list[str], parts: list[str]
) -> None:
    result = command("inspect", *arguments)
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    for part in parts:
        assert part in line
