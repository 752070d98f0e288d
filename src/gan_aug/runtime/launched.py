"""What a process knows that a multirun's launcher has started as one of its jobs."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

import psutil

COMMAND = "GAN_AUG_COMMAND"
"""Environment variable: the multirun's command."""
PARENT = "GAN_AUG_PARENT"
"""Environment variable: process id of what waits for the job."""
WAIT = "GAN_AUG_WAIT"
"""Environment variable: set where a job is to wait for another process that works in its folder."""
BUSY = 75
"""Exit code of a job whose run folder another process works in (EX_TEMPFAIL of sysexits.h)."""
DIVERGED = 76
"""Exit code of a job whose training came to nothing."""
GRACE_SECONDS = 20.0
"""How long a job that is told to stop may take, before it is killed."""

_LOOK_SECONDS = 1.0


def is_job() -> bool:
    """Tell whether a launcher started this process."""
    return COMMAND in os.environ


def end_with_launcher() -> None:
    """End this job, as SIGTERM does, when its launcher is gone.

    A launcher that is killed can tell its jobs nothing; they would go on unseen.
    """
    if (parent := os.environ.get(PARENT)) is not None:
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    with suppress(psutil.NoSuchProcess):  # it has ended
        launcher = psutil.Process(parent)
        while launcher.is_running() and launcher.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_LOOK_SECONDS)
    psutil.Process().terminate()
    # An import that is under way may swallow it, and no second one is heard.
    time.sleep(GRACE_SECONDS)
    psutil.Process().kill()
