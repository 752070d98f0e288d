"""A study of somebody else: whatever lies in it is read within bounds, or its draw is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_study import change, write_study

from gan_aug.report.build import write_report
from gan_aug.report.study import read_study
from gan_aug.run.errors import GanAugError


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 * 10**9)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "s", {"real": 0.0, "gan": 0.02}, draws=3, repeats=1)


@pytest.mark.parametrize("plant", [fifo, device, sparse])
@pytest.mark.parametrize("file", ["fits/gan_0.npz", "metrics.json", "run.json"])
def test_a_file_of_a_draw_that_has_no_end_is_named(
    plant: Callable[[Path], None], file: str, study: Path
) -> None:
    plant(study / "draw_1" / file)
    found = read_study(study)
    assert [job.folder.name for job in found.jobs] == ["draw_0", "draw_2"]
    (left_out,) = found.unfinished
    assert f"draw_1/{file}: cannot be read" in left_out["reason"]


@pytest.mark.parametrize("plant", [fifo, device, sparse])
def test_what_no_fit_names_is_not_opened(plant: Callable[[Path], None], study: Path) -> None:
    plant(study / "draw_1" / "fits" / "more.npz")
    found = read_study(study)
    assert [job.folder.name for job in found.jobs] == ["draw_0", "draw_1", "draw_2"]


def test_an_arm_that_leads_outside_leaves_its_draw_out(study: Path, tmp_path: Path) -> None:
    change(study / "draw_1" / "metrics.json", lambda m: m["fits"][1].update(arm="../../../x"))
    device(tmp_path / "x_0.npz")
    (left_out,) = read_study(study).unfinished
    assert "'../../../x' names no arm" in left_out["reason"]


@pytest.mark.figures
def test_nothing_is_written_through_a_link_out_of_the_study(study: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (study / "figures").symlink_to(elsewhere)
    with pytest.raises(GanAugError, match="figures: is a link that leads out of"):
        write_report(study)
    assert not list(elsewhere.iterdir())
