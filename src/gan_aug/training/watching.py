"""What is seen of a GAN while it trains: samples beside real images, and curves of quality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid, save_image

from gan_aug.data.image_table import ImageTable
from gan_aug.data.origin import Origin
from gan_aug.data.splits import Splits
from gan_aug.evaluation.evaluator import Evaluator, directions_of, of_class
from gan_aug.evaluation.subject import source_images
from gan_aug.metrics.memorisation import OF_SOURCES
from gan_aug.models.gans.base import GAN
from gan_aug.models.synthesis import images_by_class, images_of
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import replace_file
from gan_aug.settings.quality import QualitySettings

GRID_SIDE = 6
"""Images along each side of a sample grid; of several classes each has the same share of it."""


class _Watching(Callback):
    """Looks at a GAN every n epochs and after the last one; its training does not change.

    No global random number is drawn, and what was in training mode is so again.
    """

    def __init__(self, every_n_epochs: int, origin: Origin) -> None:
        self.every_n_epochs = every_n_epochs
        self._origin = origin

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs:
            assert isinstance(pl_module, GAN)
            self.look(trainer, pl_module)

    def look(self, trainer: Trainer, gan: GAN) -> None:
        """Look at the GAN as it is now."""
        raise NotImplementedError


@contextmanager
def _modes_kept(gan: GAN) -> Iterator[None]:
    training = [module for module in gan.modules() if module.training]
    yield
    for module in training:
        module.training = True


class SampleGrids(_Watching):
    """Writes real images beside generated ones, to samples/ and TensorBoard.

    The latents are fixed. Beside translations are the images that they were made from, place by
    place; beside others real images of their class. Classes follow each other from top to bottom.

    Args:
        every_n_epochs: how often.
        train: the draw's training images.
        origin: what the GAN is fitted on (`gan_aug.models.synthesis.origin_of`).
    """

    def __init__(self, every_n_epochs: int, train: ImageTable, origin: Origin) -> None:
        super().__init__(every_n_epochs, origin)
        self._train = train

    def look(self, trainer: Trainer, gan: GAN) -> None:
        """Write a grid."""
        sheet = self._sheet(gan)
        name = f"epoch_{trainer.current_epoch + 1:05d}.png"
        path = Path(trainer.default_root_dir) / "samples" / name
        replace_file(path, lambda temporary: save_image(sheet, temporary, format="png"))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                title = "samples/left real, right generated"
                logger.experiment.add_image(title, sheet, gan.batches_done)

    def _sheet(self, gan: GAN) -> Tensor:
        """Return both grids side by side: (3, H, W) in [0, 1]."""
        classes = list(self._origin.makes)
        count = GRID_SIDE * max(1, GRID_SIDE // len(classes))
        with _modes_kept(gan):
            pairs = [self._of_class(gan, name, count) for name in classes]
        grids = [
            make_grid(torch.cat(images), nrow=GRID_SIDE, padding=1)
            for images in zip(*pairs, strict=True)
        ]
        height = max(grid.shape[1] for grid in grids)
        gap = torch.ones(grids[0].shape[0], height, 8)
        padded = [torch.nn.functional.pad(g, (0, 0, 0, height - g.shape[1])) for g in grids]
        return torch.cat([padded[0], gap, padded[1]], dim=2)

    def _of_class(self, gan: GAN, name: str, count: int) -> tuple[Tensor, Tensor]:
        made = images_of(gan, self._origin, name, count, 0, self._train)
        real = source_images(made, self._train)
        if real is None:
            real = np.asarray(self._train.of_class(name).images[:count])
        return _unit(real), _unit(made.images)


def _unit(images: Any) -> Tensor:
    return torch.tensor(images).float() / 255


def check_select(select: str, quality: QualitySettings, key: str) -> float:
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
    able = [name for name, d in good.items() if d != "baseline" and name not in OF_SOURCES]
    if select not in able:
        raise GanAugError(f"{key}={select}: choose one of {', '.join(able)}, or null")
    return -1.0 if good[select] == "higher" else 1.0


class QualityCurves(_Watching):
    """Measures a GAN's images against the validation images of their class.

    Validation, because these numbers may choose a checkpoint; as many images are generated as it
    has. The reference classifier's half of the training folder may hold validation images, so the
    numbers are for comparing checkpoints; `gan_aug.evaluate` gives those to publish.

    Args:
        every_n_epochs: how often.
        quality: conf/quality, with `select`.
        splits: the draw.
        origin: what the GAN is fitted on.

    Raises:
        GanAugError: `select` names no value that can choose.
    """

    def __init__(
        self,
        every_n_epochs: int,
        quality: QualitySettings,
        splits: Splits,
        origin: Origin,
    ) -> None:
        super().__init__(every_n_epochs, origin)
        self._select, self._seed, self._splits = quality.select, quality.seed, splits
        self._sign = 1.0
        if self._select is not None:
            self._sign = check_select(self._select, quality, "quality.select")
        self._evaluator = Evaluator(quality, splits)

    def look(self, trainer: Trainer, gan: GAN) -> None:
        """Measure."""
        validation, train = self._splits.validation, self._splits.train
        counts = validation.counts()
        with _modes_kept(gan):
            generated = images_by_class(gan, self._origin, max(counts.values()), self._seed, train)
        scores = []
        for name, made in generated.items():
            values, _ = self._evaluator.measure(
                self._evaluator.sample(of_class(validation, name)),
                self._evaluator.sample(made.images[: counts[name]]),
                self._evaluator.context(name, validation, None),
            )
            label = self._evaluator.extractor.label
            gan.log_now({f"quality {label}/{k} {name}": v for k, v in values.items()})
            if self._select is not None:
                scores.append(self._sign * values[self._select])
        if scores:
            gan.score = sum(scores) / len(scores)
