"""Further ways to use GAN images, beside the same ways to use copies of real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_STUDY, run_command

from gan_aug.report.study import read_study

Command = Callable[..., Any]
STUDY = (
    *TINY_STUDY,
    "+arm@arms.real=real",
    "+arm@arms.mixup=mixup",
    "+arm@arms.mixup_control=mixup_control",
    "+arm@arms.soft=gan",
    "arms.soft.added.labels=predicted",
    "+arm@arms.gan=gan",
    "study.question={arm:mixup,reference:real}",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "study.count=10",
    "quality.use=[]",
)
PAIRS = (
    *(one for one in TINY_STUDY if not one.startswith(("model.", "study.count", "data.subset"))),
    "+arm@arms.real=real",
    "+arm@arms.paired=paired",
    "+arm@arms.paired_control=paired_control",
    "model=cyclegan",
    "model.width=4",
    "study.question={arm:paired,reference:real}",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "data.subset=30",
    "study.count=30",
    "quality.use=[]",
)
OTHER = {"normal": "pneumonia", "pneumonia": "normal"}


def refused(result: Any, line: str) -> None:
    assert result.returncode != 0
    assert result.stderr.count("\n") == 1, result.stderr
    assert line in result.stderr


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    folder = tmp_path_factory.mktemp("ways")
    run_command(cache_home, "study", *STUDY, "study_dir=s", cwd=folder, check=True)
    return folder / "s"


def test_mixup_has_its_control_and_keeps_the_rules(study: Path) -> None:
    found = read_study(study)
    assert found.control == "mixup_control"
    checks = {check.rule: check for check in found.first.checks}
    assert checks[4].passed, checks[4].detail
    for arm in ("mixup", "mixup_control"):
        (fit,) = found.first.fits_of(arm)
        assert fit.used is not None
        assert fit.used.added.total == fit.used.real.total == fit.steps * 8


def test_soft_labels_change_what_is_learned(study: Path) -> None:
    predictions = []
    for arm in ("gan", "soft"):
        with np.load(study / "draw_0" / "fits" / f"{arm}_0.npz") as arrays:
            predictions.append(arrays["internal_logits"])
    assert not np.array_equal(*predictions)
    metrics = json.loads((study / "draw_0" / "metrics.json").read_text())
    used = {fit["arm"]: fit["used"] for fit in metrics["fits"]}
    assert used["soft"] == used["gan"]  # the same images, as often


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """Translations of all training images, each beside its source, and their control."""
    folder = tmp_path_factory.mktemp("pairs")
    arguments = (*PAIRS, "study_dir=s")
    run_command(cache_home, "study", *arguments, cwd=folder, check=True)
    return folder / "s"


def test_pairs_have_their_control_and_keep_the_rules(pairs: Path) -> None:
    found = read_study(pairs)
    assert found.control == "paired_control"
    checks = {check.rule: check for check in found.first.checks}
    assert checks[1].passed
    assert checks[4].passed, checks[4].detail
    for arm in ("paired", "paired_control"):
        (fit,) = found.first.fits_of(arm)
        assert fit.used is not None
        assert fit.used.added.images == {"normal": 30, "pneumonia": 30}
        assert fit.used.added.total == fit.used.real.total
        # Both sides of a pair: as many of each class as of the other.
        real, added = fit.used.real.shown, fit.used.added.shown
        of_other = arm == "paired"
        assert added == {k: real[o] if of_other else real[k] for k, o in OTHER.items()}


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["study.count=29"],
            "arms.paired.added.count.normal=29: with added.paired each of the 30 pneumonia images",
        ),
        (["model=dcgan"], "arms.paired.added.paired=True: an image is paired with its translation"),
        (["arms.paired.added.mixup=0.2"], "so added.paired has no place; leave one of the two out"),
        (["arms.paired.balanced=true"], "so balanced has no place; leave one of the two out"),
        (
            ["arms.paired.added.filter.min_distance=1"],
            "would leave some image of added.paired alone",
        ),
        (["data.batch_size=9"], "data.batch_size=9: arms.paired has pairs; choose an even number"),
    ],
)
def test_pairs_that_cannot_be_are_one_line(
    command: Command, tmp_path: Path, overrides: list[str], line: str
) -> None:
    refused(command("study", *PAIRS, *overrides, f"study_dir={tmp_path}"), line)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["arms.mixup.added.ratio=0.5"],
            "arms.mixup.added.mixup=0.2: puts an added image with every real one, so added.ratio",
        ),
        (["arms.mixup.pretrain=0.5"], "so pretrain has no place"),
        (
            ["arms.real.added.mixup=0.2"],
            "arms.real.added.mixup=0.2: this arm adds no images to mix",
        ),
        (["arms.mixup.added.mixup=0"], "arms.mixup.added.mixup=0: must be a number above 0"),
        (["study.count=0"], "arms.mixup.added.mixup=0.2: needs added images, there are none"),
        (["~arms.real", "study.question.reference=gan"], "arms.soft.added.labels: needs the arm"),
        (["arms.mixup=null"], "arms.mixup=null: an arm is a group of settings, as in conf/arm; to"),
        (["arms.soft.added.labels=mine"], "arms.soft.added.labels=mine: must be one of"),
    ],
)
def test_what_cannot_be_is_one_line(
    command: Command, tmp_path: Path, overrides: list[str], line: str
) -> None:
    refused(command("study", *STUDY, *overrides, f"study_dir={tmp_path}"), line)
