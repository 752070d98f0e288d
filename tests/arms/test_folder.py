"""Arms that add images of a folder: what is read, what is refused, and what they are worth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import TINY_STUDY, check_study, settings_of

from gan_aug.data.exported import ExportedDraw
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared, load
from gan_aug.data.splits import Splits
from gan_aug.run.arguments import for_hydra
from gan_aug.run.errors import GanAugError
from gan_aug.settings.study import SettledStudy
from gan_aug.study.images import DrawImages
from gan_aug.study.settle import settle_study

Command = Callable[..., Any]
TINY = (
    *(one for one in TINY_STUDY if "count" not in one and not one.startswith("model.")),
    *(f"+arm@arms.{name}={name}" for name in ("real", "duplicate")), "+arm@arms.mine=folder",
    "study.question={arm: mine, reference: real}", "study.count=12", "quality.use=[]",
    "arms.mine.added.dir=made/draw_${draw}", "arms.mine.added.seen=nothing", "study_dir=s",
)  # fmt: skip


def settle(cache: Path, *overrides: str) -> tuple[SettledStudy, Prepared]:
    settings = settings_of("study", *TINY, *overrides, data__cache_dir=str(cache / "gan_aug"))
    return settle_study(settings, load(settings.data))


def write(folder: Path, images: np.ndarray[Any, Any], name: str = "{:03d}.png") -> None:
    """Write grey images, uint8 (N, 1, H, W)."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(folder / name.format(i))


def plant(folder: Path, table: ImageTable, count: int = 12) -> None:
    """Write real images as those of a generator."""
    for name in table.classes:
        write(folder / name, np.asarray(table.of_class(name).images[:count]))


def describe(folder: Path, splits: Splits, **others: Any) -> None:
    """Write the draw.json of a draw beside the images."""
    says: dict[str, Any] = {
        "data_fingerprint": splits.fingerprint,
        "draw": splits.draw,
        "classes": list(splits.classes),
        "seen_hashes": splits.train.hashes.tolist(),
        "image_size": 32,
        "channels": 1,
        "data_settings": {},
    }
    ExportedDraw(**says | others).write(folder / "draw.json")


@pytest.fixture(scope="module")
def splits(cache_home: Path) -> Splits:
    return settle(cache_home)[1].splits


