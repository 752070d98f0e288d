"""What a plan says: jobs, images, and the time and disk that they take, as tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from gan_aug.jobs.show import ROWS, span
from gan_aug.report.power import Compared
from gan_aug.runtime.terminal import printable, wide_console
from gan_aug.settings.study import SettledStudy
from gan_aug.study.timing import NONE, Cost, Seconds

SECONDS = 24.0
"""Of training in all, to see how long it takes."""
ANY = "any class"
"""In place of a class, of images whose labels nobody reads."""
LEFT_OUT = (
    "reading images, making and measuring generated ones, the report, and jobs that slow each "
    "other down"
)
"""Of an estimate."""


@dataclass
class Kind:
    """Fits of which a step takes the same time.

    Attributes:
        time: what times it, for so many seconds; None: nothing can.
        cost: of such a fit, once it has been timed.
    """

    title: str
    time: Callable[[float], Cost] | None
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class Work:
    """A fit to do: its kind, its steps, and how many images it predicts besides."""

    kind: Kind
    steps: int
    images: int = 0

    @property
    def seconds(self) -> Seconds:
        """What it takes, once its kind has been timed."""
        return self.steps * self.kind.cost.step + self.images * self.kind.cost.image


def _seconds(work: Iterable[Work]) -> Seconds:
    return sum((one.seconds for one in work), NONE)


@dataclass
class PlannedJob:
    """What a job has to do, and how many GANs and classifiers there are already.

    Attributes:
        others: fits of what is neither.
        size: bytes that it leaves in the study's folder.
    """

    settings: SettledStudy
    gans: list[Work] = field(default_factory=list)
    gans_there: int = 0
    fits: list[Work] = field(default_factory=list)
    fits_there: int = 0
    others: list[Work] = field(default_factory=list)
    size: int = 0

    @property
    def work(self) -> list[Work]:
        """All that it has to fit."""
        return [*self.gans, *self.fits, *self.others]


@dataclass
class Planned:
    """All jobs of a command.

    Attributes:
        finished: how many others are done.
        coming: what jobs leave for later ones.
        kinds: of their fits, by what makes them differ.
        images: what they need and what is there, by class; of several jobs the most and the fewest,
            and the least that one needs.
        compared: what a report of them compares on an endpoint, once each.
    """

    finished: int
    jobs: list[PlannedJob] = field(default_factory=list)
    coming: set[Path] = field(default_factory=set)
    kinds: dict[str, Kind] = field(default_factory=dict)
    images: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=dict)
    compared: list[Compared] = field(default_factory=list)

    def count(self, title: str, of_class: Mapping[str, tuple[int, int]]) -> None:
        """Note images that a job needs, and those that are there."""
        row = self.images.setdefault(title, {})
        for name, (needed, there) in of_class.items():
            most, fewest, least = row.get(name, (needed, there, needed))
            row[name] = max(most, needed), min(fewest, there), min(least, needed)

    def kind(self, title: str, time: Callable[[float], Cost] | None, what: list[Any]) -> Kind:
        """Return the kind of a fit; those of the same kind differ in nothing of `what`."""
        key = json.dumps(what, default=lambda one: one.model_dump(mode="json"), sort_keys=True)
        return self.kinds.setdefault(key, Kind(title, time))

    def fits_of(self, kind: Kind) -> list[Work]:
        """Return the fits of a kind."""
        return [one for job in self.jobs for one in job.work if one.kind is kind]

    def show(self, study_dir: str, at_once: int | None) -> None:
        """Time each kind of fit, and print all; `at_once` jobs run side by side, None: unknown."""
        jobs = f"{len(self.jobs)} jobs would run" if len(self.jobs) != 1 else "1 job would run"
        print(f"{printable(study_dir)}: {jobs}; {self.finished} finished before")
        if not self.jobs:
            return
        settings, console = self.jobs[-1].settings, wide_console()
        console.print(self._of_images(settings.data.classes))
        if timed := [kind for kind in self.kinds.values() if kind.time]:
            print(
                f"timing steps of {len(timed)} kinds of fits, up to {SECONDS:.0f} s ...", flush=True
            )
        for kind in timed:
            kind.cost = kind.time(SECONDS / len(timed))  # type: ignore[misc]
        console.print(self._of_jobs())
        console.print(self._of_time())
        self._print_sums(settings, at_once)

    def _of_images(self, classes: list[str]) -> Table:
        names = [*classes, *(ANY for row in self.images.values() if ANY in row)]
        table = Table("images needed", *map(printable, names))
        for title, row in self.images.items():
            if any(needed for needed, *_ in row.values()):
                pairs = (row.get(name) for name in names)
                table.add_row(printable(title), *("" if p is None else _of(*p) for p in pairs))
        return table

    def _of_jobs(self) -> Table:
        heads = ("GANs to fit", "there", "classifiers to fit", "there", "about")
        table = Table("job", *heads)
        for job in self.jobs[:ROWS]:
            numbers = (len(job.gans), job.gans_there, len(job.fits), job.fits_there)
            name, clock = printable(job.settings.study.folder), _seconds(job.work)[0]
            table.add_row(name, *map(str, numbers), span(clock))
        if more := self.jobs[ROWS:]:
            clock = _seconds(one for job in more for one in job.work)[0]
            table.add_row(f"and {len(more)} more", *[""] * 4, span(clock))
        return table

    def _of_time(self) -> Table:
        table = Table("fits", "number", "each, about", "all")
        for kind in self.kinds.values():
            fits = self.fits_of(kind)
            clock = _seconds(fits)[0]
            each = span(clock / len(fits)) if kind.time else "not known"
            every = span(clock) if kind.time else ""
            table.add_row(printable(kind.title), str(len(fits)), each, every)
        return table

    def _print_sums(self, settings: SettledStudy, at_once: int | None) -> None:
        of_jobs = [_seconds(job.work) for job in self.jobs]
        clock, cores = np.sum(of_jobs, axis=0) / 3600
        hours = (
            f"{_number(cores)} core-hours" if cores >= 1 else f"{_number(60 * cores)} core-minutes"
        )
        if settings.trainer.accelerator != "cpu":
            hours = f"{_number(clock)} hours of a GPU"
        took = f"a job takes {span(max(seconds[0] for seconds in of_jobs))} at the most"
        if at_once is not None:
            ends = [0.0] * min(at_once, len(self.jobs))
            for seconds in of_jobs:  # a job begins where one has ended
                ends[ends.index(min(ends))] += seconds[0]
            took = f"{span(max(ends))} with {len(ends)} at a time"
        threads = torch.get_num_threads()
        each = f"{threads} thread{'s' if threads > 1 else ''} each"
        print(f"time, estimated: {hours}; {took}, {each}, with this machine as busy as now")
        if settings.trainer.accelerator == "cpu" and clock:
            print(f"  busy: a thread has {min(1.0, cores / clock / threads):.0%} of a core now")
        print(f"  not in it: {LEFT_OUT}")
        for kind in self.kinds.values():
            if kind.time is None:
                number = len(self.fits_of(kind))
                print(f"  nor {number} fits of {printable(kind.title)}, which is no GAN")
        of_study, folder = sum(job.size for job in self.jobs), Path(settings.study_dir).expanduser()
        of_gans = sum(one.kind.cost.size for job in self.jobs for one in job.work)
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        print(
            f"disk, estimated: {_bytes(of_study)} in {printable(str(folder))}, {_bytes(of_gans)} "
            f"of new GANs in {printable(settings.gans_dir)}; "
            f"{_bytes(shutil.disk_usage(there).free)} are free"
        )


def _of(needed: int, there: int, least: int) -> str:
    if needed > there:  # each job has as many as it needs, but not all have as many
        return f"{least} to {needed}"
    return f"{needed}" if needed == there else f"{needed} of {there}"


def _bytes(number: int) -> str:
    """Return a size as people say it."""
    return f"{_number(number / 1e6)} MB" if number < 1e9 else f"{_number(number / 1e9)} GB"


def _number(number: float) -> str:
    """Return an estimate with two digits or more."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"
