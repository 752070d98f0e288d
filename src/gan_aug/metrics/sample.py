"""What metrics of generated images are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import Images

Predict = Callable[[Images], Tensor]
"""Images to float64 probabilities (N, K) of the classes."""


@dataclass(frozen=True)
class Sample:
    """Images of one class, with what a feature extractor and the reference classifier make of them.

    Args:
        images: uint8 (N, C, H, W).
        extract: images to features (N, F).
        classifier: images to the probabilities (N, K) of the classes.
    """

    images: Images
    extract: Callable[[Images], Tensor] = field(repr=False)
    classifier: Predict = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.int64]) -> Sample:
        """Return some of the images, with the features that all have once these are computed."""
        features = self.features[rows]
        return Sample(self.images[rows], lambda _: features, self.classifier)

    @cached_property
    def features(self) -> Tensor:
        """Float64 (N, F), computed once."""
        return self.extract(self.images).double()

    @cached_property
    def probabilities(self) -> Tensor:
        """Float64 (N, K): the classifier's probabilities of the classes, computed once."""
        return self.classifier(self.images)


@dataclass(frozen=True)
class Context:
    """What else a metric may need.

    Attributes:
        classes: of the data set.
        label: of the class in hand.
        train: the images of the class that the GAN was fitted on.
        members: whose membership is asked about: `train`, or for the baseline images that are in no
            one's training.
        other_train: real training images of the other classes, by label.
        other_real: real images of the other classes that nothing was fitted on, by label.
        fit: fits the classifier of the study on images by label; the same purpose gives the same
            initial weights and order, the same images then the same classifier.
        discriminator: images to logits (N,), None where there is only a set of images.
        sources: the real images that the generated ones were translated from, one for each; None
            where they were made from nothing.
        seed: of random choices; fixed, so that two sets meet the same ones.
    """

    classes: Classes
    label: int
    train: Sample
    members: Sample
    other_train: Mapping[int, Images]
    other_real: Mapping[int, Images]
    fit: Callable[[Mapping[int, Images], str], Predict]
    discriminator: Callable[[Images], Tensor] | None
    seed: int
    sources: Sample | None = None

    def share_of_class(self, probabilities: Tensor) -> float:
        """Return the share of images whose most probable class is the one in hand.

        Args:
            probabilities: (N, K).
        """
        return (probabilities.argmax(dim=1) == self.label).double().mean().item()


class Metric(Protocol):
    """Measures generated images of one class; further arguments are set in conf/metric."""

    def __call__(self, real: Sample, fake: Sample, context: Context) -> dict[str, float]:
        """Return values by name.

        Args:
            real: real images that the GAN has not seen.
            fake: generated images; as many.
            context: what else there is.
        """
        ...
