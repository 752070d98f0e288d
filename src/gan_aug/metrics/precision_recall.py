"""Improved precision and recall."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_aug.metrics.sample import Context, Sample
from gan_aug.runtime.errors import GanAugError


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return Euclidean distances (N, M) of the rows of a (N, F) and b (M, F), without rounding."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def radii(features: Tensor, k: int) -> Tensor:
    """Return each row's distance to its k-th nearest neighbour, itself not counted.

    Raises:
        GanAugError: there are not as many.
    """
    if k >= len(features):
        raise GanAugError(
            f"quality.metrics: k={k} nearest neighbours are asked for among {len(features)} "
            "images; lower k, or leave more images to measure with"
        )
    return distances(features, features).kthvalue(k + 1, dim=1).values


def precision_recall(real: Sample, fake: Sample, context: Context, k: int = 3) -> dict[str, float]:
    """Return improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, eq. 1, 2).

    `precision` is the share of generated images inside a ball around a real one, `recall` that of
    real images in a ball around a generated one. A ball reaches to the k-th nearest neighbour.
    """
    between = distances(real.features, fake.features)
    inside_real = between < radii(real.features, k)[:, None]
    inside_fake = between < radii(fake.features, k)[None, :]
    return {
        "precision": inside_real.any(dim=0).double().mean().item(),
        "recall": inside_fake.any(dim=1).double().mean().item(),
    }
