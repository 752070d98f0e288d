"""What the study command does when its jobs are done: the table and the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig

from gan_aug.sweep import RememberSweep, print_table

_study_dir: Path | None = None


class RememberStudy(RememberSweep):
    """A Hydra callback that notes which study the command belongs to."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the study's folder."""
        global _study_dir
        _study_dir = Path(config.study_dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the study's folder."""
        super().on_multirun_start(config, **kwargs)
        self.on_run_start(config)


def finish() -> None:
    """Print the table of jobs and, where there are new results, write the report."""
    print_table()
    if _study_dir is None or isinstance(sys.exception(), KeyboardInterrupt):
        return
    results = list(_study_dir.rglob("metrics.json"))
    if not results:
        return
    report = _study_dir / "report.html"
    # Commands that end together write it one after the other, and the last one has all draws.
    with FileLock(_study_dir / ".report.lock"):
        latest = max(path.stat().st_mtime for path in results)
        if not report.exists() or report.stat().st_mtime < latest:
            from gan_aug.reporting import build

            print(f"report      {build(_study_dir)}")
