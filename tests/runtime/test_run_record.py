"""run.json, and what is told of one that says it is running."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support import RUN

from gan_aug.runtime import record as module
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.progress import PROGRESS
from gan_aug.runtime.record import note_end, seconds_of, status_of
from gan_aug.runtime.run_record import RECORD, read_record

RUNNING = RUN | {"status": "running"}


def write(folder: Path, content: dict[str, Any]) -> None:
    (folder / RECORD).write_text(json.dumps(content))


def test_a_folder_without_a_record(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


def test_what_a_data_set_says_of_itself_is_kept(tmp_path: Path) -> None:
    notes = {"root": "x", "fingerprint": "f", "sizes": [1], "warnings": ["few"]}
    write(tmp_path, RUNNING | {"data": notes})
    record = read_record(tmp_path)
    assert record is not None
    assert record.data is not None
    assert (record.data.fingerprint, record.data.used) == ("f", None)
    record.with_facts(status="finished", metrics_sha256="0").write(tmp_path / RECORD)
    written = json.loads((tmp_path / RECORD).read_text())
    assert written["data"] == notes | {"used": None, "external": {}, "patients_known": True}
    expected = RUN | {"metrics_sha256": "0"}
    assert {key: written[key] for key in expected} == expected


@pytest.mark.parametrize(("then", "status"), [("finished", "running"), ("running", "killed")])
def test_a_run_that_ends_after_its_record_was_read_was_not_killed(
    then: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, RUNNING)
    record = read_record(tmp_path)
    assert record is not None

    def ends(folder: Path) -> bool:
        write(folder, RUN | {"status": then})
        return False

    monkeypatch.setattr(module, "is_busy", ends)
    assert status_of(tmp_path, record) == status


@pytest.mark.parametrize(
    ("status", "told_after", "seconds"),
    [("running", 600, 630), ("running", -5, 30), ("running", None, 30), ("interrupted", 600, 30)],
)
def test_the_time_of_a_killed_attempt_counts_up_to_the_last_progress_that_it_told(
    status: str, told_after: int | None, seconds: float, tmp_path: Path
) -> None:
    write(tmp_path, RUN | {"status": status, "seconds": 30.0})
    record = read_record(tmp_path)
    assert record is not None
    if told_after is not None:
        (tmp_path / PROGRESS).touch()
        written = (tmp_path / RECORD).stat().st_mtime
        os.utime(tmp_path / PROGRESS, (written, written + told_after))
    assert seconds_of(record, tmp_path) == pytest.approx(seconds)
    note_end(tmp_path, None, "failed", "killed", record)  # as the launcher of a job does
    noted = read_record(tmp_path)
    assert noted is not None
    assert noted.seconds == pytest.approx(seconds)


def test_a_run_that_failed_for_its_settings_is_read(tmp_path: Path) -> None:
    """What the settings say was written before it was checked."""
    write(tmp_path, RUN | {"status": "failed", "seed": "x", "name": ["y"]})
    record = read_record(tmp_path)
    assert record is not None
    assert (record.seed, record.name) == ("x", ["y"])


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"status": None}, "is no record of a run (status=None: "),
        ({"status": "dancing"}, "(status='dancing': "),
        ({"config": []}, "(config=[]: "),
        ({"command": "python"}, "(command='python': "),
        ({"overrides": [1]}, "(overrides.0=1: "),
        ({"seconds": "long"}, "(seconds='long': "),
        ({"resumed": 0.5}, "(resumed=0.5: "),
        ({"data": {"root": "x"}}, "(data.fingerprint: field required)"),
        ({"data": {"fingerprint": "f", "used": {"train": 3}}}, "(data.used.train=3: "),
        ({"later": 1}, "(later=1: "),
        ({"format": 2}, "is of format 2, "),
        ({"format": None}, "is of format None, "),
    ],
)
def test_a_damaged_record_is_named_in_one_line(
    changes: dict[str, Any], part: str, tmp_path: Path
) -> None:
    write(tmp_path, RUN | changes)
    with pytest.raises(GanAugError) as caught:
        read_record(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / RECORD}: {part.split('(')[0]}")
    assert part in message
    assert message.endswith("choose another hydra.run.dir")
    assert "\n" not in message
