"""What trainer.precision=auto stands for, and that one choice is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import RUN, TINY_CNN, read_json, rewrite, settings_of

from gan_aug.jobs.launching import slots_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.hardware import FULL, MIXED, choose_precision, settle_precision
from gan_aug.study.other_draws import other_draws

Command = Callable[..., Any]


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, FULL),
        ({"avx512_bf16": True}, MIXED),
        ({"amx_bf16": True}, MIXED),
        ({"neon": True, "bf16": True}, MIXED),
        ({}, FULL),
    ],
)
def test_bf16_where_the_processor_computes_in_it(
    able: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose_precision("cpu") == expected


@pytest.mark.parametrize("able", [True, False])
def test_bf16_on_a_gpu_that_has_it(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert choose_precision("gpu") == (MIXED if able else FULL)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("precision", ["auto", FULL])
def test_a_gpu_that_is_not_there(no_gpu: None, precision: str) -> None:
    """Before anything is trained, and before a multirun starts its jobs."""
    cfg = OmegaConf.create({"trainer": {"precision": precision, "accelerator": "gpu"}})
    for check in (lambda: settle_precision(cfg, []), lambda: slots_of(cfg, None, None)):
        with pytest.raises(GanAugError, match=r"^trainer=gpu: torch finds no GPU.*trainer=cpu$"):
            check()


def settled(precision: str, before: Iterable[Mapping[str, Any]]) -> str:
    settings = settings_of("train", *TINY_CNN, f"trainer.precision={precision}")
    chosen: str = settle_precision(settings, before).trainer.precision
    return chosen


def after(precision: str, *before: str) -> str:
    return settled(precision, [{"trainer": {"precision": earlier}} for earlier in before])


def test_what_is_asked_for_or_was_first_is_kept() -> None:
    assert after("auto") == choose_precision("cpu")
    assert after("16-mixed", "32-true") == "16-mixed"
    for first in (FULL, MIXED):
        assert after("auto", "auto", first, "16-mixed") == first


@pytest.mark.parametrize(("able", "told"), [({}, 1), ({"amx_bf16": True}, 0)])
def test_a_kept_choice_that_is_slow_here_is_told_of(
    able: dict[str, bool],
    told: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert after("auto", MIXED) == MIXED
    assert capsys.readouterr().err.count("trainer.precision=bf16-mixed is kept") == told
    assert after("auto", FULL) == FULL
    assert not capsys.readouterr().err


def test_a_run_goes_on_with_its_first_choice_and_its_threads(
    command: Command, tmp_path: Path
) -> None:
    """As if the first part had run on another kind of machine."""
    other = FULL if choose_precision("cpu") == MIXED else MIXED
    arguments = (*TINY_CNN, "hydra.run.dir=r", "trainer.max_epochs=1")
    result = command("train", *arguments, f"trainer.precision={other}", "trainer.threads=2")
    assert result.returncode == 0, result.stderr
    path = tmp_path / "r" / "run.json"
    first = read_json(path)
    assert first["threads"] == 2
    first["given"]["trainer"]["precision"] = "auto"  # threads may be left open by who goes on
    rewrite(path, status="interrupted", given=first["given"])
    result = command("train", *arguments, "trainer.precision=auto")
    assert result.returncode == 0, result.stderr
    assert "begun with 2 threads and keeps them" in result.stderr  # OMP_NUM_THREADS is 1 here
    record = read_json(path)
    assert record["threads"] == 2
    assert record["status"] == "finished"
    assert record["resumed"] == 1
    assert record["config"]["trainer"]["precision"] == other
    assert record["given"]["trainer"]["precision"] == "auto"


def test_the_draws_of_a_study_share_the_first_choice(tmp_path: Path) -> None:
    for name, content in (("draw_0", "{"), ("per_class_50/draw_1", "16-mixed")):
        path = tmp_path / name / "run.json"
        path.parent.mkdir(parents=True)
        config = {"trainer": {"precision": content}, "study": {"condition": {}}}
        path.write_text(content if content == "{" else json.dumps(RUN | {"config": config}))
    others = (record.config for _, record in other_draws(tmp_path))
    assert settled("auto", others) == "16-mixed"
    none = (record.config for _, record in other_draws(tmp_path / "none"))
    assert settled("auto", none) == choose_precision("cpu")
