"""Samples of a GAN while it trains, beside real images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid, save_image

from gan_aug.data.image_table import ImageTable
from gan_aug.evaluation.subject import source_images
from gan_aug.models.gans.base import GAN
from gan_aug.models.synthesis import images_of
from gan_aug.run.files import replace_file

GRID_SIDE = 6
"""Images along each side of a sample grid; of several classes each has the same share of it."""


class SampleGrids(Callback):
    """Writes real images beside generated ones, to samples/ and TensorBoard.

    The latents are fixed. Beside translations are the images that they were made from, place by
    place; beside others real images of their class. Classes follow each other from top to bottom.

    Args:
        every_n_epochs: how often.
        train: the draw's training images.
        origin: what the GAN is fitted on (`gan_aug.models.synthesis.origin_of`).
    """

    def __init__(self, every_n_epochs: int, train: ImageTable, origin: Mapping[str, Any]) -> None:
        self.every_n_epochs = every_n_epochs
        self._train, self._origin = train, origin

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a grid every n epochs and after the last one."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs and epoch != trainer.max_epochs:
            return
        assert isinstance(pl_module, GAN)
        sheet = self._sheet(pl_module)
        path = Path(trainer.default_root_dir) / "samples" / f"epoch_{epoch:05d}.png"
        replace_file(path, lambda temporary: save_image(sheet, temporary, format="png"))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                title = "samples/left real, right generated"
                logger.experiment.add_image(title, sheet, pl_module.batches_done)

    def _sheet(self, gan: GAN) -> Tensor:
        """Return both grids side by side: (3, H, W) in [0, 1]."""
        classes = list(self._origin["makes"])
        count = GRID_SIDE * max(1, GRID_SIDE // len(classes))
        training = [module for module in gan.modules() if module.training]
        pairs = [self._of_class(gan, name, count) for name in classes]
        for module in training:
            module.training = True
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
