"""Writes what launchers and runs leave, in any state."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = socket.gethostname()
LONG_AGO = "2026-01-01T00:00:00+00:00"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_run(folder: Path, status: str = "finished", age: float = 0, **others: Any) -> Path:
    """Write a run.json, `age` seconds ago."""
    record = {
        "status": status, "reason": None, "command": ["python", "-m", "gan_aug.study"],
        "overrides": [], "seconds": 60.0, "config": {"study": {"folder": folder.name}},
    }  # fmt: skip
    path = write(folder / "run.json", record | others)
    at = path.stat().st_mtime - age
    os.utime(path, (at, at))
    return path


def submit(
    sweep: Path,
    *folders: str,
    submitted: str = LONG_AGO,
    launcher: str = "local",
    pid: int = 1,
    host: str = HERE,
) -> Path:
    """Write a jobs.json; returns its folder."""
    folder = sweep / ".jobs" / f"{submitted[:10]}_{submitted[11:19].replace(':', '-')}_{host}_{pid}"
    content = {
        "command": "study", "arguments": [], "hydra": [], "launcher": launcher,
        "submitted": submitted, "jobs": [
            {"number": i, "folder": name, "overrides": [f"draw={i}"]}
            for i, name in enumerate(folders)
        ],
    }  # fmt: skip
    write(folder / "jobs.json", content)
    return folder


def write_attempt(folder: Path, number: int, state: str = "running", **others: Any) -> Path:
    content = {
        "state": state, "pid": os.getpid(), "host": HERE, "started": LONG_AGO, "ended": None,
        "exit": None, "reason": None, "slurm_job": None,
    }  # fmt: skip
    return write(folder / f"{number}.json", content | others)


def write_progress(folder: Path, **others: Any) -> Path:
    content = {
        "stage": "GAN of pneumonia", "done": 400, "total": 1500, "unit": "batches",
        "images_per_second": 250.4, "seconds_left": 282.0, "stage_number": 1, "stages": 16,
        "host": HERE, "updated": now(),
    }  # fmt: skip
    return write(folder / "progress.json", content | others)


def a_dead_pid() -> int:
    """A process that has been."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
