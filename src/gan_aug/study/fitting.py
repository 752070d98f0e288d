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

from gan_aug.data.datamodule import EvaluationBatches
from gan_aug.data.image_table import ImageTable
from gan_aug.metrics.classification import choose_threshold
from gan_aug.metrics.classification import measure as measure_split
from gan_aug.models.classifier import Classifier
from gan_aug.models.inference import as_loader, probabilities, weights_hash
from gan_aug.models.trainer import make_trainer
from gan_aug.report.draw_result import Measured, Used
from gan_aug.run.errors import GanAugError
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.draw import ArmSettings
from gan_aug.study.batches import AddedImages, ArmBatches
from gan_aug.training.callbacks import ReportProgress


@dataclass(frozen=True)
class Fit:
    """A fitted classifier.

    Attributes:
        module: the classifier, in evaluation mode on the CPU.
        steps: optimizer steps it took.
        seconds: wall time of the fit.
        initial_weights: hash of the weights it started from.
        curve: at each validation: step, train_loss, val_loss, val_auroc.
        used: `ArmBatches.used` after the last step.
    """

    module: Classifier
    steps: int
    seconds: float
    initial_weights: str
    curve: list[dict[str, float]]
    used: Used


class _Curve(Callback):
    """Keeps the scalars of each validation."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        latest = pl_module.latest
        names = {"train/loss": "train_loss", "val/loss": "val_loss", "val/auroc": "val_auroc"}
        point = {new: latest[old] for old, new in names.items()}
        self.points.append({"step": pl_module.batches_done} | point)


def fit_arm(
    cfg: DictConfig,
    arm: ArmSettings,
    train: ImageTable,
    validation: ImageTable,
    added: AddedImages,
    repeat: int | str,
) -> Fit:
    """Fit the classifier for `study.steps` steps.

    The initial weights depend on seed, draw and repeat alone, so all arms share them; so does the
    order of batches, where two arms have the same images.

    Args:
        cfg: the study's configuration.
        arm: the arm's settings.
        train: real training images.
        validation: for the learning curve; decides nothing here.
        added: what the arm adds.
        repeat: which of the arm's fits.

    Raises:
        GanAugError: training diverged, or the arm's images cannot be mixed as it says.
    """
    started = time.monotonic()
    study = cfg.study
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
        study.steps,
        stream_seed("order", *key, arm.stream),
        lambda: module.batches_done,
    )
    torch.manual_seed(stream_seed("noise", *key, arm.stream))
    curve = _Curve()
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
    seconds = round(time.monotonic() - started, 3)
    return Fit(module, module.batches_done, seconds, initial, curve.points, batches.used())


def measure(
    fit: Fit, tables: Mapping[str, ImageTable]
) -> tuple[float | None, dict[str, Measured], dict[str, NDArray[Any]]]:
    """Measure a fit on every split; where there is a threshold, validation chooses it.

    Args:
        fit: the fit.
        tables: split name to images; holds `validation`.

    Returns:
        The threshold; by split what `gan_aug.metrics.classification.measure` returns; and by split
        the probabilities, the labels, and the patients, numbered within the split: names may say
        who they are.
    """
    found = {name: probabilities(fit.module, table.images) for name, table in tables.items()}
    labels = {name: torch.from_numpy(table.labels) for name, table in tables.items()}
    classes = fit.module.classes
    threshold = choose_threshold(found["validation"], labels["validation"], classes)
    measured: dict[str, Measured] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for name, table in tables.items():
        measured[name] = measure_split(found[name], labels[name], classes, threshold)
        arrays[name] = found[name].numpy()
        arrays[f"{name}_labels"] = labels[name].numpy()
        arrays[f"{name}_patients"] = np.unique(table.patients, return_inverse=True)[1]
    return threshold, measured, arrays
