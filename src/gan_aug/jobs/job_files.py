"""What the files of a multirun's jobs hold, read again only when they have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gan_aug.jobs.submission import JOBS
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import read_json
from gan_aug.run.run_record import RECORD

_REMEDY = "remove it and repeat the command of its job"
_JUST_NOW = 2.0
"""Seconds in which a folder may change twice without its time of change telling."""

T = TypeVar("T")


@dataclass(frozen=True)
class RunNotes:
    """What is followed of a run.json.

    Attributes:
        status: running, finished, failed or interrupted.
        reason: why it failed or stopped.
        overrides: of its job.
        seconds: it had run for when this was written.
        written: when, seconds since 1970.
        below: the folder of a study's draw within the study; empty of other runs.
    """

    status: str
    reason: str | None
    overrides: tuple[str, ...]
    seconds: float
    written: float
    below: str


class FileCache:
    """Reads files through functions, and again only those that have been replaced since."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[tuple[int, int, int], Any]] = {}

    def get(self, path: Path, read: Callable[[Path], T]) -> T | GanAugError | None:
        """Return what a file holds, None where there is none, or why it cannot be read."""
        try:
            found = path.stat()
        except OSError:
            self._read.pop(path, None)
            return None
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        before = self._read.get(path)
        if before is None or before[0] != version:
            content: T | GanAugError
            try:
                content = read(path)
            except GanAugError as error:
                content = error
            except OSError:  # removed a moment ago
                return None
            before = self._read[path] = version, content
        kept: T | GanAugError = before[1]
        return kept


class FolderTree:
    """Finds runs and multiruns below a folder; a folder is listed again only when it has changed.

    Args:
        root: where to look.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[str, tuple[int, list[str], bool, bool]] = {}

    def walk(self) -> Iterator[tuple[Path, bool]]:
        """Yield folders that hold run.json, and those that hold .jobs; True for the latter."""
        waiting = [str(self._root)]
        while waiting:
            folder = waiting.pop()
            inner, is_run, has_jobs = self._list(folder)
            if has_jobs:
                yield Path(folder), True
            if is_run:
                yield Path(folder), False
            # A run has no runs below it, but thousands of images at times.
            waiting.extend([] if is_run else inner)

    def _list(self, folder: str) -> tuple[list[str], bool, bool]:
        try:
            changed = os.stat(folder).st_mtime_ns
            known = self._listed.get(folder)
            if known is None or known[0] != changed:
                known = (changed, *self._scan(folder))
                if time.time() - changed / 1e9 > _JUST_NOW:
                    self._listed[folder] = known
        except OSError:  # gone since, or somebody else's
            return [], False, False
        return known[1:]

    def _scan(self, folder: str) -> tuple[list[str], bool, bool]:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        if RECORD in found or "manifest.json" in found:  # a synthetic set is as large as it likes
            return [], RECORD in found, JOBS in found
        inner = [f"{folder}/{name}" for name, is_dir in found.items() if is_dir and name[0] != "."]
        return inner, False, JOBS in found


def read_run(path: Path) -> RunNotes:
    """Read a run.json, but not what earlier versions called its settings: of 5,000 that takes long.

    Raises:
        GanAugError: it is damaged, or no record of gan_aug.
    """
    record = read_json(path, "remove it or restore it")
    reason, seconds = record.get("reason"), record.get("seconds")
    study = _of(path, record, "config", dict).get("study")
    below = study.get("folder") if isinstance(study, dict) else None
    return RunNotes(
        status=_of(path, record, "status", str),
        reason=reason if isinstance(reason, str) else None,
        overrides=tuple(map(str, _of(path, record, "overrides", list))),
        seconds=_seconds(seconds),
        written=path.stat().st_mtime,
        below=below if isinstance(below, str) else "",
    )


def _seconds(value: object) -> float:
    with suppress(OverflowError):
        return float(value) if isinstance(value, int | float) else 0.0
    return 0.0


def _of(path: Path, found: dict[str, Any], key: str, kind: type[T]) -> T:
    value = found.get(key)
    if not isinstance(value, kind):
        raise GanAugError(f"{path}: its {key} is damaged; {_REMEDY}")
    return value
