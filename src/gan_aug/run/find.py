"""The runs below a folder, wherever their folders really lie, and what could not be looked into."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from gan_aug.run.run_record import RECORD

JOBS = ".jobs"
"""In the folder of a multirun: what its commands asked for."""
_SYNTHETIC = "manifest.json"
"""In a synthetic set, which holds as many images as it likes and no run."""


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    Attributes:
        runs: folders of runs, sorted; a run has none below it.
        multiruns: folders whose jobs a launcher has noted.
        unread: folder, or link to one, to why it could not be looked into.
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
        if RECORD in inner and folder != root:
            continue
        if _SYNTHETIC in inner or (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for name, entry in inner.items():
            if name.startswith("."):
                continue
            # Entry.is_dir raises where it may not look, os.path says no.
            if entry.is_symlink() and not os.path.exists(entry):
                why = f"links to {os.readlink(entry)}, which cannot be reached"
                found.unread[folder / name] = why
            elif os.path.isdir(entry) if entry.is_symlink() else entry.is_dir():
                waiting.append(folder / name)
    found.runs.sort()
    return found
