"""The runs below a folder, wherever their folders really lie, and whether they need a report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.lock import Lock
from gan_aug.runtime.run_record import RECORD, RESULT, read_record

JOBS = ".jobs"
"""In the folder of a multirun: what its commands asked for."""
_SYNTHETIC = "manifest.json"
"""In a synthetic set, which holds as many images as it likes and no run."""


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    `runs` are sorted, and have none below them. Of `multiruns` a launcher has noted the jobs.
    `unread` is folder, or link to one, to why it could not be looked into.
    """

    runs: list[Path] = field(default_factory=list)
    multiruns: list[Path] = field(default_factory=list)
    unread: dict[Path, str] = field(default_factory=dict)


def find_runs(root: Path) -> Found:
    """Find the runs below a folder; links are followed, hidden folders are left alone.

    A draw that was moved to another disk and linked to is a draw as before. A folder that was seen
    already is not gone through again, but where it is a run, every name of it counts.
    """
    found, seen = Found(), set[tuple[int, int]]()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            about = folder.stat()
            with os.scandir(folder) as entries:
                inner = {entry.name: entry for entry in entries}
        except OSError as error:
            found.unread[folder] = error.strerror or str(error)
            continue
        if JOBS in inner:
            found.multiruns.append(folder)
        if RECORD in inner:
            found.runs.append(folder)
            if folder != root:
                continue
        if _SYNTHETIC in inner or (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for name, entry in inner.items():
            if name.startswith("."):
                continue
            # Entry.is_dir raises where it may not look, os.path says no.
            if entry.is_symlink() and not os.path.exists(entry):
                target = os.readlink(entry)
                found.unread[folder / name] = f"links to {target}, which cannot be reached"
            elif os.path.isdir(entry) if entry.is_symlink() else entry.is_dir():
                waiting.append(folder / name)
    found.runs.sort()
    return found


@contextmanager
def report_due(study_dir: Path) -> Iterator[bool]:
    """Tell whether a study has results that its report lacks; none other writes it meanwhile."""
    finished = [run for run in find_runs(study_dir).runs if has_results(run)]
    if not finished:
        yield False
        return
    report = study_dir / "report.html"
    # Commands that end together write it one after the other, and the last one has all draws.
    with Lock(study_dir / ".report.lease", guards=study_dir):
        # Of a draw that was not finished yet, a report has no results: these may be older than it.
        written = (run / name for run in finished for name in (RESULT, RECORD))
        latest = max(path.stat().st_mtime for path in written)
        # After a clock was set back, what is new is older than a report of "tomorrow".
        yield not report.exists() or not latest <= report.stat().st_mtime <= time.time()


def has_results(run: Path) -> bool:
    """Tell whether a run is finished and has measured something; a damaged one has not."""
    with suppress(GanAugError):  # a report names what is damaged
        record = read_record(run)
        return record is not None and record.finished and (run / RESULT).exists()
    return False
