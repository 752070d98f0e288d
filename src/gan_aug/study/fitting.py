"""One fit of the classifier in one arm, and what it measures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from hydra.utils import instantiate
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from gan_aug.data.datamodule import EvaluationBatches
from gan_aug.data.image_table import ImageTable
from gan_aug.metrics.classification import choose_threshold
from gan_aug.metrics.classification import measure as measure_split
from gan_aug.models.classifier import Classifier
from gan_aug.models.inference import as_loader, logits, weights_hash
from gan_aug.models.trainer import make_trainer
from gan_aug.report.draw_result import LAST, MeasuredFit, Used
from gan_aug.report.predictions import LOGITS, probabilities_of, to_keep
from gan_aug.run.errors import GanAugError
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.draw import ArmSettings
from gan_aug.settings.steps import steps_of
from gan_aug.study.batches import AddedImages, ArmBatches
from gan_aug.training.callbacks import ReportProgress


@dataclass(frozen=True)
class Fit:
    """A fitted classifier.

    Attributes:
        module: the classifier, in evaluation mode on the CPU.
        steps: optimizer steps it took.
        chosen: the step that its weights are of, where validation chose it; None: the last.
        last: where validation chose, the weights of the last step.
        seconds: wall time of the fit.
        initial_weights: hash of the weights it started from.
        curve: at each validation: step, train_loss, val_loss, val_auroc.
        used: `ArmBatches.used` after the last step.
    """

    module: Classifier
    steps: int
    chosen: int | None
    last: dict[str, Tensor] | None
    seconds: float
    initial_weights: str
    curve: list[dict[str, float]]
    used: Used


class _Curve(Callback):
    """Keeps the scalars of each validation, and the weights of the best one from a step on."""

    def __init__(self, first: int | None) -> None:
        self.points: list[dict[str, float]] = []
        self.best: dict[str, Tensor] | None = None
        self.chosen: int | None = None
        self._first, self._lowest = first, float("inf")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        latest = pl_module.latest
        names = {"train/loss": "train_loss", "val/loss": "val_loss", "val/auroc": "val_auroc"}
        point = {new: latest[old] for old, new in names.items()}
        step, loss = pl_module.batches_done, point["val_loss"]
        self.points.append({"step": step} | point)
        if self._first is not None and step > self._first and loss < self._lowest:
            self._lowest, self.chosen = loss, step
            self.best = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}


def fit_arm(
    cfg: DictConfig,
    arm: ArmSettings,
    train: ImageTable,
    validation: ImageTable,
    added: AddedImages,
    repeat: int | str,
) -> Fit:
    """Fit the classifier for `study.steps`.

    The initial weights depend on seed, draw and repeat alone, so all arms share them; so does the
    order of batches, where two arms have the same images.

    Args:
        cfg: the study's configuration.
        arm: the arm's settings.
        train: real training images.
        validation: for the learning curve, and to choose steps where the study has them chosen:
            the weights where the loss is lowest, after any pretraining.
        added: what the arm adds.
        repeat: which of the arm's fits.

    Raises:
        GanAugError: training diverged, or the arm's images cannot be mixed as it says.
    """
    started = time.monotonic()
    study, steps = cfg.study, steps_of(cfg.study)
    key = (cfg.seed, cfg.draw, repeat)
    pl.seed_everything(stream_seed("weights", *key), verbose=False)
    module: Classifier = instantiate(cfg.classifier.module, _convert_="all")
    initial = weights_hash(module)[:16]
    batches = ArmBatches(
        np.asarray(train.images),
        train.labels,
        added,
        arm,
        instantiate(arm.augment),
        instantiate(arm.added.augment),
        cfg.data.batch_size,
        steps.most,
        stream_seed("order", *key, arm.stream),
        lambda: module.batches_done,
    )
    torch.manual_seed(stream_seed("noise", *key, arm.stream))
    curve = _Curve(round(arm.pretrain * steps.most) if steps.chosen else None)
    trainer = make_trainer(
        cfg.trainer,
        max_epochs=1,
        log_every_n_steps=study.validate_every,
        val_check_interval=study.validate_every,
        logger=False,
        enable_checkpointing=False,
        callbacks=[curve, ReportProgress()],
    )
    trainer.fit(module, as_loader(batches), as_loader(EvaluationBatches(validation)))
    if not module.finite:
        raise GanAugError(
            f"arm {arm.title!r}: training diverged, weights are not finite; lower classifier.lr"
        )
    module.cpu().eval()
    last = None
    if curve.best is not None:
        last = {k: v.clone() for k, v in module.state_dict().items()}
        module.load_state_dict(curve.best)
    return Fit(
        module=module,
        steps=module.batches_done,
        chosen=curve.chosen,
        last=last,
        seconds=round(time.monotonic() - started, 3),
        initial_weights=initial,
        curve=curve.points,
        used=batches.used(),
    )


@dataclass(frozen=True)
class Outcome:
    """What a fit gives on every split.

    Attributes:
        measured: with its weights.
        last: with those of the last step, where validation chose others.
        arrays: by split and `LOGITS` the predictions, by split the labels, and the patients,
            numbered within the split: names may say who they are; by split, `LAST` and `LOGITS` the
            predictions of the last step.
    """

    measured: MeasuredFit
    last: MeasuredFit | None
    arrays: dict[str, NDArray[Any]]


def measure(fit: Fit, tables: Mapping[str, ImageTable]) -> Outcome:
    """Measure a fit on every split; where there is a threshold, validation chooses it.

    Args:
        fit: the fit.
        tables: split name to images; holds `validation`.

    Raises:
        GanAugError: what it predicts is not finite.
    """
    measured, arrays = _measure(fit.module, tables, LOGITS)
    for name, table in tables.items():
        arrays[f"{name}_labels"] = table.labels
        arrays[f"{name}_patients"] = np.unique(table.patients, return_inverse=True)[1]
    if fit.last is None:
        return Outcome(measured, None, arrays)
    chosen = {k: v.clone() for k, v in fit.module.state_dict().items()}
    fit.module.load_state_dict(fit.last)
    last, of_last = _measure(fit.module, tables, LAST + LOGITS)
    fit.module.load_state_dict(chosen)
    return Outcome(measured, last, arrays | of_last)


def _measure(
    module: Classifier, tables: Mapping[str, ImageTable], called: str
) -> tuple[MeasuredFit, dict[str, NDArray[Any]]]:
    kept = {name: to_keep(logits(module, table.images)) for name, table in tables.items()}
    if not all(np.isfinite(of).all() for of in kept.values()):
        raise GanAugError("training diverged, logits are not finite; lower classifier.lr")
    found = {name: torch.from_numpy(probabilities_of(of)) for name, of in kept.items()}
    labels = {name: torch.from_numpy(table.labels) for name, table in tables.items()}
    threshold = choose_threshold(found["validation"], labels["validation"], module.classes)
    measured = {
        name: measure_split(found[name], labels[name], module.classes, threshold) for name in found
    }
    return MeasuredFit(threshold, measured), {name + called: of for name, of in kept.items()}
