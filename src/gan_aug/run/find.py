"""The runs below a folder, wherever their folders really lie, and what could not be looked into."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from gan_aug.run.run_record import RECORD


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    Attributes:
        runs: folders of runs, sorted; a run has none below it.
        unread: folder, or link to one, to why it could not be looked into.
    """

    runs: list[Path] = field(default_factory=list)
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
                inner = sorted((entry.name, entry.is_symlink()) for entry in entries)
        except OSError as error:
            found.unread[folder] = error.strerror or str(error)
            continue
        is_run = any(name == RECORD for name, _ in inner)
        if is_run:
            found.runs.append(folder)
        if (is_run and folder != root) or (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        for name, is_link in inner:
            path = folder / name
            if name.startswith("."):
                continue
            if is_link and not os.path.exists(path):  # Path.exists raises where it may not look
                found.unread[path] = f"links to {os.readlink(path)}, which cannot be reached"
            elif os.path.isdir(path):
                waiting.append(path)
    found.runs.sort()
    return found
