"""Progress of what takes minutes: on a terminal, in a log, and in a file for `gan_aug.status`."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar, TypeVar

import psutil
from rich.markup import escape
from rich.progress import track as rich_track

from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.stored_model import Stored
from gan_aug.run.terminal import console

FIRST_SECONDS, EVERY_SECONDS = 10.0, 30.0
PROGRESS = "progress.json"
WRITE_SECONDS = 2.0
"""Least time between two writes within a stage, but for its first two."""
SLOW = 8
"""A run is said to be slow where it makes so many times fewer images/s than it did."""

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Pass items on and show on stderr how many there have been.

    Args:
        items: what is iterated over.
        description: what is being done.
        total: how many items there are.
    """
    terminal = console(stderr=True)
    if terminal.is_terminal:
        shown = escape(description)  # its columns are markup, whatever the console says
        yield from rich_track(items, description=shown, total=total, console=terminal)
        return
    due = time.monotonic() + FIRST_SECONDS
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() >= due:
            print(f"{description}: {done} of {total}", file=sys.stderr, flush=True)
            due = time.monotonic() + EVERY_SECONDS


class Progress(Stored):
    """How far a run is: what progress.json holds.

    Attributes:
        stage: the part of the run in hand, as people call it.
        done: how much of it is done, in `unit`s.
        total: how much there is; 0 where nobody counts.
        unit: what is counted.
        images_per_second: training images, or None where none are trained on.
        seconds_left: of the stage, at the speed so far; None where nothing tells.
        stage_number: which part it is, from 1.
        stages: how many there are.
        host: the machine it runs on.
    """

    WHAT: ClassVar[str] = "progress of a run"

    stage: str
    done: int
    total: int
    unit: str
    images_per_second: float | None
    seconds_left: float | None
    stage_number: int
    stages: int
    host: str


class _Reporter:
    """Writes one run's progress.json, and passes what is counted on to the run around it."""

    def __init__(self, folder: Path, stages: int, outer: _Reporter | None) -> None:
        self._path = folder / PROGRESS
        self._stages, self._outer = stages, outer
        self._number, self._name, self._unit = 0, "", ""
        self._counted: tuple[int, int, float | None] = (0, 0, None)
        self._first: tuple[int, float] | None = None
        self._fastest, self._said_slow = 0.0, False
        self._due = 0.0
        self._host = socket.gethostname()

    def stage(self, name: str, unit: str) -> None:
        self._number += 1
        self._name, self._unit = name, unit
        self._counted, self._first = (0, 0, None), None
        self._fastest = 0.0
        self.write()

    def update(self, done: int, total: int, images_per_second: float | None) -> None:
        if self._outer is not None:
            self._outer.update(done, total, images_per_second)
        self._counted = done, total, images_per_second
        if images_per_second is not None:
            self._look_at_speed(images_per_second)
        now = time.monotonic()
        if self._first is None:
            self._first, self._due = (done, now), now  # how much there is, is news
        if now >= self._due:
            self.write()

    def _look_at_speed(self, speed: float) -> None:
        """Say so, once, where others take the cores that this run computes with."""
        self._fastest = max(self._fastest, speed)
        if self._said_slow or self._outer is not None or speed * SLOW > self._fastest:
            return
        # Many a training slows down by itself, as its networks grow.
        if psutil.getloadavg()[0] < (psutil.cpu_count() or 1) + 0.5:
            return
        self._said_slow = True
        warn(
            f"{self._path.parent}: {speed:.0f} images/s after {self._fastest:.0f}: other processes "
            "use its cores; stop them, or stop this run and go on with trainer.threads=1 (the last "
            "bits of the weights then differ)"
        )

    def write(self) -> None:
        """Write it; a run never fails for it (on a full disk, say), for it is no result."""
        if not self._number:
            return
        done, total, images_per_second = self._counted
        progress = Progress(
            stage=self._name,
            done=done,
            total=total,
            unit=self._unit,
            images_per_second=images_per_second,
            seconds_left=self._seconds_left(done, total),
            stage_number=self._number,
            stages=self._stages,
            host=self._host,
        )
        with suppress(GanAugError):
            progress.write(self._path)
        self._due = time.monotonic() + WRITE_SECONDS

    def _seconds_left(self, done: int, total: int) -> float | None:
        if self._first is None or done <= self._first[0]:
            return None
        each = (time.monotonic() - self._first[1]) / (done - self._first[0])
        return round(each * (total - done), 1)

    def remove(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


_innermost: ContextVar[_Reporter | None] = ContextVar("_innermost", default=None)


@contextmanager
def reporting(folder: Path, stages: int) -> Iterator[None]:
    """Keep progress.json in a run's folder while the block runs.

    It stays behind where the block raises: there it stopped. Within another such block (a GAN that
    is fitted for a draw), `stage` speaks of the inner run, and `update` of both.

    Args:
        folder: the run's.
        stages: how many times `stage` will be called.
    """
    reporter = _Reporter(folder, stages, _innermost.get())
    token = _innermost.set(reporter)
    try:
        yield
    except BaseException:
        reporter.write()
        raise
    else:
        reporter.remove()
    finally:
        _innermost.reset(token)


def stage(name: str, unit: str = "batches") -> None:
    """Begin the next part of the run; outside of `reporting` nobody is told.

    Args:
        name: what it is.
        unit: what `update` will count.
    """
    if (reporter := _innermost.get()) is not None:
        reporter.stage(name, unit)


def update(done: int, total: int, images_per_second: float | None = None) -> None:
    """Say how much of the stage is done; cheap enough for every batch."""
    if (reporter := _innermost.get()) is not None:
        reporter.update(done, total, images_per_second)
