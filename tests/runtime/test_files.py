"""Whole files or none, never through a link that was planted, and of others only what is sane."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from gan_aug.data.image_table import ClassImages
from gan_aug.data.synthetic import write_set
from gan_aug.report import predictions
from gan_aug.report.predictions import read_arrays
from gan_aug.runtime import files
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import (
    keep_again,
    read_json,
    replace_file,
    sha256_of,
    write_json,
    write_json_once,
    write_text,
)
from gan_aug.runtime.lock import Lock
from gan_aug.runtime.run_record import read_record
from hydra_plugins.gan_aug_multirun import GridSweeper


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A folder that this process has the lock of."""
    folder = tmp_path / "run"
    folder.mkdir()
    with Lock(folder / ".lock", guards=folder):
        yield folder


def test_a_planted_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".report.html.tmp").symlink_to(victim)
    (tmp_path / ".previous.ckpt.tmp").symlink_to(victim)
    write_text(tmp_path / "report.html", "report")
    keep_again(tmp_path / "report.html", tmp_path / "previous.ckpt")
    assert victim.read_text() == "mine"
    assert (tmp_path / "report.html").read_text() == "report"
    assert not (tmp_path / "previous.ckpt").is_symlink()


@pytest.mark.parametrize("links", [True, False], ids=["links", "a file system without links"])
def test_of_several_writers_the_first_one_wins(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "declaration.json"
    for content in (1, 2):
        write_json_once(path, content)
    assert json.loads(path.read_text()) == (1 if links else 2), (
        "without links there is none that is first"
    )
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_temporary_files_have_other_names_each_time_and_are_gone_afterwards(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        replace_file(tmp_path / "x", lambda path: names.append(path.name))
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"\.x\.[0-9a-f]{16}\.tmp", name) for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_name_that_is_taken_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "0" * 2 * n)
    (tmp_path / f".x.{'0' * 16}.tmp").symlink_to(victim)
    with pytest.raises(GanAugError, match="x: cannot be written"):
        write_text(tmp_path / "x", "new")
    assert victim.read_text() == "mine"


def test_a_file_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "run.json").symlink_to(victim)
    write_json(tmp_path / "run.json", {})
    assert victim.read_text() == "mine"
    assert not (tmp_path / "run.json").is_symlink()


@pytest.mark.parametrize("name", ["figures/x.png", "checkpoints/deep/last.ckpt"])
def test_a_folder_that_is_a_link_out_of_a_run_is_refused(
    name: str, run: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = run / name.split("/")[0]
    link.symlink_to(elsewhere)
    with pytest.raises(GanAugError, match=f"{link}: is a link that leads out of {run}"):
        write_text(run / name, "x")
    with pytest.raises(GanAugError, match="leads out of"):
        write_set(run / name, {"a": ClassImages(np.zeros((1, 1, 8, 8), np.uint8))}, {})
    assert not list(elsewhere.iterdir())


def test_a_folder_of_a_study_is_refused_without_a_lock(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()
    (study / "figures").symlink_to(elsewhere)
    with pytest.raises(GanAugError, match="figures: is a link that leads out of"):
        write_text(study / "figures" / "x.png", "x", within=study)
    assert not list(elsewhere.iterdir())


def test_a_run_folder_may_be_a_link_and_hold_links_to_itself(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "run" / "a").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(disk)
    run = tmp_path / "runs" / "run"
    (run / "b").symlink_to("a")
    with Lock(run / ".lock", guards=run):
        write_text(run / "b" / "x", "x")
    assert (disk / "run" / "a" / "x").read_text() == "x"


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_the_file(run: Path) -> None:
    left = run / f".last.ckpt.{'a' * 16}.tmp"
    others = [run / ".last.ckpt.tmp", run / f".best.ckpt.{'a' * 16}.tmp"]
    for path in (left, *others):
        path.write_text("half")
    write_text(run / "last.ckpt", "whole")
    assert not left.exists()
    assert all(path.exists() for path in others)


def test_what_hydra_writes_of_a_multirun_follows_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "multirun.yaml").symlink_to(victim)
    # Hydra loads its plugins anew at every start: another BasicSweeper may be about by now.
    (base,) = GridSweeper.__bases__
    monkeypatch.setattr(base, "_parse_config", lambda self: [])
    monkeypatch.setattr(
        base,
        "sweep",
        lambda self, arguments: OmegaConf.save(self.config, tmp_path / "multirun.yaml"),
    )
    sweeper: Any = object.__new__(GridSweeper)
    sweeper.hydra_context = SimpleNamespace(config_loader=None)
    sweeper.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    sweeper.sweep([])
    assert victim.read_text() == "mine"
    assert (tmp_path / "multirun.yaml").is_file()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 * 10**9)


KINDS = {"a FIFO": fifo, "a device": zeros, "30 GB": sparse, "a folder": Path.mkdir}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("record", [False, True])
def test_json_of_a_wrong_kind_or_size_is_refused_at_once(
    kind: str, record: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    KINDS[kind](path)
    with pytest.raises(GanAugError, match=r"run\.json: cannot be read \("):
        read_record(tmp_path) if record else read_json(path, "mend it")


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_of_a_wrong_kind_or_size_are_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "real_0.npz"
    KINDS[kind](path)
    with pytest.raises(OSError, match="regular|at most|directory"):
        read_arrays(path)
    if kind in ("a FIFO", "a device"):
        with pytest.raises(OSError, match="not a regular file"):
            sha256_of(path)


def test_predictions_that_unpack_to_gigabytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MOST_BYTES", 2**20)
    path = tmp_path / "real_0.npz"
    np.savez_compressed(path, a=np.zeros(4), b=np.arange(3))
    assert {name: array.tolist() for name, array in read_arrays(path).items()} == {
        "a": [0, 0, 0, 0],
        "b": [0, 1, 2],
    }
    np.savez_compressed(path, a=np.zeros(2**18))
    assert path.stat().st_size < 2**14
    with pytest.raises(ValueError, match="unpacks to 20972"):
        read_arrays(path)


@pytest.mark.parametrize("depth", [51, 500, 10**5])
def test_json_that_is_nested_without_an_end_is_refused(depth: int, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": ' * 49 + "[1]" + "}" * 49)
    read_json(path, "")
    path.write_text('{"a": ' * (depth - 1) + "[1]" + "}" * (depth - 1))
    with pytest.raises(GanAugError, match=r"x\.json: cannot be read \("):
        read_json(path, "")


def test_half_a_character_becomes_one_that_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a\ud800": ["b\udfff", "ü", 1], "c": "😀"}))
    assert read_json(path, "") == {"a\ufffd": ["b\ufffd", "ü", 1], "c": "😀"}
