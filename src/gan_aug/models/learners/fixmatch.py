"""FixMatch: what the network is sure of in an image, it must see in a strongly changed one too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.learners.base import Learned, Learner, together
from gan_aug.models.networks.base import ImageClassifier


class FixMatch(Learner):
    """Pseudo-labels and consistency (Sohn et al. 2020, arXiv:2001.07685, equations 3 and 4).

    The class that is predicted of a weakly changed unlabelled image, where its probability reaches
    `threshold`, is the label of the same image changed by `strong`. The loss of a batch is the
    cross-entropy of these, over all its unlabelled images, times `weight`. The arm's own random
    changes are the weak ones.
    """

    def __init__(
        self,
        batch_size: int,
        augment: nn.Module | None,
        strong: nn.Module | None,
        threshold: float,
        weight: float,
        image_size: int,
        channels: int,
    ) -> None:
        super().__init__(batch_size, augment)
        self.strong = nn.Identity() if strong is None else strong
        self.threshold, self.weight = threshold, weight

    def forward(self, network: ImageClassifier, images: Tensor, unlabelled: Tensor) -> Learned:
        """Return the labelled images' logits, and the loss of the unlabelled ones."""
        n = len(images)
        with torch.no_grad():
            weak = network(together([self.augment(unlabelled)]))
        logits = network(together([images, self.strong(unlabelled)]))
        return Learned(logits[:n], self.weight * consistency(weak, logits[n:], self.threshold))


def consistency(weak: Tensor, strong: Tensor, threshold: float) -> Tensor:
    """Return FixMatch's loss of unlabelled images (equation 4), a scalar.

    Args:
        weak: logits (U, K) of weakly changed images; no gradient goes through them.
        strong: logits (U, K) of the same images, changed strongly.
        threshold: the probability from which a prediction counts.
    """
    probability, label = weak.detach().float().softmax(dim=1).max(dim=1)
    losses = F.cross_entropy(strong, label, reduction="none")
    return (losses * (probability >= threshold)).mean()
