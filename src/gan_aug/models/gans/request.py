"""What a GAN is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sources:
    """Real images to translate.

    Attributes:
        images: (N, C, H, W) in [-1, 1].
        labels: int64 (N,).
        hashes: (N,) SHA-256 of each one's file.
    """

    images: Tensor
    labels: Tensor
    hashes: list[str]


@dataclass(frozen=True)
class Request:
    """Images of one class.

    Attributes:
        label: of the class.
        count: how many.
        random: on the CPU; what latents are drawn from.
        sources: as many images to translate; None for a GAN that makes images from nothing.
    """

    label: int
    count: int
    random: torch.Generator
    sources: Sources | None = None


@dataclass(frozen=True)
class Synthesised:
    """What comes of a request.

    Attributes:
        images: (N, C, H, W) in [-1, 1], on the CPU.
        sources: (N,) SHA-256 of the image that each was made from; None: made from nothing.
    """

    images: Tensor
    sources: list[str] | None = None
