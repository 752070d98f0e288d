"""Jobs on a Slurm cluster: packed into array tasks, submitted at once, never lost.

submitit writes the batch script and submits it. A task runs its jobs one after the other, as
processes of their own (`gan_aug.jobs.pool`); each goes on in its run folder where it was stopped,
whatever stopped it:

- the time limit: Slurm sends USR2 some time before, submitit asks for a checkpoint and requeues;
- pre-emption, `scontrol requeue`, the end of a node: Slurm requeues by itself, and sends TERM where
  there is somebody left to take it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import submitit
from submitit.helpers import DelayedSubmission

from gan_aug.jobs.pool import Pool, check_numbers, threads_of
from gan_aug.jobs.submission import Attempt, Job, Queued, Submission, submissions
from gan_aug.jobs.watch import watching
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import not_writable, read_json, write_json
from gan_aug.run.lock import Lock

TASKS = "slurm.json"
"""In a submission's folder: the array tasks and the jobs of each."""
REQUEUES = 1000
"""How often a task may meet its time limit: submitit wants a number, a study has none."""
_POLL_SECONDS = 5.0
_PATIENCE = 60
"""How often in a row squeue may fail while jobs are waited for."""
_COUNTED = ("timeout_min", "signal_delay_s", "array_parallelism", "gpus_per_node")
_GENERIC = ("timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "name")
"""Settings that submitit has for every kind of cluster; the others are Slurm's."""


class Pack:
    """The jobs of one array task; submitit pickles it, so it holds paths and numbers only.

    Args:
        folder: the submission's.
        numbers: its jobs, as positions in `Submission.jobs`.
        threads: of each job.
    """

    def __init__(self, folder: Path, numbers: Sequence[int], threads: int) -> None:
        self._folder, self._numbers, self._threads = folder, list(numbers), threads
        self._pool: Pool | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the running processes out."""
        return {**vars(self), "_pool": None}

    def __call__(self) -> None:
        """Run the jobs that are not done yet.

        Raises:
            GanAugError: some failed; Slurm then shows the task as failed.
        """
        submission = Submission.read(self._folder)
        try:
            self._run(submission)
        except OSError as error:
            raise not_writable(self._folder, error) from error

    def _run(self, submission: Submission) -> None:
        missing = [k for k in self._numbers if not _is_done(submission.state_path(k))]
        self._pool = Pool(submission, missing, [threads_of(self._threads)], _own_task())
        # submitit ignores TERM, which is all that a requeued or pre-empted task is sent.
        signal.signal(signal.SIGTERM, self._terminate)
        self._pool.start()
        while not self._pool.wait(60.0):
            pass
        if self._pool.faults:
            raise self._pool.faults[0]
        _report_if_last(submission)
        bad = [s.reason or s.state for s in self._pool.states.values() if s.state != "done"]
        if bad:
            raise GanAugError(f"{len(bad)} of {len(self._numbers)} jobs failed: {bad[0]}")

    def checkpoint(self) -> DelayedSubmission:
        """Stop the jobs before the time limit; the requeued task goes on with them."""
        self._stop()
        return DelayedSubmission(Pack(self._folder, self._numbers, self._threads))

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._stop()
        sys.exit(128 + number)


def _own_task() -> str:
    """Return this task's id as submitit and squeue name it; a task alone is no array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def _is_done(path: Path) -> bool:
    return path.exists() and Attempt.read(path).state == "done"


def _report_if_last(submission: Submission) -> None:
    """Write a study's report when no job of its submission is left."""
    if submission.command != "study":
        return
    with Lock(submission.sweep / ".report.lease", guards=submission.sweep):
        paths = [submission.state_path(k) for k in range(len(submission.jobs))]
        states = [Attempt.read(path).state if path.exists() else None for path in paths]
        if any(state not in ("done", "failed") for state in states) or "done" not in states:
            return
        # Once: a task that met its time limit here again and again would never end.
        begun = submission.folder / "report_begun"
        if begun.exists():
            return
        begun.touch()
        command = [sys.executable, "-m", "gan_aug.report", f"study_dir={submission.sweep}"]
        subprocess.run(command, check=False)  # its one line is in the task's log


def check(wait: bool, pack: int, cpus_per_task: int, settings: Mapping[str, Any]) -> None:
    """Check the launcher's settings, and that this machine submits to a cluster.

    Raises:
        GanAugError: naming the setting, or what is missing.
    """
    if not isinstance(wait, bool):
        raise GanAugError(f"hydra.launcher.wait={wait}: must be true or false")
    counted = {key: settings[key] for key in _COUNTED if settings.get(key) is not None}
    check_numbers(pack=pack, cpus_per_task=cpus_per_task, **counted)
    for key, kind in {"setup": Sequence, "additional_parameters": Mapping}.items():
        value = settings.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, str)):
            called = "a list" if kind is Sequence else "a mapping"
            raise GanAugError(f"hydra.launcher.{key}={value}: must be {called}")
    if shutil.which("sbatch") is None:
        raise GanAugError(
            "hydra/launcher=submitit_slurm: there is no sbatch here; run the command on a login "
            "node of the cluster, or use hydra/launcher=local"
        )


