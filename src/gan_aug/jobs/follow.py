"""How the jobs of multiruns stand, from files alone: nothing is written, nobody is disturbed.

A job's life is its run.json, and its heartbeat the lease of its run folder, which whoever works
there touches every few seconds. What has no run.json yet stands in a list of what was asked for.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from gan_aug.jobs.submission import ASKED, Submission, submissions
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.find import find_runs
from gan_aug.runtime.lock import is_held
from gan_aug.runtime.progress import PROGRESS, Progress
from gan_aug.runtime.record import LOCK, is_busy
from gan_aug.runtime.run_record import RECORD, read_record

SILENT_SECONDS = 600.0
"""How long a cluster may take to run a job again that it has stopped."""
_GONE = "its process is gone; repeat the command to go on"
_NEVER_STARTED = "never started, its command has ended; repeat the command"
_NOT_AGAIN = "Slurm has not run it again; look at squeue, or repeat the command"

T = TypeVar("T")
_Asked = tuple[Submission, int]
"""The latest command that names a job, and the job's number there."""


class State(StrEnum):
    """How a job stands; what run.json says then stands beside `Status` (runtime/run_record.py)."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    KILLED = "killed"


ENDED_BADLY = (State.FAILED, State.KILLED, State.STOPPED)


@dataclass(frozen=True)
class Followed:
    """One job of a multirun, or a run alone, as its files show it.

    `folder` is below that of the multirun; "." for the folder itself. `reason` is why it failed,
    stopped or was killed. `seconds` are those of all attempts. A job that runs may have told its
    `progress`. `log` is what its process printed, where it ended badly and a launcher keeps that.
    """

    folder: str
    overrides: tuple[str, ...]
    state: State
    reason: str | None = None
    seconds: float = 0.0
    progress: Progress | None = None
    log: Path | None = None


@dataclass(frozen=True)
class Sweep:
    """The jobs of a multirun, or runs that lie in one folder.

    `jobs` are in the order of the commands that named them, then others by folder. `damaged` has a
    line for each file that could not be read.
    """

    folder: Path
    jobs: tuple[Followed, ...]
    damaged: tuple[str, ...]

    def counts(self) -> Counter[State]:
        """Return how many jobs are in each state."""
        return Counter(job.state for job in self.jobs)

    def usual_seconds(self) -> float | None:
        """Return the median time of the finished jobs; None before there are any."""
        took = [job.seconds for job in self.jobs if job.state is State.DONE and job.seconds > 0]
        return median(took) if took else None

    def seconds_left(self) -> float | None:
        """Return how long until all is done, with as many jobs at once as now.

        None while nothing runs, or before the first job is done.
        """
        usual = self.usual_seconds()
        running = [job for job in self.jobs if job.state is State.RUNNING]
        if usual is None or not running:
            return None
        left = [max(usual - job.seconds, 0.0) for job in running]
        work = sum(left) + usual * self.counts()[State.WAITING]
        return max(work / len(running), *left)


@dataclass(frozen=True)
class _Run:
    """What is followed of a run.json: thousands of whole ones would fill the memory.

    `status` is "damaged", too, of one that cannot be read, for a `reason`. `written` is when, in
    seconds since 1970. `below` is the folder of a study's draw within the study; empty of others.
    """

    status: str
    reason: str | None
    overrides: tuple[str, ...]
    seconds: float
    written: float
    below: str


class Follower:
    """Looks again and again at the runs and multiruns below a folder, or at the run that it is."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[Path, tuple[tuple[int, int, int], Any]] = {}

    def look(self) -> list[Sweep]:
        """Return how all stands now, by multirun; GanAugError without a folder or a run in it."""
        if not self._root.is_dir():
            raise GanAugError(f"study_dir={self._root}: no such folder; name a study's, or a run's")
        below = find_runs(self._root)
        runs: dict[Path, dict[str, _Run]] = {folder: {} for folder in below.multiruns}
        # A run that was named has no others below it.
        for folder in [self._root] if self._root in below.runs else below.runs:
            if (run := self._run(folder)) is not None:
                around = (f for f in (folder, *folder.parents) if f in below.multiruns)
                above = next(around, None) or self._above(folder, run)
                runs.setdefault(above, {})[str(folder.relative_to(above))] = run
        if not runs:
            raise GanAugError(f"study_dir={self._root}: holds no run; name another folder")
        return [self._sweep(folder, runs[folder]) for folder in sorted(runs, key=_natural)]

    def _above(self, folder: Path, run: _Run) -> Path:
        """Return the folder of a run's multirun, as far as it is below the root."""
        below = Path(run.below).parts
        depth = len(below) if below and folder.parts[-len(below) :] == below else 1
        most = len(folder.relative_to(self._root).parts)
        return (folder, *folder.parents)[min(depth, most)]

    def _run(self, folder: Path) -> _Run | None:
        return self._get(folder / RECORD, _read_run, [])

    def _get(self, path: Path, read: Callable[[Path], T], damaged: list[str]) -> T | None:
        """Return what a file holds; None where there is none, or it is damaged: that is noted.

        It is read again only when it has been replaced.
        """
        try:
            status = path.stat()
        except OSError:
            self._read.pop(path, None)
            return None
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        before = self._read.get(path)
        if before is None or before[0] != version:
            try:
                before = version, read(path)
            except GanAugError as error:
                before = version, error
            except OSError:  # removed a moment ago
                return None
            self._read[path] = before
        if isinstance(before[1], GanAugError):
            damaged.append(str(before[1]))
            return None
        kept: T = before[1]
        return kept

    def _sweep(self, folder: Path, runs: dict[str, _Run]) -> Sweep:
        damaged: list[str] = []
        asked: dict[str, _Asked] = {}
        for path in submissions(folder):
            submission = self._get(path / ASKED, lambda p: Submission.load(p.parent), damaged)
            if submission is not None:
                asked |= {job.folder: (submission, k) for k, job in enumerate(submission.jobs)}
        jobs = []
        for name in (*asked, *sorted(runs.keys() - asked.keys(), key=_natural)):
            job = self._job(folder, name, runs.get(name), asked.get(name))
            if job.state is State.RUNNING:
                progress = self._get(folder / name / PROGRESS, Progress.read, damaged)
                job = replace(job, progress=progress)
            jobs.append(job)
        return Sweep(folder, tuple(jobs), tuple(damaged))

    def _job(self, sweep: Path, name: str, run: _Run | None, asked: _Asked | None) -> Followed:
        state, reason = _state_of(sweep / name, run, asked[0] if asked else None)
        if state is State.KILLED:  # or at its end, between a look at run.json and one at the lease
            again = self._run(sweep / name)
            if again is not None and again != run:
                return self._job(sweep, name, again, asked)
        overrides: tuple[str, ...] = ()
        seconds, log = 0.0, None
        if asked is not None:
            submission, k = asked
            overrides = tuple(submission.jobs[k].overrides)
            if state in ENDED_BADLY and submission.log_path(k).exists():
                log = submission.log_path(k)
        if run is not None and run.status != "damaged":
            overrides, seconds = run.overrides, run.seconds
            if state is State.RUNNING:
                seconds += max(time.time() - run.written, 0.0)
        return Followed(name, overrides, state, reason, seconds, log=log)


