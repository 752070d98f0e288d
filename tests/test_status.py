"""`python -m gan_aug.status` beside runs that are really running."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from job_files import submit, write_run
from support import TINY_GAN, TINY_STUDY, assert_one_line, refused, settings_of, start, wait_for

from gan_aug.jobs.follow import Follower
from gan_aug.jobs.show import exit_code
from gan_aug.runtime.progress import Progress

Command = Callable[..., Any]


@pytest.mark.slow
def test_a_study_is_followed_to_its_end(tmp_path: Path, cache_home: Path, command: Command) -> None:
    """One draw, from its first stage to its last."""
    arguments = ("+study=seed_protocol", *TINY_STUDY, "study_dir=s")
    process = start(cache_home, *arguments, cwd=tmp_path, name="study")
    wait_for(process, tmp_path, "s/draw_0/progress.json")
    follower = Follower(tmp_path / "s")
    seen: list[Progress] = []
    both = False
    codes = set()
    while process.poll() is None:
        sweeps = follower.look()
        (job,) = sweeps[0].jobs
        if job.progress is not None:
            seen.append(job.progress)
            codes.add(exit_code(sweeps))
            both |= any((tmp_path / "runs" / "gans").glob("*/progress.json"))
        time.sleep(0.05)
    assert process.returncode == 0, process.communicate()[1]
    assert codes == {3}
    names = list(dict.fromkeys(progress.stage for progress in seen))
    assert names[0] == "real, fit 1 of 1"
    assert names[-1] == "quality of the images"
    assert {p.stages for p in seen} == {9}
    assert seen[-1].stage_number == 9, "fewer or more stages than were announced"
    gan_seen = [p for p in seen if p.stage == "GAN of pneumonia" and p.total]
    assert {(p.total, p.unit) for p in gan_seen} == {(8, "batches")}
    assert both, "the GAN's own folder tells nothing"
    assert not list(tmp_path.rglob("progress.json"))
    result = command("status")
    assert result.returncode == 0, result.stderr
    assert "1 job: 1 done" in result.stdout


@pytest.mark.slow
def test_a_killed_run_does_not_run_for_ever(
    tmp_path: Path, cache_home: Path, command: Command
) -> None:
    arguments = (*TINY_GAN, "trainer.max_epochs=100000", "quality.every_n_epochs=null")
    run = ("trainer.log_every_n_steps=1", "hydra.run.dir=runs/gan/run")
    process = start(cache_home, *arguments, *run, cwd=tmp_path)
    try:
        wait_for(process, tmp_path, "runs/gan/run/progress.json")
        follower = Follower(tmp_path / "runs")
        while not ((job := follower.look()[0].jobs[0]).progress and job.progress.seconds_left):
            assert process.poll() is None
            time.sleep(0.05)
        assert job.progress.images_per_second
        result = command("status")
        assert result.returncode == 3, result.stderr
        assert "1/1 GAN of pneumonia" in result.stdout
        assert "1 job: 1 running" in result.stdout
    finally:
        process.kill()
        process.wait()
    result = command("status")
    assert result.returncode == 1
    assert "1 job: 1 killed" in result.stdout
    assert "repeat the command to go on" in result.stdout


def test_a_run_may_be_repeated_with_other_settings_after_it_failed_at_once(
    tmp_path: Path, command: Command
) -> None:
    """Where it failed is no work that other settings could spoil."""
    arguments = (*TINY_GAN, "trainer.max_epochs=1", "hydra.run.dir=run")
    wrong = "model.d_steps=0"
    assert_one_line(command("train", *arguments, wrong), wrong, "whole number from 1")
    (tmp_path / "run" / "progress.json").write_text("{}")
    result = command("train", *arguments)
    assert result.returncode == 0, result.stderr


def test_a_table_is_not_drawn_all_the_time() -> None:
    with refused("refresh_seconds=0: must be a number above 0"):
        settings_of("status", "refresh_seconds=0")


def test_it_loads_no_torch_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "s" / "draw_0", "running")
    submit(tmp_path / "runs" / "s", "draw_0", "draw_1")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code = (
        "import sys\n"
        "from gan_aug import status\n"
        "try: status.main()\n"
        "except SystemExit as end: print('code', end.code)\n"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "code 3" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
