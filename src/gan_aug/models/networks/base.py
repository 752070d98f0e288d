"""What a classifier's network is, whatever it is made of."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class ImageClassifier(nn.Module):
    """Images to logits; studies, evaluation and `gan_aug.explain` ask for no more."""

    # Read from the source too, before torch is loaded: gan_aug.settings.class_facts.
    MIN_SIZE: ClassVar[int] = 8
    POWER_OF_TWO: ClassVar[bool] = False
    """Sides of images that it takes: from `MIN_SIZE`, all of them or powers of two."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, K)."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to what the last linear layer is given (B, F)."""

    def after_step(self) -> None:
        """Do what is due after each step of the optimizer; here nothing."""
