"""What is done to a study whose jobs run on a real Slurm of two virtual nodes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from disturbances import CannotBeMade, Told
from slurm.cluster import SlurmCluster, unavailable
from slurm.test_launcher import process_of, states, task_of
from trial import Trial, read

_cluster: SlurmCluster | None = None


@contextmanager
def cluster(wanted: bool) -> Iterator[None]:
    """Have a cluster for the faults that need one, where there can be one."""
    global _cluster
    if not wanted or unavailable():
        yield
        return
    with SlurmCluster() as _cluster:
        yield


def submit(trial: Trial, *more: str) -> SlurmCluster:
    """Submit the study, two tasks at a time."""
    if _cluster is None:
        raise CannotBeMade(str(unavailable()))
    trial.environment = _cluster.environment | {
        key: trial.environment[key] for key in ("XDG_CACHE_HOME", "OMP_NUM_THREADS")
    }
    settings = ("hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=1")
    limits = ("hydra.launcher.array_parallelism=2", "hydra.launcher.timeout_min=10")
    wanted = f"draw=range(0,{trial.draws})"
    trial.run("study", "-m", *trial.settings, *settings, *limits, *more, wanted).end()
    return _cluster


def end(trial: Trial, nodes: SlurmCluster, draw: int) -> str:
    """Wait until nothing is queued; return what sacct says of the lives of a draw's task."""
    trial.until(lambda: not nodes.squeue())
    assert [found["state"] for found in states(trial.folder)] == ["done"] * trial.draws
    task = task_of(trial.folder, draw)
    trial.until(lambda: nodes.sacct(task)[0]["State"] == "COMPLETED")
    lives = [f"{life['State']} on {life['NodeList']}" for life in nodes.sacct(task, lives=True)]
    return f"sacct: {', then '.join(lives)}"


def time_out(trial: Trial) -> Told:
    nodes = submit(trial, "hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=10")
    trial.until(lambda: trial.fits(0) > 1)
    trial.disturb(lambda: os.kill(process_of(trial.folder, 0), signal.SIGSTOP))
    done = "draw 0 stopped (SIGSTOP) until its time limit of two minutes"
    return done, end(trial, nodes, 0), "nothing"


def requeue(trial: Trial) -> Told:
    nodes = submit(trial)
    trial.until(lambda: trial.gan_trains(0))
    trial.disturb(lambda: nodes.run("scontrol", "requeue", task_of(trial.folder, 0)))
    return "scontrol requeue of draw 0 while its GAN trains", end(trial, nodes, 0), "nothing"


def node(trial: Trial) -> Told:
    nodes = submit(trial)
    trial.until(lambda: trial.gan_trains(0))
    name = states(trial.folder)[0]["host"]
    trial.disturb(lambda: nodes.stop_node(name))
    try:
        seen = end(trial, nodes, 0)
    finally:
        nodes.start_node(name)
    return "all processes of draw 0's node killed while its GAN trains", seen, "nothing"


def slurmd(trial: Trial) -> Told:
    nodes = submit(trial)
    trial.until(lambda: trial.fits(0) > 0)
    name = states(trial.folder)[0]["host"]
    daemon = pid_of(b"slurmd", b"-N", name.encode())
    job = process_of(trial.folder, 0)
    os.kill(job, signal.SIGSTOP)
    # The node's first process would end with its daemon, and all jobs with it.
    os.kill(parent_of(daemon), signal.SIGSTOP)
    trial.disturb(lambda: os.kill(daemon, signal.SIGKILL))
    try:
        trial.until(lambda: states(trial.folder)[0]["host"] != name)
        time.sleep(10)  # for the second to come upon the first
        os.kill(job, signal.SIGCONT)
        seen = end(trial, nodes, 0)
        resumed = read(trial.draw(0) / "run.json")["resumed"]
        assert resumed == 0, "the second did not leave the draw to the first"
    finally:
        nodes.stop_node(name)
        nodes.start_node(name)
    done = (
        "kill -9 of slurmd alone, draw 0 stopped (SIGSTOP) until Slurm started it on the other node "
        "too, then let go on"
    )
    return done, seen, "nothing"


def pid_of(*arguments: bytes) -> int:
    """Return the process with these arguments among its own."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found = path.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if found[0].endswith(arguments[0]) and set(arguments[1:]) <= set(found):
            return int(path.parent.name)
    raise AssertionError(f"{arguments} is not running")


def parent_of(pid: int) -> int:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return int(after_name.split()[1])
