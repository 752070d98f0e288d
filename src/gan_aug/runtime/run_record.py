"""What run.json holds: how a run stands, what it was made from, and what goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.hardware import AUTO
from gan_aug.runtime.stored_model import Stored
from gan_aug.settings.base import Plain

RECORD = "run.json"
RESULT = "metrics.json"
"""What a finished run has measured; of a study's draw `gan_aug.report.records` reads it."""
Status = Literal["running", "finished", "failed", "interrupted"]
"""How a run stands, as its run.json says. `status` has other words (State of jobs/follow.py):

| run.json             | status  |
|----------------------|---------|
| none yet             | waiting |
| running              | running |
| running, nobody does | killed  |
| finished             | done    |
| failed               | failed  |
| interrupted          | stopped |

It is waiting, too, of a run that Slurm will go on with or a later command has asked for once more,
and stopped of one without a run.json whose launcher has gone. All else has run.json's words, and
killed (`status_of` of runtime/record.py).
"""
_SAY_NOTHING = ("resume=", "hydra.run.dir=", "hydra.sweep.dir=", "trainer.threads=")
_REMEDY = "restore it, or choose another hydra.run.dir"


class ExternalNotes(BaseModel):
    """What a run notes of an external test that a report tells; other facts stand beside."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    fingerprint: str
    patients: int | None = None  # or groups of near duplicates, unless all are known
    patients_known: bool = False
    nearly_the_same: int = 0  # images that look like one of the data set


class DataNotes(BaseModel):
    """What a run notes of its data set; what the data set says of itself stands beside it.

    `fingerprint` is that before any cut. `used` is split to the number of images of each class,
    None of a run that cuts none. `warnings` are what a reader of its numbers must know, `external`
    the further tests by name. Without `patients_known` some patients are groups of near duplicates,
    or single images.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    fingerprint: str
    used: dict[str, dict[str, int]] | None = None
    warnings: list[str] = []
    patients_known: bool = True
    external: dict[str, ExternalNotes] = {}


class RunRecord(Stored):
    """A run, from its first attempt on.

    Attributes:
        status: how it stands; one that says running while nobody works in its folder was killed.
        name: of the configuration; like `seed` it may be anything where the run failed for it.
        command: as it was typed, from `python` on.
        overrides: the settings among it that are this run's.
        job: its number in a multirun, which wrote to `sweep_folder`.
        started: ISO 8601, UTC, of the first attempt.
        seconds: wall time of all attempts; of a killed one up to the last progress that it told.
        git_commit: of the code; None of an installed wheel.
        given: the configuration before the data settled it; `config` after.
        threads: that torch computes with in the latest attempt: results depend on it in the last
            bits. None of a run without torch.
        synthetic: of the added images, where there are any.
        metrics_sha256: of the metrics.json of a study's draw.
        metrics_csv_rows_lost: of a metrics.csv that was damaged.
    """

    WHAT: ClassVar[str] = "record of a run"

    status: Status
    reason: str | None
    name: Any
    command: list[str]
    overrides: list[str]
    job: int | None
    sweep_folder: str | None
    started: str
    resumed: int
    seconds: float
    seed: Any
    git_commit: str | None
    python: str
    machine: str
    versions: dict[str, str]
    given: Plain
    config: Plain
    threads: int | None = None
    data: DataNotes | None = None
    synthetic: dict[str, Any] | None = None
    metrics_sha256: str | None = None
    metrics_csv_rows_lost: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.status == "finished"

    def with_facts(self, **facts: Any) -> RunRecord:
        """Return the record with further facts, as plain containers."""
        return self.parse(self.plain() | facts, RECORD)


def read_record(folder: Path) -> RunRecord | None:
    """Read a folder's run.json: None where there is none, GanAugError where it is damaged."""
    path = folder / RECORD
    return RunRecord.read(path, _REMEDY) if path.exists() else None


def differences(then: Plain, now: Plain, below: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the settings that differ: key, value then, value now.

    One that only leaves open now what was chosen then does not. Nor does the number of threads,
    which the record has: `gan_aug.runtime.hardware` warns of another.
    """
    for name in sorted(then.keys() | now.keys()):
        key, before, after = f"{below}{name}", then.get(name), now.get(name)
        left_open = key == "trainer.threads" or (key == "trainer.precision" and after == AUTO)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(before, after, f"{key}.")
        elif before != after and not left_open:
            yield key, before, after


def runs_of(command: list[str], root: Path) -> Iterator[tuple[float, Path, RunRecord]]:
    """Yield the runs of these arguments, however folders are named, and when they were recorded."""
    wanted = _essence(command)
    for path in root.glob(f"**/{RECORD}"):
        with suppress(GanAugError):  # somebody else's file
            record = read_record(path.parent)
            if record and _essence(record.command[3:]) == wanted:
                yield path.stat().st_mtime, path.parent, record


def _essence(arguments: list[str]) -> list[str]:
    return [argument for argument in arguments if not argument.startswith(_SAY_NOTHING)]
