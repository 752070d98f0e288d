"""Every metric and extractor of conf/ is there to be called."""

from __future__ import annotations

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from support import ROOT, composed

from gan_aug.evaluation.evaluator import directions_of
from gan_aug.metrics.memorisation import OF_SOURCES

EXTRACTORS = sorted((ROOT / "conf" / "extractor").glob("*.yaml"))
METRICS = sorted(path.stem for path in (ROOT / "conf" / "metric").glob("*.yaml"))


@pytest.fixture(scope="module")
def quality() -> DictConfig:
    found: DictConfig = composed("evaluate").quality
    return found


@pytest.mark.parametrize("path", EXTRACTORS, ids=lambda path: path.stem)
def test_every_extractor_can_be_called(path: object) -> None:
    assert callable(instantiate(OmegaConf.load(str(path))))


def test_every_metric_is_used_by_default_and_says_what_is_good(quality: DictConfig) -> None:
    assert sorted(quality.use) == sorted(quality.metrics) == METRICS
    for settings in quality.metrics.values():
        assert callable(instantiate(settings.function))
        assert set(settings.good.values()) <= {"lower", "higher", "baseline"}


def test_a_translation_should_change_its_source(quality: DictConfig) -> None:
    good = directions_of(quality)
    assert {name for name in good if name.startswith("copying_source_")} == set(OF_SOURCES)
    assert {good[name] for name in OF_SOURCES} == {"lower"}


def test_training_uses_the_cheap_ones_and_a_study_some(quality: DictConfig) -> None:
    train, study = (composed(command).quality for command in ("train", "study"))
    assert sorted(train.use) == [name for name in METRICS if quality.metrics[name].cheap]
    assert set(study.use) < set(METRICS)
