"""`data.classes`: which classes are taken, and several as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import settings_of, write_image

from gan_aug.data.prepare import load
from gan_aug.data.settle import named
from gan_aug.data.source import Source
from gan_aug.data.sources.entries import Entry, chosen_classes
from gan_aug.data.sources.tree import Tree
from gan_aug.data.splits import make_splits
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.commands import InspectSettings


def entries(*labels: str) -> list[Entry]:
    return [Entry(f"{label}/{i}.png", label, None, None) for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("there", "classes", "taken", "left"),
    [
        ("abc", None, "a/0=a b/1=b c/2=c", ""),
        ("abcb", ["a", "c"], "a/0=a c/2=c", "b/1 b/3"),
        ("abc", ["a", "other"], "a/0=a b/1=other c/2=other", ""),
        (("a", "b", "other"), ["a", "other"], "a/0=a other/2=other", "b/1"),  # it is a class itself
        ("012", [0, 2], "0/0=0 2/2=2", "1/1"),  # names that Hydra reads as numbers
    ],
)
def test_which_classes_are_taken(there: Sequence[str], classes: Any, taken: str, left: str) -> None:
    tree = Tree()
    found = chosen_classes(entries(*there), classes, tree, "data")
    assert " ".join(f"{e.path[:-4]}={e.label}" for e in found) == taken
    assert tree.reasons == {
        f"{path}.png": f"of the class {path[0]}, which data.classes leaves out"
        for path in left.split()
    }


@pytest.mark.parametrize(
    ("classes", "part"),
    [
        (["a", "x"], "data: data.classes=[a,x]: x is none of the classes a, b"),
        (["a", "a"], "data.classes=[a,a]: names a class twice"),
        (["a", "b", "other"], "no class is left for other"),
    ],
)
def test_what_names_no_class_is_refused(classes: Any, part: str) -> None:
    with pytest.raises(GanAugError, match=re.escape(part)):
        chosen_classes(entries("a", "b"), classes, Tree(), "data")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes a and b in two splits; c lacks one, so that it must be left out."""
    folder = tmp_path_factory.mktemp("images")
    places = ("train/a", "train/b", "train/c", "test/a", "test/b")
    for n, place in enumerate(places):
        for i in range(6):
            write_image(folder / place / f"{i}.png", 10 * n + i, (16, 16))
    return folder


def loaded(root: Path, cache: Path, *overrides: str) -> Source:
    small = (f"data.root={root}", f"data.cache_dir={cache}", "data.image_size=16")
    settings = settings_of("inspect", *small, *overrides)
    source = load(settings.data)
    splits = make_splits(source, 0, dict.fromkeys(source.classes), 0, 2)
    stored = settings.changed(InspectSettings, named(settings.data, splits))
    # What a checkpoint carries gives the same data set again.
    assert load(stored.data).fingerprint() == source.fingerprint()
    return source


def test_a_class_that_lacks_a_split_can_be_left_out(root: Path, tmp_path: Path) -> None:
    with pytest.raises(GanAugError, match="test has no images of c"):
        loaded(root, tmp_path)
    source = loaded(root, tmp_path, "data.classes=[a,b]")
    assert source.classes.names == ("a", "b")
    skipped = source.notes.files_skipped
    assert {path for path in skipped if path.startswith("train/c/")} == {
        f"train/c/{i}.png" for i in range(6)
    }


def test_one_class_against_the_rest(root: Path, tmp_path: Path) -> None:
    source = loaded(root, tmp_path, "data.classes=[a,other]", "data.positive=a")
    assert source.classes.names == ("a", "other")
    assert source.classes.positive == "a"
    rest = source.train.of_class("other").paths.tolist()
    assert {path.split("/")[1] for path in rest} == {"b", "c"}


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("data.classes=[normal,x]", "x is none of the classes normal, pneumonia"),
        ("data.positive=normal", "data=phantom has pneumonia"),
        ("data.num_classes=3", "data=phantom has 2"),
    ],
)
def test_other_data_sets_do_not_ignore_them(setting: str, part: str, tmp_path: Path) -> None:
    small = ("data.image_size=16", "data.source.train_per_class=4")
    small += ("data.source.test_per_class=4", f"data.cache_dir={tmp_path}")
    with pytest.raises(GanAugError, match=part):
        load(settings_of("inspect", "data=phantom", *small, setting).data)
