"""metrics.csv: every logged scalar, a row each, whole after a resume."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from gan_aug.run.files import write_text

HEADER = "batch,name,value\n"
_SOUND = re.compile(r"([0-9]+),[^,]*,[^,]+")


class MetricsCSV(Logger):
    """Appends `batch,name,value` rows.

    Lightning's CSVLogger deletes the file of an earlier attempt and keeps all rows in memory. Here
    rows of batches after `keep_until` are dropped on start: a resumed run writes them again.

    Attributes:
        rows: how many the file has.
    """

    def __init__(self, path: Path, keep_until: int) -> None:
        super().__init__()
        text = path.read_text("utf-8", errors="replace") if path.exists() else ""
        sound = filter(None, map(_SOUND.fullmatch, text.splitlines()[1:]))
        kept = [row[0] for row in sound if int(row[1]) <= keep_until]
        self.rows = len(kept)
        write_text(path, HEADER + "".join(f"{row}\n" for row in kept))
        self._file = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    name, version = "metrics", ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Leave these to .hydra/config.yaml."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row for each scalar."""
        self.rows += len(metrics)
        self._writer.writerows([step, name, repr(float(value))] for name, value in metrics.items())
        self._file.flush()  # a search reads it meanwhile

    def save(self) -> None:
        """Flush to disk."""
        if not self._file.closed:
            self._file.flush()

    def finalize(self, status: str) -> None:
        """Flush; the file stays open, for the test after the fit."""
        self.save()
