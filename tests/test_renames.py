"""Files and commands of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import TINY_CNN

from gan_aug.data.stored import known_sources
from gan_aug.models.rebuild import known_classes
from gan_aug.run.renames import MOVED, renamed, renamed_argument

Command = Callable[..., Any]


def test_classes_that_a_file_names() -> None:
    """Of everything that a file can name today, by the name that it had."""
    names = (*known_classes(), *known_sources())
    before = {
        then + name.removeprefix(now): name
        for then, now in MOVED.items()
        for name in names
        if name.startswith(now)
    }
    assert "gan_aug.gans.dcgan.DCGAN" in before
    assert "gan_aug.data.phantom.Phantom" in before
    for then, name in before.items():
        stored = {"a": [{"_target_": then, "b": then}]}
        assert renamed(stored) == {"a": [{"_target_": name, "b": then}]}
        assert renamed(renamed(stored)) == renamed(stored)

    features = {"_target_": "gan_aug.quality.extractors.judge_features"}
    assert renamed(features)["_target_"] == "gan_aug.evaluation.extractors.reference_features"


def test_settings_that_a_file_names() -> None:
    """A class may be called extra; an arm's setting is told from it by its source."""
    stored = {
        "data": {"holdout_per_class": 5, "subset": {"extra": 3}},
        "arms": {"gan": {"extra": {"source": "gan", "count": {"extra": 1}}}},
    }
    assert renamed(stored) == {
        "data": {"development_per_class": 5, "subset": {"extra": 3}},
        "arms": {"gan": {"added": {"source": "gan", "count": {"extra": 1}}}},
    }


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("data.holdout_per_class=5", "data.development_per_class=5"),
        ("quality.judge_steps=1,2", "quality.reference_steps=1,2"),
        ("quality.judges_dir=judges_dir", "quality.reference_dir=judges_dir"),
        ("arms.gan.extra.count.extra=5", "arms.gan.added.count.extra=5"),
        ("++arms.gan.extra={ratio: 0.5}", "++arms.gan.added={ratio: 0.5}"),
        ("data.subset.extra=5", "data.subset.extra=5"),
        ("data.root=/extra/holdout_per_class", "data.root=/extra/holdout_per_class"),
        ("--multirun", "--multirun"),
    ],
)
def test_settings_that_a_command_names(then: str, now: str) -> None:
    assert renamed_argument(then) == now


def test_an_old_setting_works_with_a_warning(command: Command, tmp_path: Path) -> None:
    arguments = [a for a in TINY_CNN if "development" not in a]
    result = command("train", *arguments, "data.holdout_per_class=4", "trainer.max_epochs=1",
                     "hydra.run.dir=r")  # fmt: skip
    assert result.returncode == 0, result.stderr
    told = "data.holdout_per_class=4: is called data.development_per_class=4 now"
    assert result.stderr.count(told) == 1
    config = json.loads((tmp_path / "r" / "run.json").read_text())["config"]
    assert config["data"]["development_per_class"] == 4
