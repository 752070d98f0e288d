"""Jobs on a Slurm cluster: packed into array tasks, submitted at once, never lost.

submitit writes the batch script and submits it. A task runs its jobs one after the other, as
processes of their own (`gan_aug.jobs.pool`); each goes on in its run folder where it was stopped,
whatever stopped it:

- the time limit: Slurm sends USR2 some time before, submitit asks for a checkpoint and requeues;
- pre-emption, `scontrol requeue`, the end of a node: Slurm requeues by itself, and sends TERM where
  there is somebody left to take it.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import submitit
from pydantic import NonNegativeInt
from submitit.helpers import DelayedSubmission

from gan_aug.jobs.pool import JobPool, check_numbers, threads_of
from gan_aug.jobs.show import watching
from gan_aug.jobs.submission import Job, Submission, submissions
from gan_aug.runtime.errors import GanAugError, said, warn
from gan_aug.runtime.files import not_writable, write_text
from gan_aug.runtime.find import report_due
from gan_aug.runtime.stored_model import Stored

TASKS = "slurm.json"
REQUEUES = 1000
"""How often a task may meet its time limit: submitit wants a number, a study has none."""
_POLL_SECONDS = 5.0
_PATIENCE = 60
"""How often in a row squeue may fail while jobs are waited for."""
_REPORT_TRIES = 3
_COUNTED = ("timeout_min", "signal_delay_s", "array_parallelism", "gpus_per_node")
_GENERIC = ("timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "name")
"""Settings that submitit has for every kind of cluster; the others are Slurm's."""


class Tasks(Stored):
    """What slurm.json in a submission's folder holds: array task to positions in its jobs."""

    WHAT: ClassVar[str] = "list of Slurm's tasks"

    tasks: dict[str, list[NonNegativeInt]]


class Pack:
    """The jobs of one array task; submitit pickles it before they run, as paths and numbers.

    `numbers` are positions in the jobs of the submission in `folder`. K.ended says how job K last
    ended; when the task is run again, only those that are not done are.
    """

    def __init__(self, folder: Path, numbers: Sequence[int], threads: int) -> None:
        self._folder, self._numbers, self._threads = folder, list(numbers), threads
        self._pool: JobPool | None = None

    def __call__(self) -> None:
        """Run the jobs that are not done yet; where some fail, Slurm shows the task as failed."""
        submission = Submission.load(self._folder)
        try:
            self._run(submission)
        except OSError as error:
            raise not_writable(self._folder, error) from error

    def _run(self, submission: Submission) -> None:
        missing = [k for k in self._numbers if _end_of(submission, k) != "finished"]
        self._pool = JobPool(submission, missing, [threads_of(self._threads)])
        # submitit ignores TERM, which is all that a requeued or pre-empted task is sent.
        signal.signal(signal.SIGTERM, self._terminate)
        if sys.platform == "win32":
            raise NotImplementedError("Slurm's tasks run on Linux")
        # A cluster warns a whole task of its time limit with USR2, which would end the jobs: they
        # inherit the mask of the threads that start them. They are told to stop by TERM.
        warnings = {signal.SIGUSR1, signal.SIGUSR2}
        signal.pthread_sigmask(signal.SIG_BLOCK, warnings)
        self._pool.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, warnings)
        while not self._pool.wait(60.0):
            pass
        self._note()
        if self._pool.faults:
            raise self._pool.faults[0]
        _report_if_last(submission)
        bad = [e.reason for e in self._pool.ended.values() if e.state != "finished"]
        if bad:
            raise GanAugError(f"{len(bad)} of {len(self._numbers)} jobs failed: {bad[0]}")

    def checkpoint(self) -> DelayedSubmission:
        """Stop the jobs before the time limit; the requeued task goes on with them."""
        self._stop()
        return DelayedSubmission(Pack(self._folder, self._numbers, self._threads))

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._note()

    def _note(self) -> None:
        assert self._pool is not None
        for k, ended in self._pool.ended.items():
            if ended.state in ("finished", "failed"):
                write_text(self._folder / f"{k}.ended", ended.state)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._stop()
        sys.exit(128 + number)


def _end_of(submission: Submission, k: int) -> str | None:
    """Return how a job of this submission last ended; None: it has not."""
    path = submission.folder / f"{k}.ended"
    return path.read_text() if path.exists() else None


