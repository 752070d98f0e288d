"""The one LightningDataModule: what a fit trains on, validates on and is measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gan_aug.data.batches import (
    Batches,
    EvaluationBatches,
    Even,
    Pairs,
    Plan,
    Pool,
    per_epoch,
    shuffled,
)
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.runtime.errors import GanAugError

CHOOSING = frozenset({"validation", "development"})
"""Splits that may choose something; all others are tests, read once per fit, at its end."""


class DataModule(LightningDataModule):
    """Serves one fit, of a GAN or of a classifier.

    Of a draw an epoch goes through its *real* images once: more images never mean more steps.
    Without `validation` the fit is not validated. `measured_on` names the splits that the finished
    fit is measured on; `evaluation` gives their images.
    """

    def __init__(
        self,
        pool: Pool,
        plan: Plan,
        per_epoch: int,
        validation: ImageTable | None = None,
        measured: Mapping[str, ImageTable] | None = None,
    ) -> None:
        super().__init__()
        self.pool, self.per_epoch = pool, per_epoch
        self._plan, self._validation, self._measured = plan, validation, measured or {}
        self.measured_on = tuple(self._measured)
        self._read: set[str] = set()
        self._fitted = False
        self._batches: Batches | None = None

    @property
    def shown(self) -> Tensor:
        """How often each image of the pool was trained on, int64 (N,), since the fit began."""
        if self._batches is None:
            return torch.zeros(len(self.pool), dtype=torch.int64)
        return self._batches.shown

    def train_dataloader(self) -> Batches:
        """Return the endless stream of training batches, on the training device."""
        trainer = self.trainer
        assert trainer is not None
        self._batches = Batches(
            self.pool.on(trainer.strategy.root_device),
            self._plan,
            self.per_epoch,
            lambda: int(trainer.lightning_module.batches_done),  # type: ignore[arg-type]
        )
        return self._batches

    def val_dataloader(self) -> EvaluationBatches | list[EvaluationBatches]:
        """Return the validation images; an empty list where the fit is not validated."""
        return [] if self._validation is None else EvaluationBatches(self._validation)

    def teardown(self, stage: str) -> None:
        """Note that the fit has ended: from now on it may be measured."""
        self._fitted |= stage == "fit"

    def evaluation(self, split: str) -> EvaluationBatches:
        """Return the images of a split that the fit is measured on.

        Raises:
            RuntimeError: it is a test, read before or before the fit ended (measurement rule 5).
        """
        if split not in CHOOSING:
            if split in self._read or not self._fitted:
                raise RuntimeError(f"the {split} images are read once, at the end of the fit")
            self._read.add(split)
        return EvaluationBatches(self._measured[split])


@dataclass(frozen=True)
class Serving:
    """Which real images training batches hold.

    Attributes:
        classes: those to train on; None: all.
        balanced: as many images of each class in every batch, see `Even`.
        paired: of two classes the same number in every batch, see `Pairs`.
    """

    classes: Sequence[str] | None = None
    balanced: bool = False
    paired: bool = False

    def real(self, train: ImageTable) -> ImageTable:
        """Return the real images to fit a model on; raise GanAugError if a class has none."""
        for name in self.classes or ():
            if not train.counts()[name]:
                raise GanAugError(f"data.subset.{name}: no {name} training images to train on")
        return train if self.classes is None else train.of_classes(self.classes)

    def plan(self, pool: Pool, table: ImageTable, batch_size: int, seed: int) -> Plan:
        """Return how a pool's images, of the classes of `table`, are mixed.

        Raises:
            GanAugError: a balanced batch has no room for each class.
        """
        names = self.classes or list(table.classes)
        if self.balanced and batch_size < len(names):
            raise GanAugError(
                f"data.batch_size={batch_size}: as many images of each of {len(names)} classes in "
                f"every batch are {len(names)} or more"
            )
        if not (self.balanced or self.paired):
            return shuffled(len(pool), batch_size, seed)
        labels = [table.classes.label(name) for name in names]
        groups = [torch.nonzero(pool.labels == label).flatten() for label in labels]
        return (Pairs if self.paired else Even)(groups, batch_size, seed)


def draw_data(
    prepared: Prepared, batch_size: int, seed: int, serving: Serving | None = None
) -> DataModule:
    """Serve a draw: real images, a synthetic set that joins them, validation and tests.

    Raises:
        GanAugError: a class to train on has no images.
    """
    serving, splits, synthetic = serving or Serving(), prepared.splits, prepared.synthetic
    real = serving.real(splits.train)
    images, labels = [real.images], [real.labels]
    for label, made in enumerate(synthetic.by_class.values() if synthetic is not None else ()):
        images.append(made.images)
        labels.append(np.full(len(made), label))
    pool = Pool(
        torch.from_numpy(np.concatenate(images)),
        torch.from_numpy(np.concatenate(labels)),
        len(real),
    )
    plan = serving.plan(pool, real, batch_size, seed)
    measured = {"validation": splits.validation, "test": splits.test, **splits.external}
    return DataModule(pool, plan, per_epoch(len(real), batch_size), splits.validation, measured)
