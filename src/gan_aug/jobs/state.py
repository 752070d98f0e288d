"""From what a job's files say to how it stands."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gan_aug.jobs.job_files import RunNotes
from gan_aug.jobs.submission import Attempt, Submission
from gan_aug.run.errors import GanAugError
from gan_aug.run.record import is_busy

SILENT_SECONDS = 600.0
"""A job on another machine, of which no lock is seen, has died if it wrote nothing for so long."""


class State(StrEnum):
    """How a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    KILLED = "killed"


OPEN = (State.WAITING, State.RUNNING)
"""Of these something is still to come."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge a job by.

    Attributes:
        folder: the run's.
        run: its run.json, or why that cannot be read.
        attempt: its latest K.json.
        submission: of the latest command that names the job.
        command_is_gone: that command has ended, and cannot start it any more.
        told: when the run last told of its progress, seconds since 1970; 0: never.
    """

    folder: Path
    run: RunNotes | GanAugError | None
    attempt: Attempt | None
    submission: Submission | None
    command_is_gone: bool
    told: float


def weigh(evidence: Evidence) -> tuple[State, str | None]:
    """Return how a job stands, and why it failed, stopped or was killed."""
    run, attempt = evidence.run, evidence.attempt
    if isinstance(run, GanAugError):
        runs = attempt is not None and attempt.state == "running" and _lives(attempt, evidence)
        return State.RUNNING if runs else State.FAILED, str(run)
    if run is not None and run.status == "finished":
        return State.DONE, None
    # The lock is looked at only where a run says that it runs.
    if run is not None and run.status == "running" and is_busy(evidence.folder):
        return State.RUNNING, None
    begun = _begun(evidence)
    if run is not None and run.written >= begun:  # else it tells of an earlier attempt
        if run.status == "failed":
            return State.FAILED, run.reason
        if run.status == "interrupted":
            return _stopped(evidence, run.reason)
    elif attempt is None or attempt.state == "busy":
        if evidence.command_is_gone:
            return State.STOPPED, "never started, its command has ended; repeat the command"
        return State.WAITING, None
    return _by_attempt(evidence, attempt)


def _begun(evidence: Evidence) -> float:
    """Return when the latest command or attempt began, seconds since 1970."""
    if evidence.attempt is not None:
        return evidence.attempt.started_seconds
    return evidence.submission.submitted_seconds if evidence.submission is not None else 0.0


def _stopped(evidence: Evidence, reason: str | None) -> tuple[State, str | None]:
    """Judge a job that was stopped from outside; a cluster goes on with it by itself."""
    submission = evidence.submission
    if submission is None or submission.launcher != "slurm":
        return State.STOPPED, reason
    if time.time() - _last_sign(evidence) < SILENT_SECONDS:
        return State.WAITING, None
    return State.STOPPED, "Slurm has not run it again; look at squeue, or repeat the command"


def _by_attempt(evidence: Evidence, attempt: Attempt | None) -> tuple[State, str | None]:
    """Judge a job whose run.json does not tell how it ended."""
    if attempt is None:
        return State.KILLED, "its process is gone; repeat the command to go on"
    if attempt.state == "running":
        if _lives(attempt, evidence):
            return State.RUNNING, None
        return State.KILLED, f"its process on {attempt.host} is gone; repeat the command to go on"
    if attempt.state == "done" and evidence.run is not None:
        return State.KILLED, "its process ended before the run did; repeat the command to go on"
    if attempt.state in ("stopped", "busy"):
        return _stopped(evidence, attempt.reason)
    return State(attempt.state), attempt.reason


def _lives(attempt: Attempt, evidence: Evidence) -> bool:
    if attempt.host == socket.gethostname():
        return exists(attempt.pid)
    return time.time() - _last_sign(evidence) < SILENT_SECONDS


def _last_sign(evidence: Evidence) -> float:
    """Return when a job last wrote anything, seconds since 1970."""
    written = evidence.run.written if isinstance(evidence.run, RunNotes) else 0.0
    return max(_begun(evidence), written, evidence.told)


def exists(pid: int) -> bool:
    """Tell whether a process runs on this machine."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    with suppress(OSError):  # where there is no /proc
        # One that has died stays in the list until its parent, or in a container nobody, asks.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return True
