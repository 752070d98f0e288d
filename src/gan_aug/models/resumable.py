"""What GANs and classifiers share: a batch counter that outlives a killed process, and logging."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule

Scalars = dict[str, float]


class ResumableModule(LightningModule):
    """A LightningModule that knows how many batches it has trained on.

    `batches_done` is saved with the weights. The data order and a GAN's place in its step ratio are
    functions of it, so a resumed run goes on exactly where its checkpoint was made.

    Attributes:
        latest: the latest value of every logged scalar.
        score: a new value of what chooses the best checkpoint, lower is better; None: no new one.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("batches_done", "latest")
    """Attributes that a checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.batches_done = 0
        self.latest: Scalars = {}
        self.score: float | None = None
        self._timer = (0, time.perf_counter())

    @property
    def logs_this_batch(self) -> bool:
        """Whether the batch just done is one of every `log_every_n_steps`."""
        return self.batches_done % int(self.trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]

    @property
    def finite(self) -> bool:
        """Whether no weight is infinite or not a number."""
        return all(bool(torch.isfinite(t).all()) for t in self.state_dict().values())

    @property
    def healthy(self) -> bool:
        """Whether the weights are worth keeping over those of the last checkpoint."""
        return self.finite

    def log_now(self, scalars: Scalars) -> None:
        """Send scalars to every logger under the number of batches done, and to the progress bar.

        Lightning's own `log` costs time in every step and counts a GAN's steps twice.
        """
        self.latest |= scalars
        for logger in self.loggers:
            logger.log_metrics(scalars, step=self.batches_done)

    def images_per_second(self, batch_size: int) -> float:
        """Return training images per second since the last call."""
        batches, now = self.batches_done, time.perf_counter()
        (batches_before, before), self._timer = self._timer, (batches, now)
        return (batches - batches_before) * batch_size / max(now - before, 1e-9)

    def on_train_start(self) -> None:
        """Start the clock behind `images_per_second`."""
        self._timer = (self.batches_done, time.perf_counter())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what `KEPT` names."""
        checkpoint |= {name: getattr(self, name) for name in self.KEPT}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore it."""
        for name in self.KEPT:
            setattr(self, name, checkpoint[name])
