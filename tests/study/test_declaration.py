"""What a study declares is written down before its first result, and never again."""

from __future__ import annotations

import json
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from support import ROOT

from gan_aug.settings.draw import draw_settings
from gan_aug.settings.endpoints import hash_of
from gan_aug.study.declaration import declare


def study(folder: Path, metric: str = "auroc") -> DictConfig:
    endpoints = f"study.endpoints=[{{split: test, metric: {metric}}}]"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("study", ["+study=seed_protocol", f"study_dir={folder}", endpoints])


def test_the_first_draw_declares_and_later_ones_change_nothing(tmp_path: Path) -> None:
    cfg = study(tmp_path)
    declare(cfg)
    written = (tmp_path / "declaration.json").read_text()
    found = json.loads(written)
    assert found["endpoints"] == [{"split": "test", "metric": "auroc"}]
    assert found["hash"] == hash_of(draw_settings(cfg).study.endpoints, ("gan", "real"))
    declare(study(tmp_path, "auprc"))
    assert (tmp_path / "declaration.json").read_text() == written


def test_what_has_results_is_not_declared_afterwards(tmp_path: Path) -> None:
    (tmp_path / "draw_0").mkdir()
    (tmp_path / "draw_0" / "metrics.json").write_text("{}")
    declare(study(tmp_path))
    assert not (tmp_path / "declaration.json").exists()
