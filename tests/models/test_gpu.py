"""What is worth knowing of a GPU; skipped where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gan_training import GANS
from PIL import Image
from support import TINY_CNN, TINY_DATA, TINY_STUDY, run_command

from gan_aug.models.restore import read_checkpoint

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

FEW = ("trainer=gpu", "trainer.max_epochs=4", "generate.count=10")


def trained(cache: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    run_command(
        cache, "train", *arguments, f"hydra.run.dir={folder}", cwd=folder.parent, check=True
    )
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def pixels(folder: Path) -> np.ndarray[Any, Any]:
    return np.stack([np.asarray(Image.open(path), float) for path in sorted(folder.rglob("*.png"))])


@pytest.mark.parametrize("model", GANS)
def test_every_gan_trains_there_and_synthesises_here(model: str, tmp_path: Path) -> None:
    tiny = (f"+experiment={model}_pneumonia", *TINY_DATA, *FEW)
    record = trained(tmp_path / "cache", tmp_path / "run", *tiny)
    assert torch.cuda.get_device_name() in record["machine"]
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    state = read_checkpoint(checkpoint)["state_dict"]
    assert all(bool(torch.isfinite(t).all()) for t in state.values())
    again = ("count=10", f"output_dir={tmp_path / 'again'}", "seed=0")
    run_command(
        tmp_path / "cache", "generate", f"checkpoint={checkpoint}", *again, cwd=tmp_path, check=True
    )
    on_gpu, on_cpu = pixels(tmp_path / "run" / "synthetic"), pixels(tmp_path / "again")
    assert on_gpu.shape == on_cpu.shape
    assert np.abs(on_gpu - on_cpu).max() <= 3  # of 255: tf32 and fp32, not other latents


def test_a_classifier_trains_there(tmp_path: Path) -> None:
    record = trained(tmp_path / "cache", tmp_path / "run", *TINY_CNN, *FEW[:2])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert record["status"] == "finished"
    assert metrics["trained_batches"] > 0


def test_draws_of_cpu_and_gpu_are_one_study(tmp_path: Path) -> None:
    study = ("+study=seed_protocol", *TINY_STUDY, "study_dir=study")
    for draw, trainer in enumerate(("gpu", "cpu")):
        more = (f"draw={draw}", f"trainer={trainer}")
        run_command(tmp_path / "cache", "study", *study, *more, cwd=tmp_path, check=True)
    run_command(tmp_path / "cache", "report", "study_dir=study", cwd=tmp_path, check=True)
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    assert summary["draws"] == [0, 1]
    assert torch.cuda.get_device_name() in (tmp_path / "study" / "report.html").read_text()
