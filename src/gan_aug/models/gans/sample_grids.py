"""Samples of a GAN while it trains, beside real images."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torchvision.utils import make_grid, save_image

from gan_aug.models.resumable import ResumableModule
from gan_aug.run.files import replace_file

GRID_SIDE = 6
"""Images along each side of a sample grid."""


class SampleGrids(Callback):
    """Writes real images beside samples from fixed latents, to samples/ and TensorBoard.

    Args:
        every_n_epochs: how often.
    """

    def __init__(self, every_n_epochs: int) -> None:
        self.every_n_epochs = every_n_epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a grid every n epochs and after the last one."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs and epoch != trainer.max_epochs:
            return
        n = GRID_SIDE**2
        fakes = pl_module.synthesise(n, torch.Generator().manual_seed(0))  # type: ignore[operator]
        reals = torch.tensor(trainer.datamodule.real_table.images[:n])  # type: ignore[attr-defined]
        grids = [
            make_grid(images, nrow=GRID_SIDE, padding=1)
            for images in (reals.float() / 255, (fakes + 1) / 2)
        ]
        height = max(grid.shape[1] for grid in grids)
        gap = torch.ones(grids[0].shape[0], height, 8)
        padded = [torch.nn.functional.pad(g, (0, 0, 0, height - g.shape[1])) for g in grids]
        sheet = torch.cat([padded[0], gap, padded[1]], dim=2)
        path = Path(trainer.default_root_dir) / "samples" / f"epoch_{epoch:05d}.png"
        replace_file(path, lambda temporary: save_image(sheet, temporary, format="png"))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                assert isinstance(pl_module, ResumableModule)
                step = pl_module.batches_done
                logger.experiment.add_image("samples/left real, right generated", sheet, step)
