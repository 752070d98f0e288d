"""Frechet inception distance."""

from __future__ import annotations

import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from gan_aug.metrics.sample import Context, Sample


def fid(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return the FID (Heusel et al. 2017, arXiv:1706.08500, eq. 6); lower is better.

    It is biased upwards for few images: compare it at the same N only, and with its baseline.
    """
    known = nn.Identity()  # features are computed already
    known.num_features = real.features.shape[1]  # type: ignore[assignment]
    metric = FrechetInceptionDistance(feature=known)
    metric.set_dtype(torch.float64)
    metric.update(real.features, real=True)
    metric.update(fake.features, real=False)
    return {"fid": metric.compute().item()}
