"""Arms that add images of a folder: what is read, what is refused, and what they are worth."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from external_images import describe, plant, write
from PIL import Image
from support import FP32, TINY_STUDY, check_study, read_json, refused, settled_study

from gan_aug.arms.check import check_settled_arms
from gan_aug.data.external_files import digest_of_set
from gan_aug.data.external_set import read_external
from gan_aug.data.prepare import load
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits
from gan_aug.runtime.arguments import for_hydra
from gan_aug.settings.alike import first_difference
from gan_aug.settings.data import DataSettings
from gan_aug.settings.study import SettledStudy
from gan_aug.study.external import external_sets
from gan_aug.study.images import DrawImages
from gan_aug.study.rules import control_of

Command = Callable[..., Any]
TINY = (
    *(one for one in TINY_STUDY if "count" not in one and not one.startswith("model.")),
    *(f"+arm@arms.{name}={name}" for name in ("real", "duplicate")), "+arm@arms.mine=folder",
    "study.question={arm: mine, reference: real}", "study.count=12", "quality.use=[]",
    "arms.mine.added.dir=made/draw_${draw}", "arms.mine.added.seen=nothing", "study_dir=s",
)  # fmt: skip


def settle(cache: Path, *overrides: str) -> tuple[SettledStudy, Splits]:
    return settled_study(cache, *TINY, *overrides)


@pytest.fixture(scope="module")
def splits(cache_home: Path) -> Splits:
    return settle(cache_home)[1]


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
    (made / "normal/notes.txt").write_text("not an image")
    write(made, first[None], "loose.png")
    draw = DrawImages(*settle(cache_home), Path("unused"))
    images = draw.of_arm(draw.settings.arms["mine"])
    ((_, there),) = external_sets(draw)
    assert set(there.unread) == {"normal/notes.txt", "loose.png"}
    own = images.added[images.labels == 0]
    assert own.shape == (12, 1, 32, 32)
    assert np.abs(own[0].astype(int) - first).mean() < 12  # made larger and smaller again
    assert np.array_equal(own[1:], others)


def test_files_of_the_same_names_sizes_and_times_are_not_taken_for_the_former_ones(
    made: Path, cache_home: Path, splits: Splits
) -> None:
    """As when an archive that keeps no times is unpacked over another."""
    settled, _ = settle(cache_home)
    read = partial(read_external, made, "nothing", splits, settled.data, "x")
    of_class = np.asarray(splits.unused.of_class("normal").images)
    shutil.rmtree(made / "normal")
    for images in (of_class[:12], of_class[12:24]):
        write(made / "normal", images, "{:03d}.bmp")
        for path in (made / "normal").iterdir():
            os.utime(path, ns=(10**18, 10**18))
        assert np.array_equal(read().by_class["normal"].images, images)
        assert read().files_sha256 == digest_of_set(made, "x")


def test_a_folder_that_changes_after_the_check_gives_no_fewer_images(
    made: Path, cache_home: Path
) -> None:
    draw = DrawImages(*settle(cache_home), Path("unused"))
    check_settled_arms(draw.settings, draw.splits)
    (made / "normal/000.png").unlink()
    with refused("only 11 images of normal by now, 12 are wanted"):
        draw.of_arm(draw.settings.arms["mine"])


def test_copies_of_training_images_are_counted_and_said(
    made: Path, cache_home: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled, _ = settle(cache_home)
    loaded: list[int] = []

    def counted(data: DataSettings) -> Source:
        loaded.append(data.image_size)
        return load(data)

    monkeypatch.setattr("gan_aug.data.external_set.load", counted)
    read = partial(read_external, made, "nothing", splits, settled.data, "x")
    assert read().copies == {"normal": 0, "pneumonia": 0}
    for name, image in zip("ab", alike(splits.train.of_class("normal").images[0]), strict=True):
        image.save(made / f"normal/{name}.png")
    there = read()
    facts = there.facts(["mine"])
    assert (facts.copies, facts.near) == ({"normal": 2, "pneumonia": 0}, [])
    assert loaded == [64, 64]  # once for each set that was read
    (said,) = there.warnings("run.json")
    assert "2 of 26 images of" in said
    assert "though it is declared that the generator saw nothing of this data set" in said


def test_copies_that_are_small_are_told_by_their_pixels(
    made: Path, cache_home: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enlarged to be compared, an exported image may be like no original."""
    settled, _ = settle(cache_home)
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    monkeypatch.setattr("gan_aug.data.external_set.nearest_alike", lambda *_: none)
    write(made / "normal", np.asarray(splits.train.of_class("normal").images[:3]), "t{}.png")
    there = read_external(made, "nothing", splits, settled.data, "x")
    assert there.copies == {"normal": 3, "pneumonia": 0}


def shrink_values(folder: Path, splits: Splits) -> None:
    """As a generator whose values are from 0 to 1, saved without a factor."""
    write(folder, (np.asarray(splits.unused.of_class("normal").images[:12]) > 99).astype(np.uint8))


