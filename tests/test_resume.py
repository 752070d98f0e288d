"""A killed run, repeated, ends with the weights and logs of one that was not killed."""

from __future__ import annotations

import csv
import hashlib
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forking import ForkedCommand
from support import TINY_CNN, TINY_GAN, read_json, rewrite, start, wait_for
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

KILLS = 20
CASES = {
    # 2:3 so that a kill also falls between the steps of a cycle
    "gan": (*TINY_GAN, "trainer.max_epochs=60", "model.d_steps=2", "model.g_steps=3"),
    "cnn": (*TINY_CNN, "trainer.max_epochs=60", "model.patience=100", "model.lr=1e-4"),
}
SAVE_ALWAYS = "callbacks.checkpoint.every_n_seconds=0"


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    path = folder / "checkpoints" / f"{name}.ckpt"
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def assert_same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different


def logged(folder: Path) -> list[list[str]]:
    with (folder / "metrics.csv").open() as file:
        return [row for row in csv.reader(file) if row[1] != "speed/images_per_second"]


def tensorboard_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag != "speed/images_per_second"
    }


def results(folder: Path) -> dict[str, Any]:
    content = read_json(folder / "metrics.json")
    content.pop("last_logged", None)  # holds images per second
    if written := content.pop("checkpoint_sha256", None):  # it holds times, and its own folder
        checkpoint = (folder / "checkpoints" / "last.ckpt").read_bytes()
        assert written == hashlib.sha256(checkpoint).hexdigest()
    return content


def assert_same_run(a: Path, b: Path) -> None:
    assert_same_weights(weights(a), weights(b))
    assert logged(a) == logged(b)
    assert tensorboard_scalars(a) == tensorboard_scalars(b)
    assert results(a) == results(b)
    assert read_json(b / "run.json")["status"] == "finished"


def kill_while_training(process: ForkedCommand, folder: Path, chance: float) -> bool:
    """Wait for this process's first checkpoint, then a random while, then kill -9."""
    last = folder / "checkpoints" / "last.ckpt"
    before = last.stat().st_mtime_ns if last.exists() else 0
    while process.poll() is None:
        if last.exists() and last.stat().st_mtime_ns != before:
            time.sleep(chance)
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_twenty_kills_change_nothing(case: str, tmp_path: Path, cache_home: Path) -> None:
    arguments = (*CASES[case], SAVE_ALWAYS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(cache_home, *arguments, f"hydra.run.dir={whole}").wait() == 0
    chance = random.Random(0)
    kills, places = 0, []
    while kills < KILLS:
        process = start(cache_home, *arguments, f"hydra.run.dir={killed}")
        if not kill_while_training(process, killed, chance.uniform(0, 0.15)):
            break
        kills += 1
        done = torch.load(killed / "checkpoints" / "last.ckpt", weights_only=True)
        places.append(int(done["batches_done"]))
    assert kills == KILLS, f"finished after {kills} kills, at batches {places}"
    print(f"{case}: killed after batches {places}")
    assert start(cache_home, *arguments, f"hydra.run.dir={killed}").wait() == 0
    assert read_json(killed / "run.json")["resumed"] == KILLS
    assert_same_run(whole, killed)


@pytest.mark.slow
def test_a_kill_between_the_test_and_the_end(
    tmp_path: Path, cache_home: Path, command: Callable[..., Any]
) -> None:
    """The test's rows are written again, not twice."""
    arguments = (*TINY_CNN, "trainer.max_epochs=4")
    assert command("train", *arguments, "hydra.run.dir=whole").returncode == 0
    assert command("train", *arguments, "hydra.run.dir=killed").returncode == 0
    rewrite(tmp_path / "killed" / "run.json", status="running")
    assert command("train", *arguments, "hydra.run.dir=killed").returncode == 0
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    assert sum(row[1] == "test/accuracy" for row in logged(tmp_path / "killed")) == 1


def test_a_run_does_not_go_on_with_other_images(
    command: Callable[..., Any], kaggle_folder: Path
) -> None:
    arguments = (
        "+experiment=cnn_baseline", f"data.root={kaggle_folder}", "data.development_per_class=0",
        "data.val_per_class=4", "data.batch_size=8", "data.subset.normal=16",
        "data.subset.pneumonia=16", "trainer.max_epochs=1", "hydra.run.dir=run",
    )  # fmt: skip
    assert command("train", *arguments).returncode == 0
    rewrite(kaggle_folder.parent / "run" / "run.json", status="running")
    (kaggle_folder / "train" / "PNEUMONIA" / "person3_bacteria_3.jpeg").unlink()
    result = command("train", *arguments)
    assert result.returncode != 0
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "was fitted on other images" in result.stderr


def test_sigterm_is_not_success(tmp_path: Path, cache_home: Path) -> None:
    """Slurm's time limit sends it."""
    folder = tmp_path / "run"
    arguments = (*TINY_GAN, SAVE_ALWAYS, "trainer.max_epochs=500", f"hydra.run.dir={folder}")
    process = start(cache_home, *arguments)
    wait_for(process, tmp_path, "run/checkpoints/last.ckpt")
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "resume=true" in errors
    assert read_json(folder / "run.json")["status"] == "interrupted"


@pytest.mark.slow
def test_one_kill_and_resume_true(
    tmp_path: Path, cache_home: Path, command: Callable[..., Any]
) -> None:
    """The short form: `resume=true` finds the run by its command."""
    arguments = (*CASES["cnn"], SAVE_ALWAYS, "trainer.max_epochs=12")
    process = start(cache_home, *arguments, cwd=tmp_path)
    folder = wait_for(process, tmp_path, "runs/*/*/checkpoints/last.ckpt").parents[1]
    process.kill()
    process.wait()
    assert read_json(folder / "run.json")["status"] == "running"
    resumed = command("train", *arguments, "resume=true")
    assert resumed.returncode == 0, resumed.stderr
    assert command("train", *arguments, f"hydra.run.dir={tmp_path / 'whole'}").returncode == 0
    assert_same_run(tmp_path / "whole", folder)
    again = command("train", *arguments, "resume=true")
    assert "finished already" in again.stdout
