"""Multi-scale structural similarity between pairs: how alike are the samples to each other?"""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from gan_aug.metrics.sample import Context, Sample
from gan_aug.runtime.errors import GanAugError

KERNEL = 11
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, finest first (Wang, Simoncelli & Bovik 2003, table 1)."""


def scales(side: int) -> tuple[float, ...]:
    """Return the weights of the scales that images of this side have room for; their sum is 1.

    Raises:
        GanAugError: there is no room for one.
    """
    if side < KERNEL:
        raise GanAugError(
            f"quality.use: ms_ssim takes images of {KERNEL} pixels a side or more, these have "
            f"{side}; leave it out of quality.use"
        )
    n = max(m for m in range(1, 6) if side // max(1, m - 1) ** 2 >= KERNEL and side >= 2**m)
    used = WEIGHTS[:n]
    return tuple(w / sum(used) for w in used)


def ms_ssim(real: Sample, fake: Sample, context: Context, pairs: int = 500) -> dict[str, float]:
    """Return the mean MS-SSIM of random pairs (Odena et al. 2017, arXiv:1610.09585, 4.2).

    `ms_ssim` is 1 where all images are the same; above the baseline there is too little diversity.
    """
    images, random = fake.images, np.random.default_rng(context.seed)
    first = random.integers(0, len(images), pairs)
    second = (first + random.integers(1, len(images), pairs)) % len(images)
    one, other = (torch.from_numpy(images[rows]).float() for rows in (first, second))
    betas = scales(images.shape[-1])
    similarity = multiscale_structural_similarity_index_measure(
        one, other, kernel_size=KERNEL, data_range=255.0, betas=betas, normalize="relu"
    )
    return {"ms_ssim": float(similarity)}
