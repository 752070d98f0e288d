"""What is asked of a fitted classifier outside its training."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from gan_aug.data.pixels import to_float
from gan_aug.metrics.classification import to_probabilities
from gan_aug.models.classifier import Classifier


def probabilities(module: Classifier, images: NDArray[np.uint8]) -> torch.Tensor:
    """Return float64 probabilities (N, K) for uint8 images (N, C, H, W)."""
    return to_probabilities(logits(module, images))


@torch.no_grad()
def logits(module: Classifier, images: NDArray[np.uint8]) -> torch.Tensor:
    """Return logits (N, K) for uint8 images (N, C, H, W)."""
    parts = [
        module.network(to_float(torch.tensor(images[i : i + 256]), torch.channels_last))
        for i in range(0, len(images), 256)
    ]
    return torch.cat(parts)


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 of a module's weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def as_loader(batches: Any) -> DataLoader[Any]:
    """Lightning takes any iterable of batches; its type hints name DataLoader only."""
    loader: DataLoader[Any] = batches
    return loader
