"""One fit of the classifier in one arm, and what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_aug.arms.base import mixing_of
from gan_aug.data.batches import EvaluationBatches
from gan_aug.data.datamodule import DataModule
from gan_aug.data.image_table import ImageTable
from gan_aug.models.classifier import Classifier
from gan_aug.models.fit import Fit, Seeds, fit_classifier
from gan_aug.report.predictions import Predicted, to_keep
from gan_aug.run.errors import GanAugError
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.arms import ArmSettings
from gan_aug.settings.node import Node
from gan_aug.settings.study import SettledStudy
from gan_aug.study.batches import AddedImages, ArmPlan, pool_of
from gan_aug.training.callbacks import ReportProgress

FOR_ADDED_IMAGES: Final = "judge"
"""In place of a repeat: the fit on a draw's real images that is asked about added ones. It is a
purpose of seeds (`run/seeds.py`) and keeps its text: another would give it other weights."""


def arm_data(
    settings: SettledStudy,
    arm: ArmSettings,
    real: ImageTable,
    added: AddedImages,
    repeat: int | Literal["judge"],
    validation: ImageTable,
    measured: Mapping[str, ImageTable] | None = None,
) -> DataModule:
    """Serve one fit of an arm.

    The order of batches depends on seed, draw and repeat alone where two arms have the same images.

    Args:
        settings: of the study.
        arm: the arm's settings.
        real: its real images.
        added: what it adds.
        repeat: which of the arm's fits, or `FOR_ADDED_IMAGES`.
        validation: for the learning curve, and to choose steps where the study has them chosen.
        measured: splits that the fit is measured on.

    Raises:
        GanAugError: the arm's images cannot be mixed as it says.
    """
    steps = settings.study.steps.max
    pool = pool_of(real, added, arm, _built(arm.augment), _built(arm.added.augment))
    seed = stream_seed("order", settings.seed, settings.draw, repeat, arm.stream)
    plan = ArmPlan(arm, real, added, settings.data.batch_size, steps, seed)
    return DataModule(pool, plan, steps, validation, measured)


def _built(augment: Node | None) -> nn.Module | None:
    return None if augment is None else augment.build()


def fit_arm(
    settings: SettledStudy, arm: ArmSettings, data: DataModule, repeat: int | Literal["judge"]
) -> Fit:
    """Fit the classifier for `study.steps`.

    The initial weights depend on seed, draw and repeat alone, so all arms share them. Where the
    study has steps chosen, they are those of the lowest validation loss after any pretraining.

    Args:
        settings: of the study.
        arm: the arm's settings.
        data: from `arm_data`.
        repeat: which of the arm's fits, or `FOR_ADDED_IMAGES`.

    Raises:
        GanAugError: training diverged.
    """
    steps, key = settings.study.steps, (settings.seed, settings.draw, repeat)
    return fit_classifier(
        settings.classifier.module,
        data,
        settings.trainer,
        Seeds(stream_seed("weights", *key), stream_seed("noise", *key, arm.stream)),
        what=f"arm {arm.title!r}",
        key="classifier",
        validate_every=settings.study.validate_every,
        choose_after=mixing_of(arm).first_steps(steps.max) if steps.chosen else None,
        callbacks=[ReportProgress()],
    )


def predict(fit: Fit, data: DataModule) -> dict[str, Predicted]:
    """Return what a fit predicts of every split, each read once.

    Args:
        fit: the fit.
        data: what it was fitted on; `validation` is among the splits.

    Raises:
        GanAugError: what it predicts is not finite.
    """
    modules = [fit.module] if fit.last is None else [fit.module, fit.last]
    predicted = {}
    for split in data.measured_on:
        batches = data.evaluation(split)
        table, logits = batches.table, _logits(modules, batches)
        patients = np.unique(table.patients, return_inverse=True)[1]
        predicted[split] = Predicted(table.labels, patients, *logits)
    return predicted


@torch.no_grad()
def _logits(modules: Sequence[Classifier], batches: EvaluationBatches) -> list[NDArray[np.float32]]:
    parts: list[list[torch.Tensor]] = [[] for _ in modules]
    for batch in batches:
        for part, module in zip(parts, modules, strict=True):
            part.append(module.network(batch["image"]))
    kept = [to_keep(torch.cat(part)) for part in parts]
    if not all(np.isfinite(logits).all() for logits in kept):
        raise GanAugError("training diverged, logits are not finite; lower classifier.lr")
    return kept
