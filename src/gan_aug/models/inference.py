"""What is asked of a fitted classifier outside its training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_aug.data.batches import in_order
from gan_aug.metrics.classification import to_probabilities
from gan_aug.models.classifier import Classifier


@torch.no_grad()
def logits(module: Classifier, batches: Iterable[Tensor]) -> Tensor:
    """Return logits (N, K) for batches of images (B, C, H, W) in [-1, 1]."""
    return torch.cat([module.network(images) for images in batches])


def probabilities(module: Classifier, images: NDArray[np.uint8]) -> Tensor:
    """Return float64 probabilities (N, K) for uint8 images (N, C, H, W)."""
    return to_probabilities(logits(module, in_order(images)))


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 of a module's weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
