"""Threads: as many as are free, recorded, kept; the same run.json means the same weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import settings_of

from gan_aug.runtime import hardware as module
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.hardware import allowed, cores, free, use_threads
from gan_aug.runtime.launched import COMMAND


class FakeRun:
    def __init__(self, threads: int | None = None) -> None:
        self.facts = SimpleNamespace(threads=threads)
        self.folder, self.recorded = Path("run"), {}

    def record(self, **facts: Any) -> None:
        self.recorded |= facts


@pytest.fixture(autouse=True)
def threads_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, of which three are idle."""
    monkeypatch.setattr(module, "cores", lambda: 8)
    monkeypatch.setattr(module, "_idle_cores", lambda: 2.9)
    for name in module.BOUNDS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "most"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "100"}, 8),
        ({"OMP_NUM_THREADS": "0"}, 8),
        ({"OMP_NUM_THREADS": "many"}, 8),
        ({"SLURM_CPUS_PER_TASK": "3", "OMP_NUM_THREADS": "5"}, 3),
    ],
)
def test_what_is_given_bounds_it(
    eight: None, environment: dict[str, str], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert allowed() == most


@pytest.mark.parametrize(
    ("idle", "most", "number"),
    [(7.9, 8, 8), (2.9, 8, 3), (2.5, 8, 2), (0.1, 8, 1), (-3.0, 8, 1), (8.0, 4, 4), (8.0, 1, 1)],
)
def test_as_many_as_find_a_core(
    monkeypatch: pytest.MonkeyPatch, idle: float, most: int, number: int
) -> None:
    monkeypatch.setattr(module, "_idle_cores", lambda: idle)
    assert free(most) == number


def test_idle_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its cores is idle, one half; what others' cores do says nothing."""
    shares = [SimpleNamespace(idle=idle, iowait=20.0) for idle in (80.0, 80.0, 30.0)]
    monkeypatch.setattr(module.psutil, "cpu_times_percent", lambda **asked: shares)
    monkeypatch.setattr(module, "_own_cores", lambda: [0, 2])
    assert module._idle_cores() == 1.5


def test_this_machine_counts_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    own = module._own_cores()
    assert 1 <= cores() <= len(own)
    assert 0 <= module._idle_cores() <= len(own)
    monkeypatch.delattr(module.psutil.Process, "cpu_affinity", raising=False)  # as on macOS
    assert len(module._own_cores()) >= len(own)


@pytest.mark.parametrize(
    ("cgroup", "files", "limit"),
    [
        ("0::/user/job", {"user/job/cpu.max": "max 100000", "user/cpu.max": "250000 100000"}, 2.5),
        ("0::/", {"cpu.max": "50000 100000"}, 1.0),
        ("0::/", {}, float("inf")),
        (
            "4:memory:/x\n1:cpu,cpuacct:/job",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
        ("0::/", {"cpu.max": "nonsense"}, float("inf")),
    ],
)
def test_limits_of_a_cgroup(
    tmp_path: Path, cgroup: str, files: dict[str, str], limit: float
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{cgroup}\n")
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert module._cgroup_limit(tmp_path) == limit


@pytest.mark.parametrize(
    ("before", "asked", "most", "taken", "warned"),
    [
        (None, "auto", None, 3, None),
        (None, 5, None, 5, None),
        (2, "auto", None, 2, None),
        (2, "auto", 1, 2, "keeps them, though only 1 may be used now; trainer.threads=1 "),
        (2, 1, None, 1, "goes on with 1: its weights will be those of neither; trainer.threads=2 "),
    ],
)
def test_how_many_are_taken_and_recorded(
    before: int | None,
    asked: int | str,
    most: int | None,
    taken: int,
    warned: str | None,
    eight: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As many as are free, or as were typed; a run that is gone on with keeps its number."""
    if most is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", str(most))
    run = FakeRun(threads=before)
    use_threads(run, asked)  # type: ignore[arg-type]
    assert (torch.get_num_threads(), run.recorded) == (taken, {"threads": taken})
    said = capsys.readouterr().err
    assert said == "" if warned is None else f"was begun with 2 threads and {warned}" in said


def test_a_job_takes_what_its_launcher_gave(eight: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look which cores are busy: with those that start beside it, all are."""
    monkeypatch.setenv(COMMAND, "python -m gan_aug.study -m")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(module, "_idle_cores", lambda: 0.0)
    use_threads(FakeRun(), "auto")  # type: ignore[arg-type]
    assert torch.get_num_threads() == 4


def test_the_environment_of_mkl_changes_nothing() -> None:
    """MKL_NUM_THREADS made torch compute with two threads while run.json said one."""
    code = """
import torch
from gan_aug.runtime.hardware import use_threads
class Run:
    class facts:
        threads = None
    def record(self, **facts):
        print(facts)
use_threads(Run())
print(torch.__config__.parallel_info())
"""
    env = os.environ | {"MKL_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("{'threads': 1}")
    counted = re.findall(r"(?:get_num|get_max)_threads\(\) : (\d+)", printed)
    assert len(counted) >= 2
    assert set(counted) == {"1"}


@pytest.mark.parametrize("value", ["0", "-1", "all", "1.5", "null", "true"])
def test_what_is_no_number_of_threads(value: str) -> None:
    typed = OmegaConf.from_dotlist([f"x={value}"]).x
    with pytest.raises(
        GanAugError, match="trainer.threads=.*a whole number from 1 to 1024, or auto"
    ):
        settings_of("train", trainer__threads=typed)
