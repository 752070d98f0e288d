"""A study's draws as files: the very images, nothing of what is measured on, whole folders."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_STUDY, run_command, settings_of, settled_study, write_image

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.origin import ExportedDraw
from gan_aug.data.prepare import load
from gan_aug.data.splits import Splits
from gan_aug.runtime.arguments import with_list
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.study import ExportSettings
from gan_aug.study.export import export_draws

SIZE = 32


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 60 images, two of each patient; one would be a formula in a spreadsheet."""
    root = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("=1+1", "benign", "normal")):
        for i in range(60):
            write_image(root / name / f"Kim{30 * label + i // 2}_{i}.png", 1000 * label + i)
    return root


@pytest.fixture(scope="module")
def typed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "data__root": str(images),
        "data__cache_dir": str(tmp_path_factory.mktemp("cache")),
        "data__patient_regex": r"(Kim\d+)_.*",
        "data__image_size": SIZE,
        "data__val_per_class": 6,
    }


def export(typed: dict[str, Any], folder: Path, *draws: int, **more: Any) -> None:
    settings: ExportSettings = settings_of(
        "export", "+study=own", **typed, draw=list(draws), output_dir=str(folder), **more
    )
    export_draws(settings, {})


def of_study(typed: dict[str, Any], draw: int) -> Splits:
    """Return what the study's own command trains and measures on."""
    return settled_study(Path("unused"), "+study=own", **typed, draw=draw)[1]


def read_back(**settings: Any) -> ImageTable:
    """Return all images that data=folder reads, in the order of their paths."""
    found = settings_of("inspect", data__image_size=SIZE, **settings)
    every = concatenate(*load(found.data).tables().values())
    return every.take(np.argsort(every.paths))


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "train.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, int]:
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in paths}


def test_the_files_are_the_images_that_the_study_trains_on(
    typed: dict[str, Any], tmp_path: Path
) -> None:
    export(typed, tmp_path / "draws", 0, 1)
    assert sorted(path.name for path in (tmp_path / "draws").iterdir()) == ["draw_0", "draw_1"]
    for draw in (0, 1):
        folder, splits = tmp_path / "draws" / f"draw_{draw}", of_study(typed, draw)
        train, cache = splits.train, {"data__cache_dir": typed["data__cache_dir"]}
        back = read_back(data__root=str(folder / "train"), **cache)
        assert np.array_equal(back.images, train.images)
        assert np.array_equal(back.labels, train.labels)
        rows = rows_of(folder)
        assert [row["sha256"] for row in rows] == train.hashes.tolist()
        assert [row["path"] for row in rows] == [f"train/{path}" for path in back.paths]
        said = ExportedDraw.of(folder, "x")
        assert (said.draw, said.data_fingerprint) == (draw, splits.fingerprint)
        assert said.seen_hashes == train.hashes.tolist()
        held = (splits.validation, splits.internal, splits.test, splits.development, splits.unused)
        text = "".join(path.read_text() for path in (folder / "train.csv", folder / "draw.json"))
        pixels = {image.tobytes() for image in back.images}
        for table in held:
            assert not any(digest in text for digest in table.hashes.tolist())
            assert not any(image.tobytes() in pixels for image in table.images)


def test_a_person_is_a_number_and_a_spreadsheet_computes_nothing(
    typed: dict[str, Any], tmp_path: Path
) -> None:
    export(typed, tmp_path, 3)
    folder, train = tmp_path / "draw_3", of_study(typed, 3).train
    rows = rows_of(folder)
    assert {row["label"] for row in rows} == {"'=1+1", "benign", "normal"}
    assert not [cell for row in rows for cell in row.values() if cell[0] in "=+-@\t\r"]
    number_of: dict[str, set[str]] = {}
    for row, patient in zip(rows, train.patients.tolist(), strict=True):
        number_of.setdefault(patient, set()).add(row["patient"])
    assert all(len(numbers) == 1 and min(numbers).isdigit() for numbers in number_of.values())
    assert len({min(numbers) for numbers in number_of.values()}) == len(number_of)
    written = "".join(files_of(folder)) + (folder / "draw.json").read_text()
    assert "Kim" not in written.replace("Kim\\\\d+", "")  # but for the user's own pattern
    table = str(folder / "train.csv")
    back = read_back(data__root=str(folder), data__table=table, data__cache_dir=str(tmp_path / "c"))
    assert len({*back.patients.tolist()}) == len(number_of)


@pytest.mark.parametrize("links", [True, False])
def test_originals_are_the_files_themselves(
    links: bool, typed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: object) -> None:
        raise OSError("a privilege is needed")

    if not links:
        monkeypatch.setattr(Path, "symlink_to", refuse)
    export(typed, tmp_path, 0, originals=True)
    train, root = of_study(typed, 0).train, Path(typed["data__root"])
    for row, path in zip(rows_of(tmp_path / "draw_0"), train.paths.tolist(), strict=True):
        file = tmp_path / "draw_0" / row["path"]
        assert file.is_symlink() == links
        assert file.read_bytes() == (root / path).read_bytes()
    assert ExportedDraw.of(tmp_path / "draw_0", "x").image_size is None
    export(typed, tmp_path, 0, originals=True)


