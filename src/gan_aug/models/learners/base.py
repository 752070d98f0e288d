"""What a classifier learns from unlabelled images with, whatever the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_aug.models.networks.base import ImageClassifier


class Learned(NamedTuple):
    """What a learner gives for a batch.

    Attributes:
        logits: of the labelled images (B, K).
        loss: of the unlabelled ones, a scalar that joins the cross-entropy of the labelled ones.
    """

    logits: Tensor
    loss: Tensor


class Learner(nn.Module, ABC):
    """Gives the loss of unlabelled images at every step of a classifier.

    The classifier's network, optimizer, steps and labelled batches are those of all arms.

    Args:
        batch_size: unlabelled images beside each batch of labelled ones.
        augment: random changes of them, those of the arm's labelled images; None: none.
    """

    def __init__(self, batch_size: int, augment: nn.Module | None) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.augment = nn.Identity() if augment is None else augment

    def check(self, network: ImageClassifier, key: str) -> None:
        """Check, before anything is fitted, that the network can learn so; `key` is the setting.

        Raises:
            GanAugError: it cannot.
        """

    @abstractmethod
    def forward(self, network: ImageClassifier, images: Tensor, unlabelled: Tensor) -> Learned:
        """Ask the network about labelled images (B, C, H, W) and learn from unlabelled ones.

        Both are in [-1, 1]; the labelled ones are changed at random already, the unlabelled
        (`batch_size`, C, H, W) are not.
        """


def together(images: Sequence[Tensor]) -> Tensor:
    """Return images (B, C, H, W), one group after the other, with channels last.

    `torch.cat` takes grey images for others, and convolutions of those are twice as slow.
    """
    shape = (sum(map(len, images)), *images[0].shape[1:])
    joined = torch.empty(
        shape, device=images[0].device, memory_format=torch.channels_last, dtype=torch.float32
    )
    start = 0
    for part in images:
        joined[start : start + len(part)] = part
        start += len(part)
    return joined
