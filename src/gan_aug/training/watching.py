"""What is seen of a GAN while it trains: samples beside real images, and curves of quality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.nn import functional as F
from torchvision.utils import make_grid, save_image

from gan_aug.data.image_table import Images, ImageTable
from gan_aug.data.origin import Origin
from gan_aug.data.splits import Splits
from gan_aug.evaluation.evaluator import Evaluator, directions_of
from gan_aug.metrics.memorisation import OF_SOURCES
from gan_aug.models.gans.base import GAN
from gan_aug.models.synthesis import images_by_class, images_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import replace_file
from gan_aug.settings.quality import QualitySettings

GRID_SIDE = 6
"""Images along each side of a sample grid; of several classes each has the same share of it."""


class _Watching(Callback, ABC):
    """Looks at a GAN, fitted on `origin`, every n epochs and after the last one.

    Its training does not change: no global random number is drawn, and what was in training mode is
    so again.
    """

    def __init__(self, every_n_epochs: int, origin: Origin) -> None:
        self.every_n_epochs = every_n_epochs
        self._origin = origin

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs:
            assert isinstance(pl_module, GAN)
            training = [module for module in pl_module.modules() if module.training]
            self.look(trainer, pl_module)
            for module in training:
                module.training = True

    @abstractmethod
    def look(self, trainer: Trainer, gan: GAN) -> None:
        """Look at the GAN as it is now; it may leave training mode."""


class SampleGrids(_Watching):
    """Writes real images beside generated ones, to samples/ and TensorBoard.

    The latents are fixed. Beside translations are the images that they were made from, place by
    place; beside others real images of their class. Classes follow each other from top to bottom.
    """

    def __init__(self, every_n_epochs: int, train: ImageTable, origin: Origin) -> None:
        super().__init__(every_n_epochs, origin)
        self._train = train

    def look(self, trainer: Trainer, gan: GAN) -> None:
        """Write both grids side by side."""
        classes = list(self._origin.makes)
        count = GRID_SIDE * max(1, GRID_SIDE // len(classes))
        columns: tuple[list[Images], list[Images]] = ([], [])
        for name in classes:
            made = images_of(gan, self._origin, name, count, 0, self._train)
            real = made.sources_in(self._train)
            columns[0].append(self._train.of_class(name).images[:count] if real is None else real)
            columns[1].append(made.images)
        left, right = (
            make_grid(torch.tensor(np.concatenate(images)) / 255, nrow=GRID_SIDE, padding=1)
            for images in columns
        )
        height = max(left.shape[1], right.shape[1])
        left, right = (F.pad(grid, (0, 0, 0, height - grid.shape[1])) for grid in (left, right))
        sheet = torch.cat([left, torch.ones(len(left), height, 8), right], dim=2)
        name = f"epoch_{trainer.current_epoch + 1:05d}.png"
        path = Path(trainer.default_root_dir) / "samples" / name
        replace_file(path, lambda temporary: save_image(sheet, temporary, format="png"))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                title = "samples/left real, right generated"
                logger.experiment.add_image(title, sheet, gan.batches_done)


def check_select(select: str, quality: QualitySettings, key: str) -> float:
    """Return 1 where lower is better for what is to choose a checkpoint, -1 where higher is.

    Raises:
        GanAugError: no metric in use has such a value; `key` is the setting that names it.
    """
    good = directions_of(quality)
    # What a translation changed of its source is not measured here.
    able = [name for name, d in good.items() if d != "baseline" and name not in OF_SOURCES]
    if select not in able:
        raise GanAugError(f"{key}={select}: choose one of {', '.join(able)}, or null")
    return -1.0 if good[select] == "higher" else 1.0


class QualityCurves(_Watching):
    """Measures a GAN's images against the validation images of their class.

    Validation, because these numbers may choose a checkpoint; as many images are generated as it
    has. The reference classifier's half of the training folder may hold validation images, so the
    numbers are for comparing checkpoints; `gan_aug.evaluate` gives those to publish.

    Raises:
        GanAugError: `quality.select` names no value that can choose.
    """

    def __init__(
        self, every_n_epochs: int, quality: QualitySettings, splits: Splits, origin: Origin
    ) -> None:
        super().__init__(every_n_epochs, origin)
        self._select, self._seed, self._splits = quality.select, quality.seed, splits
        self._sign = 1.0
        if self._select is not None:
            self._sign = check_select(self._select, quality, "quality.select")
        self._evaluator = Evaluator(quality, splits)

    def look(self, trainer: Trainer, gan: GAN) -> None:
        """Measure."""
        evaluator, label = self._evaluator, self._evaluator.extractor.label
        validation, train = self._splits.validation, self._splits.train
        counts = validation.counts()
        generated = images_by_class(gan, self._origin, max(counts.values()), self._seed, train)
        scores = []
        for name, made in generated.items():
            values, _ = evaluator.measure(
                evaluator.sample(validation.of_class(name).images),
                evaluator.sample(made.images[: counts[name]]),
                evaluator.context(name, validation, None),
            )
            gan.log_now({f"quality {label}/{k} {name}": v for k, v in values.items()})
            if self._select is not None:
                scores.append(self._sign * values[self._select])
        if scores:
            gan.score = sum(scores) / len(scores)
