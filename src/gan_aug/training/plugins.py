"""Callbacks and loggers of a fit, built from conf/callbacks and conf/logger."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gan_aug.data.origin import Origin
from gan_aug.run.record import Run
from gan_aug.settings.base import Node, building
from gan_aug.training.callbacks import Checkpoints, MetricsCSV
from gan_aug.training.tensorboard import FIRST, At, BoardLogger, layout, write_events


@dataclass(frozen=True)
class Fitting:
    """What an entry with `_partial_: true` gets to know: the open run, what the model is fitted on.

    And the batches `done` at the checkpoint that the fit goes on from, 0 at the first.
    """

    run: Run
    origin: Origin
    done: int


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
                built.append(made(fitting) if isinstance(made, partial) else made)
    return built


def checkpoints(fitting: Fitting, every_n_seconds: float) -> Checkpoints:
    """Return what saves the run's checkpoints."""
    run = fitting.run
    content = {"config": run.config, "origin": fitting.origin.model_dump()}
    return Checkpoints(run.folder / "checkpoints", every_n_seconds, content, on_save=run.record)


def tensorboard(fitting: Fitting) -> BoardLogger:
    """Return TensorBoard's logger, without what was logged beyond the last checkpoint."""
    charts = layout(fitting.run.config["model"]["kind"])
    write_events(fitting.run.folder / f"{FIRST}layout", [At(charts, 0, time.time())])
    return BoardLogger(fitting.run.folder, name="", version="", purge_step=fitting.done + 1)


def metrics_csv(fitting: Fitting) -> MetricsCSV:
    """Return the logger of metrics.csv, without the rows beyond the last checkpoint."""
    return MetricsCSV(fitting.run.folder / "metrics.csv", keep_until=fitting.done)
