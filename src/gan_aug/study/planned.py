"""What a plan says: jobs, images, and the time and disk that they take, as tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
        fits: how many there are.
        seconds: of all, once it has been timed.
    """

    title: str
    time: Callable[[float], Cost] | None
    fits: int = 0
    seconds: Seconds = field(default_factory=NONE.copy)


@dataclass
class PlannedJob:
    """What a job has to do, and what of it is there already.

    Attributes:
        work: of each fit its kind, its steps, and how many images it predicts besides.
        size: bytes that it leaves in the study's folder.
        seconds: that it takes, once its kinds have been timed.
    """

    name: str
    gans: int = 0
    gans_there: int = 0
    fits: int = 0
    fits_there: int = 0
    work: list[tuple[Kind, int, int]] = field(default_factory=list)
    size: int = 0
    seconds: Seconds = field(default_factory=NONE.copy)


@dataclass
class Planned:
    """All jobs of a command.

    Attributes:
        finished: how many others are done.
        kinds: of their fits, by what makes them differ.
        images: what they need and what is there, by class; of several jobs the most and the fewest.
        compared: what a report of them compares on an endpoint.
        example: the settings of one of them; None: there is none.
    """

    finished: int
    jobs: list[PlannedJob] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    images: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    compared: set[Compared] = field(default_factory=set)
    example: SettledStudy | None = None

    def count(self, title: str, of_class: Mapping[str, tuple[int, int]]) -> None:
        """Note images that a job needs, and those that are there."""
        row = self.images.setdefault(title, {})
        for name, (needed, there) in of_class.items():
            most, fewest = row.get(name, (needed, there))
            row[name] = max(most, needed), min(fewest, there)

    def show(self, study_dir: str, at_once: int | None) -> None:
        """Time each kind of fit, and print all; `at_once` jobs run side by side, None: unknown."""
        jobs = f"{len(self.jobs)} jobs would run" if len(self.jobs) != 1 else "1 job would run"
        print(f"{printable(study_dir)}: {jobs}; {self.finished} finished before")
        if self.example is None:
            return
        console = wide_console()
        console.print(self._of_images(self.example.data.classes))
        timed = [kind for kind in self.kinds.values() if kind.time]
        if timed:
            print(
                f"timing steps of {len(timed)} kinds of fits, up to {SECONDS:.0f} s ...", flush=True
            )
        of_gans = sum(self._time(kind, SECONDS / len(timed)) for kind in timed)
        console.print(self._of_jobs())
        console.print(self._of_time())
        self._print_sums(self.example, of_gans, at_once)

    def _time(self, kind: Kind, seconds: float) -> int:
        """Time a kind of fits; return the bytes of the weights that these leave."""
        assert kind.time is not None
        cost = kind.time(seconds)
        for job in self.jobs:
            for own, steps, images in job.work:
                if own is kind:
                    took = steps * cost.step + images * cost.image
                    job.seconds += took
                    kind.seconds += took
        return cost.size * kind.fits

    def _of_images(self, classes: list[str]) -> Table:
        names = [*classes, *(ANY for row in self.images.values() if ANY in row)]
        table = Table("images needed", *map(printable, names))
        for title, row in self.images.items():
            if any(needed for needed, _ in row.values()):
                pairs = (row.get(name) for name in names)
                table.add_row(printable(title), *("" if p is None else _of(*p) for p in pairs))
        return table

    def _of_jobs(self) -> Table:
        heads = ("GANs to fit", "there", "classifiers to fit", "there", "about")
        table = Table("job", *heads)
        for job in self.jobs[:ROWS]:
            numbers = (job.gans, job.gans_there, job.fits, job.fits_there)
            table.add_row(printable(job.name), *map(str, numbers), span(job.seconds[0]))
        if more := self.jobs[ROWS:]:
            table.add_row(f"and {len(more)} more", *[""] * 4, span(sum(j.seconds[0] for j in more)))
        return table

    def _of_time(self) -> Table:
        table = Table("fits", "number", "each, about", "all")
        for kind in self.kinds.values():
            clock = kind.seconds[0]
            each = span(clock / kind.fits) if kind.time else "not known"
            every = span(clock) if kind.time else ""
            table.add_row(printable(kind.title), str(kind.fits), each, every)
        return table

    def _print_sums(self, settings: SettledStudy, of_gans: int, at_once: int | None) -> None:
        clock, cores = np.sum([job.seconds for job in self.jobs], axis=0) / 3600
        hours = f"{_number(cores)} core-hours"
        if settings.trainer.accelerator != "cpu":
            hours = f"{_number(clock)} hours of a GPU"
        took = f"a job takes {span(max(job.seconds[0] for job in self.jobs))} at the most"
        if at_once is not None:
            ends = [0.0] * min(at_once, len(self.jobs))
            for job in self.jobs:  # it begins where one has ended
                ends[ends.index(min(ends))] += job.seconds[0]
            took = f"{span(max(ends))} with {len(ends)} at a time"
        threads = torch.get_num_threads()
        each = f"{threads} thread{'s' if threads > 1 else ''} each"
        print(f"time, estimated: {hours}; {took}, {each}, with this machine as busy as now")
        if settings.trainer.accelerator == "cpu" and clock:
            print(f"  busy: a thread has {min(1.0, cores / clock / threads):.0%} of a core now")
        print(f"  not in it: {LEFT_OUT}")
        for kind in self.kinds.values():
            if kind.time is None:
                print(f"  nor {kind.fits} fits of {printable(kind.title)}, which is no GAN")
        of_study, folder = sum(job.size for job in self.jobs), Path(settings.study_dir).expanduser()
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        print(
            f"disk, estimated: {_bytes(of_study)} in {printable(str(folder))}, {_bytes(of_gans)} "
            f"of new GANs in {printable(settings.gans_dir)}; "
            f"{_bytes(shutil.disk_usage(there).free)} are free"
        )


def _of(needed: int, there: int) -> str:
    return f"{needed}" if needed == there else f"{needed} of {there}"


def _bytes(number: int) -> str:
    """Return a size as people say it."""
    return f"{_number(number / 1e6)} MB" if number < 1e9 else f"{_number(number / 1e9)} GB"


def _number(number: float) -> str:
    """Return an estimate with two digits or more."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"
