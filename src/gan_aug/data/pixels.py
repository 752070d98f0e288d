"""Pixels as files have them, uint8, and as networks take and give them, in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(images: Tensor, memory_format: torch.memory_format = torch.preserve_format) -> Tensor:
    """Scale uint8 images (N, C, H, W) to float32 in [-1, 1]."""
    return images.to(torch.float32, memory_format=memory_format).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Scale float images in [-1, 1], clipped, to uint8 (N, C, H, W)."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
