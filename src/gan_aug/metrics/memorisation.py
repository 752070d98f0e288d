"""Is a generated image a copy? Nearest training images, in pixels and in features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from torch import Tensor

from gan_aug.data.image_table import Images
from gan_aug.metrics.sample import Context, Sample

OF_SOURCES = ("copying_source_pixel", "copying_source_feature")
"""Values that only translations have."""


def flat(images: Images) -> Tensor:
    """Return images as float64 rows whose Euclidean distance is the RMS difference of pixels."""
    rows = torch.from_numpy(np.ascontiguousarray(images)).flatten(1).double()
    scaled: Tensor = rows / float(rows.shape[1]) ** 0.5
    return scaled


def rows_of(sample: Sample, space: str) -> Tensor:
    """Return a row for each image, of its pixels or features: `space` is `pixel` or `feature`."""
    return flat(sample.images) if space == "pixel" else sample.features


def nearest(rows: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's Euclidean distance to its nearest row of `among`, and which one it is."""
    # By matrix product: in float64 the rounding is about 1e-5 even for equal images.
    closest = torch.cdist(rows, among, compute_mode="use_mm_for_euclid_dist").min(dim=1)
    return closest.values, closest.indices


def closer(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the probability that a value of a is smaller than one of b (ties count half)."""
    return float(1 - mannwhitneyu(a, b).statistic / (len(a) * len(b)))


def memorisation(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Compare distances to the nearest training image: generated against unseen real images.

    The comparison is that of Meehan et al. 2020 (arXiv:2004.05675, section 3), as a probability
    in place of its z score and without its cells.

    Returns:
        For `pixel` (root mean square difference, 0 to 255) and `feature`: `nearest_`, the median
        distance of generated images to their nearest training image, and `copying_`, the
        probability that a generated image is nearer to the training images than an unseen real one:
        0.5 where they are as near, 1 for copies, below 0.5 for images unlike all of them. Of
        translations also `copying_source_`, the probability that one is nearer to the image that it
        was made from than an unseen real one to the training images: 1 where nothing was changed.
    """
    values = {}
    for space in ("pixel", "feature"):
        train, made, unseen = (rows_of(s, space) for s in (context.train, fake, real))
        of_fake, of_real = (nearest(x, train)[0].numpy() for x in (made, unseen))
        values[f"nearest_{space}"] = float(np.median(of_fake))
        values[f"copying_{space}"] = closer(of_fake, of_real)
        if context.sources is not None:
            of_source = (made - rows_of(context.sources, space)).norm(dim=1).numpy()
            values[f"copying_source_{space}"] = closer(of_source, of_real)
    return values


def closest_pairs(
    fake: Sample, train: Sample, space: str, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find the generated images that are nearest to a training image, for `space` see `rows_of`.

    Returns:
        Rows of `fake`, nearest first, rows of their neighbours in `train`, and the distances.
    """
    distance, neighbour = nearest(rows_of(fake, space), rows_of(train, space))
    order = distance.argsort()[:count]
    return order.numpy(), neighbour[order].numpy(), distance[order].numpy()
