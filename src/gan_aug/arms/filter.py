"""Which GAN images an arm takes: those that are of their class, and no copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gan_aug.arms.base import Draw
from gan_aug.data.image_table import Images, ImageTable
from gan_aug.data.synthetic import Generated
from gan_aug.run.errors import GanAugError
from gan_aug.settings.base import Settings
from gan_aug.settings.values import Positive


class Filter(Settings):
    """What a GAN image must be to be taken."""

    min_confidence: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="probability of its class, by a classifier of real images",
    )
    min_distance: float = Field(
        default=0,
        ge=0,
        description="to real images, over the median nearest distance between these",
    )
    candidates: Positive = Field(default=4, description="images generated for each one wanted")

    @property
    def on(self) -> bool:
        """Whether it can leave an image out."""
        return bool(self.min_confidence or self.min_distance)

    def first(self, count: int, made: Generated, draw: Draw, name: str, title: str) -> Generated:
        """Return the first `count` images that pass.

        Raises:
            GanAugError: fewer do.
        """
        passed = np.ones(len(made), bool)
        if self.min_confidence:
            label = draw.splits.classes.label(name)
            passed &= draw.probabilities(made.images)[:, label] >= self.min_confidence
        if self.min_distance:
            passed &= far_enough(made, draw.splits.train, name, self.min_distance)
        if passed.sum() < count:
            raise GanAugError(
                f"arm {title!r}: only {passed.sum()} of {len(made)} {name} GAN images pass the "
                f"filter, {count} are wanted; raise added.filter.candidates or loosen it"
            )
        kept = np.flatnonzero(passed)[:count]
        sources = None if made.sources is None else [made.sources[i] for i in kept]
        return Generated(made.images[kept], sources)


def far_enough(
    made: Generated, train: ImageTable, name: str, min_distance: float
) -> NDArray[np.bool_]:
    """Tell which generated images are copies neither of training images nor of their own sources.

    Args:
        made: images of a class.
        train: the draw's training images.
        name: the class.
        min_distance: from the nearest real image of the class, and from the source, in medians of
            the distances between real images of the class and their nearest neighbours.

    Returns:
        (N,), True for an image at least so far from each.
    """
    from gan_aug.evaluation.subject import source_images

    real = np.asarray(train.of_class(name).images)
    least = min_distance * np.median(nearest_distance(real, real, same=True))
    far = nearest_distance(made.images, real) >= least
    if (sources := source_images(made, train)) is not None:
        difference = made.images.astype(np.float64) - sources
        far &= np.sqrt(np.square(difference).mean(axis=(1, 2, 3))) >= least
    return far


def nearest_distance(images: Images, others: Images, same: bool = False) -> NDArray[np.float64]:
    """Return each image's root mean square distance to its nearest neighbour.

    Args:
        images: uint8 (N, C, H, W).
        others: uint8 (M, C, H, W).
        same: the two are the same images; an image is not its own neighbour.

    Returns:
        (N,) on the scale of the pixels, 0 to 255.
    """
    import torch

    from gan_aug.metrics.precision_recall import distances

    a, b = (torch.from_numpy(x.reshape(len(x), -1)).double() for x in (images, others))
    between = distances(a, b)
    if same:
        between.fill_diagonal_(torch.inf)
    nearest: NDArray[np.float64] = between.min(dim=1).values.numpy() / a.shape[1] ** 0.5
    return nearest
