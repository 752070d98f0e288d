"""What one `-m` command asks for, written down where its jobs and whoever follows them read it.

SWEEP/.jobs/NAME/ has jobs.json, and for each job K of it K.json (how it stands) and K.log (what it
printed).
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gan_aug.run.errors import GanAugError
from gan_aug.run.files import read_json, write_json
from gan_aug.run.launched import BUSY, COMMAND

JOBS = ".jobs"
STATES = ("running", "done", "failed", "stopped", "busy")
_STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM}
_REMEDY = "remove it and repeat the command of its job"


@dataclass(frozen=True)
class Job:
    """One job of a multirun.

    Attributes:
        number: Hydra's.
        folder: its run folder, relative to the sweep's.
        overrides: what sets it apart, and what all jobs share.
    """

    number: int
    folder: str
    overrides: list[str]


@dataclass(frozen=True)
class Submission:
    """The jobs that one command starts.

    Attributes:
        folder: SWEEP/.jobs/NAME.
        command: study, train ...
        arguments: of the whole multirun.
        hydra: settings of Hydra itself that each job is given.
        launcher: local or slurm.
        submitted: when, ISO 8601, UTC.
        jobs: those to run; finished ones are left out.
    """

    folder: Path
    command: str
    arguments: list[str]
    hydra: list[str]
    launcher: str
    submitted: str
    jobs: list[Job]

    @classmethod
    def create(
        cls,
        sweep: Path,
        command: str,
        arguments: Sequence[str],
        hydra: Sequence[str],
        launcher: str,
        jobs: Sequence[Job],
    ) -> Submission:
        """Write jobs.json of a new submission.

        Raises:
            GanAugError: the sweep's folder cannot be written.
        """
        now = datetime.now(UTC)
        name = f"{now:%Y-%m-%d_%H-%M-%S}_{socket.gethostname()}_{os.getpid()}"
        made = cls(
            folder=sweep / JOBS / name,
            command=command,
            arguments=list(arguments),
            hydra=list(hydra),
            launcher=launcher,
            submitted=now.isoformat(timespec="seconds"),
            jobs=list(jobs),
        )
        content = asdict(made)
        del content["folder"]
        write_json(made.folder / "jobs.json", content)
        return made

    @classmethod
    def read(cls, folder: Path) -> Submission:
        """Read jobs.json.

        Raises:
            GanAugError: it is damaged, or names folders outside the sweep's.
        """
        path = folder / "jobs.json"
        found = read_json(path, _REMEDY)
        try:
            made = cls(
                folder=folder,
                command=_text(found["command"]),
                arguments=_texts(found["arguments"]),
                hydra=_texts(found["hydra"]),
                launcher=_text(found["launcher"]),
                submitted=_time(found["submitted"]),
                jobs=[
                    Job(int(job["number"]), _text(job["folder"]), _texts(job["overrides"]))
                    for job in found["jobs"]
                ],
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise GanAugError(f"{path}: is damaged ({_what(error)}); {_REMEDY}") from error
        for job in made.jobs:
            if not job.folder or not job.folder.isprintable():
                raise GanAugError(f"{path}: names a folder {job.folder!a}; {_REMEDY}")
            if Path(job.folder).is_absolute() or ".." in Path(job.folder).parts:
                raise GanAugError(f"{path}: names {job.folder}, outside its own folder; {_REMEDY}")
        return made

    @property
    def pid(self) -> int | None:
        """The process of the command that made it, from the folder's name."""
        pid = self.folder.name.rpartition("_")[2]
        return int(pid) if pid.isdecimal() else None

    @property
    def host(self) -> str:
        """The computer of the command that made it, from the folder's name."""
        return "_".join(self.folder.name.split("_")[2:-1])

    @property
    def submitted_seconds(self) -> float:
        """When it was made, seconds since 1970."""
        return datetime.fromisoformat(self.submitted).timestamp()

    @property
    def sweep(self) -> Path:
        """The folder of the study or sweep."""
        return self.folder.parents[1]

    def run_folder(self, k: int) -> Path:
        """Return the run folder of job k of this submission."""
        return self.sweep / self.jobs[k].folder

    def state_path(self, k: int) -> Path:
        """Return the file that says how job k stands."""
        return self.folder / f"{k}.json"

    def log_path(self, k: int) -> Path:
        """Return the file that takes what job k prints."""
        return self.folder / f"{k}.log"

    def command_line(self, k: int) -> list[str]:
        """Return job k as a command of its own, which anyone may repeat."""
        from gan_aug.run.arguments import quoted

        job = self.jobs[k]
        own = {"hydra.run.dir": self.run_folder(k), "hydra.sweep.dir": self.sweep}
        return [
            *(sys.executable, "-m", f"gan_aug.{self.command}"),
            *self.hydra,
            *job.overrides,
            *(quoted(key, value) for key, value in own.items()),
            f"hydra.job.num={job.number}",
            "hydra.mode=RUN",  # a configuration may say MULTIRUN
        ]

    def environment(self) -> dict[str, str]:
        """Return what tells a job that it is one, and of which command."""
        return {COMMAND: shlex.join(["python", "-m", f"gan_aug.{self.command}", *self.arguments])}


