"""What run.json holds: how a run stands, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gan_aug.run.errors import GanAugError
from gan_aug.run.files import read_json, write_json
from gan_aug.run.renames import renamed
from gan_aug.run.typed import Misfit, Others, from_plain, to_plain

RECORD = "run.json"
Config = dict[str, Any]
"""A resolved configuration as plain containers."""


@dataclass(frozen=True, kw_only=True)
class DataNotes:
    """What a run notes of its data set.

    Attributes:
        others: what the data set says of itself: its folder, files left out ...
        fingerprint: of the data set, before any cut.
        used: split to the number of images of each class; None of a run that cuts none.
        warnings: what a reader of its numbers must know.
    """

    others: Others = field(default_factory=dict)
    fingerprint: str
    used: dict[str, dict[str, int]] | None = None
    warnings: list[str] | None = None


@dataclass(frozen=True)
class RunRecord:
    """A run. What another version of gan_aug did not write is None.

    Attributes:
        status: running, finished, failed or interrupted.
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
        threads: that torch computes with in the latest attempt: results depend on it in the last
            bits. None of a run without torch.
        versions: package to version.
        given: the configuration before the data settled it.
        config: the configuration.
        data: of the data set, once it was read.
        metrics_sha256: of the metrics.json of a study's draw.
        others: what only people read, and what other versions wrote.
    """

    status: str
    reason: str | None
    name: Any
    command: list[str]
    overrides: list[str]
    job: int | None
    sweep_folder: str | None
    started: str | None
    resumed: int | None
    seconds: float | None
    seed: Any
    git_commit: str | None
    python: str | None
    machine: str | None
    versions: dict[str, str] | None
    given: Config | None
    config: Config
    data: DataNotes | None = None
    metrics_sha256: str | None = None
    threads: int | None = None
    others: Others = field(default_factory=dict)

    @classmethod
    def of_nothing(
        cls, command: list[str], overrides: list[str], job: int, sweep: str, started: datetime
    ) -> RunRecord:
        """Return the record of a job that its launcher starts, before the job itself writes it."""
        return cls(
            status="running",
            reason=None,
            name=None,
            command=command,
            overrides=overrides,
            job=job,
            sweep_folder=sweep,
            started=started.isoformat(timespec="seconds"),
            resumed=0,
            seconds=0.0,
            seed=None,
            git_commit=None,
            python=None,
            machine=None,
            versions=None,
            given=None,
            config={},
        )

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.status == "finished"

    def with_facts(self, **facts: Any) -> RunRecord:
        """Return the record with further facts, as plain containers."""
        return from_plain(RunRecord, to_plain(self) | facts)


def read_record(folder: Path) -> RunRecord | None:
    """Read a folder's run.json, or None where there is none.

    Raises:
        GanAugError: it is damaged, or no record of gan_aug.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    content = read_json(path, "remove it or restore it")
    try:
        return from_plain(RunRecord, renamed(content))
    except Misfit as error:
        raise GanAugError(
            f"{path}: is not a record of gan_aug ({error}); choose another hydra.run.dir"
        ) from error


def write_record(folder: Path, record: RunRecord) -> None:
    """Write a folder's run.json."""
    write_json(folder / RECORD, to_plain(record))
