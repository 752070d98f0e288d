"""What of an image a translating generator is shown, derived from the image itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_aug.run.errors import GanAugError

LUNGS = ((0.31, 0.47), (0.69, 0.47))
"""Centres of the hidden fields, (x, y) as shares of the side; a frontal chest X-ray is meant."""
LUNG_REACH = (0.175, 0.32)
"""From a field's centre to its edge, to the side and up: read off a mean of children's X-rays."""
BLUR = 1 / 16
"""Standard deviation of the Gaussian, as a share of the side: no rib is left, the lungs are."""


def hidden(side: int, device: torch.device) -> Tensor:
    """Return where `lung_mask` hides an image: bool (side, side), two rounded fields."""
    places = (torch.arange(side, device=device) + 0.5) / side
    across, up = LUNG_REACH
    inside = torch.zeros(side, side, dtype=torch.bool, device=device)
    for x, y in LUNGS:
        # A fourth power rounds less than an ellipse: lungs are broad at their bases.
        inside |= ((places - x) / across) ** 4 + (((places - y) / up) ** 4)[:, None] < 1
    return inside


def lung_mask(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) with mid-grey, which is 0, in place of the lung fields."""
    return images.masked_fill(hidden(images.shape[-1], images.device), 0.0)


def blur(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) blurred by a Gaussian, reflected at the border."""
    sd = BLUR * images.shape[-1]
    radius = math.ceil(3 * sd)
    steps = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.exp(-0.5 * (steps / sd) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(images, (radius,) * 4, mode="reflect")
    for dim in (2, 3):
        # Not a convolution: that would be in bf16 under autocast.
        padded = (padded.unfold(dim, len(weights), 1) * weights).sum(dim=-1)
    return padded


def edges(images: Tensor) -> Tensor:
    """Return the Sobel magnitude of images (B, C, H, W), scaled from [-1, 1] to [0, 1] before.

    It is 0 where an image is even, and at most 4 * sqrt(2).
    """
    a = F.pad(images / 2, (1, 1, 1, 1), mode="reflect")
    down = a[..., 2:, :] - a[..., :-2, :]
    right = a[..., 2:] - a[..., :-2]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    right = right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]
    # Unlike a square root, it has a gradient at 0.
    magnitude: Tensor = torch.linalg.vector_norm(torch.stack([down, right]), dim=0)
    return magnitude


CONDITIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "lung_mask": lung_mask,
    "blur": blur,
    "edges": edges,
}


def condition_of(kind: str) -> Callable[[Tensor], Tensor]:
    """Return a function from images (B, C, H, W) in [-1, 1] to such conditions, float32.

    Args:
        kind: `lung_mask`, `blur` or `edges`; see the functions of these names.

    Raises:
        GanAugError: another one.
    """
    if kind not in CONDITIONS:
        raise GanAugError(f"model.condition={kind}: choose {', '.join(CONDITIONS)}")
    return lambda images: CONDITIONS[kind](images.float())
