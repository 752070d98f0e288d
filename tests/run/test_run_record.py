"""run.json, of this version and of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gan_aug.run import record as module
from gan_aug.run.errors import GanAugError
from gan_aug.run.record import status_of
from gan_aug.run.run_record import read_record, write_record

LEAST: dict[str, Any] = {"status": "running", "command": ["python"], "overrides": [], "config": {}}


def write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "run.json").write_text(json.dumps(content))


def test_a_folder_without_a_record(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


def test_a_record_of_another_version_is_read_and_kept(tmp_path: Path) -> None:
    """With keys that this one lacks, without some that it has."""
    notes = {"root": "x", "fingerprint": "f", "later": [1]}
    write(tmp_path, LEAST | {"later": {"a": 1}, "data": notes})
    record = read_record(tmp_path)
    assert record is not None
    assert (record.resumed, record.versions, record.finished) == (None, None, False)
    assert record.data is not None
    assert (record.data.fingerprint, record.data.used) == ("f", None)
    write_record(tmp_path, record.with_facts(status="finished", metrics_sha256="0"))
    written = json.loads((tmp_path / "run.json").read_text())
    expected = LEAST | {"status": "finished", "metrics_sha256": "0", "later": {"a": 1}}
    assert written["data"] == notes
    assert {key: written[key] for key in expected} == expected
    assert "synthetic" not in written


@pytest.mark.parametrize(("then", "status"), [("finished", "running"), ("running", "killed")])
def test_a_run_that_ends_after_its_record_was_read_was_not_killed(
    then: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, LEAST)
    record = read_record(tmp_path)
    assert record is not None

    def ends(folder: Path) -> bool:
        write(folder, LEAST | {"status": then})
        return False

    monkeypatch.setattr(module, "is_busy", ends)
    assert status_of(tmp_path, record) == status


def test_a_run_that_failed_for_its_settings_is_read(tmp_path: Path) -> None:
    """What the settings say was written before it was checked."""
    write(tmp_path, LEAST | {"status": "failed", "seed": "x", "name": ["y"]})
    record = read_record(tmp_path)
    assert record is not None
    assert (record.seed, record.name) == ("x", ["y"])


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"status": None}, "status=None"),
        ({"config": []}, "config: must be a mapping"),
        ({"command": "python"}, "command: must be a list"),
        ({"overrides": [1]}, "overrides.0=1"),
        ({"seconds": "long"}, "seconds='long': must be a number"),
        ({"resumed": 0.5}, "resumed=0.5"),
        ({"data": {"root": "x"}}, "data: lacks fingerprint"),
        ({"data": {"fingerprint": "f", "used": {"train": 3}}}, "data.used.train: must be a map"),
    ],
)
def test_a_damaged_record_is_named_in_one_line(
    changes: dict[str, Any], part: str, tmp_path: Path
) -> None:
    write(tmp_path, LEAST | changes)
    with pytest.raises(GanAugError) as caught:
        read_record(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'run.json'}: is not a record of gan_aug ({part}")
    assert message.endswith("choose another hydra.run.dir")
    assert "\n" not in message
