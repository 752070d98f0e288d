"""Which earlier run a command goes on with, and whether that one was made with its settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan_aug.run.errors import GanAugError
from gan_aug.run.precision import AUTO
from gan_aug.run.run_record import RECORD, RunRecord, read_record
from gan_aug.settings.base import Plain

_SAY_NOTHING = ("resume=", "hydra.run.dir=", "hydra.sweep.dir=", "trainer.threads=")


def differences(then: Plain, now: Plain, below: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the settings that differ: key, value then, value now.

    One that only leaves open now what was chosen then does not. Nor does the number of threads,
    which the record has: `gan_aug.run.threads` warns of another.
    """
    for name in sorted(then.keys() | now.keys()):
        key, before, after = f"{below}{name}", then.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(before, after, f"{key}.")
        elif before != after and not _is_left_open(key, after):
            yield key, before, after


def _is_left_open(key: str, now: Any) -> bool:
    return key == "trainer.threads" or (key == "trainer.precision" and now == AUTO)


def is_finished(folder: Path, given: Plain) -> bool:
    """Tell whether a folder holds a finished run of just these settings.

    Args:
        folder: the run's.
        given: the settings as plain containers.

    Raises:
        GanAugError: its record is damaged.
    """
    record = read_record(folder)
    return record is not None and record.finished and not any(differences(record.given, given))


def runs_of(command: list[str], root: Path) -> Iterator[tuple[float, Path, RunRecord]]:
    """Yield the runs that these command-line arguments started, apart from how they name folders.

    Returns:
        Of each when its record was written, its folder and its record.
    """
    wanted = _essence(command)
    for path in root.glob(f"**/{RECORD}"):
        with suppress(GanAugError):  # somebody else's file
            record = read_record(path.parent)
            if record and _essence(record.command[3:]) == wanted:
                yield path.stat().st_mtime, path.parent, record


def _essence(arguments: list[str]) -> list[str]:
    return [argument for argument in arguments if not argument.startswith(_SAY_NOTHING)]
