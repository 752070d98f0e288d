"""Jobs as processes of their own, several at a time; one that is killed ends no other."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from gan_aug.jobs.submission import Attempt, Submission, now
from gan_aug.run.errors import GanAugError
from gan_aug.run.launched import BUSY, PARENT, WAIT

GRACE_SECONDS = 20.0
"""How long a job that was told to stop may take, before it is killed."""


class Pool:
    """Runs jobs of a submission, as many at a time as there are slots.

    A job whose folder another process works in is put off until the others are done, and waits
    then.

    Args:
        submission: whose jobs.
        numbers: which of them, positions in `submission.jobs`.
        slots: the environment of each job that runs in a slot: threads, a GPU.
        slurm_job: the array task that runs them, for K.json.
    """

    def __init__(
        self,
        submission: Submission,
        numbers: Sequence[int],
        slots: Sequence[Mapping[str, str]],
        slurm_job: str | None = None,
    ) -> None:
        self._submission, self._slurm_job = submission, slurm_job
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for k in numbers:
            self._waiting.put(k)
        self._put_off: deque[int] = deque()
        self._lock = threading.RLock()  # a signal's handler may stop what is being stopped
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self.states: dict[int, Attempt] = {}
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
        # A cluster warns a whole task of its time limit with USR2, which would end the jobs: they
        # inherit this thread's mask. They are told to stop by TERM.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
        try:
            for k, wait in self._next():
                self._run(k, slot, wait)
        except BaseException as error:
            self.faults.append(error)

    def _next(self) -> Iterable[tuple[int, bool]]:
        while True:
            try:
                yield self._waiting.get_nowait(), False
            except queue.Empty:
                break
        while self._put_off:
            try:
                yield self._put_off.popleft(), True
            except IndexError:
                break

    def _run(self, k: int, slot: dict[str, str], wait: bool) -> None:
        submission = self._submission
        own = submission.environment() | slot | {PARENT: str(os.getpid())}
        if wait:
            own[WAIT] = "1"
        log_path = submission.log_path(k)
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
            host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
            state = Attempt("running", process.pid, host, now(), slurm_job=self._slurm_job)
            try:
                state.write(submission.state_path(k))
            finally:
                code = process.wait()
                with self._lock:
                    del self._processes[k]
        state = state.ended_with(code, log_path, self._stopping, start)
        state.write(submission.state_path(k))
        self.states[k] = state
        if code == BUSY:
            self._put_off.append(k)


def check_numbers(**settings: object) -> None:
    """Check settings of hydra.launcher that count something.

    Raises:
        GanAugError: one is no whole number from 1.
    """
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise GanAugError(f"hydra.launcher.{name}={value}: must be a whole number from 1")


def threads_of(n: int) -> dict[str, str]:
    """Return the environment that lets a job compute with n threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(n))