def test_an_original_that_changed_is_refused(
    typed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_aug.study.export.sha256_of", lambda path: "0" * 64)
    with pytest.raises(GanAugError, match="has changed since it was read"):
        export(typed, tmp_path / "draws", 0, originals=True)
    assert not list((tmp_path / "draws").iterdir())


def _another(folder: Path) -> None:
    (folder / "train" / "benign" / "00000.png").write_bytes(
        (folder / "train" / "normal" / "00000.png").read_bytes()
    )


def _of_smaller_batches(folder: Path) -> None:
    draw = json.loads((folder / "draw.json").read_text())
    draw["data_settings"]["batch_size"] = 4
    (folder / "draw.json").write_text(json.dumps(draw))


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (_another, "train/benign/00000.png is another image"),
        (lambda f: (f / "train/benign/00001.png").unlink(), "train/benign/00001.png is missing"),
        (lambda f: write_image(f / "train/benign/x.png", 0), "train/benign/x.png is one file too"),
        (lambda f: (f / "draw.json").unlink(), "it has no sound draw.json"),
        (lambda f: (f / "train.csv").write_text("path"), "train.csv differs"),
        (lambda f: f.rename(f.with_name("o")) and f.with_name("draw_1").rename(f), "draw differs"),
        # No image tells, and `evaluate external.dir` takes the settings from there.
        (_of_smaller_batches, "data_settings.batch_size differs"),
    ],
)
def test_what_is_there_is_kept_if_it_is_the_draw_and_refused_if_not(
    spoil: Any, part: str, typed: dict[str, Any], exported: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported, tmp_path / "draws")
    folder = tmp_path / "draws" / "draw_0"
    spoil(folder)
    before = files_of(folder)
    with pytest.raises(GanAugError, match=part):
        export(typed, tmp_path / "draws", 0)
    assert files_of(folder) == before


@pytest.fixture(scope="module")
def exported(typed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export(typed, folder, 0, 1)
    return folder


def test_the_same_command_again_leaves_all_as_it_is(
    typed: dict[str, Any], exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(exported)
    export(typed, exported, 0, 1)
    assert files_of(exported) == before
    assert capsys.readouterr().out.count("is there already, left as it is") == 2


def test_a_folder_appears_whole_or_not_at_all(
    typed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: ExportedDraw, path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ExportedDraw, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        export(typed, tmp_path / "draws", 0)
    assert not list((tmp_path / "draws").iterdir())


def test_where_and_what_cannot_be_exported(typed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(GanAugError, match=r"output_dir=.*: lies in data.root="):
        export(typed, Path(typed["data__root"]) / "draws", 0)
    phantom = settings_of(
        "export", "+study=seed_protocol", *TINY_STUDY, output_dir=str(tmp_path), originals=True
    )
    with pytest.raises(GanAugError, match="originals=true: data=phantom has no file"):
        export_draws(phantom, {})


def test_settings_that_a_study_goes_through_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = (one for one in TINY_STUDY if "subset" not in one and "study.count" not in one)
    settings = settings_of(
        "export", "+study=size_sweep", *tiny, "study.per_class=20", output_dir=str(tmp_path)
    )
    export_draws(settings, {"study.per_class": "20,40", "model.lr_g": "1,2", "model": "gan,dcgan"})
    (said,) = (line for line in capsys.readouterr().err.splitlines() if "goes through" in line)
    assert "study.per_class=20,40" in said


def test_several_values_of_one_setting_are_a_list() -> None:
    assert with_list(["-m", "draw=range(0,3)", "+study=own", "a=[1,2]"], "draw") == [
        "draw=[0,1,2]", "+study=own", "a=[1,2]",
    ]  # fmt: skip
    assert with_list(["draw=4,7", "--help"], "draw") == ["draw=[4,7]", "--help"]
    assert with_list(["draw=3"], "draw") == ["draw=3"]
    with pytest.raises(GanAugError, match=r"seed=1,2: this command takes several values of draw"):
        with_list(["seed=1,2"], "draw")


@pytest.mark.slow
def test_the_command_as_typed(cache_home: Path, tmp_path: Path) -> None:
    typed = ("+study=seed_protocol", *TINY_STUDY, "output_dir=draws")
    done = run_command(cache_home, "export", *typed, "draw=range(0,2)", cwd=tmp_path, check=True)
    assert "draws/draw_1: 40 normal, 36 pneumonia" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["draws"]
    again = run_command(cache_home, "export", "-m", *typed, "draw=1,2", cwd=tmp_path, check=True)
    assert "draws/draw_1: is there already" in again.stdout
    assert len(list((tmp_path / "draws" / "draw_2" / "train" / "pneumonia").iterdir())) == 36
    bad = run_command(cache_home, "export", *typed, "draw=x", cwd=tmp_path)
    assert (
        bad.stderr == "error: draw=x: must be a whole number from 0, or several that differ, "
        "as range(0,10) (see docs: when_it_stops#settings)\n"
    )
