"""One fit of the classifier in one arm, and what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import nn

from gan_aug.arms.base import mixing_of
from gan_aug.data.datamodule import DataModule
from gan_aug.data.image_table import ImageTable
from gan_aug.metrics.classification import choose_threshold
from gan_aug.metrics.classification import measure as measure_split
from gan_aug.models.classifier import Classifier
from gan_aug.models.fit import Fit, Seeds, fit_classifier
from gan_aug.report.draw_result import LAST, MeasuredFit
from gan_aug.report.predictions import LOGITS, probabilities_of, to_keep
from gan_aug.run.errors import GanAugError
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.arms import ArmSettings
from gan_aug.settings.node import Node
from gan_aug.settings.steps import steps_of
from gan_aug.study.batches import AddedImages, ArmPlan, pool_of
from gan_aug.training.callbacks import ReportProgress


def arm_data(
    cfg: DictConfig,
    arm: ArmSettings,
    real: ImageTable,
    added: AddedImages,
    repeat: int | str,
    validation: ImageTable,
    measured: Mapping[str, ImageTable] | None = None,
) -> DataModule:
    """Serve one fit of an arm.

    The order of batches depends on seed, draw and repeat alone where two arms have the same images.

    Args:
        cfg: the study's configuration.
        arm: the arm's settings.
        real: its real images.
        added: what it adds.
        repeat: which of the arm's fits.
        validation: for the learning curve, and to choose steps where the study has them chosen.
        measured: splits that the fit is measured on.

    Raises:
        GanAugError: the arm's images cannot be mixed as it says.
    """
    steps = steps_of(cfg.study).most
    pool = pool_of(real, added, arm, _built(arm.augment), _built(arm.added.augment))
    seed = stream_seed("order", cfg.seed, cfg.draw, repeat, arm.stream)
    plan = ArmPlan(arm, real, added, cfg.data.batch_size, steps, seed)
    return DataModule(pool, plan, steps, validation, measured)


def _built(augment: Node | None) -> nn.Module | None:
    return None if augment is None else augment.build()


def fit_arm(cfg: DictConfig, arm: ArmSettings, data: DataModule, repeat: int | str) -> Fit:
    """Fit the classifier for `study.steps`.

    The initial weights depend on seed, draw and repeat alone, so all arms share them. Where the
    study has steps chosen, they are those of the lowest validation loss after any pretraining.

    Args:
        cfg: the study's configuration.
        arm: the arm's settings.
        data: from `arm_data`.
        repeat: which of the arm's fits.

    Raises:
        GanAugError: training diverged.
    """
    steps, key = steps_of(cfg.study), (cfg.seed, cfg.draw, repeat)
    return fit_classifier(
        cfg.classifier.module,
        data,
        cfg.trainer,
        Seeds(stream_seed("weights", *key), stream_seed("noise", *key, arm.stream)),
        what=f"arm {arm.title!r}",
        key="classifier",
        validate_every=cfg.study.validate_every,
        choose_after=mixing_of(arm).first_steps(steps.most) if steps.chosen else None,
        callbacks=[ReportProgress()],
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


def measure(fit: Fit, data: DataModule) -> Outcome:
    """Measure a fit on every split, each read once; validation chooses the threshold, if any.

    Args:
        fit: the fit.
        data: what it was fitted on; `validation` is among the splits.

    Raises:
        GanAugError: what it predicts is not finite.
    """
    modules = {"": fit.module} | ({LAST: fit.last} if fit.last is not None else {})
    arrays: dict[str, NDArray[Any]] = {}
    for split, table in data.measured.items():
        for which, kept in _predict(modules, data, split).items():
            arrays[split + which + LOGITS] = kept
        arrays[f"{split}_labels"] = table.labels
        arrays[f"{split}_patients"] = np.unique(table.patients, return_inverse=True)[1]
    found = [_measured(arrays, which, data.measured, fit.module) for which in modules]
    return Outcome(found[0], found[1] if len(found) == 2 else None, arrays)


@torch.no_grad()
def _predict(
    modules: Mapping[str, Classifier], data: DataModule, split: str
) -> dict[str, NDArray[np.float32]]:
    parts: dict[str, list[torch.Tensor]] = {which: [] for which in modules}
    for batch in data.evaluation(split):
        for which, module in modules.items():
            parts[which].append(module.network(batch["image"]))
    kept = {which: to_keep(torch.cat(logits)) for which, logits in parts.items()}
    if not all(np.isfinite(logits).all() for logits in kept.values()):
        raise GanAugError("training diverged, logits are not finite; lower classifier.lr")
    return kept


def _measured(
    arrays: Mapping[str, NDArray[Any]], which: str, splits: Mapping[str, Any], module: Classifier
) -> MeasuredFit:
    """Measure predictions that stand in `arrays`, of the weights that `which` names."""
    classes = module.classes
    found = {
        split: torch.from_numpy(probabilities_of(arrays[split + which + LOGITS]))
        for split in splits
    }
    labels = {split: torch.from_numpy(arrays[f"{split}_labels"]) for split in splits}
    threshold = choose_threshold(found["validation"], labels["validation"], classes)
    measured = {
        split: measure_split(found[split], labels[split], classes, threshold) for split in splits
    }
    return MeasuredFit(threshold, measured)
