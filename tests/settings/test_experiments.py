"""How long the GANs of conf/experiment are trained follows from their images and batches."""

from __future__ import annotations

import numpy as np
import pytest
from support import BINARY, settings_of

from gan_aug.data.image_table import ImageTable
from gan_aug.data.settle import settle_training
from gan_aug.data.source import Source


def table(split: str, n: int) -> ImageTable:
    labels = np.repeat([0, 1], n).astype(np.int64)
    names = np.array([f"{split}{i}" for i in range(len(labels))])
    return ImageTable(np.zeros((2 * n, 1, 4, 4), np.uint8), labels, names, names, names, BINARY)


@pytest.mark.parametrize(
    ("model", "epochs", "every"),
    [
        *[("dcgan", 930, 103), ("gan", 1375, 153), ("wgan_gp", 752, 84), ("fastgan", 320, 36)],
        *[("pggan", 275, 31), ("pix2pix", 234, 26), ("r3gan", 100, 11), ("cdcgan", 333, 37)],
        *[("cyclegan", 43, 5), ("stargan", 114, 13)],
    ],
)
def test_the_length_of_a_training(model: str, epochs: int, every: int) -> None:
    """What was measured in README.md was trained for so long."""
    settings = settings_of("train", f"+experiment={model}_pneumonia")
    settled, _ = settle_training(settings, Source(table("train", 900), table("test", 200)))
    assert settled.trainer.max_epochs == epochs
    assert settled.quality.every_n_epochs == every
