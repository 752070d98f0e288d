"""A study's archive: small, whole, and a study again when it is unpacked."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_study import change, write_study

from gan_aug.report.archive import files_to_keep
from gan_aug.report.build import write_report
from gan_aug.run.errors import GanAugError

Command = Callable[..., Any]
EFFECTS = {"real": 0.0, "duplicate": 0.0, "gan": 0.02}


def test_unpacked_it_gives_the_same_report(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_study(one, EFFECTS, draws=6, repeats=1, quality=1.0)
    (one / "draw_2" / "grids").mkdir()
    (one / "draw_2" / "grids" / "real_pneumonia.txt").write_text("an image")
    change(one / "draw_3" / "run.json", lambda r: r.update(status="failed"))
    write_report(one, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(other)
    write_report(other, tmp_path / "b.zip")
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
    fits = [(tmp_path / f / "draw_1/fits/real_0.json").read_bytes() for f in ("one", "other")]
    assert fits[0] == fits[1]  # found, not made again: it holds its seconds


@pytest.mark.parametrize("archive", ["draws.tar", "."])
def test_it_is_a_zip(archive: str, command: Command, tmp_path: Path) -> None:
    write_study(tmp_path / "s", EFFECTS, draws=1, repeats=1)
    result = command("report", "study_dir=s", f"archive={archive}")
    assert result.returncode == 1
    assert f"archive={archive}: name a file that ends in .zip" in result.stderr
    assert not (tmp_path / "s" / "report.html").exists()


def test_what_a_link_points_to_is_not_packed(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", EFFECTS, draws=6, repeats=1)
    (tmp_path / "secret.json").write_text("a key")
    link = folder / "draw_2" / "fits" / "key.json"
    link.symlink_to(tmp_path / "secret.json")
    with pytest.raises(GanAugError, match=r"archive=: \S+/draw_2/fits/key.json leads out of"):
        write_report(folder, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    assert not (folder / "report.html").exists()
    link.unlink()
    link.symlink_to(folder / "draw_3" / "run.json")  # what is the study's own may be packed
    write_report(folder, tmp_path / "a.zip")
    link.unlink()
    (folder / "draw_4").rename(tmp_path / "moved")
    (folder / "draw_4").symlink_to(tmp_path / "moved")
    with pytest.raises(GanAugError, match=r"archive=: \S+/draw_4 leads out of"):
        write_report(folder, tmp_path / "b.zip")
    os.mkfifo(folder / "draw_0" / "fits" / "pipe.npz")
    study: Any = SimpleNamespace(folder=folder, jobs=[SimpleNamespace(folder=folder / "draw_0")])
    with pytest.raises(GanAugError, match=r"pipe\.npz"):
        files_to_keep(study)
