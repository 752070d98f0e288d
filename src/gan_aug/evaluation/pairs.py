"""The generated images that come closest to a training image, as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gan_aug.metrics.memorisation import closest_pairs
from gan_aug.metrics.sample import Sample
from gan_aug.pages.figure import new_figure

COLUMNS = 10


def pairs_figure(generated: Sample, unseen: Sample, train: Sample, space: str) -> Figure:
    """Draw the closest pairs: generated images over unseen real ones, each with its neighbour.

    Args:
        generated: generated images.
        unseen: real images that the GAN has not seen; as many.
        train: the GAN's training images.
        space: `pixel` or `feature`.
    """
    figure = new_figure(figsize=(11.5, 5.6), layout="constrained", dpi=120)
    axes = figure.subplots(4, COLUMNS, squeeze=False)
    unit = "RMS difference of pixels, 0 to 255" if space == "pixel" else "distance of features"
    figure.suptitle(
        f"The {COLUMNS} of {len(generated)} generated images nearest to a training image, and the "
        f"same for {len(unseen)} unseen real ones ({unit})",
        fontsize=10,
    )
    blocks = (("generated", generated), ("unseen real", unseen))
    for block, (title, sample) in enumerate(blocks):
        rows, neighbours, distance = closest_pairs(sample, train, space, COLUMNS)
        for column in range(COLUMNS):
            upper, lower = axes[2 * block, column], axes[2 * block + 1, column]
            if column < len(rows):
                _show(upper, sample.images[rows[column]])
                _show(lower, train.images[neighbours[column]])
                upper.set_title(f"{distance[column]:.3g}", fontsize=8)
            for axis in (upper, lower):
                axis.set_xticks([])
                axis.set_yticks([])
        axes[2 * block, 0].set_ylabel(title, fontsize=9)
        axes[2 * block + 1, 0].set_ylabel("nearest\ntraining", fontsize=9)
    return figure


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    picture = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