def _report_if_last(submission: Submission) -> None:
    """Write a study's report when no job of its submission is left."""
    if submission.command != "study":
        return
    with report_due(submission.sweep) as due:
        left = any(_end_of(submission, k) is None for k in range(len(submission.jobs)))
        # So often at most: a task that met its time limit here again and again would never end.
        tries = submission.folder / "report_tries"
        begun = len(tries.read_bytes()) if tries.exists() else 0
        if due and not left and begun < _REPORT_TRIES:
            tries.write_bytes(b"x" * (begun + 1))
            command = [sys.executable, "-m", "gan_aug.report", f"study_dir={submission.sweep}"]
            subprocess.run(command, check=False)  # its one line is in the task's log


def check(wait: bool, pack: int, cpus_per_task: int, settings: Mapping[str, Any]) -> None:
    """Refuse settings of the launcher that are none, and a machine that submits to no cluster."""
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
    """Submit all jobs in as few arrays as the cluster allows; return the arrays' job ids.

    `pack` is jobs of a task. `settings` are those of conf/hydra/launcher for submitit's
    AutoExecutor; null leaves one out. What was submitted before Slurm refuses stays in the queue.
    """
    n, folder = len(submission.jobs), submission.folder
    packs = [range(i, min(i + pack, n)) for i in range(0, n, pack)]
    tasks: dict[str, list[int]] = {}
    try:
        size = re.search(
            r"^MaxArraySize\s*=\s*([1-9]\d*)", _ask("scontrol", "show", "config"), re.MULTILINE
        )
        longest = int(size[1]) if size else 1001
        for start in range(0, len(packs), longest):
            chunk = packs[start : start + longest]
            executor = _executor(submission, cpus_per_task, settings)
            with executor.batch():
                made = [executor.submit(Pack(folder, own, cpus_per_task)) for own in chunk]
            tasks |= {job.job_id: list(own) for job, own in zip(made, chunk, strict=True)}
            Tasks(tasks=tasks).write(folder / TASKS)
    except BaseException as error:
        if not (folder / TASKS).exists():  # nobody will run them
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, submitit.core.utils.FailedJobError):
            raise GanAugError(f"Slurm refuses the jobs: {_last_line(error)}") from error
        raise
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
    given["cpus_per_task"] = cpus_per_task
    given["additional_parameters"] = {"requeue": True, **given.get("additional_parameters", {})}
    executor = submitit.AutoExecutor(
        submission.folder / "slurm", cluster="slurm", slurm_max_num_timeout=REQUEUES
    )
    named = {key if key in _GENERIC else f"slurm_{key}": value for key, value in given.items()}
    try:
        executor.update_parameters(slurm_stderr_to_stdout=True, **named)
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise GanAugError(f"hydra.launcher: {said(error)}") from error
    return executor


def queued(sweep: Path) -> dict[str, tuple[Job, str]]:
    """Return the jobs that wait or run on the cluster, and their arrays, by a job's folder."""
    tasks: dict[str, list[Job]] = {}
    for folder in submissions(sweep):
        if (folder / TASKS).exists():
            try:
                tasks |= _tasks_of(Submission.load(folder))
            except GanAugError as error:
                warn(str(error))
    alive = _alive() if tasks else set()
    return {
        job.folder: (job, task.split("_")[0])
        for task in tasks.keys() & alive
        for job in tasks[task]
    }


def _tasks_of(submission: Submission) -> dict[str, list[Job]]:
    path, jobs = submission.folder / TASKS, submission.jobs
    tasks = Tasks.read(path, "remove it").tasks
    if any(k >= len(jobs) for own in tasks.values() for k in own):
        raise GanAugError(f"{path}: names jobs that jobs.json has not; remove it")
    return {task: [jobs[k] for k in own] for task, own in tasks.items()}


def wait_for(sweep: Path, jobs: Sequence[Job], arrays: Collection[str]) -> None:
    """Show how jobs get on until none of their arrays is queued, or Slurm is silent for minutes."""
    silent = 0
    with watching(sweep, jobs) as show:
        while True:
            try:
                if not any(task.split("_")[0] in arrays for task in _alive()):
                    return
                silent = 0
            except GanAugError:  # a controller that is restarted, say
                silent += 1
                if silent > _PATIENCE:
                    raise
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
