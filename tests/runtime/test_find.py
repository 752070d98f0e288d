"""The runs below a folder: linked ones too, and none missed without a word."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from job_files import write_run

from gan_aug.runtime.find import find_runs, report_due


def run_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    return folder


def test_links_to_runs_and_to_folders_of_runs_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "study"
    here = run_in(root / "a" / "draw_0")
    run_in(tmp_path / "disk" / "draw_1")
    run_in(tmp_path / "disk" / "more" / "draw_2")
    (root / "draw_1").symlink_to(tmp_path / "disk" / "draw_1")
    (root / "b").symlink_to(tmp_path / "disk" / "more")
    found = find_runs(root)
    assert found.runs == [here, root / "b" / "draw_2", root / "draw_1"]
    assert found.unread == {}


def test_a_run_with_two_names_has_both_and_a_circle_ends(tmp_path: Path) -> None:
    one = run_in(tmp_path / "draw_0")
    (tmp_path / "draw_1").symlink_to(one)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert find_runs(tmp_path).runs == [one, tmp_path / "draw_1"]


def test_hidden_folders_and_what_lies_in_a_run_are_left_alone(tmp_path: Path) -> None:
    run_in(tmp_path / ".trash" / "draw_0")
    run_in(tmp_path / "draw_1")
    run_in(tmp_path / "draw_1" / "copy")
    assert find_runs(tmp_path).runs == [tmp_path / "draw_1"]


def test_what_cannot_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "draw_1").symlink_to(tmp_path / "a disk that is gone")
    locked = run_in(tmp_path / "draw_2")
    scandir = os.scandir

    def refuse(folder: Path) -> object:  # root may read everything
        if folder == locked:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_runs(tmp_path)
    assert found.runs == []
    assert found.unread == {
        tmp_path / "draw_1": f"links to {tmp_path}/a disk that is gone, which cannot be reached",
        locked: "Permission denied",
    }


def test_a_report_is_due_until_it_is_younger_than_every_draws_results_and_end(
    tmp_path: Path,
) -> None:
    results, report = tmp_path / "draw_0" / "metrics.json", tmp_path / "report.html"

    def due(status: str = "finished", ended: float = 30) -> bool:
        write_run(results.parent, status, age=ended)
        with report_due(tmp_path) as answer:
            return answer

    def write(path: Path, age: float) -> None:
        path.touch()
        os.utime(path, (time.time() - age,) * 2)

    assert not due()
    write(results, age=30)
    assert due()
    write(report, age=20)
    assert not due()
    assert due(ended=10)  # the report was begun between the draw's results and its end
    assert not due("running", ended=10)
    write(results, age=10)
    assert due()
    assert not due("running")
    write(report, age=-3600)
    assert due()
    assert not (tmp_path / ".report.lease").exists()
