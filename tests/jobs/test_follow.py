"""How jobs stand, from folders in every state."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from job_files import HERE, submit, work_in, write, write_progress, write_run

from gan_aug.jobs import follow as module
from gan_aug.jobs.follow import SILENT_SECONDS, Followed, Follower, State, Sweep
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.lock import STALE


def look(root: Path) -> Sweep:
    (sweep,) = Follower(root).look()
    return sweep


def only(root: Path) -> Followed:
    (job,) = look(root).jobs
    return job


def files_below(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


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
    ("run", "works", "attended", "state", "reason"),
    [
        (None, False, True, State.WAITING, None),
        (None, False, False, State.STOPPED, "never started, its command has ended"),
        ("running", True, True, State.RUNNING, None),
        ("running", True, False, State.RUNNING, None),  # its command was killed a moment ago
        ("running", False, True, State.KILLED, "is gone; repeat"),
        ("failed", False, True, State.FAILED, "of the run"),
        ("failed", True, True, State.FAILED, "of the run"),  # it is ending
        ("interrupted", False, True, State.STOPPED, "of the run"),
        ("finished", False, False, State.DONE, None),
        ("finished", True, True, State.DONE, None),
        ("running", False, None, State.KILLED, "is gone; repeat"),
        ("failed", False, None, State.FAILED, "of the run"),
        ("interrupted", False, None, State.STOPPED, "of the run"),
        ("finished", False, None, State.DONE, None),
    ],
)
def test_how_a_job_stands(
    run: str | None,
    works: bool,
    attended: bool | None,
    state: State,
    reason: str | None,
    tmp_path: Path,
) -> None:
    """One of a launcher that may be gone, or (None) of none; `works`: somebody holds its lock."""
    if attended is not None:
        submit(tmp_path, "draw_0", attended=attended)
    if run:
        write_run(tmp_path / "draw_0", run, age=60, reason="of the run")
    if works:
        work_in(tmp_path / "draw_0")
    before = files_below(tmp_path)
    job = only(tmp_path)
    assert (job.folder, job.state) == ("draw_0", state)
    assert (job.reason is None) if reason is None else (reason in str(job.reason))
    assert files_below(tmp_path) == before, "looking left something behind"


def test_a_job_on_another_machine_is_believed_while_its_heart_beats(tmp_path: Path) -> None:
    submit(tmp_path, "draw_0", attended=False)
    write_run(tmp_path / "draw_0", "running", age=2 * SILENT_SECONDS)
    work_in(tmp_path / "draw_0", "elsewhere")
    write_progress(tmp_path / "draw_0", host="node7")
    job = only(tmp_path)
    assert job.state is State.RUNNING
    assert job.progress is not None
    assert job.progress.host == "node7"
    work_in(tmp_path / "draw_0", "elsewhere", age=2 * STALE)
    assert only(tmp_path).state is State.KILLED


def test_a_cluster_goes_on_with_what_it_has_stopped(tmp_path: Path) -> None:
    """Unless it has not for long."""
    submit(tmp_path, "draw_0", "draw_1", launcher="slurm", attended=False)
    for status, state in (("interrupted", State.STOPPED), ("running", State.KILLED)):
        write_run(tmp_path / "draw_0", status, age=3600)
        assert look(tmp_path).jobs[0].state is state
        assert "Slurm has not run it again" in str(look(tmp_path).jobs[0].reason)
        sign = work_in(tmp_path / "draw_0", "elsewhere", age=2 * STALE)  # the node died
        assert look(tmp_path).jobs[0].state is State.WAITING
        sign.unlink()
    assert look(tmp_path).jobs[1].state is State.WAITING


def test_the_latest_command_counts(tmp_path: Path) -> None:
    """A failed job that was submitted again waits; one that a later command leaves out does not."""
    submit(tmp_path, "draw_0", "draw_1", submitted=time.time() - 500)
    for number in (0, 1):
        write_run(tmp_path / f"draw_{number}", "failed", age=300, reason="of the run")
    submit(
        tmp_path, "draw_1", "draw_2", submitted=time.time() - 100, launcher="slurm", attended=False
    )
    states = {job.folder: job.state for job in look(tmp_path).jobs}
    assert states == {
        "draw_0": State.FAILED, "draw_1": State.WAITING, "draw_2": State.WAITING
    }  # fmt: skip
    write_run(tmp_path / "draw_1", "interrupted", age=50)  # pre-empted: Slurm runs it again
    assert look(tmp_path).jobs[1].state is State.WAITING


def test_what_a_running_and_a_failed_job_show(tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0", "draw_1")
    write_run(tmp_path / "draw_0", "running")
    work_in(tmp_path / "draw_0")
    write_progress(tmp_path / "draw_0")
    write_run(tmp_path / "draw_1", "failed", reason="no images", overrides=["draw=1"])
    write_progress(tmp_path / "draw_1")  # from before it failed
    (jobs / "1.log").write_text("error: no images\n")
    running, failed = look(tmp_path).jobs
    assert running.progress is not None
    assert (running.progress.done, running.progress.total) == (400, 1500)
    assert running.progress.host == HERE
    assert (failed.progress, failed.log) == (None, jobs / "1.log")
    assert failed.overrides == ("draw=1",)


def test_time_left(tmp_path: Path) -> None:
    """From the median of the finished jobs and the number of those that run now."""
    names = [f"draw_{i}" for i in range(9)]
    submit(tmp_path, *names)
    for i, seconds in enumerate((100, 110, 900)):
        write_run(tmp_path / names[i], "finished", seconds=seconds)
    assert look(tmp_path).seconds_left() is None  # nothing runs: nobody knows how many at once
    for i in (3, 4):
        work_in(tmp_path / names[i])
        write_run(tmp_path / names[i], "running", age=10, seconds=50)
    left = look(tmp_path).seconds_left()
    # 50 s of each that runs, and four jobs of 110 s, two at once
    assert left == pytest.approx((50 + 50 + 4 * 110) / 2, abs=5)
    for i in range(5, 9):
        write_run(tmp_path / names[i], "failed")
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


def jobs_of(**others: Any) -> str:
    job = {"number": 0, "folder": "x", "overrides": []}
    sound = {
        "format": 1, "command": "study", "arguments": [], "hydra": [], "launcher": "local",
        "submitted": 1.0, "jobs": [job],
    }  # fmt: skip
    return json.dumps(sound | others)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("draw_0/run.json", "{", "cannot be read"),
        ("draw_0/run.json", '{"status": 3}', "run.json"),
        ("draw_0/progress.json", '{"format": 1, "stage": "GAN"}', "is no progress of a run (done"),
        ("draw_0/progress.json", "[]", "does not hold a mapping"),
        ("draw_0/progress.json", '{"format": 2}', "is of format 2, "),
        ("JOBS/jobs.json", "\0", "cannot be read"),
        ("JOBS/jobs.json", '{"format": 1, "jobs": [3]}', "is no list of jobs (command"),
        ("JOBS/jobs.json", jobs_of(launcher="rocket"), "launcher='rocket'"),
        ("JOBS/jobs.json", jobs_of(later=1), "later=1"),
    ],
)
def test_damaged_files_are_named(name: str, content: str, part: str, tmp_path: Path) -> None:
    jobs = submit(tmp_path, "draw_0")
    write_run(tmp_path / "draw_0", "running")
    if "progress" in name:
        work_in(tmp_path / "draw_0")
    write_run(tmp_path / "draw_1", "finished")
    path = jobs / name.removeprefix("JOBS/") if "JOBS" in name else tmp_path / name
    path.write_text(content)
    sweep = look(tmp_path)
    lines = [*sweep.damaged, *(job.reason for job in sweep.jobs if job.state is State.FAILED)]
    assert len(lines) == 1
    assert str(path) in str(lines[0])
    assert part in str(lines[0])
    assert "\n" not in str(lines[0])
    assert sweep.jobs[-1].state is State.DONE


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    work_in(tmp_path / "draw_0")
    write_run(tmp_path / "draw_0", "running")
    os.mkfifo(tmp_path / "draw_0" / "progress.json")
    assert "not a regular file" in look(tmp_path).damaged[0]


def test_changes_are_seen(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    with pytest.raises(GanAugError, match="holds no run"):
        follower.look()
    submit(tmp_path, "draw_0")
    seen = [follower.look()[0].jobs[0].state]
    lease = work_in(tmp_path / "draw_0")
    for status in ("running", "failed", "finished"):
        write_run(tmp_path / "draw_0", status)
        seen.append(follower.look()[0].jobs[0].state)
    assert seen == [State.WAITING, State.RUNNING, State.FAILED, State.DONE]
    lease.unlink()
    write_run(tmp_path / "later", "failed")
    assert [job.folder for job in follower.look()[0].jobs] == ["draw_0", "later"]


def test_a_thousand_jobs(tmp_path: Path) -> None:
    names = [f"draw_{i}" for i in range(1000)]
    submit(tmp_path, *names)
    config = {"study": {"folder": "draw_0"}, "arms": {str(i): [0.5] * 10 for i in range(20)}}
    for i, name in enumerate(names[:800]):
        write_run(tmp_path / name, "finished" if i % 50 else "failed", config=config, given=config)
    for name in names[800:804]:
        write_run(tmp_path / name, "running")
        work_in(tmp_path / name)
        write_progress(tmp_path / name)
    follower = Follower(tmp_path)
    follower.look()
    started = time.process_time()
    (sweep,) = follower.look()
    seconds = time.process_time() - started
    assert sweep.counts() == {
        State.DONE: 784, State.FAILED: 16, State.RUNNING: 4, State.WAITING: 196
    }  # fmt: skip
    assert seconds < 0.4, "a look at what has not changed"