BAD: dict[str, tuple[Callable[[Path, Splits], object], str, list[str]]] = {
    "values from 0 to 1": (
        lambda m, s: shrink_values(m / "normal", s), "",
        ["made/draw_0: its normal images are black", "a generator's 0 to 1 times 255"],
    ),
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
        ["draw=3, this is draw=0", "name a folder for each draw, as 'made/draw_${draw}'"],
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


def test_a_bad_folder_stops_the_command_before_any_fit(
    made: Path, splits: Splits, command: Command
) -> None:
    spoil, _, parts = BAD["a test image"]
    spoil(made, splits)
    command("study", *TINY, cwd=made.parents[1], refused=parts)
    assert not list(made.parents[1].glob("s/draw_0/fits/*"))


def alike(image: np.ndarray[Any, Any]) -> list[Image.Image]:
    """Return an image as it is after others have used it: brighter; of another size."""
    brighter = np.clip(image[0].astype(np.float32) * 1.1 + 5, 0, 255).astype(np.uint8)
    return [Image.fromarray(brighter), Image.fromarray(image[0]).resize((90, 90), 2)]


def test_a_set_that_may_have_leaked_is_used_and_said_to_be_that(
    made: Path, command: Command, splits: Splits
) -> None:
    for name, image in zip("ab", alike(splits.test.of_class("normal").images[3]), strict=True):
        image.save(made / f"normal/{name}.png")
    typed = ("arms.mine.added.seen=unknown", "data.image_size=48", "quality.use=[ms_ssim]")
    settings, cwd = (*TINY, *typed, "quality.count=10"), made.parents[1]
    result = command("study", *settings, cwd=cwd, check=True)
    assert "warning: mine: what the generator of made/draw_0 saw is not known" in result.stderr
    metrics = json.loads((cwd / "s/draw_0/metrics.json").read_text())
    (facts,) = metrics["external"]
    assert (facts["arms"], facts["dir"], facts["seen"]) == (["mine"], "draw_0", "unknown")
    assert facts["images"] == {"normal": 14, "pneumonia": 12}
    (test_image,) = {one["real"] for one in facts["near"]}
    assert test_image == splits.test.of_class("normal").paths[3]
    assert [one["added"] for one in facts["near"]] == ["normal/a.png", "normal/b.png"]
    assert f"the test image {test_image}" in result.stderr
    assert metrics["control"] == "duplicate"
    assert metrics["quality"]["classes"]["normal"]["images"]["measured"] == 10
    record = read_json(cwd / "s/draw_0/run.json")
    assert record["synthetic"]["external"] == metrics["external"]
    careful = read_json(cwd / "s/summary.json")["answer"]["careful"]
    assert "leakage of validation and test images cannot be excluded" in careful[0]
    assert "2 test images" in careful[1]
    again = command("report", "study_dir=s", cwd=cwd).stdout
    assert again.startswith("Careful: what the generator of the images of mine saw")
    # The same folder with other images is not taken for what the draw had.
    (made / "normal/a.png").unlink()
    again = command("study", *settings, cwd=cwd)
    assert "made/draw_0: holds other files than when" in again.stderr


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gives_one_line(what: str, made: Path, cache_home: Path, splits: Splits) -> None:
    spoil, overrides, parts = BAD[what]
    spoil(made, splits)
    with refused(*parts):
        check_study(cache_home, *for_hydra([*TINY, *overrides.split()], ""))


def test_a_draw_may_have_its_own_folder_and_not_its_own_declaration(cache_home: Path) -> None:
    one = settle(cache_home)[0].plain()
    other = settle(cache_home, "draw=1")[0].plain()
    assert one["arms"]["mine"]["added"]["dir"] != other["arms"]["mine"]["added"]["dir"]
    assert first_difference(one, other) is None
    unlike = settle(cache_home, "draw=1", "arms.mine.added.seen=unknown")[0].plain()
    assert first_difference(one, unlike) == ("arms.mine.added.seen", "nothing", "unknown")


def test_the_filter_leaves_out_copies_of_training_images(
    made: Path, cache_home: Path, splits: Splits
) -> None:
    own = np.asarray(splits.train.of_class("normal").images[:3])
    write(made / "normal", own, "00{}_copy.png")  # between the first ones
    filtered = "arms.mine.added.filter.min_distance={}"
    draw = DrawImages(*settle(cache_home, filtered.format(0.1)), Path("unused"))
    added = draw.of_arm(draw.settings.arms["mine"]).added
    copies = {image.tobytes() for image in own}
    assert len(added) == 24
    assert not copies & {image.tobytes() for image in added}
    draw = DrawImages(*settle(cache_home, filtered.format(9)), Path("unused"))
    with refused("images of made/draw_0 pass the filter, 12 are wanted"):
        draw.of_arm(draw.settings.arms["mine"])


STUDY = (
    *("+study=external", "data=phantom", "data.source.train_per_class=200"),
    *("data.source.test_per_class=20", "data.image_size=32", "quality.use=[]"),
    *("data.development_per_class=0", "data.val_per_class=10", FP32),
)


def test_a_study_of_external_images_has_their_folder_once(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with refused("arms.mine.added.dir: is missing", "study.added.dir"):
        check_study(cache_home, *STUDY)
    typed = (*STUDY, "study.added.dir=made/draw_${draw}", "study.added.seen=nothing", "draw=2")
    settled, splits = settled_study(cache_home, *typed)
    plant(tmp_path / "made/draw_2", splits.unused, max(settled.study.count.values()))
    check_study(cache_home, *typed)
    for arm, control in (("mine", "duplicate"), ("classic_mine", "classic_duplicate")):
        assert settled.arms[arm].added.model_dump()["dir"] == "made/draw_2"
        question = {"study.question": {"arm": arm, "reference": "real"}}
        assert control_of(settled.changed(SettledStudy, question)) == control
