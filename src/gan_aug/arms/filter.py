"""Which generated images an arm takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gan_aug.arms.base import AddedFrom, Draw
from gan_aug.data.image_table import ClassImages, ImageTable
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Settings
from gan_aug.settings.values import From0, Positive, Share

if TYPE_CHECKING:
    from gan_aug.settings.arms import ArmSettings


class Filter(Settings):
    """What a generated image must be to be taken."""

    min_confidence: Share = Field(
        default=0, description="least probability of its class, by a classifier of real images"
    )
    min_distance: From0 = Field(
        default=0, description="least distance to real images, over their median nearest distance"
    )
    candidates: Positive = Field(
        default=4, description="GAN images to make for each one that is wanted"
    )

    @property
    def on(self) -> bool:
        """Whether it can leave an image out."""
        return bool(self.min_confidence or self.min_distance)

    def first(
        self,
        count: int,
        made: ClassImages,
        draw: Draw,
        name: str,
        title: str,
        what: str = "GAN images",
        remedy: str = "raise added.filter.candidates",
    ) -> ClassImages:
        """Return the first `count` images that pass; raise GanAugError where fewer do.

        `title` is the arm's; `what` they are and the `remedy` are for messages.
        """
        passed = np.ones(len(made), bool)
        if self.min_confidence:
            label = draw.splits.classes.label(name)
            passed &= draw.probabilities(made.images)[:, label] >= self.min_confidence
        if self.min_distance:
            passed &= far_enough(made, draw.splits.train, name, self.min_distance)
        if passed.sum() < count:
            raise GanAugError(
                f"arm {title!r}: only {passed.sum()} of {len(made)} {name} {what} pass the "
                f"filter, {count} are wanted; {remedy} or loosen it"
            )
        kept = np.flatnonzero(passed)[:count]
        sources = None if made.sources is None else [made.sources[i] for i in kept]
        return ClassImages(made.images[kept], sources)


class Filtered(AddedFrom):
    """Generated images, of which a filter may leave some out."""

    filter: Filter = Field(default=Filter(), description="which images are taken")

    def predicts(self, arm: ArmSettings) -> bool:
        """Whether its filter asks how sure a classifier is, or its labels are predicted."""
        return bool(self.filter.min_confidence) or super().predicts(arm)


def far_enough(
    made: ClassImages, train: ImageTable, name: str, min_distance: float
) -> NDArray[np.bool_]:
    """Tell which generated images are copies neither of training images nor of their own sources.

    `min_distance` is in medians of the distances between real images of the class and their
    nearest neighbours.

    Returns:
        (N,), True for an image at least so far from the nearest real one and from its source.
    """
    from gan_aug.metrics.memorisation import flat
    from gan_aug.metrics.precision_recall import distances

    images, real = flat(made.images), flat(train.of_class(name).images)
    between = distances(real, real).fill_diagonal_(np.inf)  # one image alone has no neighbour
    least = min_distance * np.median(between.min(dim=1).values.numpy())
    far = distances(images, real).min(dim=1).values >= least
    if (sources := made.sources_in(train)) is not None:
        far &= (images - flat(sources)).norm(dim=1) >= least
    passed: NDArray[np.bool_] = far.numpy()
    return passed
