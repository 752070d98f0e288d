"""Every metric and extractor of conf/ is there to be called."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from support import ROOT

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


@pytest.mark.parametrize("command", ["train", "study"])
def test_training_and_studies_use_some_of_them(command: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        quality = compose(command).quality
    assert set(quality.use) < set(quality.metrics)
