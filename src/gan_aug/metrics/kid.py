"""Kernel inception distance."""

from __future__ import annotations

import torch
from torch import nn
from torchmetrics.image.kid import KernelInceptionDistance

from gan_aug.metrics.sample import Context, Sample


def kid(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return the KID (Binkowski et al. 2018, arXiv:1801.01401, section 4); lower is better.

    It is the squared maximum mean discrepancy with the kernel (x.y / F + 1)^3, unbiased, so that it
    is near 0 for real images at any N and may be below it. All images are one subset.
    """
    n = min(len(real), len(fake))
    metric = KernelInceptionDistance(feature=nn.Identity(), subsets=1, subset_size=n)
    metric.set_dtype(torch.float64)
    metric.update(real.features[:n], real=True)
    metric.update(fake.features[:n], real=False)
    with torch.random.fork_rng(devices=[]):
        # It shuffles what is all used anyway; the order shows in the last digits.
        torch.default_generator.manual_seed(context.seed)
        return {"kid": metric.compute()[0].item()}
