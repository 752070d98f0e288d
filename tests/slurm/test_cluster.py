"""The cluster that other tests trust: it runs jobs, loses nodes and ends as it should."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from slurm import cluster as module
from slurm.cluster import SlurmCluster, unavailable, wait_until


def states(cluster: SlurmCluster, job: str, *, lives: bool = False) -> list[str]:
    return [row["State"] for row in cluster.sacct(job, lives=lives)]


def left(pids: set[int]) -> list[int]:
    """Return which of these processes run; one that has died stays listed until somebody asks."""
    alive = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                alive.append(pid)
    return alive


def test_skips_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "PROGRAMS", ("sh",))
        patch.setattr(os, "geteuid", lambda: 1000)
        assert unavailable() == "a Slurm of its own needs root"
    monkeypatch.setattr(module, "PROGRAMS", ("sh", "no-such-program"))
    assert "no-such-program missing" in str(unavailable())


@pytest.mark.slow
def test_an_array_uses_both_nodes(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    wrap = f"--wrap=hostname > {tmp_path}/$SLURM_ARRAY_TASK_ID"
    job = slurm_cluster.sbatch("--wait", "--array=0-1", "--cpus-per-task=3", wrap)
    assert {(tmp_path / name).read_text() for name in "01"} == {"n1\n", "n2\n"}
    assert wait_until(lambda: states(slurm_cluster, job) == ["COMPLETED"] * 2)
    rows = slurm_cluster.sacct(job)
    assert [row["JobID"] for row in rows] == [f"{job}_0", f"{job}_1"]
    assert {row["NodeList"] for row in rows} == {"n1", "n2"}
    assert job not in slurm_cluster.squeue()


@pytest.mark.slow
def test_a_failure_has_its_exit_code(slurm_cluster: SlurmCluster) -> None:
    job = slurm_cluster.sbatch("--wrap=exit 3")
    assert wait_until(lambda: states(slurm_cluster, job) == ["FAILED"])
    assert slurm_cluster.sacct(job)[0]["ExitCode"] == "3:0"


@pytest.mark.slow
def test_a_requeued_job_starts_again(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    wrap = f"--wrap=echo life >> {lives}; [ $SLURM_RESTART_COUNT ] || sleep 600"
    job = slurm_cluster.sbatch(wrap)
    assert wait_until(lives.exists)
    slurm_cluster.run("scontrol", "requeue", job)
    assert wait_until(lambda: states(slurm_cluster, job, lives=True) == ["REQUEUED", "COMPLETED"])
    assert lives.read_text() == "life\nlife\n"


@pytest.mark.slow
def test_partition_high_takes_the_place_of_others(slurm_cluster: SlurmCluster) -> None:
    low = slurm_cluster.sbatch("--nodes=2", "--exclusive", "--wrap=sleep 600")
    assert wait_until(lambda: slurm_cluster.squeue().get(low) == "RUNNING")
    high = slurm_cluster.sbatch("--partition=high", "--wrap=true")
    assert wait_until(lambda: states(slurm_cluster, high) == ["COMPLETED"])
    assert wait_until(lambda: "PREEMPTED" in states(slurm_cluster, low, lives=True))
    slurm_cluster.run("scancel", low)


@pytest.mark.slow
def test_a_dead_nodes_job_goes_on_elsewhere(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    where = tmp_path / "where"
    wrap = f"--wrap=hostname >> {where}; while [ ! $SLURM_RESTART_COUNT ]; do sleep 0.1; done"
    job = slurm_cluster.sbatch(wrap)
    assert wait_until(lambda: where.exists() and where.read_text() != "")
    first = where.read_text().strip()
    before = slurm_cluster.pids()
    slurm_cluster.stop_node(first)
    try:
        died = before - slurm_cluster.pids()
        assert len(died) >= 5  # unshare, shell, slurmd, the job's slurmstepd and shell
        assert not left(died)
        assert wait_until(
            lambda: states(slurm_cluster, job, lives=True) == ["NODE_FAIL", "COMPLETED"], 120
        )
    finally:
        slurm_cluster.start_node(first)
    slurm_cluster.run("srun", "--immediate=5", f"--nodelist={first}", "true")  # it takes jobs again
    assert where.read_text().split() == [first, *({"n1", "n2"} - {first})]


@pytest.mark.slow
def test_a_second_cluster_has_its_own_jobs_and_leaves_nothing(
    slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), SlurmCluster(max_array_size=4) as second:  # noqa: PT012
        idle = second.pids()
        started = f"> {tmp_path}/$SLURM_ARRAY_TASK_ID"
        second.sbatch(
            "--array=0-3", f"--wrap=trap '' TERM; {started}; while true; do sleep 1; done"
        )
        assert wait_until(lambda: len(list(tmp_path.iterdir())) == 4)
        assert list(second.squeue().values()) == ["RUNNING"] * 4
        assert slurm_cluster.squeue() == {}
        with pytest.raises(AssertionError, match="Invalid job array specification"):
            second.sbatch("--array=0-4", "--wrap=true")
        pids = second.pids()
        raise ZeroDivisionError  # as a test that fails
    assert len(pids - idle) >= 2 * 4  # of each task Slurm's process and the shell
    assert not left(pids)
    assert not second.folder.exists()
    assert slurm_cluster.run("sinfo", "--noheader", "--format=%T", "--partition=cpu") == "idle\n"


@pytest.mark.slow
def test_nothing_outlives_killed_tests(slurm_cluster: SlurmCluster, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from slurm.cluster import SlurmCluster\n"
        "with SlurmCluster() as own:\n"
        "    Path(sys.argv[1]).write_text(' '.join(map(str, [own.folder, *own.pids()])))\n"
        "    sys.stdin.read()\n"
    )
    noted = tmp_path / "noted"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(noted)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[1])},
    ) as tests:
        assert wait_until(lambda: noted.exists() and noted.read_text() != "")
        tests.send_signal(signal.SIGKILL)
    folder, *pids = noted.read_text().split()
    assert len(pids) > 10
    assert wait_until(lambda: not left(set(map(int, pids))))
    subprocess.run(["rm", "-r", folder], check=True)
