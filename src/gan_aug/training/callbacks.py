"""Checkpoints and metrics.csv, which a resumed run goes on with, and progress for people."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers.logger import Logger
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gan_aug.jobs.curve import rows_of
from gan_aug.models.gans.base import total_batches
from gan_aug.models.resumable import ResumableModule
from gan_aug.runtime.errors import Diverged
from gan_aug.runtime.files import keep_again, replace_file, write_text
from gan_aug.runtime.lock import check_held
from gan_aug.runtime.progress import update
from gan_aug.runtime.terminal import console, csv_of

PLAIN_SECONDS = 30
"""How often progress is printed as a line where there is no terminal (a Slurm log)."""


class MetricsCSV(Logger):
    """Appends `batch,name,value` rows.

    Lightning's CSVLogger deletes the file of an earlier attempt and keeps all rows in memory. Here
    rows of batches after `keep_until` are dropped on start: a resumed run writes them again.

    Attributes:
        rows: how many the file has.
    """

    name, version = "metrics", ""  # there is one file a run

    def __init__(self, path: Path, keep_until: int) -> None:
        super().__init__()
        kept = [row for row in rows_of(path, own=True) if row[0] <= keep_until]
        self.rows, self._path = len(kept), path
        write_text(path, csv_of(("batch", "name", "value"), *kept))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Leave these to .hydra/config.yaml."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row for each scalar; a search reads them meanwhile.

        Raises:
            Lost: another process has taken the run over, and writes a file of its own.
        """
        check_held(self._path)
        self.rows += len(metrics)
        rows = ((step, name, float(value)) for name, value in metrics.items())
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_of(*rows))


def _resumable(module: LightningModule) -> ResumableModule:
    assert isinstance(module, ResumableModule)
    return module


class Checkpoints(Checkpoint):
    """Saves last.ckpt every so often, and best.ckpt when the module's `score` is a new best.

    A checkpoint holds all that the rest of the run depends on, random states included, and the
    origin, so that a model can be rebuilt from it alone. It is written under a temporary name and
    renamed, and never of a model that is not healthy: weights that are not finite, a generator that
    gives but one image. The last.ckpt before it is kept as previous.ckpt, in case the file is
    damaged on disk. Two saves of last.ckpt are `every_n_seconds` or more apart, but the end is
    always saved; `on_save` is called after each.
    """

    def __init__(
        self,
        folder: Path,
        every_n_seconds: float,
        origin: Mapping[str, object],
        on_save: Callable[[], None],
    ) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.every_n_seconds, self.origin, self.on_save = every_n_seconds, origin, on_save
        self.best_score: float | None = None
        self._saved_at = time.monotonic()
        self._to_restore: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return random states, the best score and whether early stopping has struck."""
        version, keys, *rest = np.random.get_state(legacy=True)
        return {
            "best_score": self.best_score,
            "should_stop": self._trainer.should_stop,
            "python": random.getstate(),
            "numpy": (version, np.asarray(keys).tolist(), *rest),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts: building the rest uses random numbers."""
        self.best_score = state_dict["best_score"]
        self._to_restore = state_dict

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember the trainer."""
        self._trainer = trainer

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the origin, and how many rows of metrics.csv there should be."""
        checkpoint["gan_aug"] = self.origin
        logs = [logger for logger in trainer.loggers if isinstance(logger, MetricsCSV)]
        checkpoint["metrics_rows"] = sum(log.rows for log in logs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the random states of a resumed run."""
        state, self._to_restore = self._to_restore, None
        if state is None:
            return
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        if state["cuda"]:
            torch.cuda.set_rng_state_all(state["cuda"])
        trainer.should_stop = state["should_stop"]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save mid-epoch when it is time; the last batch is left to the epoch's end."""
        if not trainer.is_last_batch and self._is_due(_resumable(pl_module)):
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best and, when it is time, the last."""
        module = _resumable(pl_module)
        score, module.score = module.score, None
        best = math.inf if self.best_score is None else self.best_score
        if score is not None and math.isfinite(score) and score < best and module.healthy:
            self.best_score = score
            replace_file(self.best, trainer.save_checkpoint)
        if self._is_due(module):
            self._save_last(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of training.

        Raises:
            Diverged: its weights, or all of its validation losses, are not finite.
        """
        module = _resumable(pl_module)
        never_good = hasattr(module, "monitor") and self.best_score is None
        if never_good or not module.finite:
            raise Diverged(
                "training diverged: weights or loss are not finite at batch "
                f"{module.batches_done}; the last good checkpoint is kept; lower the learning rate"
            )
        self._save_last(trainer)

    def _is_due(self, module: ResumableModule) -> bool:
        waited = time.monotonic() - self._saved_at
        return waited >= self.every_n_seconds and module.healthy

    def _save_last(self, trainer: Trainer) -> None:
        check_held(self.last)  # before anything of the folder's is touched
        # A log that lagged behind the checkpoint would have a hole after a kill.
        for logger in trainer.loggers:
            logger.save()

        def save(temporary: Path) -> None:
            trainer.save_checkpoint(temporary)
            check_held(self.last)  # that took a while
            # Only now: until then the one before stays a file of its own, should last.ckpt be
            # damaged and this process be killed over saving.
            if self.last.exists():
                keep_again(self.last, self.last.with_name("previous.ckpt"))

        replace_file(self.last, save)
        self._saved_at = time.monotonic()
        self.on_save()


class ProgressBar(Callback):
    """One bar for the whole training with the latest losses and the time left.

    Without a terminal it prints a line now and then instead.
    """

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._printed_at = time.monotonic()
        self._bar = Progress(
            *Progress.get_default_columns(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._total = total_batches(trainer)
        self._task = self._bar.add_task("training", total=self._total, numbers="")
        self._bar.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Move on."""
        module = _resumable(pl_module)
        if self._console.is_terminal:
            numbers = _numbers(module.latest)
            self._bar.update(self._task, completed=module.batches_done, numbers=numbers)
        elif time.monotonic() - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = time.monotonic()
            epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            step = f"batch {module.batches_done}/{self._total}"
            self._console.print(f"{epoch}, {step}: {_numbers(module.latest)}", highlight=False)

    def on_train_end(self, *_: object) -> None:
        """Take the bar away."""
        self._bar.stop()

    on_exception = on_train_end  # type: ignore[assignment]


class ReportProgress(Callback):
    """Tells `gan_aug.runtime.progress` of every batch."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where training begins, in a resumed run after its checkpoint."""
        update(_resumable(pl_module).batches_done, total_batches(trainer))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Move on."""
        module = _resumable(pl_module)
        speed = module.latest.get("speed/images_per_second")
        update(module.batches_done, total_batches(trainer), speed)


def _numbers(latest: dict[str, float]) -> str:
    shown = ("loss/d", "loss/g", "train/loss", "val/loss", "val/accuracy")
    numbers = [f"{name}={latest[name]:.3f}" for name in shown if name in latest]
    if "speed/images_per_second" in latest:
        numbers.append(f"{latest['speed/images_per_second']:.0f} images/s")
    return " ".join(numbers)