def submit(
    submission: Submission, pack: int, cpus_per_task: int, settings: Mapping[str, Any]
) -> list[str]:
    """Submit all jobs in as few arrays as the cluster allows.

    Args:
        submission: the jobs.
        pack: jobs of a task.
        cpus_per_task: cores and threads of a task.
        settings: of conf/hydra/launcher, for submitit's AutoExecutor; null leaves one out.

    Returns:
        The arrays' job ids.

    Raises:
        GanAugError: Slurm refuses them; what was submitted before stays in the queue.
    """
    try:
        return _submit(submission, pack, cpus_per_task, settings)
    except BaseException:
        if not (submission.folder / TASKS).exists():  # nobody will run them
            shutil.rmtree(submission.folder, ignore_errors=True)
        raise


def _submit(
    submission: Submission, pack: int, cpus_per_task: int, settings: Mapping[str, Any]
) -> list[str]:
    n = len(submission.jobs)
    packs = [range(i, min(i + pack, n)) for i in range(0, n, pack)]
    longest = _max_array_size()
    tasks: dict[str, list[int]] = {}
    for start in range(0, len(packs), longest):
        chunk = packs[start : start + longest]
        executor = _executor(submission, cpus_per_task, settings)
        try:
            with executor.batch():
                made = [executor.submit(Pack(submission.folder, p, cpus_per_task)) for p in chunk]
        except submitit.core.utils.FailedJobError as error:
            raise GanAugError(f"Slurm refuses the jobs: {_last_line(error)}") from error
        tasks |= {job.job_id: list(p) for job, p in zip(made, chunk, strict=True)}
        write_json(submission.folder / TASKS, {"tasks": tasks})
    arrays = list(dict.fromkeys(task.split("_")[0] for task in tasks))
    _warn_of_what_cannot_start(arrays)
    return arrays


def _warn_of_what_cannot_start(arrays: Sequence[str]) -> None:
    """Say so where Slurm took jobs that it will never start: by default it takes any."""
    shown = _ask("squeue", "--noheader", "--me", f"--jobs={','.join(arrays)}", "--format=%r")
    for reason in sorted({line.strip() for line in shown.splitlines()}):
        if reason.endswith("Limit") or reason in ("InvalidAccount", "InvalidQOS", "BadConstraints"):
            warn(
                f"Slurm holds the jobs back ({reason}): see hydra.launcher.timeout_min, mem_gb, "
                "partition, account, qos and constraint; scancel the jobs and repeat the command"
            )


def _executor(
    submission: Submission, cpus_per_task: int, settings: Mapping[str, Any]
) -> submitit.AutoExecutor:
    given = {key: value for key, value in settings.items() if value is not None}
    given |= {"cpus_per_task": cpus_per_task}
    given["additional_parameters"] = {"requeue": True, **given.get("additional_parameters", {})}
    executor = submitit.AutoExecutor(
        submission.folder / "slurm", cluster="slurm", slurm_max_num_timeout=REQUEUES
    )
    named = {key if key in _GENERIC else f"slurm_{key}": value for key, value in given.items()}
    try:
        executor.update_parameters(slurm_stderr_to_stdout=True, **named)
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise GanAugError(f"hydra.launcher: {' '.join(str(error).split())}") from error
    return executor


def _max_array_size() -> int:
    shown = _ask("scontrol", "show", "config")
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", shown, re.MULTILINE)
    return int(found[1]) if found and int(found[1]) > 0 else 1001


def queued(sweep: Path) -> dict[str, Queued]:
    """Return the jobs that wait or run on the cluster, by run folder, relative to the sweep's.

    Raises:
        GanAugError: Slurm does not answer.
    """
    tasks: dict[str, list[Job]] = {}
    for folder in submissions(sweep):
        if (folder / TASKS).exists():
            try:
                tasks |= _tasks_of(Submission.read(folder))
            except GanAugError as error:
                warn(str(error))
    alive = _alive() if tasks else set()
    return {
        job.folder: Queued(job.overrides, task.split("_")[0])
        for task in tasks.keys() & alive
        for job in tasks[task]
    }


def _tasks_of(submission: Submission) -> dict[str, list[Job]]:
    """Read slurm.json.

    Raises:
        GanAugError: it is damaged.
    """
    path, jobs = submission.folder / TASKS, submission.jobs
    found: Any = read_json(path, "remove it").get("tasks")
    numbers = range(len(jobs))
    if not isinstance(found, dict) or not all(
        isinstance(own, list) and all(type(k) is int and k in numbers for k in own)
        for own in found.values()
    ):
        raise GanAugError(f"{path}: is damaged, its tasks are not left alone; remove it")
    return {task: [jobs[k] for k in own] for task, own in found.items()}


def wait_for(sweep: Path, jobs: Sequence[Job], arrays: Collection[str]) -> None:
    """Show how jobs get on until none of their arrays is in the queue.

    Raises:
        GanAugError: Slurm has not answered for minutes.
    """
    silent = 0
    with watching(sweep, jobs) as show:
        while True:
            try:
                waiting = any(task.split("_")[0] in arrays for task in _alive())
                silent = 0
            except GanAugError:  # a controller that is restarted, say
                silent += 1
                if silent > _PATIENCE:
                    raise
                waiting = True
            if not waiting:
                return
            show()
            time.sleep(_POLL_SECONDS)


def _alive() -> set[str]:
    lines = _ask("squeue", "--noheader", "--array", "--me", "--format=%F_%K").splitlines()
    return {line.strip().removesuffix("_N/A") for line in lines}


def _ask(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise GanAugError(f"{command[0]}: {_last_line(answer.stderr)}; is the cluster there?")
    return answer.stdout


def _last_line(text: object) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "error" in line), lines[-1] if lines else "?")
