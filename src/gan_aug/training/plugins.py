"""Callbacks and loggers of a fit, built from conf/callbacks and conf/logger."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gan_aug.data.origin import Origin
from gan_aug.runtime.record import Run
from gan_aug.settings.base import Node, building
from gan_aug.training.callbacks import Checkpoints, MetricsCSV
from gan_aug.training.tensorboard import (
    FIRST,
    At,
    BoardLogger,
    Setting,
    layout,
    settings_of,
    write_events,
)


@dataclass(frozen=True)
class Fitting:
    """What an entry with `_partial_: true` gets to know: the open run, what the model is fitted on.

    And the batches `done` at the checkpoint that the fit goes on from, 0 at the first. A logger is
    built for each fit of a study too, once that is done: it is of a `group`, and has no origin.
    """

    run: Run
    origin: Origin | None
    done: int
    folder: Path
    """Where a logger may write."""
    name: str
    """What a logger calls it."""
    tags: dict[str, str]
    """What loggers sort by."""
    settings: Mapping[str, Setting]
    """What loggers show of its settings."""
    group: str | None = None
    """The study that it is a fit of."""

    @classmethod
    def of_run(cls, run: Run, origin: Origin, done: int) -> Fitting:
        """Return what is known of a run of its own."""
        config = run.config
        shown = {"model": config["model"]["name"], "data": config["data"]["name"]}
        return cls(
            run,
            origin,
            done,
            run.folder,
            name=f"{config['name']}/{run.folder.resolve().name}",
            tags={key: str(value) for key, value in (shown | {"draw": config["draw"]}).items()},
            settings=settings_of(config, run.facts.overrides),
        )

    @property
    def identity(self) -> str:
        """What tells it from all others; the same when it is gone on with."""
        return f"{self.run.folder.resolve()} {self.run.facts.started} {self.name}"


def build_all(nodes: Mapping[str, Node | None], key: str, fitting: Fitting) -> list[Any]:
    """Build every entry of a group of the user's own configuration; null leaves one out.

    Raises:
        GanAugError: an entry cannot be built; the line names it.
    """
    built = []
    for name, node in nodes.items():
        if node is not None:
            made = node.build(f"{key}.{name}")
            with building(f"{key}.{name}"):
                one = made(fitting) if isinstance(made, partial) else made
            if one is not None:
                built.append(one)
    return built


def checkpoints(fitting: Fitting, every_n_seconds: float) -> Checkpoints:
    """Return what saves the run's checkpoints."""
    run = fitting.run
    assert fitting.origin is not None
    content = {"config": run.config, "origin": fitting.origin.model_dump()}
    return Checkpoints(run.folder / "checkpoints", every_n_seconds, content, on_save=run.record)


def tensorboard(fitting: Fitting) -> BoardLogger | None:
    """Return TensorBoard's logger, without what was logged beyond the last checkpoint.

    None for a fit of a study, whose events are written with its draw's (`study/logs.py`).
    """
    if fitting.group is not None:
        return None
    charts = layout(fitting.run.config["model"]["kind"])
    write_events(fitting.run.folder / f"{FIRST}layout", [At(charts, 0, time.time())])
    return BoardLogger(fitting.run.folder, name="", version="", purge_step=fitting.done + 1)


def metrics_csv(fitting: Fitting, of_fits: bool = False) -> MetricsCSV | None:
    """Return the logger of metrics.csv, without the rows beyond the last checkpoint.

    None for a fit of a study, unless `of_fits`: its curve is in fits/ anyway.
    """
    if fitting.group is not None and not of_fits:
        return None
    fitting.folder.mkdir(parents=True, exist_ok=True)
    return MetricsCSV(fitting.folder / "metrics.csv", keep_until=fitting.done)
