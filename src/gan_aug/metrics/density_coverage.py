"""Density and coverage."""

from __future__ import annotations

from gan_aug.metrics.precision_recall import distances, radii
from gan_aug.metrics.sample import Context, Sample


def density_coverage(real: Sample, fake: Sample, context: Context, k: int = 5) -> dict[str, float]:
    """Return density and coverage (Naeem et al. 2020, arXiv:2002.09797, eq. 3, 4).

    `density` is the mean number of balls around real images that a generated one lies in, over k
    (about 1 for real images, may be more), `coverage` the share of real images with a generated one
    in their ball. A ball reaches to the k-th nearest neighbour; higher is better.
    """
    between = distances(real.features, fake.features)
    inside = between < radii(real.features, k)[:, None]
    return {
        "density": inside.double().sum(dim=0).mean().item() / k,
        "coverage": inside.any(dim=1).double().mean().item(),
    }
