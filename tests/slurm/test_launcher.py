"""A study on a real Slurm: what goes wrong on a cluster loses nothing and changes no result."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from slurm.cluster import SlurmCluster, unavailable, wait_until
from support import TINY_STUDY, environment, read_json, run_command

from gan_aug.jobs.follow import Followed, Follower, State

STUDY = (
    "+study=seed_protocol", *TINY_STUDY, "quality.use=[]", "study_dir=s",
    "study.gan_batches=60", "callbacks.checkpoint.every_n_seconds=0",
)  # fmt: skip
SLURM = (
    "-m", *STUDY, "hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=1",
    "hydra.launcher.timeout_min=5",
)  # fmt: skip
DRAWS = 4
pytestmark = pytest.mark.slow


def started(
    cluster: SlurmCluster, cache_home: Path, folder: Path, *arguments: str
) -> subprocess.Popen[str]:
    """Start the study command as a user of the cluster, and go on."""
    return subprocess.Popen(
        [sys.executable, "-m", "gan_aug.study", *arguments],
        cwd=folder,
        env=cluster.environment | environment(cache_home) | {"PATH": cluster.environment["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(
    cluster: SlurmCluster, cache_home: Path, folder: Path, *arguments: str, code: int = 0
) -> str:
    process = started(cluster, cache_home, folder, *arguments)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == code, printed
    return printed


def submission(folder: Path) -> Path:
    """Return the folder of the latest submission."""
    return sorted(folder.glob("s/.jobs/*/jobs.json"))[-1].parent


def jobs_of(folder: Path) -> list[Followed]:
    """Return how all jobs stand, in order."""
    (sweep,) = Follower(folder / "s").look()
    return list(sweep.jobs)


def task_of(folder: Path, k: int) -> str:
    tasks = read_json(submission(folder) / "slurm.json")["tasks"]
    (found,) = [task for task, jobs in tasks.items() if k in jobs]
    return str(found)


def process_of(folder: Path, draw: int) -> int:
    """Return the process of a draw as this machine numbers it: nodes have numbers of their own."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (path / "cmdline").read_bytes().split(b"\0")
            own = (path / "cwd").readlink() == folder
        except OSError:  # it has ended meanwhile
            continue
        if own and b"gan_aug.study" in arguments and f"draw={draw}".encode() in arguments:
            return int(path.name)
    raise AssertionError(f"draw {draw} is not running")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "s" / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_study_outlives_a_time_limit_a_requeue_and_the_end_of_a_node(
    slurm_cluster: SlurmCluster, tmp_path: Path, cache_home: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for draw in range(DRAWS):
        run_command(cache_home, "study", *STUDY, f"draw={draw}", cwd=plain, check=True)

    folder = tmp_path / "cluster"
    folder.mkdir()
    limits = (
        "hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=10",
        "hydra.launcher.array_parallelism=2",
    )  # fmt: skip
    printed = ended(slurm_cluster, cache_home, folder, *SLURM, *limits, f"draw=range(0,{DRAWS})")
    assert f"submitted {DRAWS} jobs" in printed

    def is_at(draw: int, pattern: str) -> bool:
        return bool(list(folder.glob(f"s/draw_{draw}/{pattern}")))

    # Draw 0 hangs until its time limit.
    assert wait_until(lambda: is_at(0, "fits/real_0.json"), 300)
    os.kill(process_of(folder, 0), signal.SIGSTOP)
    # Draw 1 is requeued while its GAN trains.
    assert wait_until(
        lambda: (
            is_at(1, "fits/duplicate_0.json")
            and bool(list(folder.glob("runs/gans/*/checkpoints/last.ckpt")))
        ),
        300,
    )
    slurm_cluster.run("scontrol", "requeue", task_of(folder, 1))
    # The node of a later draw dies with whatever runs on it.

    def running() -> list[int]:
        return [k for k, job in enumerate(jobs_of(folder)) if k > 1 and job.progress is not None]

    assert wait_until(running, 400)
    k = running()[0]
    progress = jobs_of(folder)[k].progress
    assert progress is not None
    node = progress.host
    slurm_cluster.stop_node(node)
    try:
        assert wait_until(lambda: not slurm_cluster.squeue(), 1200)
    finally:
        slurm_cluster.start_node(node)

    assert [job.state for job in jobs_of(folder)] == [State.DONE] * DRAWS
    assert rows(folder) == rows(plain)
    lives = {k: slurm_cluster.sacct(task_of(folder, k)) for k in range(DRAWS)}
    assert all(found[-1] == "COMPLETED" for found in lives.values()), lives
    assert len(lives[0]) > 1
    assert len(lives[1]) > 1
    assert any("NODE_FAIL" in state for state in lives[k]), lives
    again = ended(slurm_cluster, cache_home, folder, *SLURM, f"draw=range(0,{DRAWS})")
    assert f"all {DRAWS} jobs finished before" in again
    assert "submitted" not in again


def test_a_failed_job_is_failed_in_sacct_and_has_its_reason_in_the_study(
    slurm_cluster: SlurmCluster, tmp_path: Path, cache_home: Path
) -> None:
    packed = ("hydra.launcher.pack=2", "hydra.launcher.wait=true")
    own = ("data.val_per_class=10,5000", "hydra.sweep.subdir=val_${data.val_per_class}")
    arguments = (*SLURM, *packed, *own)
    printed = ended(slurm_cluster, cache_home, tmp_path, *arguments, code=1)
    assert "error: val_5000: data.val_per_class=5000: " in printed
    done, failed = jobs_of(tmp_path)
    assert (done.state, failed.state) == (State.DONE, State.FAILED)
    assert str(failed.reason).startswith("data.val_per_class=5000: ")
    task = task_of(tmp_path, 1)
    assert wait_until(lambda: slurm_cluster.sacct(task)[-1:] == ["FAILED"])
    # Only what failed is submitted again, to another partition as well.
    other = ended(slurm_cluster, cache_home, tmp_path, *arguments, "hydra.launcher.partition=high",
                  code=1)  # fmt: skip
    assert "submitted 1 jobs" in other
    assert "1 finished before, skipped" in other


def test_what_slurm_refuses_is_told_in_a_line(
    slurm_cluster: SlurmCluster, tmp_path: Path, cache_home: Path
) -> None:
    arguments = (*SLURM, "draw=0,1", "hydra.launcher.partition=nowhere")
    printed = ended(slurm_cluster, cache_home, tmp_path, *arguments, code=1)
    assert "error: Slurm refuses the jobs: " in printed
    assert "invalid partition" in printed.lower()
    assert not slurm_cluster.squeue()


def test_long_arrays_are_cut_and_queued_jobs_not_submitted_twice(
    tmp_path: Path, cache_home: Path
) -> None:
    if why := unavailable():
        pytest.skip(why)
    with SlurmCluster(max_array_size=3) as cluster:
        cluster.run("scontrol", "update", "partitionname=cpu", "state=down")
        arguments = (*SLURM, "hydra.launcher.pack=2")
        printed = ended(cluster, cache_home, tmp_path, *arguments, "draw=range(0,10)")
        assert "submitted 10 jobs, 2 to a task" in printed
        tasks = read_json(submission(tmp_path) / "slurm.json")["tasks"]
        assert [len(jobs) for jobs in tasks.values()] == [2] * 5
        assert len({task.split("_")[0] for task in tasks}) == 2
        assert set(cluster.squeue()) == set(tasks)
        more = ended(cluster, cache_home, tmp_path, *arguments, "draw=range(0,11)")
        assert "10 jobs are in the queue already" in more
        assert "submitted 1 jobs" in more
