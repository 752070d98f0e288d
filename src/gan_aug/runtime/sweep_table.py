"""The table at the end of a multirun: what each job was, how it ended, its main numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import read_json
from gan_aug.runtime.find import find_runs
from gan_aug.runtime.record import status_of
from gan_aug.runtime.run_record import RECORD, RESULT, RunRecord, read_record
from gan_aug.runtime.terminal import printable, wide_console

_Column = tuple[str, str]
"""What was measured, empty where the name says it, and the number's name."""


@dataclass
class _Multirun:
    """A multirun: its folder, and when each run in it was recorded before it began.

    `refused` are jobs that failed. Without a `table` the jobs go on when this process ends.
    """

    folder: Path
    earlier: dict[Path, int]
    refused: set[Path] = field(default_factory=set)
    table: bool = True


_running: _Multirun | None = None
"""The one that runs now; a process may run several, one after another."""


class RememberSweep(Callback):
    """A Hydra callback that notes where a multirun writes, and what is there.

    The table is not printed from `on_multirun_end`: Hydra skips that when a job failed.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the sweep's folder, and its runs; a file server's clock may be another."""
        global _running
        folder = Path(config.hydra.sweep.dir)
        _running = _Multirun(folder, {run: _recorded(run) for run in find_runs(folder).runs})


def note_refused(folders: Iterable[Path]) -> None:
    """Note jobs that failed: one that had finished before was refused, for other settings say."""
    if _running is not None:
        _running.refused.update(folders)


def leave_table_to_others() -> None:
    """Print no table at the end: the jobs go on without this process."""
    if _running is not None:
        _running.table = False


def print_table() -> Path | None:
    """Print a row for each job of the multirun that ends, if one does; return its folder."""
    global _running
    ended, _running = _running, None
    if ended is None:
        return None
    if ended.table:
        _print_table_of(ended)
    return ended.folder


def _recorded(run: Path) -> int:
    """Return when the run's record was written, in nanoseconds; 0 where it is gone by now."""
    try:
        return (run / RECORD).stat().st_mtime_ns
    except OSError:
        return 0


def _print_table_of(multirun: _Multirun) -> None:
    sweep, earlier = multirun.folder, multirun.earlier
    rows: list[tuple[RunRecord, str, dict[_Column, float]]] = []
    for folder in find_runs(sweep).runs:
        try:
            record = read_record(folder)
        except GanAugError as error:
            warn(str(error))
            continue
        if record is not None:
            before = record.finished and earlier.get(folder) == _recorded(folder)
            status = "skipped, finished before" if before else status_of(folder, record)
            # One that was opened again, and failed, has its record back, written now.
            if record.finished and folder in multirun.refused and folder in earlier:
                status = "finished before, refused now"
            rows.append((record, status, _headline(folder)))
    if not rows:  # what was typed is refused
        return
    # A study's folder may hold draws that were run alone, without a job number.
    rows.sort(key=lambda row: (row[0].job is None, row[0].job, str(row[0].started)))
    names = list(dict.fromkeys(name for *_, numbers in rows for name in numbers))
    # A swept key differs between jobs; the rest of the overrides would only fill the table.
    common = set.intersection(*(set(r.overrides) for r, *_ in rows))
    measures = {measure for measure, _ in names}
    one = measures.pop() if len(measures) == 1 else None
    table = Table(title=printable(str(sweep)), caption=f"numbers: {one}" if one else None)
    for title in ("job", "overrides", "status"):
        table.add_column(title)
    for measure, name in names:
        table.add_column(printable(f"{name}: {measure}" if measure and not one else name))
    for record, status, numbers in rows:
        why = f": {record.reason}" if record.reason else ""
        own = [o for o in record.overrides if o not in common]
        values = [f"{numbers[n]:.4g}" if n in numbers else "" for n in names]
        table.add_row(str(record.job), *map(printable, (" ".join(own), status + why)), *values)
    wide_console().print(table)


def _headline(folder: Path) -> dict[_Column, float]:
    path = folder / RESULT
    if not path.exists():
        return {}
    try:
        content = read_json(path, "run that job again")
    except GanAugError as error:
        warn(str(error))
        return {}
    found, measure = content.get("headline"), str(content.get("headline_of") or "")
    numbers = found if isinstance(found, dict) else {}
    return {(measure, str(name)): n for name, n in numbers.items() if isinstance(n, int | float)}
