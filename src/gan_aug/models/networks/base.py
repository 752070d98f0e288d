"""What a classifier's network is, whatever it is made of."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn


class ImageClassifier(nn.Module):
    """Images to logits; studies, evaluation and `gan_aug.explain` ask for no more."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, K)."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to what the last linear layer is given (B, F)."""
