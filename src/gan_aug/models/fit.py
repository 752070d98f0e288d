"""The one fit: every GAN and every classifier is trained here, on a `DataModule`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer

from gan_aug.data.batches import to_float
from gan_aug.data.datamodule import DataModule
from gan_aug.models.classifier import Classifier, weights_hash
from gan_aug.models.learners.base import Learner
from gan_aug.models.resumable import ResumableModule
from gan_aug.runtime.errors import Diverged
from gan_aug.settings.base import Node, build_plain

_TRIED = 4
"""Images that a classifier's network is asked about first."""


def make_trainer(settings: Node, **own: Any) -> Trainer:
    """Build the trainer of conf/trainer, with what a fit adds; GanAugError: it describes none.

    It takes no notice of a cluster. Within a Slurm job Lightning would take over its signals and
    count its tasks; what goes on after a requeue is the run folder's (`gan_aug.runtime.record`).
    """
    plain = {k: v for k, v in settings.plain().items() if k != "threads"}  # the whole process's
    trainer: Trainer = build_plain(plain, "trainer", plugins=[LightningEnvironment()], **own)
    return trainer


def fit(
    module: ResumableModule, data: DataModule, settings: Node, start: Path | None = None, **own: Any
) -> None:
    """Train a GAN or a classifier, from a checkpoint on where there is one; see `make_trainer`.

    Raises:
        GanAugError: a classifier's network does not map such images to logits.
    """
    if isinstance(module, Classifier):
        module.try_on(to_float(data.pool.images[:_TRIED], torch.channels_last))  # as in batches
    trainer = make_trainer(settings, **own)
    trainer.fit(module, datamodule=data, ckpt_path=start, weights_only=True)


@dataclass(frozen=True)
class Fit:
    """A fitted classifier, in evaluation mode on the CPU, and what it took."""

    module: Classifier
    steps: int
    chosen: int | None
    """The step that its weights are of, where validation chose it; None: the last."""
    last: Classifier | None
    """Where validation chose, the classifier with the weights of the last step."""
    seconds: float
    initial_weights: str
    """Hash of the weights it started from."""
    curve: list[dict[str, float]]
    """At each validation: step, train_loss, val_loss, val_auroc."""


class _Curve(Callback):
    """Keeps the scalars of each validation, and the weights of the best one after a step."""

    def __init__(self, choose_after: int | None) -> None:
        self.points: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.chosen: int | None = None
        self._after, self._lowest = choose_after, float("inf")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        names = {"train/loss": "train_loss", "val/loss": "val_loss", "val/auroc": "val_auroc"}
        point = {new: pl_module.latest[old] for old, new in names.items()}
        step, loss = pl_module.batches_done, point["val_loss"]
        self.points.append({"step": step} | point)
        if self._after is not None and step > self._after and loss < self._lowest:
            self._lowest, self.chosen = loss, step
            state = pl_module.network.state_dict()
            self.best = {k: v.detach().clone() for k, v in state.items()}


def fit_classifier(
    node: Node,
    data: DataModule,
    settings: Node,
    seed: int,
    *,
    what: str,
    key: str,
    noise_seed: int | None = None,
    validate_every: int | None = None,
    choose_after: int | None = None,
    callbacks: Sequence[Callback] = (),
    learner: Callable[[], Learner] | None = None,
) -> Fit:
    """Fit a classifier for one epoch of its data, in memory: no run folder, no checkpoints.

    That epoch is the budget of optimizer steps. The fit is validated every `validate_every` steps,
    None: never; where `choose_after` is given, it takes the weights of the lowest validation loss
    after that step. `seed` is of the initial weights, `noise_seed` of random changes of images,
    None: what the weights leave. Errors name the fit `what`, and the classifier's setting `key`.
    `learner` makes what the classifier learns from unlabelled images with; it is not kept.

    Raises:
        Diverged: weights are not finite.
    """
    started = time.monotonic()
    pl.seed_everything(seed, verbose=False)
    module: Classifier = node.build(key)
    initial = weights_hash(module)[:16]
    if noise_seed is not None:
        torch.manual_seed(noise_seed)
    if learner is not None:
        module.learner = learner()
    curve = _Curve(choose_after)
    validation: Mapping[str, Any] = {"limit_val_batches": 0}
    if validate_every is not None:
        validation = {"val_check_interval": validate_every}
    fit(
        module,
        data,
        settings,
        max_epochs=1,
        log_every_n_steps=validate_every or data.per_epoch + 1,
        logger=False,
        enable_checkpointing=False,
        callbacks=[curve, *callbacks],
        **validation,
    )
    if not module.finite:
        raise Diverged(f"{what}: training diverged, weights are not finite; lower {key}.lr")
    module.learner = None
    module.cpu().eval()
    last = None
    if curve.best is not None:
        last = copy.deepcopy(module)
        module.network.load_state_dict(curve.best)
    seconds = round(time.monotonic() - started, 3)
    return Fit(module, module.batches_done, curve.chosen, last, seconds, initial, curve.points)
