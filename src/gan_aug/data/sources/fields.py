"""Shapes and smooth noise that phantom radiographs are drawn from: float32 (work, work) fields."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]


@lru_cache(maxsize=16)
def grid(work: int) -> tuple[Field, Field]:
    """Pixel centres x and y, in [-1, 1]."""
    axis = ((np.arange(work) + 0.5) * (2.0 / work) - 1.0).astype(np.float32)
    x, y = (np.ascontiguousarray(g) for g in np.meshgrid(axis, axis))
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=64)
def spline(work: int, knots: int) -> NDArray[np.float32]:
    """Cubic B-spline weights (work, knots + 3) over [-1, 1]."""
    t = (np.arange(work) + 0.5) * (knots / work)
    d = np.abs(t[:, None] - (np.arange(knots + 3) - 1.0)[None, :])
    near, far = 2 / 3 - d**2 + d**3 / 2, np.clip(2 - d, 0, None) ** 3 / 6
    weights = np.where(d < 1, near, far).astype(np.float32)
    weights.flags.writeable = False
    return weights


def noise(rng: np.random.Generator, work: int, knots: int) -> Field:
    """Smooth random field, sd about 1, with `knots` cells across the picture."""
    cells = rng.standard_normal((knots + 3, knots + 3), dtype=np.float32)
    weights = spline(work, knots)
    return 2.0 * (weights @ cells @ weights.T)


def step(x: Field) -> Field:
    """Smooth step from 0 (x <= -1) to 1 (x >= 1); in place, as much of the time goes here."""
    t: Field = 0.5 * x
    t += 0.5
    np.clip(t, 0.0, 1.0, out=t)
    s: Field = -2.0 * t
    s += 3.0
    s *= t
    s *= t
    return s


def chord(r2: Field) -> Field:
    """Path length through a unit ball at squared radius r2, relative to its centre."""
    length: Field = np.sqrt(np.maximum(1.0 - r2, 0.0))
    return length


def blob(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float) -> Field:
    """Gaussian bump of height 1."""
    bump: Field = np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)
    return bump


def tube(d2: Field) -> Field:
    """Bone with a denser rim, d2 the squared distance from its axis over its squared radius."""
    bone: Field = np.maximum(1.0 - d2 * d2, 0.0) * (0.65 + 0.6 * d2)
    return bone


def capsule(x: Field, y: Field, a: tuple[float, float], b: tuple[float, float]) -> Field:
    """Squared distance to the segment a-b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    d2: Field = (x - a[0] - t * dx) ** 2 + (y - a[1] - t * dy) ** 2
    return d2
