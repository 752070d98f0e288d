"""The data settings of evaluate, explain and generate: typed ones win, the checkpoint's fill in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support import settings_of

from gan_aug.evaluation import subject
from gan_aug.runtime.errors import GanAugError

TRAINED = ("data.root=was/there", "data.image_size=32", "data.train_class=a")


@pytest.fixture
def settle_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What a command makes of its arguments, of a GAN that was fitted on `data=folder`."""
    stored = settings_of("train", "+experiment=gan", *TRAINED).plain()
    stored["data"]["channels"] = 1
    monkeypatch.setattr(subject, "read_config", lambda path: stored)
    monkeypatch.chdir(tmp_path)
    Path("gan.ckpt").touch()

    def run(command: str, *arguments: str) -> dict[str, Any]:
        given = ["checkpoint=gan.ckpt", *["output_dir=x"] * (command == "generate")]
        typed = [argument.lstrip("+").split("=")[0] for argument in arguments]
        settings = settings_of(command, *given, *arguments)
        data: dict[str, Any] = subject.with_data(settings, typed).plain()["data"]
        return data

    return run


@pytest.mark.parametrize("command", ["evaluate", "explain", "generate"])
def test_the_settings_of_train_are_taken_again(command: str, settle_data: Any) -> None:
    more = ("data.table=t.csv", "data.patient_regex='(p)_'")
    found = settle_data(command, "data=folder", *TRAINED, *more)
    assert (found["image_size"], found["train_class"], found["draw"]) == (32, "a", 0)
    assert found["root"] == found["source"]["root"] == "was/there"
    assert found["table"] == found["source"]["table"] == "t.csv"
    assert found["patient_regex"] == found["source"]["patient_regex"] == "(p)_"


def test_what_is_not_typed_is_the_checkpoints(settle_data: Any) -> None:
    found = settle_data("evaluate", "data=folder", "data.root=now/here")
    assert (found["image_size"], found["train_class"]) == (32, "a")  # not those of conf/data
    assert found["root"] == found["source"]["root"] == "now/here"
    moved = settle_data("evaluate", "data.root=now/here", "data.table=other.csv")
    assert moved["source"]["table"] == "other.csv"
    counted = settle_data("evaluate", "data.root=x", "++data.subset.a=3", "data.on_bad_file=skip")
    assert counted["subset"] == {"a": 3}
    assert counted["source"]["on_bad_file"] == "skip"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["data=phantom"], "data=phantom: checkpoint=gan.ckpt is of data=folder"),
        (["+data.target=subtype"], "data.target=subtype: there is no such setting"),
    ],
)
def test_settings_of_another_data_set_are_refused(
    arguments: list[str], part: str, settle_data: Any
) -> None:
    with pytest.raises(GanAugError, match=re.escape(part)):
        settle_data("evaluate", *arguments)
