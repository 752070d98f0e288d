"""Sets of a generator that gan_aug did not fit: what they are measured against, what they copy."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import TINY_QUALITY, read_json, refused, rewrite, run_command, settings_of, write_image

from gan_aug.data.origin import ExportedDraw
from gan_aug.data.prepare import load
from gan_aug.evaluation.subject import Subject, load_subject, with_data
from gan_aug.study.export import export_draws

CLASSES = ("benign", "malignant")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in `images`, its draw 0 in `draws`, 12 images of each class in `made`."""
    folder = tmp_path_factory.mktemp("external")
    for label, name in enumerate(CLASSES):
        for i in range(160):
            write_image(folder / "images" / name / f"{i}.png", 1000 * label + i)
        for i in range(12):
            write_image(folder / "made" / name / f"{i}.png", 5000 + 1000 * label + i)
    settings = settings_of(
        "export", "+study=own", *of_data(folder), "data.subset=20", output_dir=str(folder / "draws")
    )
    export_draws(settings, {})
    shutil.copy(folder / "draws" / "draw_0" / "draw.json", folder / "made")
    return folder


def of_data(home: Path) -> tuple[str, ...]:
    return (f"data.root={home / 'images'}", f"data.cache_dir={home / 'cache'}")


@pytest.fixture
def made(home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(home / "made", tmp_path / "made"))


def subject_of(home: Path, folder: Path, seen: str, *more: str) -> Subject:
    arguments = (f"external.dir={folder}", f"external.seen={seen}", *of_data(home), *more)
    settings = settings_of("evaluate", *arguments, "quality.count=12")
    typed = [one.partition("=")[0] for one in arguments]
    return load_subject(with_data(settings, typed))


def test_draw_json_says_which_draw_it_is_measured_with(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = subject_of(home, made, "draw")
    there = ExportedDraw.of(home / "draws" / "draw_0", "x")
    assert subject.splits.train.hashes.tolist() == there.seen_hashes
    assert {name: len(images) for name, images in subject.generated.items()} == {
        "benign": 12, "malignant": 12,
    }  # fmt: skip
    assert "among the 40 training images of draw 0, which it saw" in capsys.readouterr().out
    assert subject.external is not None
    assert subject.external.near == []


def test_a_set_of_another_draw_or_data_set_is_refused(home: Path, made: Path) -> None:
    with refused("its draw.json is of draw=0, this is draw=1"):
        subject_of(home, made, "draw", "data.draw=1")
    (made / "draw.json").unlink()
    with refused("has no draw.json; copy it there"):
        subject_of(home, made, "draw")


@pytest.mark.parametrize(
    ("seen", "stream", "part"),
    [
        ("nothing", "out", "68 training images of draw 0, of which it saw none, as declared"),
        ("unknown", "err", "that the generator saw the real images which it is compared with can"),
    ],
)
def test_without_a_draw_a_third_is_compared_with(
    seen: str, stream: str, part: str, home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "draw.json").unlink()
    subject = subject_of(home, made, seen)
    said = capsys.readouterr()
    assert part in getattr(said, stream)
    counts = subject.splits.train.counts()
    assert (
        f"data.subset={{benign: {counts['benign']}, malignant: {counts['malignant']}}}" in said.out
    )
    held = subject.held_out(12, CLASSES)
    assert not {*held.baseline.hashes.tolist()} & {*subject.splits.train.hashes.tolist()}
    typed = subject_of(home, made, seen, "data.subset=10", "data.draw=3")
    assert typed.splits.train.counts() == {"benign": 10, "malignant": 10}


def test_near_duplicates_of_held_out_images_are_named(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = subject_of(home, made, "draw").splits.test
    path = str(test.paths[0])
    darker = np.asarray(Image.open(home / "images" / path)) * 0.8
    Image.fromarray(darker.astype(np.uint8)).save(made / "benign" / "dark.png")
    capsys.readouterr()
    subject = subject_of(home, made, "draw")
    (said,) = (line for line in capsys.readouterr().err.splitlines() if "held-out" in line)
    assert f"1 of 25 images of {made} are near duplicates of held-out ones (1 test)" in said
    assert f"such as benign/dark.png and the test image {path}" in said
    assert subject.external is not None
    assert [(one.split, one.real) for one in subject.external.near] == [("test", path)]
    shutil.copy(home / "images" / path, made / "benign" / "same.png")
    with refused("same.png: is the test image"):
        subject_of(home, made, "draw")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"source": {"_target_": "os.system"}}, "names 'os.system', which is none of gan_aug's"),
        ({"image_size": 10**6}, "image_size=1000000: must be a whole number from 8 to 1024"),
        ({"patient_regex": "(.+)+x"}, "data.patient_regex: is not taken from a file"),
    ],
)
def test_a_draw_json_of_anyone_can_do_nothing(
    change: dict[str, object], part: str, home: Path, made: Path
) -> None:
    stored = read_json(made / "draw.json")["data_settings"]
    rewrite(made / "draw.json", data_settings=stored | change)
    with refused(part):
        subject_of(home, made, "draw")
    rewrite(made / "draw.json", seen_hashes=["x"])
    with refused("draw.json: is no description of an exported draw"):
        subject_of(home, made, "draw")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["external.dir=x"], "external.seen=null: goes with external.dir=DIR, and says what"),
        (["external.seen=draw"], "checkpoint, synthetic.dir, external.dir: set just one"),
        (["external.dir=x", "synthetic.dir=y"], "external.dir: set just one"),
        (
            ["external.dir=x", "external.seen=all"],
            "external.seen=all: must be one of draw, nothing",
        ),
    ],
)
def test_what_cannot_be_asked(arguments: list[str], part: str) -> None:
    with refused(part):
        settings_of("evaluate", *arguments)


