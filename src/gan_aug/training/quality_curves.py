"""Quality during training: curves, and the number that chooses the best checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig

from gan_aug.data.splits import Splits
from gan_aug.evaluation.evaluator import Evaluator, directions_of, of_class
from gan_aug.metrics.memorisation import OF_SOURCES
from gan_aug.models.gans.base import GAN
from gan_aug.models.synthesis import images_by_class
from gan_aug.run.errors import GanAugError


def check_select(select: str, quality: DictConfig, key: str) -> float:
    """Check that a value of the metrics in use can choose a checkpoint.

    Args:
        select: its name.
        quality: conf/quality.
        key: the setting that names it.

    Returns:
        1 where lower is better, -1 where higher is.

    Raises:
        GanAugError: it cannot.
    """
    good = directions_of(quality)
    # What a translation changed of its source is not measured here.
    able = [
        name
        for name, direction in good.items()
        if direction != "baseline" and name not in OF_SOURCES
    ]
    if select not in able:
        raise GanAugError(f"{key}={select}: choose one of {', '.join(able)}, or null")
    return -1.0 if good[select] == "higher" else 1.0


class QualityCurves(Callback):
    """Measures a GAN's images against the validation images of their class every n epochs.

    Validation, because these numbers may choose a checkpoint; as many images are generated as it
    has. What the training does is not changed: no global random number is drawn. The reference
    classifier's half of the training folder may hold validation images, so the numbers are for
    comparing checkpoints; `gan_aug.evaluate` gives those to publish.

    Args:
        quality: conf/quality, with `every_n_epochs` and `select`.
        splits: the draw.
        origin: what the GAN is fitted on.

    Raises:
        GanAugError: `select` names no value that can choose.
    """

    def __init__(self, quality: DictConfig, splits: Splits, origin: Mapping[str, Any]) -> None:
        self._every, self._select = quality.every_n_epochs, quality.select
        self._seed, self._origin, self._splits = quality.seed, origin, splits
        self._sign = 1.0
        if self._select is not None:
            self._sign = check_select(self._select, quality, "quality.select")
        self._evaluator = Evaluator(quality, splits)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure every n epochs and after the last one."""
        epoch = trainer.current_epoch + 1
        if epoch % self._every and epoch != trainer.max_epochs:
            return
        assert isinstance(pl_module, GAN)
        validation = self._splits.validation
        counts = validation.counts()
        training = [module for module in pl_module.modules() if module.training]
        generated = images_by_class(
            pl_module, self._origin, max(counts.values()), self._seed, self._splits.train
        )
        for module in training:
            module.training = True
        scores = []
        for name, made in generated.items():
            values, _ = self._evaluator.measure(
                self._evaluator.sample(of_class(validation, name)),
                self._evaluator.sample(made.images[: counts[name]]),
                self._evaluator.context(name, validation, None),
            )
            label = self._evaluator.extractor.label
            pl_module.log_now({f"quality {label}/{k} {name}": v for k, v in values.items()})
            if self._select is not None:
                scores.append(self._sign * values[self._select])
        if scores:
            pl_module.score = sum(scores) / len(scores)
