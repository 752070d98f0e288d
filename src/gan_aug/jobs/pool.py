"""Jobs as processes of their own, several at a time; one that is killed ends no other."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gan_aug.jobs.submission import Submission
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.launched import BUSY, GRACE_SECONDS, PARENT, WAIT
from gan_aug.runtime.record import STOPPED, note_end
from gan_aug.runtime.run_record import read_record

_STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM}
_KILLED = 9


@dataclass(frozen=True)
class Ended:
    """How a job's process ended, in run.json's words.

    It is `busy` where another process works in its folder, and can go on where it was
    `interrupted`. A negative `exit` code is the signal that ended it.
    """

    state: Literal["finished", "failed", "interrupted", "busy"]
    exit: int
    reason: str | None = None

    @classmethod
    def of(cls, code: int, log: Path, stopping: bool = False, start: int = 0) -> Ended:
        """Tell how a process ended; see `subprocess.Popen.returncode` and `reason_of`."""
        if code in (0, BUSY):
            return cls("busy" if code else "finished", code)
        if stopping or code in _STOPPED:
            return cls("interrupted", code, STOPPED)
        return cls("failed", code, reason_of(code, log, start))


class JobPool:
    """Runs jobs of a submission, as many at a time as there are slots.

    `numbers` are positions in its jobs; a slot is the environment of each job that runs in it:
    threads, a GPU. A job whose folder another process works in is put off until the others are
    done, and waits then. What a job that was killed could not say of its end is written into its
    run.json. `ended` is how those ended that have, `faults` what went wrong with following them.
    """

    def __init__(
        self, submission: Submission, numbers: Sequence[int], slots: Sequence[Mapping[str, str]]
    ) -> None:
        self._submission = submission
        self._waiting = deque((k, False) for k in numbers)
        """Jobs, and whether they wait for whoever works in their folders: those come last."""
        self._lock = threading.RLock()  # a signal's handler may stop what is being stopped
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self.ended: dict[int, Ended] = {}
        self.faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(dict(slot),), daemon=True) for slot in slots
        ]

    def start(self) -> None:
        """Start the first jobs."""
        with self._lock:
            for thread in self._threads if not self._stopping else ():
                thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait up to some seconds; return whether all jobs have ended."""
        alive = [thread for thread in self._threads if thread.is_alive()]
        for thread in alive[:1]:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def end(self, k: int) -> None:
        """Tell one job to stop, if it runs; the others go on."""
        with self._lock:
            process = self._processes.get(k)
        if process is not None:
            process.terminate()

    def stop(self) -> None:
        """Tell all jobs to stop, start no others, and return when they have ended."""
        with self._lock:
            self._stopping = True
            running = list(self._processes.values())
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        for thread in self._threads:
            if thread.ident is not None:  # else a signal came before the start
                thread.join()

    def _work(self, slot: dict[str, str]) -> None:
        try:
            while (job := self._next()) is not None:
                self._run(*job, slot)
        except BaseException as error:
            self.faults.append(error)

    def _next(self) -> tuple[int, bool] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _run(self, k: int, wait: bool, slot: dict[str, str]) -> None:
        submission = self._submission
        own = submission.environment() | slot | {PARENT: str(os.getpid())}
        if wait:
            own[WAIT] = "1"
        folder, log_path = submission.run_folder(k), submission.log_path(k)
        before = None
        with suppress(GanAugError):  # it is damaged: whoever follows the jobs names it
            before = read_record(folder)
        with log_path.open("ab") as log:
            start = log.seek(0, os.SEEK_END)
            with self._lock:
                if self._stopping:
                    return
                process = subprocess.Popen(
                    submission.command_line(k),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | own,
                    start_new_session=True,  # Ctrl-C reaches it by way of `stop`
                )
                self._processes[k] = process
            code = process.wait()
            with self._lock:
                del self._processes[k]
        ended = Ended.of(code, log_path, self._stopping, start)
        if ended.state in ("failed", "interrupted"):
            note_end(folder, before, ended.state, ended.reason, submission.unborn(k))
        self.ended[k] = ended
        if ended.state == "busy":
            self._waiting.append((k, True))


def reason_of(code: int, log: Path, start: int = 0) -> str:
    """Return in one line why a job failed, whose lines begin at `start` of the log."""
    if code < 0:
        also = "; out of memory?" if -code == _KILLED else ""
        return f"ended by signal {-code} ({signal.strsignal(-code)}){also}"
    with log.open("rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - 20_000))
        lines = file.read().decode(errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    last = next((line for line in reversed(lines) if line.strip()), "no output")
    return errors[-1] if errors else f"exit code {code}: {last.strip()}"


def check_numbers(**settings: object) -> None:
    """Refuse settings of hydra.launcher that are no whole numbers from 1."""
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise GanAugError(f"hydra.launcher.{name}={value}: must be a whole number from 1")


def threads_of(n: int) -> dict[str, str]:
    """Return the environment that lets a job compute with n threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(n))
