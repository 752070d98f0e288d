"""Instance normalization in a form that is fast on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class InstanceNorm(nn.Module):
    """Each map of each image to mean 0 and variance 1 (Ulyanov et al. 2016, arXiv:1607.08022, eq. 2).

    What `nn.InstanceNorm2d(affine=True)` computes, from moments and one multiply-add.

    Args:
        channels: maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W)."""
        variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0, keepdim=True)
        scale = self.weight[:, None, None] * torch.rsqrt(variance + EPSILON)
        return torch.addcmul(self.bias[:, None, None] - mean * scale, maps, scale)
