"""What metrics of generated images are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Images = NDArray[np.uint8]
"""(N, C, H, W), 0 to 255."""
Predict = Callable[[Images], Tensor]
"""Images to float64 (N,) probabilities of pneumonia."""


@dataclass(frozen=True)
class Sample:
    """Images of one class, with what a feature extractor and the judge make of them.

    Args:
        images: uint8 (N, C, H, W).
        extract: images to features (N, F).
        judge: images to the probabilities of pneumonia.
    """

    images: Images
    extract: Callable[[Images], Tensor] = field(repr=False)
    judge: Predict = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def features(self) -> Tensor:
        """Float64 (N, F), computed once."""
        return self.extract(self.images).double()

    @cached_property
    def pneumonia(self) -> Tensor:
        """Float64 (N,): the judge's probabilities of pneumonia, computed once."""
        return self.judge(self.images)


@dataclass(frozen=True)
class Context:
    """What else a metric may need.

    Attributes:
        label: of the class in hand, a position in `gan_aug.data.image_table.CLASSES`.
        train: the images of the class that the GAN was fitted on.
        members: whose membership is asked about: `train`, or for the floor images that are in no
            one's training.
        other_train: real training images of the other class.
        other_real: real images of the other class that nothing was fitted on.
        fit: fits the classifier of the study on images by label; the same purpose gives the same
            initial weights and order, the same images then the same classifier.
        discriminator: images to logits (N,), None where there is only a set of images.
        seed: of random choices; fixed, so that two sets meet the same ones.
    """

    label: int
    train: Sample
    members: Sample
    other_train: Images
    other_real: Images
    fit: Callable[[Mapping[int, Images], str], Predict]
    discriminator: Callable[[Images], Tensor] | None
    seed: int

    @property
    def other(self) -> int:
        """The label of the other class."""
        return 1 - self.label

    def of_class(self, pneumonia: Tensor) -> Tensor:
        """Turn probabilities of pneumonia into probabilities of the class in hand."""
        return pneumonia if self.label == 1 else 1 - pneumonia


class Metric(Protocol):
    """Measures generated images of one class."""

    def __call__(self, real: Sample, fake: Sample, context: Context) -> dict[str, float]:
        """Return values by name.

        Args:
            real: real images that the GAN has not seen.
            fake: generated images; as many.
            context: what else there is.
        """
        ...
