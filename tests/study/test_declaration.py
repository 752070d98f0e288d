"""What a study declares is written down before its first result, and never again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from support import ROOT

from gan_aug.run.errors import GanAugError
from gan_aug.settings.draw import draw_settings
from gan_aug.settings.endpoints import endpoints_of, hash_of
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
    endpoints = draw_settings(cfg).study.endpoints
    assert found["comparisons"] == [["classic_gan", "classic"]]
    assert found["hash"] == hash_of(endpoints, ("gan", "real"), found["comparisons"])
    declare(study(tmp_path, "auprc"))
    assert (tmp_path / "declaration.json").read_text() == written


def test_what_has_results_is_not_declared_afterwards(tmp_path: Path) -> None:
    (tmp_path / "draw_0").mkdir()
    (tmp_path / "draw_0" / "metrics.json").write_text("{}")
    declare(study(tmp_path))
    assert not (tmp_path / "declaration.json").exists()


def test_draws_that_start_at_once_declare_once(tmp_path: Path) -> None:
    cfg = study(tmp_path)
    for i in range(20):
        folder = tmp_path / str(i)
        cfg.study_dir = str(folder)
        start = Barrier(8)

        def declare_at_once(start: Barrier = start) -> None:
            start.wait()
            declare(cfg)

        with ThreadPoolExecutor(8) as pool:
            for job in [pool.submit(declare_at_once) for _ in range(8)]:
                job.result()
        assert [path.name for path in folder.iterdir()] == ["declaration.json"]
        assert json.loads((folder / "declaration.json").read_text())["question"] == ["gan", "real"]


def test_an_endpoint_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    cfg = study(tmp_path)
    cfg.study.endpoints = [{"split": "test", "metric": "auroc"}] * 2
    with pytest.raises(GanAugError, match="test auroc is there twice; leave one of them out"):
        endpoints_of(cfg)
