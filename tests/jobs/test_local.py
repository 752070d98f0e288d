"""Jobs of a multirun side by side on this machine, as a user starts them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support import ROOT, TINY_CNN, TINY_STUDY, read_json, run_command, start, wait_until

STUDY = (
    "-m", "+study=seed_protocol", *TINY_STUDY, "study_dir=s",
    "callbacks.checkpoint.every_n_seconds=0", "quality.use=[]",
)  # fmt: skip
DRAWS = 3


def status(folder: Path, draw: int) -> str | None:
    path = folder / f"s/draw_{draw}/run.json"
    return str(read_json(path)["status"]) if path.exists() else None


def pid(folder: Path, draw: int) -> int | None:
    """Return the process that works in a draw's folder."""
    with suppress(OSError, ValueError):  # none does, or it has just begun
        return int(read_json(folder / f"s/draw_{draw}/.lease")["pid"])
    return None


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> bytes:
    """results.csv of the draws, each by the plain command."""
    folder = tmp_path_factory.mktemp("plain")
    for draw in range(DRAWS):
        arguments = (*STUDY[1:], f"draw={draw}")
        run_command(cache_home, "study", *arguments, cwd=folder, check=True)
    return (folder / "s" / "results.csv").read_bytes()


@pytest.mark.slow
def test_a_killed_job_ends_no_other_and_is_run_again(
    tmp_path: Path, cache_home: Path, undisturbed: bytes
) -> None:
    arguments = (*STUDY, f"draw=range(0,{DRAWS})", "hydra.launcher.jobs=2")
    process = start(cache_home, *arguments, cwd=tmp_path, name="study")
    wait_until(lambda: list(tmp_path.glob("s/draw_0/fits/real_0.json")), process)
    killed = pid(tmp_path, 0)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "error: draw_0: ended by signal 9 (Killed)" in errors.splitlines()[-1]
    assert [status(tmp_path, k) for k in range(DRAWS)] == ["failed", "finished", "finished"]
    finished = {d: (tmp_path / f"s/draw_{d}/metrics.json").stat().st_mtime_ns for d in (1, 2)}

    result = run_command(cache_home, "study", *arguments, cwd=tmp_path, check=True)
    assert "1 jobs, 1 at a time, 1 thread each; 2 finished before, skipped" in result.stdout
    after = {d: (tmp_path / f"s/draw_{d}/metrics.json").stat().st_mtime_ns for d in (1, 2)}
    assert after == finished
    assert (tmp_path / "s" / "results.csv").read_bytes() == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_jobs_end_with_their_launcher_and_nothing_is_lost(
    how: signal.Signals, tmp_path: Path, cache_home: Path, undisturbed: bytes
) -> None:
    arguments = (*STUDY, f"draw=range(0,{DRAWS})", "hydra.launcher.jobs=2")
    process = start(cache_home, *arguments, cwd=tmp_path, name="study")
    wait_until(lambda: list(tmp_path.glob("s/draw_0/fits/classic_0.json")), process)
    pids = wait_until(lambda: all(p := [pid(tmp_path, k) for k in (0, 1)]) and p, process)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}.get(how, 143)
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(one) for one in pids):
        assert time.monotonic() < deadline, "a job outlived its launcher"
        time.sleep(0.05)
    run_command(cache_home, "study", *arguments, cwd=tmp_path, check=True)
    assert (tmp_path / "s" / "results.csv").read_bytes() == undisturbed


@pytest.mark.slow
def test_a_job_that_others_run_is_put_off_and_waited_for(
    tmp_path: Path, cache_home: Path, undisturbed: bytes
) -> None:
    other = start(cache_home, *STUDY[1:], "draw=0", cwd=tmp_path, name="study")
    wait_until(lambda: list(tmp_path.glob("s/draw_0/run.json")), other)
    other.send_signal(signal.SIGSTOP)  # it holds the folder, and does nothing
    arguments = (*STUDY, f"draw=range(0,{DRAWS})", "hydra.launcher.jobs=1")
    process = start(cache_home, *arguments, cwd=tmp_path, name="study")
    wait_until(lambda: status(tmp_path, 2) == "finished", process)
    assert not (tmp_path / "s/draw_0/metrics.json").exists()
    other.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert other.wait(timeout=60) == 0
    assert read_json(tmp_path / "s/draw_0/run.json")["resumed"] == 0
    assert (tmp_path / "s" / "results.csv").read_bytes() == undisturbed


@pytest.mark.slow
def test_jobs_have_the_configuration_that_the_command_had(tmp_path: Path, cache_home: Path) -> None:
    """Folders of a user's own, and one that asks for multiruns: a job is none."""
    shutil.copytree(ROOT / "conf", tmp_path / "mine")
    config = tmp_path / "mine" / "train.yaml"
    config.write_text(config.read_text().replace("\nseed: 0 ", "\nseed: 77 "))
    experiment = tmp_path / "more" / "experiment" / "asks.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text(
        "# @package _global_\ndefaults: [/experiment/cnn_baseline]\nhydra: {mode: MULTIRUN}\n"
    )
    flags = ("--config-path", str(tmp_path / "mine"), "--config-dir", str(tmp_path / "more"))
    arguments = ("+experiment=asks", *TINY_CNN[1:], "trainer.max_epochs=1", "draw=1,2")
    run_command(
        cache_home, "train", *flags, *arguments, "hydra.sweep.dir=s", cwd=tmp_path, check=True
    )
    records = [read_json(tmp_path / f"s/draw_{draw}/run.json") for draw in (1, 2)]
    assert [(r["status"], r["seed"], r["job"]) for r in records] == [
        ("finished", 77, 0), ("finished", 77, 1),
    ]  # fmt: skip
    assert {r["threads"] for r in records} == {1}
    assert len(list(tmp_path.glob("s/.jobs/*"))) == 1
