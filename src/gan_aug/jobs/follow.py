"""How the jobs of multiruns stand, from files alone: nothing is written, nobody is disturbed."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

from gan_aug.jobs.job_files import FileCache, FolderTree, RunNotes, read_run
from gan_aug.jobs.state import OPEN, Evidence, State, exists, weigh
from gan_aug.jobs.submission import JOBS, Attempt, Submission
from gan_aug.run.errors import GanAugError
from gan_aug.run.progress import PROGRESS, Progress, read_progress
from gan_aug.run.run_record import RECORD

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """One job of a multirun, or a run alone.

    Attributes:
        folder: below that of the multirun; "." for the folder itself.
        overrides: its settings on the command line.
        state: how it stands.
        reason: why it failed, stopped or was killed.
        seconds: how long it has run, over all attempts.
        progress: of a job that runs, where it has told.
        host: where it runs, or ran last.
        log: what its process printed, where a launcher keeps that.
    """

    folder: str
    overrides: tuple[str, ...]
    state: State
    reason: str | None = None
    seconds: float = 0.0
    progress: Progress | None = None
    host: str | None = None
    log: Path | None = None


@dataclass(frozen=True)
class Sweep:
    """The jobs of a multirun, or runs that lie in one folder.

    Attributes:
        folder: theirs.
        jobs: in the order of the commands that named them, then others by folder.
        damaged: a line for each file that could not be read.
    """

    folder: Path
    jobs: tuple[Job, ...]
    damaged: tuple[str, ...]

    def counts(self) -> Counter[State]:
        """Return how many jobs are in each state."""
        return Counter(job.state for job in self.jobs)

    @property
    def is_open(self) -> bool:
        """Whether some job waits or runs."""
        return any(job.state in OPEN for job in self.jobs)

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


class Follower:
    """Looks again and again at the runs and multiruns below a folder.

    Args:
        root: of a study, a multirun, a run, or of many of these.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tree = FolderTree(root)
        self._files = FileCache()

    def look(self) -> list[Sweep]:
        """Return how all stands now, by multirun.

        Raises:
            GanAugError: there is no such folder, or no run in it.
        """
        if not self._root.is_dir():
            raise GanAugError(f"study_dir={self._root}: no such folder; name a study's, or a run's")
        runs: list[Path] = []
        sweeps: dict[Path, _Look] = {}
        for folder, has_jobs in self._tree.walk():
            if has_jobs:
                sweeps[folder] = _Look(folder, self._files)
            else:
                runs.append(folder)
        submitted = set(sweeps)
        for folder in runs:
            run = self._files.get(folder / RECORD, read_run)
            if run is not None:
                above = next((f for f in (folder, *folder.parents) if f in submitted), None)
                above = above or self._above(folder, run)
                look = sweeps.setdefault(above, _Look(above, self._files))
                look.runs[str(folder.relative_to(above))] = run
        if not sweeps:
            raise GanAugError(f"study_dir={self._root}: holds no run; name another folder")
        return [sweeps[folder].sweep() for folder in sorted(sweeps, key=_natural)]

    def _above(self, folder: Path, run: RunNotes | GanAugError) -> Path:
        """Return the folder of a run's multirun, as far as it is below the root."""
        below = () if isinstance(run, GanAugError) else Path(run.below).parts
        depth = len(below) if below and folder.parts[-len(below) :] == below else 1
        most = len(folder.relative_to(self._root).parts)
        return (folder, *folder.parents)[min(depth, most)]


@dataclass(frozen=True)
class _Named:
    """A job in a submission: the latter, its folder in .jobs, the job's number there."""

    submission: Submission
    folder: Path
    number: int


class _Look:
    """One look at one multirun."""

    def __init__(self, folder: Path, files: FileCache) -> None:
        self.folder, self._files = folder, files
        self.runs: dict[str, RunNotes | GanAugError] = {}
        self._damaged: list[str] = []
        self._gone: dict[Path, bool] = {}

    def sweep(self) -> Sweep:
        """Put together what there is."""
        named = self._named()
        others = sorted(self.runs.keys() - named.keys(), key=_natural)
        jobs = [self._job(folder, named.get(folder)) for folder in (*named, *others)]
        return Sweep(self.folder, tuple(jobs), tuple(self._damaged))

    def _sound(self, found: T | GanAugError | None) -> T | None:
        """Return what was read, None where it is damaged, which is noted."""
        if isinstance(found, GanAugError):
            self._damaged.append(str(found))
            return None
        return found

    def _named(self) -> dict[str, _Named]:
        """Return where the latest command that names a job does so."""
        named: dict[str, _Named] = {}
        for path in sorted((self.folder / JOBS).glob("*/jobs.json")):
            found = self._sound(self._files.get(path, lambda p: Submission.read(p.parent)))
            if found is not None:
                for number, job in enumerate(found.jobs):
                    named[job.folder] = _Named(found, path.parent, number)
        return named

    def _job(self, folder: str, named: _Named | None) -> Job:
        run = self.runs.get(folder)
        if isinstance(run, RunNotes) and run.status == "finished":
            return Job(folder, run.overrides, State.DONE, seconds=run.seconds)
        attempt = log = None
        if named is not None:
            path = named.folder / f"{named.number}.json"
            attempt = self._sound(self._files.get(path, Attempt.read))
            log = path.with_suffix(".log")
        told = self._files.get(self.folder / folder / PROGRESS, lambda p: read_progress(p.parent))
        progress = self._sound(told)
        state, reason = weigh(
            Evidence(
                folder=self.folder / folder,
                run=run,
                attempt=attempt,
                submission=named.submission if named else None,
                command_is_gone=(attempt is None or attempt.state == "busy")
                and named is not None
                and self._is_gone(named),
                told=_time_of(progress),
            )
        )
        if state is State.KILLED:  # or at its end, between a look at run.json and one at the lock
            again = self._files.get(self.folder / folder / RECORD, read_run)
            if again is not None and again != run:
                self.runs[folder] = again
                return self._job(folder, named)
        running = state is State.RUNNING
        overrides = tuple(named.submission.jobs[named.number].overrides) if named else ()
        seconds = 0.0
        if isinstance(run, RunNotes):
            overrides = run.overrides
            seconds = run.seconds + (max(time.time() - run.written, 0.0) if running else 0.0)
        host = attempt.host if attempt else progress.host if progress else None
        return Job(
            folder=folder,
            overrides=overrides,
            state=state,
            reason=reason,
            seconds=seconds,
            progress=progress if running else None,
            host=host,
            log=log if log is not None and log.exists() else None,
        )

    def _is_gone(self, named: _Named) -> bool:
        """Tell whether a command that starts its jobs itself ran on this machine, and has ended."""
        if named.folder not in self._gone:
            found, where = named.submission, named.folder
            here = found.host == socket.gethostname()
            local = found.launcher == "local" and found.pid is not None
            self._gone[where] = here and local and not exists(found.pid or 0)
        return self._gone[named.folder]


def _time_of(progress: Progress | None) -> float:
    with suppress(ValueError):
        return datetime.fromisoformat(progress.updated).timestamp() if progress else 0.0
    return 0.0


def _natural(name: object) -> list[tuple[str, int]]:
    """Sort draw_2 before draw_10."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", str(name))
    return [(text, int(digits or 0)) for text, digits in parts]
