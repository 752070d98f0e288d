"""What the study command does when its jobs are done: the table and the report."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.find import report_due
from gan_aug.runtime.record import Busy, wait_until_free
from gan_aug.runtime.run_record import read_record
from gan_aug.runtime.sweep_table import RememberSweep, print_table


@dataclass
class _Study:
    """The study that a command belongs to.

    `with_others` are draws that other processes were running when their turn came here.
    """

    folder: Path
    only_planned: bool
    with_others: list[Path] = field(default_factory=list)


_running: _Study | None = None
"""That of the command that runs now; a process may run several, one after another."""


class RememberStudy(RememberSweep):
    """A Hydra callback that notes which study the command belongs to.

    Of one that is only planned no table and no report come at the end.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the study's folder."""
        global _running
        _running = _Study(Path(config.study_dir), bool(config.plan))
        if config.plan:
            with open_dict(config.hydra.run):
                config.hydra.run.dir = "."  # Hydra makes this folder

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the study's folder."""
        if not config.plan:
            super().on_multirun_start(config, **kwargs)
        self.on_run_start(config)


def leave_to_the_other(busy: Busy) -> None:
    """Go on with a multirun's other draws where another process runs this one.

    Raises:
        Busy: this is no multirun.
    """
    if HydraConfig.get().mode != RunMode.MULTIRUN or _running is None:
        raise busy
    print(f"{busy.folder}: another process is running this draw; going on with the others")
    _running.with_others.append(busy.folder)


def finish() -> Path | None:
    """Wait for draws that others run, print the table, and where the report is.

    It is written where there are new results.

    Returns:
        The study's folder; None where the settings were refused before it was known.

    Raises:
        GanAugError: another process stopped before the end of its draw.
    """
    global _running
    study, _running = _running, None
    if study is None:
        print_table()
        return None
    if study.only_planned:
        return study.folder
    failed = sys.exception()
    stopped = isinstance(failed, KeyboardInterrupt | SystemExit)
    with_others = [] if stopped else study.with_others
    try:
        for folder in with_others:
            print(f"{folder}: waiting for the other process", flush=True)
            wait_until_free(folder)
    finally:  # also of a multirun that is stopped here
        print_table()
    if not stopped:
        with report_due(study.folder) as due:
            if due:
                from gan_aug.report.build import write_report

                try:
                    report = write_report(study.folder)
                    for said in report.of_external:  # jobs' own warnings are in their output
                        warn(said)
                    print(f"report      {report.page}")
                except GanAugError as error:
                    if failed is None:
                        raise
                    warn(f"no report: {error}")  # the command ends with what failed first
            elif (page := study.folder / "report.html").exists() and failed is None:
                print(f"report      {page}")
    for folder in with_others:
        record = read_record(folder)
        if record is None or not record.finished:
            raise GanAugError(f"{folder}: the other process did not finish it; repeat the command")
    return study.folder
