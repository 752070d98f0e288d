"""Writes what launchers and runs leave, in any state."""

from __future__ import annotations

import copy
import functools
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig
from support import ROOT, RUN

from gan_aug.runtime.lock import _place

HERE = platform.node()
LONG_AGO = 1_700_000_000.0


@functools.cache
def _multirun(command: str, *overrides: str) -> tuple[Any, DictConfig]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        return loader, loader.load_configuration(command, [*overrides], RunMode.MULTIRUN)


def multirun(command: str, *overrides: str) -> tuple[Any, DictConfig]:
    """Return Hydra's loader and the configuration of a multirun, composed once."""
    loader, config = _multirun(command, *overrides)
    return loader, copy.deepcopy(config)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_run(folder: Path, status: str = "finished", age: float = 0, **others: Any) -> Path:
    """Write a run.json, `age` seconds ago."""
    record = RUN | {"status": status, "config": {"study": {"folder": folder.name}}}
    path = write(folder / "run.json", record | others)
    at = time.time() - age
    os.utime(path, (at, at))
    return path


def work_in(folder: Path, place: str | None = None, age: float = 0) -> Path:
    """Write the lease of a living process: this one, or one elsewhere that touched it before."""
    own = psutil.Process()
    owner = {
        "token": "0" * 32, "host": HERE, "place": place or _place(), "pid": own.pid,
        "started": own.create_time(),
    }  # fmt: skip
    path = write(folder / ".lease", owner)
    at = time.time() - age
    os.utime(path, (at, at))
    return path


def submit(
    sweep: Path,
    *folders: str,
    submitted: float = LONG_AGO,
    launcher: str = "local",
    attended: bool = True,
) -> Path:
    """Write a jobs.json; returns its folder."""
    folder = sweep / ".jobs" / f"{submitted:.0f}"
    content = {
        "format": 1, "command": "study", "arguments": [], "hydra": [], "launcher": launcher,
        "submitted": submitted, "jobs": [
            {"number": i, "folder": name, "overrides": [f"draw={i}"]}
            for i, name in enumerate(folders)
        ],
    }  # fmt: skip
    write(folder / "jobs.json", content)
    if attended:
        work_in(folder)
    return folder


def write_progress(folder: Path, **others: Any) -> Path:
    content = {
        "format": 1, "stage": "GAN of pneumonia", "done": 400, "total": 1500, "unit": "batches",
        "images_per_second": 250.4, "seconds_left": 282.0, "stage_number": 1, "stages": 16,
        "host": HERE,
    }  # fmt: skip
    return write(folder / "progress.json", content | others)
