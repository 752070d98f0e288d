"""A synthetic set joins training only when its manifest allows it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import ORIGIN
from torchvision.datasets import ImageFolder

from gan_aug.data.image_table import ClassImages, ImageTable
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import Splits, make_splits
from gan_aug.data.synthetic import read_set, write_set
from gan_aug.runtime.errors import GanAugError


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    source = Phantom(40, 10, 0).load(16, 1, tmp_path_factory.mktemp("cache"))
    return make_splits(source, 0, {"normal": 12, "pneumonia": 12}, 3, 6)


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"pneumonia": random.integers(0, 256, (9, 1, 16, 16), np.uint8)}


def write(folder: Path, images: dict[str, np.ndarray], splits: Splits, **changes: Any) -> Path:
    origin = ORIGIN | {
        "data_fingerprint": splits.fingerprint,
        "seen_hashes": splits.train.hashes[splits.train.labels == 1].tolist(),
    }
    made = {name: ClassImages(of_class) for name, of_class in images.items()}
    write_set(folder, made, origin | changes)
    return folder


@pytest.fixture
def folder(tmp_path: Path, images: dict[str, np.ndarray], splits: Splits) -> Path:
    """A sound set."""
    return write(tmp_path / "set", images, splits)


def test_round_trip(images: dict[str, np.ndarray], folder: Path, splits: Splits) -> None:
    made = read_set(folder, splits, 5).by_class
    np.testing.assert_array_equal(made["pneumonia"].images, images["pneumonia"][:5])
    assert len(made["normal"]) == 0
    assert made["pneumonia"].sources is made["pneumonia"].first(3).sources is None
    assert len(read_set(folder, splits).by_class["pneumonia"]) == 9
    assert len(read_set(folder, splits, 0).by_class["pneumonia"]) == 0


def in_colour(table: ImageTable) -> ImageTable:
    return replace(table, images=np.repeat(table.images, 3, axis=1))


def test_colour_round_trip(tmp_path: Path, splits: Splits) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), np.uint8)
    folder = write(tmp_path / "set", {"normal": images}, splits)
    coloured = replace(splits, train=in_colour(splits.train))
    made = read_set(folder, coloured).by_class["normal"]
    np.testing.assert_array_equal(made.images, images)


def test_image_folder_reads_it(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", images | {"normal": images["pneumonia"][:4]}, splits)
    dataset = ImageFolder(str(folder))
    assert dataset.classes == ["normal", "pneumonia"]
    assert len(dataset) == 13


def test_nothing_is_overwritten(
    tmp_path: Path, images: dict[str, np.ndarray], folder: Path, splits: Splits
) -> None:
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
        read_set(folder, splits)


def test_a_generator_of_another_draw_is_refused(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", images, splits, draw=7, seen_hashes=["f" * 64])
    with pytest.raises(GanAugError, match="not training images of draw=0"):
        read_set(folder, splits)


def twice_as_large(table: ImageTable) -> ImageTable:
    return replace(table, images=table.images.repeat(2, axis=2).repeat(2, axis=3))


@pytest.mark.parametrize(
    ("other", "message"), [(twice_as_large, "data.image_size=32"), (in_colour, "data.channels=3")]
)
def test_another_shape_is_refused(
    other: Callable[[ImageTable], ImageTable], message: str, folder: Path, splits: Splits
) -> None:
    with pytest.raises(GanAugError, match=message):
        read_set(folder, replace(splits, train=other(splits.train)))


def test_an_unknown_class_is_refused(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    folder = write(tmp_path / "set", {"cat": images["pneumonia"]}, splits)
    with pytest.raises(GanAugError, match="has class cat"):
        read_set(folder, splits)


def test_too_few_images_are_refused_before_any_is_read(
    tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    both = {"normal": np.repeat(images["pneumonia"], 2, axis=0), **images}
    folder = write(tmp_path / "set", both, splits)
    (folder / "normal" / "00000.png").write_bytes(b"")
    with pytest.raises(GanAugError, match=r"data\.synthetic\.count=10.*has 9 pneumonia"):
        read_set(folder, splits, 10)


@pytest.fixture
def translated(tmp_path: Path, images: dict[str, np.ndarray], splits: Splits) -> Path:
    """A set of pneumonia and normal images, each made from a training image of the other class."""
    sources = {
        name: np.resize(splits.train.hashes[splits.train.labels != label], 9).tolist()
        for label, name in enumerate(("normal", "pneumonia"))
    }
    made = {name: ClassImages(images["pneumonia"], sources[name]) for name in sources}
    seen = splits.train.hashes.tolist()
    write_set(tmp_path / "set", made, ORIGIN | {"seen_hashes": seen})
    return tmp_path / "set"


def test_sources_come_back_image_by_image(translated: Path, splits: Splits) -> None:
    train = splits.train
    wanted = {
        name: np.resize(train.hashes[train.labels != label], 9).tolist()
        for label, name in enumerate(("normal", "pneumonia"))
    }
    manifest = json.loads((translated / "manifest.json").read_text())
    assert manifest["sources"].keys() == manifest["files"].keys()
    made = read_set(translated, splits).by_class
    assert {name: images.sources for name, images in made.items()} == wanted
    few = read_set(translated, splits, 4).by_class
    assert {n: images.sources for n, images in few.items()} == {n: s[:4] for n, s in wanted.items()}
    assert few["normal"].first(2).sources == wanted["normal"][:2]


@pytest.mark.parametrize("part", ["test", "validation", "development", "unused"])
def test_a_source_outside_training_is_refused(part: str, translated: Path, splits: Splits) -> None:
    """Though the manifest says that its generator saw training images alone."""
    leaked = str(getattr(splits, part).hashes[0])
    edit(translated, lambda m: m["sources"].update({"normal/00002.png": leaked}))
    said = "images that are not training images of draw=0" if part == "unused" else f"{part} images"
    with pytest.raises(GanAugError, match=f"its generator saw 1 {said}"):
        read_set(translated, splits)


def a_circle(folder: Path) -> None:
    path = folder / "pneumonia" / "00000.png"
    path.unlink()
    path.symlink_to(path.name)


def another(folder: Path) -> None:
    """For example a real test image put in a generated one's place."""
    shutil.copy(folder / "pneumonia" / "00001.png", folder / "pneumonia" / "00000.png")