@dataclass(frozen=True)
class Attempt:
    """The process that runs, or ran, a job: what K.json holds.

    Attributes:
        state: running, done, failed, busy (another process works in its folder), or stopped (from
            outside; it can go on).
        pid: of the job's process.
        host: where it runs.
        started: ISO 8601, UTC.
        ended: the same, None while it runs.
        exit: its exit code; negative: the signal that ended it.
        reason: why it failed, one line.
        slurm_job: its array task, 123_4.
    """

    state: str
    pid: int
    host: str
    started: str
    ended: str | None = None
    exit: int | None = None
    reason: str | None = None
    slurm_job: str | None = None

    @classmethod
    def read(cls, path: Path) -> Attempt:
        """Read K.json.

        Raises:
            GanAugError: it is damaged.
        """
        found = read_json(path, _REMEDY)
        try:
            if found["state"] not in STATES:
                raise ValueError(f"its state is none of {', '.join(STATES)}")
            reason, task, code = (found.get(key) for key in ("reason", "slurm_job", "exit"))
            return cls(
                state=found["state"],
                pid=int(found["pid"]),
                host=_text(found["host"]),
                started=_time(found["started"]),
                ended=None if found.get("ended") is None else _time(found["ended"]),
                exit=None if code is None else int(code),
                reason=None if reason is None else _text(reason),
                slurm_job=None if task is None else _text(task),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise GanAugError(f"{path}: is damaged ({_what(error)}); {_REMEDY}") from error

    @property
    def started_seconds(self) -> float:
        """When it started, seconds since 1970."""
        return datetime.fromisoformat(self.started).timestamp()

    def ended_with(self, code: int, log: Path, stopping: bool, start: int = 0) -> Attempt:
        """Return the state after the process has ended.

        Args:
            code: as `subprocess.Popen.returncode` gives it.
            log: what it printed; a failure's reason is in it.
            stopping: whether it was told to stop.
            start: where in the log its own lines begin.
        """
        reason = None
        if code == 0:
            state = "done"
        elif code == BUSY:
            state = "busy"
        elif stopping or code in _STOPPED:
            state = "stopped"
        else:
            state, reason = "failed", reason_of(code, log, start)
        facts = asdict(self) | {"state": state, "exit": code, "reason": reason, "ended": now()}
        return Attempt(**facts)

    def write(self, path: Path) -> None:
        """Write K.json.

        Raises:
            GanAugError: it cannot be written.
        """
        write_json(path, asdict(self))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(values: object) -> list[str]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return [_text(value) for value in values]


def _time(value: object) -> str:
    datetime.fromisoformat(_text(value)).timestamp()
    return _text(value)


def _what(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else str(error)


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def reason_of(code: int, log: Path, start: int = 0) -> str:
    """Return in one line why a job failed, whose lines begin at `start` of the log."""
    if code < 0:
        also = "; out of memory?" if -code == signal.SIGKILL else ""
        return f"ended by signal {-code} ({signal.strsignal(-code)}){also}"
    with log.open("rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - 20_000))
        lines = file.read().decode(errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    last = next((line for line in reversed(lines) if line.strip()), "no output")
    return errors[-1] if errors else f"exit code {code}: {last.strip()}"


def submissions(sweep: Path) -> Iterator[Path]:
    """Yield the folders of all submissions of a sweep, oldest first."""
    folder = sweep / JOBS
    if folder.is_dir():
        yield from sorted(p.parent for p in folder.glob("*/jobs.json"))


@dataclass(frozen=True)
class Queued:
    """A job in the queue of a cluster: its settings, and the array that it is part of."""

    overrides: list[str]
    array: str


Attempted = tuple[Attempt, Path]
"""How an attempt at a job stands, and what it printed."""


def latest_attempts(sweep: Path) -> dict[str, Attempted]:
    """Return the latest attempt at each job of a sweep, by run folder, of files that are sound."""
    found: dict[str, Attempted] = {}
    for folder in submissions(sweep):
        with suppress(GanAugError):  # `gan_aug.status` names it
            submission = Submission.read(folder)
            for k, job in enumerate(submission.jobs):
                if submission.state_path(k).exists():
                    attempt = Attempt.read(submission.state_path(k))
                    found[job.folder] = attempt, submission.log_path(k)
    return found


def is_plain(override: str) -> bool:
    """Tell whether an override only numbers a job, so that jobs are composed alike but for it."""
    return re.fullmatch(r"(draw|seed)=\d+", override) is not None
