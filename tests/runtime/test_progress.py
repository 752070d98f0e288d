"""progress.json, of a run alone and of a run within another."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_aug.runtime import progress
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.progress import PROGRESS, Progress, reporting, stage, update


def written(folder: Path) -> Progress:
    return Progress.read(folder / PROGRESS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by the test."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_stages_and_time_left(tmp_path: Path, clock: list[float]) -> None:
    with reporting(tmp_path, stages=2):
        stage("GAN of x")
        assert (written(tmp_path).stage, written(tmp_path).total) == ("GAN of x", 0)
        update(500, 1500)  # a resumed one
        assert (written(tmp_path).done, written(tmp_path).seconds_left) == (500, None)
        clock[0] += 1
        update(600, 1500, 250.0)
        assert written(tmp_path).done == 500, "written twice within two seconds"
        clock[0] += 9
        update(700, 1500, 250.0)
        found = written(tmp_path)
        # 200 in 10 s, 800 to go
        assert (found.done, found.seconds_left, found.images_per_second) == (700, 40.0, 250.0)
        assert (found.stage_number, found.stages, found.unit) == (1, 2, "batches")
        stage("quality", unit="classes")
        found = written(tmp_path)
        assert (found.stage_number, found.done, found.total) == (2, 0, 0)
        assert (found.unit, found.images_per_second) == ("classes", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("load", "said"), [(9.0, 1), (1.0, 0)], ids=["busy", "idle"])
def test_a_run_that_others_slow_down_says_so_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    load: float,
    said: int,
) -> None:
    """On idle cores it has slowed down by itself: its networks grew."""
    monkeypatch.setattr(progress.psutil, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(progress.psutil, "cpu_count", lambda: 2)
    with reporting(tmp_path, stages=2):
        stage("GAN of x")
        with reporting(tmp_path / "gan", stages=1):  # both look at the same
            stage("GAN")
            for speed in (350.0, 300.0, 50.0, 11.0, 9.0):
                update(1, 10, speed)
        stage("classifiers")  # slower ones
        update(1, 10, 20.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == said
    if said:
        assert "11 images/s after 350: other processes use its cores" in lines[0]
        assert "trainer.threads=1" in lines[0]


def test_a_gan_fitted_for_a_draw_tells_both(tmp_path: Path) -> None:
    draw, gan = tmp_path / "draw", tmp_path / "gan"
    with reporting(draw, stages=16):
        stage("GAN of x")
        with reporting(gan, stages=1):
            stage("GAN")
            update(3, 10)
            assert [written(f).done for f in (draw, gan)] == [3, 3]
            assert [written(f).stages for f in (draw, gan)] == [16, 1]
            assert written(draw).stage == "GAN of x"
        assert not (gan / "progress.json").exists()
        stage("fit")
        update(1, 5)
        assert (written(draw).stage_number, written(draw).done) == (2, 1)


def test_where_a_run_failed_is_kept(tmp_path: Path, clock: list[float]) -> None:
    def stopped() -> None:
        with reporting(tmp_path, stages=1):
            stage("GAN")
            update(1, 10)
            update(7, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert written(tmp_path).done == 7
    stage("nobody listens")
    update(8, 10)
    assert written(tmp_path).done == 7


def test_a_full_disk_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Progress, path: Path) -> None:
        raise GanAugError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(Progress, "write", full)
    with reporting(tmp_path, stages=1):
        stage("GAN")
        update(1, 10)
    assert not (tmp_path / progress.PROGRESS).exists()  # and the run came to its end


def test_it_costs_no_time_and_no_random_numbers(tmp_path: Path) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    with reporting(tmp_path, stages=1):
        stage("GAN")
        started = time.process_time()
        for i in range(10_000):
            update(i, 10_000, 250.0)
        each = (time.process_time() - started) / 10_000
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after
    assert each < 5e-5, "of a training step of some 50 ms, a thousandth"
