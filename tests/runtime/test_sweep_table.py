"""The table at the end of a multirun says what its numbers are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_study import change, write_study
from omegaconf import DictConfig, OmegaConf

from gan_aug.runtime import sweep_table


def sweep_in(folder: Path) -> DictConfig:
    return OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}})


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("internal AUROC", ["numbers: internal AUROC", "┃ gan "]),
        (None, ["real: internal AUROC", "gan: internal AUROC", "┃ gan "]),
    ],
    ids=["declared", "said in one draw alone"],
)
def test_it_names_the_endpoint(
    of: str | None,
    said: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_study(tmp_path, {"real": 0.0, "gan": 0.0}, draws=2, repeats=1)
    for draw, measure in enumerate((of, "internal AUROC")):
        numbers = {"headline": {"real": 0.91, "gan": 0.9}, "headline_of": measure}
        change(tmp_path / f"draw_{draw}" / "metrics.json", lambda m, n=numbers: m.update(n))
    sweep_table.RememberSweep().on_multirun_start(sweep_in(tmp_path))
    sweep_table.print_table()
    printed = capsys.readouterr().out
    for part in said:
        assert part in printed
    assert printed.count("0.91") == 2


def test_a_file_server_whose_clock_is_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What this multirun does is no run that finished before, whatever time its files have."""
    write_study(tmp_path, {"real": 0.0}, draws=2, repeats=1)
    sweep_table.RememberSweep().on_multirun_start(sweep_in(tmp_path))
    os.utime(tmp_path / "draw_1" / "run.json", (10**9, 10**9))
    sweep_table.print_table()
    assert capsys.readouterr().out.count("skipped, finished before") == 1


def test_a_finished_job_that_was_opened_again_and_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(tmp_path, {"real": 0.0}, draws=1, repeats=1)
    sweep_table.RememberSweep().on_multirun_start(sweep_in(tmp_path))
    os.utime(tmp_path / "draw_0" / "run.json")  # which is written back
    sweep_table.note_refused([tmp_path / "draw_0"])
    sweep_table.print_table()
    assert "finished before, refused now" in capsys.readouterr().out
