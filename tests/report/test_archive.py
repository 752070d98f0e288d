"""A study's archive: small, whole, and a study again when it is unpacked."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from fake_study import change, report_of, write_study

from gan_aug.report import predictions
from gan_aug.report.archive import files_to_keep
from gan_aug.report.read import read_study
from gan_aug.runtime.errors import GanAugError

Command = Callable[..., Any]
EFFECTS = {"real": 0.0, "duplicate": 0.0, "gan": 0.02}


def test_unpacked_it_gives_the_same_report(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_study(one, EFFECTS, draws=6, quality=1.0)
    (one / "draw_2" / "grids").mkdir()
    (one / "draw_2" / "grids" / "real_pneumonia.txt").write_text("an image")
    change(one / "draw_3" / "run.json", lambda r: r.update(status="failed"))
    report_of(one, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(other)
    report_of(other, tmp_path / "b.zip")
    for name in ("results.csv", "summary.json"):
        here, there = ((folder / name).read_text() for folder in (one, other))
        assert (here == there) == (name == "results.csv")  # the failed draw is in one summary
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    left = {str(path.relative_to(other)).split("/")[0] for path in other.glob("draw_*")}
    assert left == {f"draw_{i}" for i in (0, 1, 2, 4, 5)}
    assert not list(other.rglob("grids"))


@pytest.mark.slow
def test_a_study_goes_on_from_its_archive(command: Command, tmp_path: Path) -> None:
    small = ("+study=calibration_planted", "trainer.precision=32-true", "study.steps=10",
             "study.validate_every=10", "classifier.width=2")  # fmt: skip
    assert command("study", "-m", *small, "draw=0,1", "study_dir=one").returncode == 0
    found = command("report", "study_dir=one", "archive=kept/draws.zip")
    assert found.returncode == 0, found.stderr
    with zipfile.ZipFile(tmp_path / "kept" / "draws.zip") as archive:
        archive.extractall(tmp_path / "other")
    result = command("study", "-m", *small, "draw=0,1,2", "study_dir=other")
    assert result.returncode == 0, result.stderr
    whole = command("study", "-m", *small, "draw=0,1,2", "study_dir=one")
    assert whole.returncode == 0
    one, other = ((tmp_path / f / "results.csv").read_text() for f in ("one", "other"))
    assert one == other
    kept = [(tmp_path / f / "draw_1/metrics.json").read_bytes() for f in ("one", "other")]
    assert kept[0] == kept[1]  # found, not made again: it holds its seconds


@pytest.mark.parametrize("archive", ["draws.tar", "."])
def test_it_is_a_zip(archive: str, tmp_path: Path) -> None:
    write_study(tmp_path / "s", EFFECTS, draws=1)
    with pytest.raises(GanAugError, match=f"archive={archive}: name a file that ends in .zip"):
        report_of(tmp_path / "s", Path(archive))
    assert not (tmp_path / "s" / "report.html").exists()


def test_what_a_link_points_to_is_not_packed(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", EFFECTS, draws=6)
    link = folder / "draw_2" / "fits" / "gan_0.npz"
    elsewhere = link.rename(tmp_path / "elsewhere.npz")
    link.symlink_to(elsewhere)
    with pytest.raises(GanAugError, match=r"archive=: \S+/draw_2/fits/gan_0.npz leads out of"):
        report_of(folder, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    assert not (folder / "report.html").exists()
    link.unlink()
    link.symlink_to(shutil.copy(elsewhere, folder / "own.npz"))  # the study's own may be packed
    report_of(folder, tmp_path / "a.zip")
    (folder / "draw_4").rename(tmp_path / "moved")
    (folder / "draw_4").symlink_to(tmp_path / "moved")
    with pytest.raises(GanAugError, match=r"archive=: \S+/draw_4 leads out of"):
        report_of(folder, tmp_path / "b.zip")
    (folder / "draw_0" / "run.json").unlink()
    os.mkfifo(folder / "draw_0" / "run.json")
    job = SimpleNamespace(folder=folder / "draw_0", result=SimpleNamespace(fits=[]))
    study: Any = SimpleNamespace(folder=folder, jobs=[job])
    with pytest.raises(GanAugError, match=r"run\.json"):
        files_to_keep(study)


PLANTED: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("no table"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "turned": lambda path: path.write_bytes(turned(path.read_bytes())),
    "other": lambda path: pl.DataFrame({"fit": ["a"], "more": [1]}).write_parquet(path),
    "longer": lambda path: pl.concat([pl.read_parquet(path)] * 2).write_parquet(path),
    "fifo": lambda path: (path.unlink(), os.mkfifo(path)),
}


def turned(content: bytes) -> bytes:
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(b ^ 255 for b in content[middle : middle + 9])
        + content[middle + 9 :]
    )


@pytest.mark.parametrize("name", PLANTED)
def test_a_damaged_table_leaves_its_draws_out(name: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    (table,) = (folder / "predictions").iterdir()
    PLANTED[name](table)
    with pytest.raises(GanAugError, match=r"holds no finished draw \(.*predictions"):
        read_study(folder)


def test_more_rows_than_are_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MOST_ROWS", 1000)
    with pytest.raises(GanAugError, match="has 2400 rows, at most 1000 are read"):
        read_study(unpacked(tmp_path))


def unpacked(tmp_path: Path) -> Path:
    write_study(tmp_path / "s", {"real": 0.0, "gan": 0.0}, draws=1)
    report_of(tmp_path / "s", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"