def test_too_few_images_are_refused(home: Path, made: Path) -> None:
    for i in range(9):
        (made / "benign" / f"{i}.png").unlink()
    with refused("has only 3 benign images, 10 are the fewest; bring more"):
        subject_of(home, made, "draw")


def test_inspect_names_what_the_data_set_has_too(
    home: Path, made: Path, cache_home: Path, tmp_path: Path
) -> None:
    shutil.copy(home / "images" / "benign" / "7.png", made / "benign" / "=7.png")
    shutil.copy(made / "malignant" / "1.png", made / "malignant" / "again.png")
    (made / "malignant" / "notes.txt").write_text("x")
    write_image(made / "loose.png", 1)
    typed = ("external.dir=made", *of_data(home), "hydra.run.dir=out")
    done = run_command(cache_home, "inspect", *typed, cwd=tmp_path, check=True)
    facts = read_json(tmp_path / "out" / "inspect.json")
    assert facts["images"] == {"benign": 13, "malignant": 13}
    assert facts["alike"] == {"benign": 0, "malignant": 1}
    assert facts["sizes"] == {"50 x 40": 26}
    assert "not read malignant/notes.txt" in done.stdout
    assert "not read loose.png: an image outside the class folders" in done.stdout
    with (tmp_path / "out" / "copies.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["real"]) == ("benign/=7.png", "benign/7.png")
    assert row["same_bytes"] == "true"
    splits = load(settings_of("inspect", *of_data(home)).data).tables()
    assert "benign/7.png" in splits[row["split"]].paths
    bare = run_command(cache_home, "inspect", "external.dir=made", cwd=tmp_path)
    assert bare.stderr.startswith("error: external.dir=made: needs the data set whose copies are")


def test_inspect_finds_small_copies_by_their_pixels(
    home: Path, made: Path, cache_home: Path, tmp_path: Path
) -> None:
    """As export writes them for training at 32 pixels; enlarged, they are like no original."""
    typed = (*of_data(home), "data.image_size=32")
    train = load(settings_of("inspect", *typed).data).train.of_class("benign")
    Image.fromarray(np.asarray(train.images[0, 0])).save(made / "benign" / "small.png")
    arguments = ("external.dir=made", *typed, "hydra.run.dir=out")
    run_command(cache_home, "inspect", *arguments, cwd=tmp_path, check=True)
    with (tmp_path / "out" / "copies.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    found = (row["path"], row["real"], row["split"], row["same_bytes"])
    assert found == ("benign/small.png", train.paths[0], "train", "false")


def test_inspect_counts_copies_in_folders_that_macos_named(
    cache_home: Path, tmp_path: Path
) -> None:
    names = [unicodedata.normalize("NFC", name) for name in ("gutartig", "bösartig")]
    for label, name in enumerate(names):
        for i in range(12):
            write_image(tmp_path / "images" / name / f"{i}.png", 1000 * label + i)
    made = tmp_path / "made" / unicodedata.normalize("NFD", names[1])
    shutil.copytree(tmp_path / "images" / names[1], made)
    typed = ("external.dir=made", *of_data(tmp_path), "hydra.run.dir=out")
    done = run_command(cache_home, "inspect", *typed, cwd=tmp_path, check=True)
    (row,) = (line.split() for line in done.stdout.splitlines() if line.strip().startswith("bös"))
    name, images, own, *copies = row
    assert (name, images, own, sum(map(int, copies))) == (names[1], "12", "0", 12)


def test_inspect_names_the_file_itself_where_the_set_has_it(
    cache_home: Path, tmp_path: Path
) -> None:
    """Of an image in one grey too, which is like no other picture; not one nearly the same."""
    for label, name in enumerate(CLASSES):
        for i in range(12):
            write_image(tmp_path / "images" / name / f"{i}.png", 1000 * label + i)
    folder, made = tmp_path / "images/benign", tmp_path / "made/benign"
    Image.new("L", (50, 40), 9).save(folder / "grey.png")
    with Image.open(folder / "3.png") as image:
        image.resize((100, 80)).save(folder / "03.png")  # before it by name
    made.mkdir(parents=True)
    for name in ("grey.png", "3.png"):
        shutil.copy(folder / name, made / name)
    typed = ("external.dir=made", *of_data(tmp_path), "hydra.run.dir=out")
    run_command(cache_home, "inspect", *typed, cwd=tmp_path, check=True)
    with (tmp_path / "out" / "copies.csv").open(newline="") as file:
        rows = [(row["path"], row["real"], row["same_bytes"]) for row in csv.DictReader(file)]
    own = [("benign/3.png", "benign/3.png", "true"), ("benign/grey.png", "benign/grey.png", "true")]
    assert rows == own


@pytest.mark.slow
def test_evaluate_as_typed(home: Path, made: Path, cache_home: Path, tmp_path: Path) -> None:
    """A set of the draw's own images copies them all, and is told so."""
    for name in CLASSES:
        for i, path in enumerate(sorted((home / "draws/draw_0/train" / name).iterdir())[:12]):
            shutil.copy(path, made / name / f"{i}.png")
    typed = ("external.dir=made", "external.seen=draw", *of_data(home), "hydra.run.dir=out")
    quality = (*TINY_QUALITY, "quality.use=[kid,precision_recall,ms_ssim,memorisation]")
    done = run_command(cache_home, "evaluate", *typed, *quality, cwd=tmp_path, check=True)
    found = read_json(tmp_path / "out" / "metrics.json")
    for name in CLASSES:
        values = found["classes"][name]["values"]
        assert values["generated"]["copying_pixel"] == pytest.approx(1)
        assert values["real"]["copying_pixel"] < 0.9
        assert f"{name}: " in done.stdout
    assert found["external"]["seen"] == "draw"
    assert found["external"]["near"] == []
