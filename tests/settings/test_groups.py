"""A group of settings that is null, missing or a plain value is named before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import TINY_STUDY, refused, settings_of

from gan_aug.runtime.arguments import for_hydra
from gan_aug.runtime.command_line import message_of
from gan_aug.settings.commands import TrainSettings
from gan_aug.settings.whole import of_plain

Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trainer=null", "trainer=null: is no name; choose one of cpu, gpu, as trainer=NAME"),
        ("trainer=5", "trainer=5: is no name; choose one of cpu, gpu"),
        ("trainer=cpu,null", "trainer=cpu,null: is no name; choose one of cpu, gpu"),
        ("~trainer", "~trainer: the command needs it; choose one of cpu, gpu"),
        ("quality=null", "quality=null: is no name; choose one of base"),
        ("callbacks=null", "callbacks=null: is no name; choose one of default"),
        ("logger=null", "logger=null: is no name; choose one of csv, default, many, mlflow, wandb"),
        ("data=null", "data=null: is no name; choose one of chest_xray, folder"),
        ("~model", "~model: the command needs it; choose one of cdcgan, cnn"),
        ("~classifier", "choose one of cnn, cnn4, resnet18, timm, as model@classifier=NAME"),
        ("model@classifier=null", "choose one of cnn, cnn4, resnet18, timm, as model@classifier="),
        ("~arms", "~arms: a study needs arms; leave one out with '~arms.NAME'"),
        ("~study.question", "~study.question: the command needs it"),
        ("study=null", "study=null: is no name; choose one of best_recipe"),
        ("+experiment=null", "as +experiment=NAME"),
        ("hydra/launcher=null", "choose one of local, submitit_slurm"),
        ("hydra.run.dir=", "hydra.run.dir=: names no folder; write hydra.run.dir=DIR"),
        ('hydra.run.dir=""', 'hydra.run.dir="": names no folder; write hydra.run.dir=DIR'),
        ("hydra.sweep.dir=null", "hydra.sweep.dir=null: names no folder"),
    ],
)
def test_what_is_no_choice_is_refused(argument: str, message: str) -> None:
    with refused(message):
        for_hydra(["draw=0", argument], "")


def test_what_is_a_choice_is_not_refused() -> None:
    arguments = [
        *("trainer=gpu", "trainer=cpu,gpu", "data='phantom'", "model=glob(*gan)", "trainer=[cpu]"),
        *("~arms.gan", "~callbacks.progress", "+arm@arms.a=gan", "model.augment=null", "-m"),
        *("hydra.run.dir=.", "model@classifier=resnet18", "~data.subset.normal", "data.root=null"),
    ]
    assert len(for_hydra(arguments, "")) == len(arguments)


STUDY = ("study", "+study=seed_protocol", "data=phantom")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((*STUDY, "classifier=resnet18"), "is chosen by model@classifier=resnet18"),
        (
            (*STUDY, "classifier=vgg"),
            "classifier=vgg: is no group of settings; choose one of cnn, cnn4, resnet18, timm, as "
            "model@classifier=NAME",
        ),
        ((*STUDY, "quality.extractor=null"), "as extractor@quality.extractor=NAME"),
        ((*STUDY, "arms=null"), "arms=null: holds several settings"),
        ((*STUDY, "study.question=5"), "study.question=5: holds several settings"),
        ((*STUDY, "~study.question.reference"), "study.question.reference: is missing"),
        ((*STUDY, "arms.gan.added=null"), "write arms.gan.added.KEY=VALUE"),
        ((*STUDY, "arms.gan.added.filter=0"), "arms.gan.added.filter=0: holds several settings"),
        (("train", "generate=null"), "generate=null: holds several settings"),
        (("train", "model.kind=foo"), "model.kind=foo: must be one of classifier, gan, generator"),
        (("train", "model.r1=null"), "model.r1=null: holds several settings; write model.r1.KEY="),
        (("train", "logger=[]"), "logger: is missing; choose one of csv, default, many"),
        (("train", "data.synthetic=null"), "write data.synthetic.KEY=VALUE"),
        (("train", "data.source=none"), "data.source=none: holds several settings"),
        (("train", "quality.gate=0"), "quality.gate=0: holds several settings"),
        (("evaluate", "synthetic=null"), "synthetic=null: holds several settings"),
    ],
    ids=lambda v: v[-1] if isinstance(v, tuple) else "",
)
def test_what_stands_in_place_of_a_group(overrides: tuple[str, ...], message: str) -> None:
    with refused(message):
        settings_of(*overrides)


def test_what_stands_in_place_of_one_of_several_groups() -> None:
    """A GAN or a classifier: in a file no other setting may read it before."""
    plain = settings_of("train", "data=phantom").plain() | {"model": 3}
    with refused("model=3: is no group of settings; choose one of cdc"):
        of_plain(plain, TrainSettings)


def test_a_nul_in_a_setting_is_named() -> None:
    """A file of settings can hold one; no argument can."""
    with refused("gans_dir='runs/a\\x00b': holds a NUL character"):
        settings_of(*STUDY, gans_dir="runs/a\0b")


def test_a_nul_in_the_name_of_the_run() -> None:
    """Hydra makes the folder before any check."""
    with pytest.raises(ValueError, match="embedded null ") as caught:
        Path("a\0b").mkdir()
    assert message_of(caught.value).startswith("hydra.run.dir: the name of the run's folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quality.gate=[]"], "quality.gate=[]: cannot stand there (Cannot merge"),
        (["-m", "draw=0,1", "classifier=resnet18,cnn"], "model@classifier=resnet18"),
    ],
    ids=lambda v: v[-1],
)
def test_a_command_says_so_in_a_line(
    command: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """A multirun does so before its first job starts."""
    typed = (*TINY_STUDY, "+study=seed_protocol", *arguments)
    assert len(command("study", *typed, refused=message).stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("run.json"))
