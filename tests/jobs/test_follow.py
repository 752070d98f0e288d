"""How jobs stand, from folders in every state."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from job_files import (
    a_dead_pid,
    now,
    submit,
    write,
    write_attempt,
    write_progress,
    write_run,
)

from gan_aug.jobs import state as module
from gan_aug.jobs.follow import Follower, Job, Sweep
from gan_aug.jobs.state import SILENT_SECONDS, State
from gan_aug.run.errors import GanAugError


def look(root: Path) -> Sweep:
    (sweep,) = Follower(root).look()
    return sweep


def only(root: Path) -> Job:
    (job,) = look(root).jobs
    return job


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(timespec="seconds")


def files_below(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("finished", State.DONE),
        ("failed", State.FAILED),
        ("interrupted", State.STOPPED),
        ("running", State.KILLED),  # nobody holds the lock
    ],
)
def test_a_run_without_a_launcher(status: str, state: State, tmp_path: Path) -> None:
    reason = "data.root=x: no such folder" if status == "failed" else None
    write_run(tmp_path / "draw_0", status, reason=reason)
    job = only(tmp_path)
    assert (job.folder, job.state) == ("draw_0", state)
    assert reason is None or job.reason == reason


def test_a_run_that_ends_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run.json was read before, its lock is looked at after."""
    write_run(tmp_path / "draw_0", "running")

    def ends(folder: Path) -> bool:
        write_run(folder, "finished")
        return False

    monkeypatch.setattr(module, "is_busy", ends)
    assert only(tmp_path).state is State.DONE


@pytest.mark.parametrize(
    ("run", "attempt", "state", "reason"),
    [
        (None, None, State.WAITING, None),
        (None, {"state": "running"}, State.RUNNING, None),
        (None, {"state": "running", "pid": "dead"}, State.KILLED, "is gone; repeat"),
        (None, {"state": "failed", "reason": "no GPU"}, State.FAILED, "no GPU"),
        (None, {"state": "stopped", "reason": "time limit"}, State.STOPPED, "time limit"),
        (None, {"state": "done"}, State.DONE, None),
        # a process of this machine that has not come to its run.json yet
        ("failed", {"state": "running", "started": "now"}, State.RUNNING, None),
        ("interrupted", {"state": "running", "started": "now"}, State.RUNNING, None),
        # the run's own words are newer, and more precise
        ("failed", {"state": "failed", "reason": "exit code 1"}, State.FAILED, "of the run"),
        ("failed", {"state": "running"}, State.FAILED, "of the run"),
        ("interrupted", {"state": "stopped", "reason": "x"}, State.STOPPED, "of the run"),
        # killed by the kernel; only the launcher could say so
        ("running", {"state": "failed", "reason": "signal 9"}, State.FAILED, "signal 9"),
        ("running", {"state": "running", "pid": "dead"}, State.KILLED, "is gone; repeat"),
        ("running", {"state": "done"}, State.KILLED, "ended before the run"),
        ("finished", {"state": "failed", "reason": "report"}, State.DONE, None),
        ("finished", {"state": "running"}, State.DONE, None),
    ],
)
def test_a_job_of_a_launcher(
    run: str | None,
    attempt: dict[str, Any] | None,
    state: State,
    reason: str | None,
    tmp_path: Path,
) -> None:
    jobs = submit(tmp_path, "draw_0")
    if run:
        write_run(tmp_path / "draw_0", run, age=60, reason="of the run")
    if attempt:
        if attempt.get("pid") == "dead":
            attempt = attempt | {"pid": a_dead_pid()}
        if attempt.get("started") == "now":
            attempt = attempt | {"started": now()}
        write_attempt(jobs, 0, **attempt)
    before = files_below(tmp_path)
    job = only(tmp_path)
    assert job.state is state
    assert (job.reason is None) if reason is None else (reason in str(job.reason))
    assert files_below(tmp_path) == before, "looking left something behind"


