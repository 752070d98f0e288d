"""What a run has logged of one metric, also while it runs."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import read_bytes, read_json
from gan_aug.runtime.run_record import RESULT

Rows = list[tuple[int, str, float]]
MOST_BYTES = 256 * 2**20
"""Of a metrics.csv."""


def curve(folder: Path, metric: str, ended: bool) -> list[tuple[int, float]]:
    """Return batches and values of a metric of metrics.csv, in the order they were logged.

    quality/kid is the mean over classes of what is logged as "quality EXTRACTOR/kid CLASS". Of a
    run that has not `ended` what it logged last is left out: it may be writing more of it.
    """
    rows = rows_of(folder / "metrics.csv")
    newest = max((batch for batch, *_ in rows), default=0)
    by_batch: dict[int, list[float]] = {}
    for batch, name, value in rows:
        if metric in (name, _short(name)) and (ended or batch < newest):
            by_batch.setdefault(batch, []).append(value)
    return [(batch, fmean(values)) for batch, values in sorted(by_batch.items())]


def result(folder: Path, metric: str) -> float:
    """Return a metric of the checkpoint that a finished run stands for: its best, or the last.

    GanAugError where the run did not log it.
    """
    points = curve(folder, metric, ended=True)
    best = read_json(folder / RESULT, "run that job again").get("best_batches")
    if isinstance(best, int):
        points = [point for point in points if point[0] <= best]
    if not points:
        names = {_short(name) for _, name, _ in rows_of(folder / "metrics.csv")}
        known = ", ".join(sorted(name for name in names if not name.startswith("test")))
        raise GanAugError(
            f"hydra.sweeper.metric={metric}: {folder} logged none; it logged {known or 'nothing'}"
        )
    return points[-1][1]


def rows_of(path: Path, own: bool = False) -> Rows:
    """Return the sound rows of a metrics.csv; the last one may be half written.

    That of one's `own` run, which goes on, may be of any size.
    """
    if not path.exists():
        return []
    try:
        most = path.stat().st_size if own else MOST_BYTES
        text = read_bytes(path, most).decode(errors="replace")
    except OSError as error:
        raise GanAugError(
            f"{path}: cannot be read ({error.strerror}); run that job again"
        ) from error
    rows: Rows = []
    for line in text.split("\n")[:-1]:
        with suppress(ValueError, csv.Error):
            batch, name, value = next(csv.reader([line]))
            rows.append((int(batch), name, float(value)))
    return rows


def _short(name: str) -> str:
    """Return quality/kid for "quality cnn-1234/kid pneumonia", other names as they are."""
    return re.sub(r"^quality [^/]+/(\S+) .+$", r"quality/\1", name)
