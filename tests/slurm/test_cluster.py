"""The cluster that other tests trust ends as it should; test_launcher.py shows that it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from slurm import cluster as module
from slurm.cluster import unavailable, wait_until


def left(pids: set[int]) -> list[int]:
    """Return which of these processes run; one that has died stays listed until somebody asks."""
    alive = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                alive.append(pid)
    return alive


def test_skips_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "PROGRAMS", ("sh",))
        patch.setattr(os, "geteuid", lambda: 1000)
        assert unavailable() == "a Slurm of its own needs root"
    monkeypatch.setattr(module, "PROGRAMS", ("sh", "no-such-program"))
    assert "no-such-program missing" in str(unavailable())


@pytest.mark.slow
def test_nothing_outlives_killed_tests(tmp_path: Path) -> None:
    if why := unavailable():
        pytest.skip(why)
    code = (
        "import sys; from pathlib import Path; from slurm.cluster import SlurmCluster\n"
        "with SlurmCluster() as own:\n"
        "    Path(sys.argv[1]).write_text(' '.join(map(str, [own.folder, *own.pids()])))\n"
        "    sys.stdin.read()\n"
    )
    noted = tmp_path / "noted"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(noted)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[1])},
    ) as tests:
        assert wait_until(lambda: noted.exists() and noted.read_text() != "")
        tests.send_signal(signal.SIGKILL)
    folder, *pids = noted.read_text().split()
    assert len(pids) > 10
    assert wait_until(lambda: not left(set(map(int, pids))))
    subprocess.run(["rm", "-r", folder], check=True)
