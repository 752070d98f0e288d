"""A mistyped setting is refused, and what may be added is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import settings_of

from gan_aug.arms.check import check_arms
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.commands import kind_of
from gan_aug.settings.study import StudySettings

Command = Callable[..., Any]


def check(*overrides: str) -> None:
    found = settings_of(*overrides)
    if isinstance(found, StudySettings):
        check_arms(found)


STUDY = ("study", "+study=seed_protocol", "data=phantom")


@pytest.mark.parametrize(
    "overrides",
    [
        ("train", "+debug=fast"),
        (*STUDY, "+arm@arms.mine=gan", "arms.mine.added.weight=0.5"),
        (*STUDY, "+augment@arms.gan.augment=classic"),
        (*STUDY, "++arms.gan={title: x, added: {count: 5}}"),
        (*STUDY, "++study={steps: 500, condition: {batches: 5}}"),
        (*STUDY, "+study.condition.batches=5"),
        (*STUDY, "+study.size=50", "data.subset=${study.size}"),
        (*STUDY, "+trainer.gradient_clip_val=0.5"),
        (*STUDY, "+callbacks.x={_target_: mine.Count}"),
        (*STUDY, "+data.source={seed: 1}"),
        (*STUDY, "++data.subset.virus=5"),
        (*STUDY, "++study.steps=500", "++study.ruler=[25,100]", "++seed=1"),
        ("report", "++study_dir=."),  # which has no value without it
        ("evaluate", "synthetic.dir=.", "data=phantom", "+data.draw=1", "data.source.seed=1"),
        ("train", "+experiment=dcgan_pneumonia", "+data.source.more=1"),
    ],
)
def test_what_may_be_added(overrides: tuple[str, ...]) -> None:
    assert isinstance(settings_of(*overrides), kind_of(overrides[0]))


@pytest.mark.parametrize("typed", ["draw=0-5", "draw=-1"])
def test_a_wrong_value_is_named_by_the_key_that_was_typed(typed: str) -> None:
    with pytest.raises(GanAugError, match=f"^{typed}: must be a whole number from 0"):
        settings_of(*STUDY, typed)


@pytest.mark.parametrize(
    ("overrides", "meant"),
    [
        ((*STUDY, "+study.stpes=5"), "study.steps"),
        ((*STUDY, "+arms.gan.added.cuont=5"), "arms.gan.added.count"),
        ((*STUDY, "+model.r1.gama=1"), "model.r1.gamma"),
        ((*STUDY, "+sede=1"), "seed"),
        ((*STUDY, "++study.stpes=5"), "study.steps"),
        ((*STUDY, "++study.stpes=5", "++study.stpes=5"), "study.steps"),
        ((*STUDY, "++sede=1"), "seed"),
        ((*STUDY, "++study={stpes: 5}"), "study.steps"),
        ((*STUDY, "++study={repeats: 5, stpes: 5}"), "study.steps"),
        ((*STUDY, "+study={stpes: 5}"), "study.steps"),
        ((*STUDY, "++arms.gan.added={cuont: 5}"), "arms.gan.added.count"),
        ((*STUDY, "++arms={gan: {added: {cuont: 5}}}"), "arms.gan.added.count"),
        ((*STUDY, "++model={r1: {gama: 5}}"), "model.r1.gamma"),
        (("train", "++generate.cuont=5"), "generate.count"),
        (("train", "+data.synthetic.cuont=5"), "data.synthetic.count"),
        (("train", "+generate.cuont=5"), "generate.count"),
    ],
)
def test_what_nobody_reads(overrides: tuple[str, ...], meant: str) -> None:
    with pytest.raises(GanAugError) as caught:
        check(*overrides)
    assert str(caught.value).endswith(f": there is no such setting; did you mean {meant}?")


@pytest.mark.parametrize(
    "overrides",
    [("evaluate", "synthetic.dir=.", "++study.steps=5"), ("train", "++model.growth.x=5")],
)
def test_settings_of_another_command(overrides: tuple[str, ...]) -> None:
    with pytest.raises(GanAugError, match="there is no such setting"):
        settings_of(*overrides)


@pytest.mark.parametrize(("override", "said"), [("++mine=3", "study3"), ("++mien=3", "mine?")])
def test_settings_of_a_configuration_of_ones_own(
    override: str, said: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("defaults: [report, _self_]\nmine: 1\n")
    named = ("--config-dir", str(tmp_path), "--config-name", "own")
    (tmp_path / "study1").mkdir()
    command("report", *named, override, f"study_dir={tmp_path}/study${{mine}}", refused=said)
