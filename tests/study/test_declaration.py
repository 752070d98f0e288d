"""What a study declares is written down before its first result, and never again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import read_json, refused, settings_of

from gan_aug.report.read import read_study
from gan_aug.report.records import DECLARATION
from gan_aug.settings.study import StudySettings
from gan_aug.study.draw import declare


def study(folder: Path, metric: str = "auroc") -> StudySettings:
    endpoints = [{"split": "test", "metric": metric}]
    found: StudySettings = settings_of(
        "study", "+study=seed_protocol", study_dir=str(folder), study__endpoints=endpoints
    )
    return found


def test_the_first_draw_declares_and_later_ones_change_nothing(tmp_path: Path) -> None:
    cfg = study(tmp_path)
    declare(cfg)
    found = read_json(tmp_path / "declaration.json")
    assert found["endpoints"] == [one.model_dump() for one in cfg.study.endpoints]
    assert found["comparisons"] == [["classic_gan", "classic"]]
    assert found["question"] == ["gan", "real"]
    declare(study(tmp_path, "auprc"))
    assert read_json(tmp_path / "declaration.json") == found


def test_what_has_results_is_not_declared_afterwards(tmp_path: Path) -> None:
    (tmp_path / "draw_0").mkdir()
    for name in ("run.json", "metrics.json"):
        (tmp_path / "draw_0" / name).write_text("{}")
    declare(study(tmp_path))
    assert not (tmp_path / "declaration.json").exists()


def test_a_draw_is_not_taken_for_a_study_that_declared_nothing(tmp_path: Path) -> None:
    declare(study(tmp_path))
    (tmp_path / "model_dcgan/draw_0").mkdir(parents=True)
    (tmp_path / "model_dcgan/draw_0/run.json").write_text("{}")
    with refused(f"draw_0: is one draw; name its study's folder, {tmp_path}"):
        read_study(tmp_path / "model_dcgan/draw_0")


def test_draws_that_start_at_once_declare_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another draw declares, something else, just when this one has seen that nobody has."""
    exists, looks = Path.exists, list[bool]()

    def late(path: Path, **how: Any) -> bool:
        found = exists(path, **how)
        if path.name == DECLARATION:
            looks.append(found)
            if len(looks) == 1:
                declare(study(tmp_path, "auprc"))
        return found

    monkeypatch.setattr(Path, "exists", late)
    declare(study(tmp_path))
    assert looks == [False] * 2
    assert [path.name for path in tmp_path.iterdir()] == [DECLARATION]
    (endpoint,) = read_json(tmp_path / DECLARATION)["endpoints"]
    assert endpoint["metric"] == "auprc", "the first that was written"


def test_an_endpoint_that_is_there_twice_is_refused() -> None:
    twice = [{"split": "test", "metric": "auroc"}] * 2
    with refused("test auroc is there twice; leave one of them out"):
        settings_of("study", "+study=seed_protocol", study__endpoints=twice)
