"""Sliced Wasserstein distance between Laplacian pyramids."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_aug.data.batches import to_float
from gan_aug.data.image_table import Images
from gan_aug.metrics.sample import Context, Sample

COARSEST = 16
PATCH = 7
PATCHES_PER_IMAGE = 32
DIRECTIONS = 512


def sliced_wasserstein(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return the sliced Wasserstein distance (Karras et al. 2018, arXiv:1710.10196, section 5).

    Patches of 7x7 are taken from each level of the Laplacian pyramid from the full size down to 16,
    normalised by the mean and standard deviation of each channel, and compared along 512 random
    directions. Paper: 128 patches an image of 2^14 images; here 32. `swd` is the mean over levels,
    `swd_SIZE` that of each, times 1000 as in the paper; lower is better.
    """
    n, seed = min(len(real), len(fake)), context.seed
    distances = {}
    for pair in zip(pyramid(real.images[:n]), pyramid(fake.images[:n]), strict=True):
        rows, others = (descriptors(level, seed) for level in pair)
        along = directions(rows.shape[1], seed)
        distances[f"swd_{pair[0].shape[-1]}"] = 1000 * distance(rows, others, along)
    return {"swd": sum(distances.values()) / len(distances)} | distances


def pyramid(images: Images) -> list[Tensor]:
    """Return the levels of the Laplacian pyramid (Burt & Adelson 1983), float32, finest first."""
    levels, level = [], to_float(torch.from_numpy(images))
    channels, row = level.shape[1], torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(row, row).expand(channels, 1, 5, 5)  # Burt and Adelson's Gaussian
    while level.shape[-1] > COARSEST:
        padded = F.pad(level, (2, 2, 2, 2), mode="reflect")
        small = F.conv2d(padded, kernel, stride=2, groups=channels)
        large = F.interpolate(small, size=level.shape[-2:], mode="bilinear", align_corners=False)
        levels.append(level - large)
        level = small
    return [*levels, level]


def descriptors(level: Tensor, seed: int) -> Tensor:
    """Return random patches (N * 32, C * 49) of a level (N, C, H, W), normalised by channel."""
    random = torch.Generator().manual_seed(seed)
    n, channels, height, width = level.shape
    windows = level.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    y = torch.randint(height - PATCH + 1, (n, PATCHES_PER_IMAGE), generator=random)
    x = torch.randint(width - PATCH + 1, (n, PATCHES_PER_IMAGE), generator=random)
    patches = windows[torch.arange(n)[:, None], :, y, x].reshape(-1, channels, PATCH * PATCH)
    mean, std = patches.mean(dim=(0, 2), keepdim=True), patches.std(dim=(0, 2), keepdim=True)
    return ((patches - mean) / std.clamp_min(1e-8)).flatten(1)


def directions(length: int, seed: int) -> Tensor:
    """Return random unit vectors (512, length)."""
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(DIRECTIONS, length, generator=random), dim=1)


def distance(a: Tensor, b: Tensor, along: Tensor) -> float:
    """Return the mean Wasserstein-1 distance of the rows of a and b (N, F) along directions."""
    total = 0.0
    for part in torch.split(along, 64):  # all at once would need a lot of memory
        projected = [(x @ part.T).sort(dim=0).values for x in (a, b)]
        total += (projected[0] - projected[1]).abs().mean(dim=0).sum().item()
    return total / len(along)
