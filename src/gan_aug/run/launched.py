"""What a process knows that a multirun's launcher has started as one of its jobs."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import sys

COMMAND = "GAN_AUG_COMMAND"
"""Environment variable: the multirun's command."""
PARENT = "GAN_AUG_PARENT"
"""Environment variable: process id of what waits for the job."""
WAIT = "GAN_AUG_WAIT"
"""Environment variable: set where a job is to wait for another process that works in its folder."""
BUSY = 75
"""Exit code of a job whose run folder another process works in (EX_TEMPFAIL of sysexits.h)."""

_PR_SET_PDEATHSIG = 1


def is_job() -> bool:
    """Tell whether a launcher started this process."""
    return COMMAND in os.environ


def multirun_command() -> list[str] | None:
    """Return the command of the multirun that this process is a job of."""
    command = os.environ.get(COMMAND)
    return None if command is None else shlex.split(command)


def may_wait() -> bool:
    """Tell whether this job is to wait for another process that works in its folder."""
    return WAIT in os.environ


def end_with_launcher() -> None:
    """Let the kernel end this job, as SIGTERM does, when its launcher is killed.

    A launcher that is killed can tell its jobs nothing; they would go on unseen, as they do on
    other systems than Linux.
    """
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it was killed before
        os.kill(os.getpid(), signal.SIGTERM)
