"""A study of somebody else: whatever lies in it is read within bounds, or its draw is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fake_study import change, write_study

from gan_aug.report import read as reading
from gan_aug.report.build import write_report
from gan_aug.report.predictions import PredictionTables
from gan_aug.report.read import read_study
from gan_aug.runtime.errors import GanAugError


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 * 10**9)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("pristine"), {"real": 0.0, "gan": 0.02}, draws=3)


@pytest.fixture
def study(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "s")


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


def test_nothing_is_written_or_removed_through_a_link_out_of_the_study(
    study: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    own = elsewhere / "ruler.png"  # a figure that this study has not, and so takes away
    own.touch()
    (study / "figures").symlink_to(elsewhere)
    with pytest.raises(GanAugError, match="figures: is a link that leads out of"):
        write_report(study)
    assert list(elsewhere.iterdir()) == [own]


def test_a_draw_that_cannot_be_measured_is_left_out(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A split without a class, say: torchmetrics and numpy raise errors of their own."""
    real, calls = reading.measure_fit, iter(range(99))

    def measure(*arguments: Any, **more: Any) -> Any:
        if next(calls) == 2:  # the first fit of the second draw
            raise IndexError("index 0 is out of bounds")
        return real(*arguments, **more)

    monkeypatch.setattr(reading, "measure_fit", measure)
    found = read_study(study)
    assert [job.folder.name for job in found.jobs] == ["draw_0", "draw_2"]
    (left_out,) = found.unfinished
    assert "real_0 cannot be measured (index 0 is out of bounds)" in left_out["reason"]


def test_an_arm_that_no_draw_has_a_fit_of_is_named(study: Path) -> None:
    for path in study.glob("*/metrics.json"):
        change(path, lambda m: m.update(fits=[f for f in m["fits"] if f["arm"] != "gan"]))
    with pytest.raises(GanAugError, match=r"metrics\.json: no draw has a fit of gan; run that"):
        read_study(study)


def test_a_setting_that_is_text_here_and_a_number_there_has_a_report(tmp_path: Path) -> None:
    conditions = ({"study.count": "auto"}, {"study.count": 50})
    write_study(tmp_path, {"real": 0.0, "gan": 0.02}, draws=1, conditions=conditions)
    found = read_study(tmp_path)
    assert [len(found.rows(condition)) for condition in found.conditions] == [2, 2]


@pytest.mark.parametrize("column", ["label", "patient", "split", "image"])
def test_a_table_of_other_columns_is_one_line(column: str, tmp_path: Path) -> None:
    columns = {"split": "test", "image": 0, "label": 0, "patient": 0, "logits": 0.5}
    columns |= {"fit": "abc", "last_logits": None} | {column: ["a", "b"]}
    (tmp_path / "predictions").mkdir()
    pl.DataFrame([columns]).write_parquet(tmp_path / "predictions" / "x.parquet")
    with pytest.raises(GanAugError, match="predictions/: is damaged at abc"):
        PredictionTables(tmp_path).find("abc")
