"""What run.json holds: how a run stands, and what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from gan_aug.run.stored_model import Stored
from gan_aug.settings.base import Plain

RECORD = "run.json"
Status = Literal["running", "finished", "failed", "interrupted"]
"""How a run stands, as its run.json says. A job's state has other words elsewhere:

| run.json             | jobs/follow.py: State (`status`) | jobs/pool.py: Ended.state |
|----------------------|----------------------------------|---------------------------|
| none yet             | waiting                          |                           |
| running              | running                          | busy: in another process  |
| running, nobody does | killed                           |                           |
| finished             | done                             | done                      |
| failed               | failed                           | failed                    |
| interrupted          | stopped                          | stopped                   |

`State` is waiting, too, of a run that Slurm will go on with or a later command has asked for once
more, and stopped of one without a run.json whose launcher has gone.
`Ended` is of processes: of one that failed or was stopped and could not say so in run.json, its
launcher does. A multirun's table and a report have run.json's words, and killed
(`status_of` of run/record.py).
"""
_REMEDY = "restore it, or choose another hydra.run.dir"


class DataNotes(BaseModel):
    """What a run notes of its data set; what the data set says of itself stands beside it.

    Attributes:
        fingerprint: of the data set, before any cut.
        used: split to the number of images of each class; None of a run that cuts none.
        warnings: what a reader of its numbers must know.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    fingerprint: str
    used: dict[str, dict[str, int]] | None = None
    warnings: list[str] = []


class RunRecord(Stored):
    """A run, from its first attempt on.

    Attributes:
        status: how it stands; one that says running while nobody works in its folder was killed.
        reason: why it failed or stopped.
        name: of the configuration; may be anything where the run failed for it.
        command: as it was typed, from `python` on.
        overrides: the settings among it that are this run's.
        job: its number in a multirun.
        sweep_folder: of the multirun.
        started: ISO 8601, UTC, of the first attempt.
        resumed: how often it was gone on with.
        seconds: wall time of all attempts.
        seed: of the configuration, likewise.
        git_commit: of the code; None of an installed wheel.
        python: version.
        machine: system and processor.
        versions: package to version.
        given: the configuration before the data settled it.
        config: the configuration.
        threads: that torch computes with in the latest attempt: results depend on it in the last
            bits. None of a run without torch.
        data: of the data set, once it was read.
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
    """Read a folder's run.json, or None where there is none.

    Raises:
        GanAugError: it is damaged, or no record of gan_aug.
    """
    path = folder / RECORD
    return RunRecord.read(path, _REMEDY) if path.exists() else None