def a_fifo(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "manifest.json").unlink(), "has no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "does not hold a mapping"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (a_fifo, "not a regular file"),
        (
            lambda f: (f / "manifest.json").write_text(json.dumps({"files": {}})),
            "is of format None",
        ),
        (lambda f: (f / "pneumonia" / "00000.png").unlink(), "00000.png: cannot be read"),
        (a_circle, r"00000.png: cannot be read \(a loop of links\)"),
        (another, "00000.png: is not the file its manifest lists"),
    ],
)
def test_damaged_sets(break_it: Any, message: str, folder: Path, splits: Splits) -> None:
    break_it(folder)
    with pytest.raises(GanAugError, match=message):
        read_set(folder, splits)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return folder


OUTSIDE = (
    *("pneumonia/../../outside/0.png", "../outside/0.png", "/etc/0.png", "pneumonia/x/0.png"),
    *("pneumonia\\0.png", "pneumonia/.0.png", "pneumonia/0.jpg", "0.png", ""),
)
Edit = Callable[[dict[str, Any]], object]
SAID: dict[str, tuple[Edit, str]] = {
    "no files": (lambda m: m.pop("files"), r"\(files: field required\)"),
    "a source missing": (lambda m: m["sources"].pop("normal/00000.png"), "sources"),
    "a source more": (lambda m: m["sources"].update({"normal/00009.png": "a" * 64}), "sources"),
    "a source that is no hash": (
        lambda m: m["sources"].update({"normal/00000.png": "x"}),
        "sources",
    ),
    "a null source": (lambda m: m["sources"].update({"normal/00000.png": None}), "sources"),
    "a list of sources": (lambda m: m.update(sources=list(m["sources"])), "sources"),
    "a text of sources": (lambda m: m.update(sources="a" * 64), "sources"),
    "nothing of what was seen": (lambda m: m.pop("seen_hashes"), "seen_hashes"),
    **{
        f"seen {seen!r:.9}": (lambda m, seen=seen: m.update(seen_hashes=seen), "seen_hashes")
        for seen in ([], ["x"], [7], "a" * 64, {})
    },
    **{
        f"a list of {key}": (lambda m, key=key: m.update({key: [1]}), rf"\({key}=\[1\]: ")
        for key in ("files", "image_size", "channels", "draw")
    },
    **{
        f"a file {name}": (
            lambda m, name=name: m["files"].update({name: m["files"]["pneumonia/00000.png"]}),
            "is not CLASS/NAME.png inside the set",
        )
        for name in OUTSIDE
    },
}


@pytest.mark.parametrize("what", SAID)
def test_what_a_manifest_must_not_say(
    what: str, tmp_path: Path, translated: Path, splits: Splits
) -> None:
    """Files stay in the set, and each has its source; what was seen is said, all in its type."""
    (tmp_path / "outside").mkdir()
    shutil.copy(translated / "pneumonia" / "00000.png", tmp_path / "outside" / "0.png")
    change, message = SAID[what]
    edit(translated, change)
    with pytest.raises(GanAugError, match=rf"manifest\.json: is no manifest .*{message}"):
        read_set(translated, splits)


@pytest.mark.parametrize("what", ["class folder", "image"])
def test_links_that_lead_out_of_the_set_are_refused(
    what: str, tmp_path: Path, folder: Path, splits: Splits
) -> None:
    place = folder / "pneumonia" if what == "class folder" else folder / "pneumonia" / "00003.png"
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GanAugError, match="is a link that leads out of the set"):
        read_set(folder, splits)


@pytest.mark.parametrize("split", ["test", "validation", "development"])
def test_real_held_out_images_are_no_synthetic_set(
    split: str, tmp_path: Path, images: dict[str, np.ndarray], splits: Splits
) -> None:
    """Even with a manifest that looks sound."""
    passed = images["pneumonia"].copy()
    passed[4] = getattr(splits, split).images[0]
    folder = write(tmp_path / "set", {"pneumonia": passed}, splits)
    with pytest.raises(GanAugError, match=rf"00004\.png: is the {split} image .* pixel for pixel"):
        read_set(folder, splits)


@pytest.mark.parametrize("kind", ["larger", "colour", "jpeg"])
def test_an_image_that_is_not_what_the_manifest_says(
    kind: str, folder: Path, splits: Splits
) -> None:
    path = folder / "pneumonia" / "00000.png"
    with Image.open(path) as image:
        other = image.resize((32, 32)) if kind == "larger" else image.convert("RGB")
    other.save(path, "JPEG" if kind == "jpeg" else "PNG")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(folder, lambda m: m["files"].update({"pneumonia/00000.png": digest}))
    with pytest.raises(GanAugError, match=r"00000\.png: is no PNG of 16x16 pixels in mode L"):
        read_set(folder, splits)
