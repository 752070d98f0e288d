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

from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.stored_model import Stored
from gan_aug.runtime.terminal import console

FIRST_SECONDS, EVERY_SECONDS = 10.0, 30.0
PROGRESS = "progress.json"
WRITE_SECONDS = 2.0
"""Least time between two writes within a stage, but for its first two."""
SLOW = 8
"""A run is said to be slow where it makes so many times fewer images/s than it did."""

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Pass items on, of which there are `total`, and show on stderr how many there have been."""
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

    `total` is 0 where nobody counts `unit`s, `images_per_second` None where no training images are
    counted, `seconds_left` (of the stage, at the speed so far) None where nothing tells. Of
    `stages`, `stage_number` counts from 1. `host` is the machine it runs on.
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
        self._folder, self._stages, self._outer = folder, stages, outer
        self._number, self._name, self._unit = 0, "", ""
        self._counted: tuple[int, int, float | None] = (0, 0, None)
        self._first: tuple[int, float] | None = None
        self._fastest, self._due, self._warned = 0.0, 0.0, False

    def stage(self, name: str, unit: str) -> None:
        self._number += 1
        self._name, self._unit = name, unit
        self._counted, self._first, self._fastest = (0, 0, None), None, 0.0
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
        if self._warned or self._outer is not None or speed * SLOW > self._fastest:
            return
        # Many a training slows down by itself, as its networks grow.
        if psutil.getloadavg()[0] < (psutil.cpu_count() or 1) + 0.5:
            return
        self._warned = True
        warn(
            f"{self._folder}: {speed:.0f} images/s after {self._fastest:.0f}: other processes "
            "use its cores; stop them, or stop this run and go on with trainer.threads=1 (the last "
            "bits of the weights then differ)"
        )

    def write(self) -> None:
        """Write it; a run never fails for it (on a full disk, say), for it is no result."""
        if not self._number:
            return
        done, total, images_per_second = self._counted
        seconds_left = None
        if self._first is not None and done > self._first[0]:
            each = (time.monotonic() - self._first[1]) / (done - self._first[0])
            seconds_left = round(each * (total - done), 1)
        progress = Progress(
            stage=self._name,
            done=done,
            total=total,
            unit=self._unit,
            images_per_second=images_per_second,
            seconds_left=seconds_left,
            stage_number=self._number,
            stages=self._stages,
            host=socket.gethostname(),
        )
        with suppress(GanAugError):
            progress.write(self._folder / PROGRESS)
        self._due = time.monotonic() + WRITE_SECONDS


_innermost: ContextVar[_Reporter | None] = ContextVar("_innermost", default=None)


@contextmanager
def reporting(folder: Path, stages: int) -> Iterator[None]:
    """Keep progress.json in a run's folder while the block runs.

    It stays behind where the block raises: there it stopped. `stages` is how often `stage` will be
    called. Within another such block (a GAN that is fitted for a draw), `stage` speaks of the inner
    run, and `update` of both.
    """
    reporter = _Reporter(folder, stages, _innermost.get())
    token = _innermost.set(reporter)
    try:
        yield
    except BaseException:
        reporter.write()
        raise
    else:
        with suppress(OSError):
            (folder / PROGRESS).unlink(missing_ok=True)
    finally:
        _innermost.reset(token)


def stage(name: str, unit: str = "batches") -> None:
    """Begin the next part of the run, whose `unit`s `update` will count.

    Outside of `reporting` nobody is told.
    """
    if (reporter := _innermost.get()) is not None:
        reporter.stage(name, unit)


def update(done: int, total: int, images_per_second: float | None = None) -> None:
    """Say how much of the stage is done; cheap enough for every batch."""
    if (reporter := _innermost.get()) is not None:
        reporter.update(done, total, images_per_second)
