"""What a file says of a data set: no path, no pattern of others, nothing that takes all memory."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from support import ORIGIN, settings_of

from gan_aug.data.stored import check_stored_data, classes_in
from gan_aug.evaluation.subject import with_data
from gan_aug.runtime.errors import GanAugError

ENDLESS = "(a+)+$"


def settings(*overrides: str) -> dict[str, Any]:
    """Return the data settings of a run, as files hold them."""
    found: dict[str, Any] = settings_of("train", "model=cnn", *overrides).plain()["data"]
    return found


OWN_FOLDER = (
    *("data=folder", "data.root=/secret", "data.table=/etc/passwd", "data.channels=1"),
    f"data.patient_regex='{ENDLESS}'",
)


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("source.train_per_class", 10**9, "train_per_class=1000000000: must be"),
        ("source.train_per_class", 100_000, "of phantoms"),
        ("image_size", 2**20, "image_size=1048576: must be"),
        ("fit", "???", "is no plain value"),
        ("source.target", {"_target_": "os.getcwd"}, "source.target: is no plain value"),
    ],
)
def test_what_a_file_of_others_asks_for_is_bounded(key: str, value: Any, part: str) -> None:
    stored = copy.deepcopy(settings("data=phantom", "data.image_size=256", "data.num_classes=2"))
    check_stored_data(stored, "FILE", own=False)
    node = stored
    *path, last = key.split(".")
    for name in path:
        node = node[name]
    node[last] = value
    with pytest.raises(GanAugError, match="FILE") as caught:
        check_stored_data(stored, "FILE", own=False)
    assert part in str(caught.value)


def checkpoint(folder: Path, data: dict[str, Any]) -> Path:
    origin = {
        "model": "cnn", "data": data["name"], "train_class": None, "classes": ["a", "b"],
        "makes": {}, "source_hashes": [], "draw": 0, "training_seed": 0, "data_fingerprint": "f",
        "seen_hashes": ["0" * 64], "synthetic": None,
    }  # fmt: skip
    config = {"data": data, "model": {"name": "cnn", "kind": "classifier", "module": {}}}
    path = folder / "last.ckpt"
    torch.save({"gan_aug": {"config": config, "origin": origin}, "state_dict": {}}, path)
    return path


def manifest(folder: Path, data: dict[str, Any]) -> Path:
    content = ORIGIN | {
        "format": 1, "files": {"a/0.png": "0" * 64}, "image_size": 64, "channels": 1, "count": {},
        "sources": {}, "data_settings": data,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("kind", ["checkpoint", "synthetic.dir"])
def test_evaluate_asks_for_paths_and_keeps_what_is_typed(kind: str, tmp_path: Path) -> None:
    stored = settings(*OWN_FOLDER, "data.image_size=32")
    write = checkpoint if kind == "checkpoint" else manifest
    file = write(tmp_path, copy.deepcopy(stored))
    typed = {"data.root": str(tmp_path), "data.table": "t.csv", "data.patient_regex": "(.)"}

    def composed(given: dict[str, str]) -> Any:
        overrides = [f"{kind}={file}", *(f"{key}='{value}'" for key, value in given.items())]
        return with_data(settings_of("evaluate", *overrides), set(given)).data

    data = composed(typed)
    assert (data.root, data.table, data.image_size) == (str(tmp_path), "t.csv", 32)
    assert (data.source.root, data.source.table) == (data.root, data.table)
    assert data.source.patient_regex == "(.)"
    for key in typed:
        left = {name: value for name, value in typed.items() if name != key}
        if key == "data.patient_regex" and kind == "checkpoint":
            assert composed(left).source.patient_regex == ENDLESS
        else:
            with pytest.raises(GanAugError, match=f"{key}: is not taken from a file; {kind}="):
                composed(left)


def test_a_group_of_conf_may_say_the_pattern(tmp_path: Path) -> None:
    stored = settings("data=nih_chest_xray14", "data.root=/secret", "data.channels=1")
    folder = manifest(tmp_path, stored)
    overrides = (f"synthetic.dir={folder}", "data=nih_chest_xray14", "data.root=here")
    cfg = settings_of("evaluate", *overrides)
    data = with_data(cfg, {"synthetic.dir", "data", "data.root"}).data
    assert (data.root, data.source.patient_regex) == ("here", stored["patient_regex"])


@pytest.mark.parametrize("content", ["import a_package_that_is_missing\n", "def f(:\n"])
def test_a_file_among_ours_that_cannot_be_imported_is_named(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that somebody is writing stops each command that reads a checkpoint."""
    (tmp_path / "half_written.py").write_text(content)
    package = ModuleType("some_networks")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "some_networks", package)
    said = r"^some_networks\.half_written: cannot be imported \(.*\); mend that file, or take it"
    with pytest.raises(GanAugError, match=said):
        classes_in(package)