def test_a_job_on_another_machine_is_believed_while_it_writes(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0")
    write_run(tmp_path / "draw_0", "running", age=2 * SILENT_SECONDS)
    elsewhere = {"host": "node7", "pid": a_dead_pid()}
    write_attempt(jobs, 0, started=ago(3 * SILENT_SECONDS), **elsewhere)
    assert only(tmp_path).state is State.KILLED
    write_progress(tmp_path / "draw_0")
    assert only(tmp_path).state is State.RUNNING
    assert only(tmp_path).host == "node7"
    write_progress(tmp_path / "draw_0", updated=ago(2 * SILENT_SECONDS))
    assert only(tmp_path).state is State.KILLED
    write_attempt(jobs, 0, started=now(), **elsewhere)  # it was begun again
    assert only(tmp_path).state is State.RUNNING


def test_the_latest_command_counts(tmp_path: Path) -> None:
    """A failed job that was submitted again waits; one that a later command leaves out does not."""
    first = submit(tmp_path, "draw_0", "draw_1", submitted=ago(500))
    for number in (0, 1):
        write_attempt(first, number, "failed", started=ago(400), reason="first")
        write_run(tmp_path / f"draw_{number}", "failed", age=300, reason="of the run")
    again = submit(tmp_path, "draw_1", "draw_2", submitted=ago(100), launcher="slurm")
    states = {job.folder: job.state for job in look(tmp_path).jobs}
    assert states == {
        "draw_0": State.FAILED, "draw_1": State.WAITING, "draw_2": State.WAITING
    }  # fmt: skip
    write_attempt(again, 0, "stopped", started=ago(50))  # pre-empted: Slurm runs it again
    assert look(tmp_path).jobs[1].state is State.WAITING


def test_jobs_whose_command_has_ended_do_not_wait_for_ever(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0", "draw_1", pid=a_dead_pid())
    assert [job.state for job in look(tmp_path).jobs] == [State.STOPPED] * 2
    write_attempt(jobs, 0, "done")
    first, second = look(tmp_path).jobs
    assert (first.state, second.state) == (State.DONE, State.STOPPED)
    assert "repeat the command" in str(second.reason)
    elsewhere = tmp_path / "other"
    submit(elsewhere, "draw_0", pid=a_dead_pid(), host="node7")  # there its command may go on
    assert look(elsewhere).jobs[0].state is State.WAITING


def test_what_a_running_and_a_failed_job_show(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0", "draw_1")
    write_attempt(jobs, 0)
    write_progress(tmp_path / "draw_0")
    write_attempt(jobs, 1, "failed", reason="no images")
    write_progress(tmp_path / "draw_1")  # from before it failed
    (jobs / "1.log").write_text("error: no images\n")
    running, failed = look(tmp_path).jobs
    assert running.progress is not None
    assert (running.progress.done, running.progress.total) == (400, 1500)
    assert running.host == os.uname().nodename
    assert (failed.progress, failed.log) == (None, jobs / "1.log")
    assert failed.overrides == ("draw=1",)


def test_time_left(tmp_path: Path) -> None:
    """From the median of the finished jobs and the number of those that run now."""
    names = [f"draw_{i}" for i in range(9)]
    jobs = submit(tmp_path, *names)
    for i, seconds in enumerate((100, 110, 900)):
        write_run(tmp_path / names[i], "finished", seconds=seconds)
    assert look(tmp_path).seconds_left() is None  # nothing runs: nobody knows how many at once
    for i in (3, 4):
        write_attempt(jobs, i)
        write_run(tmp_path / names[i], "running", age=10, seconds=50)
    left = look(tmp_path).seconds_left()
    # 50 s of each that runs, and four jobs of 110 s, two at once
    assert left == pytest.approx((50 + 50 + 4 * 110) / 2, abs=5)
    for i in range(5, 9):
        write_attempt(jobs, i, "failed")
    assert look(tmp_path).seconds_left() == pytest.approx(50, abs=5)


def test_many_multiruns_are_told_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "study" / "sizes" / "per_class_50" / "draw_0",
              config={"study": {"folder": "per_class_50/draw_0"}})  # fmt: skip
    write_run(tmp_path / "study" / "sizes" / "per_class_50" / "draw_10",
              config={"study": {"folder": "per_class_50/draw_10"}})  # fmt: skip
    write_run(tmp_path / "study" / "sizes" / "per_class_50" / "draw_9",
              config={"study": {"folder": "per_class_50/draw_9"}})  # fmt: skip
    write_run(tmp_path / "cnn_multirun" / "TIME" / "0", config={})
    write_run(tmp_path / "cnn" / "TIME", config={})
    write_run(tmp_path / "a_run_of_its_own", config={})
    write(tmp_path / "cnn" / "TIME" / "checkpoints" / "run.json", {})  # nobody looks there
    submit(tmp_path / "study" / "waits", "draw_0")
    found = {
        str(sweep.folder.relative_to(tmp_path)): [job.folder for job in sweep.jobs]
        for sweep in Follower(tmp_path).look()
    }
    assert found == {
        ".": ["a_run_of_its_own"],
        "cnn": ["TIME"],
        "cnn_multirun/TIME": ["0"],
        "study/sizes": ["per_class_50/draw_0", "per_class_50/draw_9", "per_class_50/draw_10"],
        "study/waits": ["draw_0"],
    }
    assert only(tmp_path / "cnn" / "TIME").folder == "."
    below = tmp_path / "study" / "sizes" / "per_class_50"
    assert [job.folder for job in look(below).jobs] == ["draw_0", "draw_9", "draw_10"]


def jobs_of(folder: str) -> str:
    job = {"number": 0, "folder": folder, "overrides": []}
    sound = {
        "command": "study", "arguments": [], "hydra": [], "launcher": "local",
        "submitted": "2026-01-01T00:00:00+00:00", "jobs": [job],
    }  # fmt: skip
    return json.dumps(sound)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("draw_0/run.json", "{"),
        ("draw_0/run.json", '{"status": 3}'),
        ("draw_0/progress.json", '{"stage": "GAN"}'),
        ("draw_0/progress.json", "[]"),
        ("JOBS/0.json", '{"state": "running", "pid": "x"}'),
        ("JOBS/0.json", '{"state": "dancing", "pid": 1, "host": "x"}'),
        ("JOBS/0.json", '{"state": "failed", "pid": 1, "host": "x", "started": "noon"}'),
        ("JOBS/jobs.json", "\0"),
        ("JOBS/jobs.json", '{"jobs": [3]}'),
        ("JOBS/jobs.json", jobs_of("../../etc")),
        ("JOBS/jobs.json", jobs_of("/etc")),
    ],
)
def test_damaged_files_are_named(name: str, content: str, tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0")
    write_run(tmp_path / "draw_0", "running")
    write_run(tmp_path / "draw_1", "finished")
    path = jobs / name.removeprefix("JOBS/") if "JOBS" in name else tmp_path / name
    path.write_text(content)
    sweep = look(tmp_path)
    lines = [*sweep.damaged, *(job.reason for job in sweep.jobs if job.state is State.FAILED)]
    assert len(lines) == 1
    assert str(path) in str(lines[0])
    assert "\n" not in str(lines[0])
    assert ("etc" in content) == ("outside its own folder" in str(lines[0]))
    assert sweep.jobs[-1].state is State.DONE


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0")
    os.mkfifo(jobs / "0.json")
    assert "not a regular file" in look(tmp_path).damaged[0]


def test_changes_are_seen(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    with pytest.raises(GanAugError, match="holds no run"):
        follower.look()
    jobs = submit(tmp_path, "draw_0")
    seen = [follower.look()[0].jobs[0].state]
    write_attempt(jobs, 0)
    seen.append(follower.look()[0].jobs[0].state)
    for status in ("failed", "finished"):
        write_run(tmp_path / "draw_0", status)
        seen.append(follower.look()[0].jobs[0].state)
    assert seen == [State.WAITING, State.RUNNING, State.FAILED, State.DONE]
    write_run(tmp_path / "later", "failed")
    assert [job.folder for job in follower.look()[0].jobs] == ["draw_0", "later"]


def test_five_thousand_jobs(tmp_path: Path) -> None:
    names = [f"draw_{i}" for i in range(5000)]
    jobs = submit(tmp_path, *names)
    config = {"study": {"folder": "draw_0"}, "arms": {str(i): [0.5] * 10 for i in range(20)}}
    for i, name in enumerate(names[:4500]):
        write_run(tmp_path / name, "finished" if i % 50 else "failed", config=config, given=config)
    for i in range(4500, 4504):
        write_attempt(jobs, i)
        write_progress(tmp_path / names[i])
    follower = Follower(tmp_path)
    follower.look()
    started = time.process_time()
    (sweep,) = follower.look()
    seconds = time.process_time() - started
    assert sweep.counts() == {
        State.DONE: 4410, State.FAILED: 90, State.RUNNING: 4, State.WAITING: 496
    }  # fmt: skip
    assert seconds < 1.5, "a look at what has not changed"
