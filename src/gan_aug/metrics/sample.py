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
    """Uint8 images (N, C, H, W) of one class, their features and the classes' probabilities.

    `extract` maps images to features (N, F), the reference classifier to probabilities (N, K).
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
    """What else a metric may need."""

    classes: Classes
    label: int
    """Of the class in hand."""
    train: Sample
    """The images of the class that the GAN was fitted on."""
    members: Sample
    """Whose membership is asked about: `train`, or for the baseline images of no training."""
    other_train: Mapping[int, Images]
    """Real training images of the other classes, by label."""
    other_real: Mapping[int, Images]
    """Real images of the other classes that nothing was fitted on, by label."""
    fit: Callable[[Mapping[int, Images], str], Predict]
    """Fits the study's classifier on images by label; the purpose fixes weights and order."""
    discriminator: Callable[[Images], Tensor] | None
    """Images to logits (N,), None where there is only a set of images."""
    seed: int
    """Of random choices; fixed, so that two sets meet the same ones."""
    sources: Sample | None = None
    """What the generated ones were translated from, one for each; None: made from nothing."""

    def share_of_class(self, probabilities: Tensor) -> float:
        """Return the share of (N, K) probabilities whose largest is that of the class in hand."""
        return (probabilities.argmax(dim=1) == self.label).double().mean().item()


class Metric(Protocol):
    """Measures generated images of one class; further arguments are set in conf/metric."""

    def __call__(self, real: Sample, fake: Sample, context: Context) -> dict[str, float]:
        """Return values by name, of as many generated as real images that the GAN has not seen."""
        ...