def _state_of(
    folder: Path, run: _Run | None, submission: Submission | None
) -> tuple[State, str | None]:
    """Return how a job stands, and why it failed, stopped or was killed."""
    if run is not None and run.status == "damaged":
        return State.RUNNING if is_busy(folder) else State.FAILED, run.reason
    if run is not None and run.status == "finished":
        return State.DONE, None
    if run is not None and run.status == "running" and is_busy(folder):
        return State.RUNNING, None
    if run is None or (submission is not None and run.written < submission.submitted):
        assert submission is not None
        if submission.launcher == "local" and not is_held(submission.lock.path):
            return State.STOPPED, _NEVER_STARTED
        return State.WAITING, None
    if run.status == "failed":
        return State.FAILED, run.reason
    state = State.KILLED if run.status == "running" else State.STOPPED
    if submission is None or submission.launcher == "local":
        return state, _GONE if state is State.KILLED else run.reason
    files = [path for name in (RECORD, PROGRESS, LOCK) if (path := folder / name).exists()]
    last_sign = max((path.stat().st_mtime for path in files), default=0.0)
    if time.time() - last_sign < SILENT_SECONDS:
        return State.WAITING, None  # a cluster goes on with it by itself
    return state, _NOT_AGAIN


def _read_run(path: Path) -> _Run:
    try:
        record = read_record(path.parent)
    except GanAugError as error:
        return _Run("damaged", str(error), (), 0.0, path.stat().st_mtime, "")
    if record is None:
        raise FileNotFoundError(path)
    study = record.config.get("study")
    below = study.get("folder") if isinstance(study, dict) else None
    return _Run(
        status=record.status,
        reason=record.reason,
        overrides=tuple(record.overrides),
        seconds=record.seconds,
        written=path.stat().st_mtime,
        below=below if isinstance(below, str) else "",
    )


def _natural(name: object) -> list[tuple[str, int]]:
    """Sort draw_2 before draw_10."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", str(name))
    return [(text, int(digits or 0)) for text, digits in parts]
