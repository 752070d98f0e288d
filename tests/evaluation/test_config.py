"""Every metric and extractor of conf/ is there to be called."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from support import ROOT

from gan_aug.evaluation.evaluator import directions_of
from gan_aug.metrics.memorisation import OF_SOURCES

EXTRACTORS = sorted(path.stem for path in (ROOT / "conf" / "extractor").glob("*.yaml"))


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_every_extractor_composes(extractor: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("evaluate", [f"extractor@quality.extractor={extractor}"])
    assert callable(instantiate(cfg.quality.extractor))


def test_every_metric_is_used_by_default_and_says_what_is_good() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        quality = compose("evaluate").quality
    assert set(quality.use) == set(quality.metrics)
    for settings in quality.metrics.values():
        assert callable(instantiate(settings.function))
        assert set(settings.good.values()) <= {"lower", "higher", "baseline"}


def test_a_translation_should_change_its_source() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        quality = compose("evaluate").quality
    good = directions_of(quality)
    assert {name for name in good if name.startswith("copying_source_")} == set(OF_SOURCES)
    assert {good[name] for name in OF_SOURCES} == {"lower"}


@pytest.mark.parametrize("command", ["train", "study"])
def test_training_and_studies_use_some_of_them(command: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        quality = compose(command).quality
    assert set(quality.use) < set(quality.metrics)