@pytest.fixture
def made(tmp_path: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images for draw 0, in the folder that the arm names."""
    monkeypatch.chdir(tmp_path)
    plant(tmp_path / "made/draw_0", splits.unused)
    return tmp_path / "made/draw_0"


def test_images_are_read_as_the_data_sets_own(made: Path, cache_home: Path, splits: Splits) -> None:
    """In the order of their names, at any depth, of any kind and size, grey."""
    shutil.rmtree(made / "normal")
    first, *others = np.asarray(splits.unused.of_class("normal").images[:12])
    Image.fromarray(first[0]).convert("RGB").resize((64, 64), 0).save(made / "a.bmp")
    (made / "normal/b").mkdir(parents=True)
    (made / "a.bmp").rename(made / "normal/a.bmp")
    write(made / "normal/b", np.stack(others), "{:02d}.tiff")
    (made / "notes.txt").write_text("not an image")
    settled, prepared = settle(cache_home)
    added = DrawImages(settled, prepared, Path("unused")).added(settled.arms["mine"])
    own = added.images[added.labels == 0]
    assert own.shape == (12, 1, 32, 32)
    assert np.abs(own[0].astype(int) - first).mean() < 12  # made larger and smaller again
    assert np.array_equal(own[1:], others)


BAD: dict[str, tuple[Callable[[Path, Splits], object], str, list[str]]] = {
    "no folder": (lambda m, s: shutil.rmtree(m), "", ["added.dir=made/draw_0", "no such"]),
    "a class is missing": (
        lambda m, s: shutil.rmtree(m / "normal"), "",
        ["arms.mine.added.count.normal=12", "has 0 images of normal"],
    ),
    "a class of other files": (
        lambda m, s: [one.rename(one.with_suffix(".npy")) for one in m.glob("normal/*")], "",
        ["has 0 images of normal", "normal/000.npy is not read"],
    ),
    "other classes": (
        lambda m, s: (m / "normal").rename(m / "NORMAL"), "",
        ["NORMAL, pneumonia", "classes are normal, pneumonia", "rename NORMAL"],
    ),
    "no class folders": (
        lambda m, s: [one.rename(m / f"{one.parent.name}_{one.name}") for one in m.glob("*/*")],
        "", ["no folder with images", "24 images lie in it itself"],
    ),
    "fewer images": (
        lambda m, s: [one.unlink() for one in m.glob("normal/*1.png")], "",
        ["arms.mine.added.count.normal=12", "has 10 images"],
    ),
    "no image": (
        lambda m, s: (m / "normal/000.png").write_bytes(b"no"), "",
        ["arms.mine.added.dir=made/draw_0: normal/000.png", "not a sound image"],
    ),
    "other channels": (
        lambda m, s: Image.fromarray(np.zeros((9, 9), np.float32)).save(m / "normal/z.tiff"), "",
        ["normal/z.tiff", "floating-point"],
    ),
    "a link out": (
        lambda m, s: (m / "normal/z.png").symlink_to("/etc/hostname"), "",
        ["normal/z.png", "leads out of the folder"],
    ),
    "a folder that is a link out": (
        lambda m, s: (m / "normal/more").symlink_to("/etc"), "",
        ["normal/more", "leads out of the folder"],
    ),
    "not declared": (lambda m, s: None, "arms.mine.added.seen=null", ["added.seen", "unknown"]),
    "declared otherwise": (
        lambda m, s: None, "arms.mine.added.seen=all", ["arms.mine.added.seen=all", "must be"],
    ),
    "no draw.json": (lambda m, s: None, "arms.mine.added.seen=draw", ["has no draw.json"]),
    "another data set": (
        lambda m, s: describe(m, s, data_fingerprint="f"), "arms.mine.added.seen=draw",
        ["another data set"],
    ),
    "another draw": (
        lambda m, s: describe(m, s, draw=3), "arms.mine.added.seen=draw",
        ["draw=3, this is draw=0"],
    ),
    "other training images": (
        lambda m, s: describe(m, s, seen_hashes=s.unused.hashes.tolist()[:5]),
        "arms.mine.added.seen=draw", ["other training images", "saw 5"],
    ),
    "test images seen": (
        lambda m, s: describe(m, s, seen_hashes=s.test.hashes.tolist()[:5]),
        "arms.mine.added.seen=draw", ["other settings", "5 images", "test"],
    ),
    "a draw.json that contradicts": (describe, "", ["seen=nothing", "set seen=draw"]),
    "a test image": (
        lambda m, s: write(m / "normal", np.asarray(s.test.images[:1]), "t.png"), "",
        ["normal/t.png", "is the test image test/normal/"],
    ),
    "a validation image": (
        lambda m, s: write(m / "pneumonia", np.asarray(s.validation.images[:1]), "t.png"), "",
        ["pneumonia/t.png", "is the validation image"],
    ),
    "pairs": (lambda m, s: None, "arms.mine.added.paired=true", ["arms.mine.added.paired=True"]),
    "a replicate": (lambda m, s: None, "arms.mine.added.replicate=1", ["added.replicate=1"]),
    "unlabelled": (
        lambda m, s: None, "arms.mine.added.unlabelled=true study.unlabelled=5",
        ["not of source=folder"],
    ),
    "a folder of another arm": (
        lambda m, s: None, "arms.duplicate.added.dir=made", ["arms.duplicate.added.dir=made"],
    ),
    "a filter that takes too many": (
        lambda m, s: None, "arms.mine.added.mixup=0.2 arms.mine.added.ratio=0.5", ["leave one"],
    ),
}  # fmt: skip
"""What is wrong to how it comes about, settings, and what the line says."""


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gives_one_line(what: str, made: Path, cache_home: Path, splits: Splits) -> None:
    spoil, overrides, parts = BAD[what]
    spoil(made, splits)
    with pytest.raises(GanAugError) as refused:
        check_study(cache_home, *for_hydra([*TINY, *overrides.split()], ""))
    assert "\n" not in str(refused.value)
    for part in parts:
        assert part in str(refused.value)
