"""Ranges of settings, in the process: what the command line refuses is in test_bad_input.py."""

from __future__ import annotations

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from support import composed, settings_of

from gan_aug.arms.check import check_arms
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.study import StudySettings
from gan_aug.settings.whole import validate

STUDY = ("+study=seed_protocol", "data=phantom")


def study(*overrides: str) -> StudySettings:
    found: StudySettings = settings_of("study", *STUDY, *overrides)
    check_arms(found)
    return found


def changed(override: str) -> StudySettings:
    """Return the settings with one more, without composing them again."""
    typed = composed("study", *STUDY)
    one = OverridesParser.create().parse_override(override)
    OmegaConf.update(typed, one.key_or_group, one.value(), force_add=True)
    found = validate(typed, StudySettings)
    check_arms(found)
    return found


BAD = [
    "quality.classifier.lr=-1",
    "quality.classifier.width=0",
    "quality.classifier.patience=5",
    "quality.use=kid",
    "quality.use=[kidd]",
    "quality.reference_steps=0",
    "quality.metrics.precision_recall.function.k=0",
    "quality.metrics.ms_ssim.function.pairs=-1",
    "classifier.lr=-1",
    "classifier.lr=nan",
    "classifier.lr=.inf",
    "classifier.width=0",
    "classifier.hidden=1e3",
    "classifier.patience=-3",
    "model.betas=[2,3]",
    "model.betas=0.5",
    "model.lr_g=.inf",
    "model.lr_d=.nan",
    "model.width=1000000",
    "model.augment.cutout=5",
    "model.augment.brightness=-1",
    "model.augment=strong",
    "arms.classic.augment.brightness=-5",
    "arms.classic.augment.scale=[1.2,0.8]",
    "arms.classic.augment.flip=2",
    "arms.gan.added.augment=often",
    "study.validate_every=0",
    "arms.gan.added.count=1000000000",
    "++arms.gan.added.count.pneumonia=1000000000",
    "data.subset.normal=-1",
    "arms.gan.title=[a]",
    "study.comparisons=[gan]",
    "++study.condition.pair=[gan,classic]",
    "study.splits=test",
    "study.repeats=0",
    "study.count.pneumonia=-1",
    "data.root=[q]",
    "data.root=5",
    'data.root="~nobody_of_that_name/x"',
    "data.cache_dir={}",
    "data.image_size=4096",
    "data.batch_size=100000000",
    "data.source.train_per_class=10000000",
]


@pytest.mark.parametrize(
    "override", ["gans_dir=null", "study.repeats=true", "arms.gan=null", "study.endpoints=null"]
)
def test_a_value_is_shown_as_it_is_typed(override: str) -> None:
    with pytest.raises(GanAugError, match=rf"^{override}: "):
        changed(override)


@pytest.mark.parametrize("override", BAD)
def test_a_bad_setting_is_named_before_anything_is_fitted(override: str) -> None:
    key = override.split("=")[0].lstrip("+")
    with pytest.raises(GanAugError) as caught:
        changed(override)
    assert key in str(caught.value)
    assert re.search("must be|none of|is none", str(caught.value))


def test_the_settings_of_conf_are_sound() -> None:
    study()
    found = study("arms.gan.added.ratio=0.25", "study.comparisons=[[gan,classic],[gan,duplicate]]")
    assert found.arms["gan"].added.ratio == 0.25
    found = study("quality.use=[]", "model.augment=null", 'data.root="/home/김"')
    assert (found.model.augment, found.data.root) == (None, "/home/김")


@pytest.mark.parametrize("bad", ["target=1", "ramp_images=0", "most=1.5"])
def test_bad_settings_of_adaptive_augmentation(bad: str) -> None:
    chosen = "gan_augment@model.augment=adaptive"
    study(chosen)
    with pytest.raises(GanAugError, match=rf"model\.augment\.{bad}: must be"):
        study(chosen, f"model.augment.{bad}")


def test_augmentation_of_a_gan_is_chosen_by_one_override() -> None:
    diff, adaptive = study(), study("gan_augment@model.augment=adaptive")
    assert diff.model.augment is not None
    assert diff.model.augment.class_path == "gan_aug.models.augment.DiffAugment"
    assert adaptive.model.augment is not None
    assert set(adaptive.model.augment.plain()) == {"_target_", "target", "ramp_images", "most"}
    assert study("model.augment=null").model.augment is None
