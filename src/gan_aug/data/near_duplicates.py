"""Near duplicates: the same picture saved again, in another size, quality or brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ALIKE = 0.985
"""Correlation of pixels from which two images count as one picture.

Measured at 64x64 on Kaggle's and NIH's X-rays: images of different patients reach 0.972 at the
most, an image saved again (JPEG quality 30, half its size, brightness or contrast changed by 10 to
20 %) keeps at least 0.994. Cut by 2 % at its edges or turned by 1 degree it falls to 0.86 to 0.99:
such copies are not found.
"""
_FINE, _COARSE = 64, 16
_AT_ONCE = 1024
_PAIRS = 8192
"""More pairs of fine images are not compared one by one: they take 32 KB each."""

Vectors = NDArray[np.float32]


def near_duplicates(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number the groups of images, uint8 (N, C, H, W), that are one picture: int64 (N,)."""
    n = len(images)
    groups: NDArray[np.int64] = np.arange(n)
    if not n:
        return groups
    fine, coarse = _vectors(images, _FINE), _vectors(images, _COARSE)
    for start in range(0, n, _AT_ONCE):
        # The coarse images first: of 100,000 images there are 5 billion pairs.
        one, other = np.nonzero(coarse[start : start + _AT_ONCE] @ coarse[start:].T >= ALIKE)
        one, other = (start + side[one < other] for side in (one, other))
        if len(one) > _PAIRS:  # one product of matrices is faster, and takes no copy of each image
            pairs = (one - start, other - start)
            same = (fine[start : start + _AT_ONCE] @ fine[start:].T)[pairs] >= ALIKE
        else:
            same = np.einsum("ij,ij->i", fine[one], fine[other]) >= ALIKE
        # Of what was found before, a link of each image to one of its group: frames of a film would
        # otherwise be linked by the million.
        rows = np.concatenate([np.arange(n), one[same]])
        groups = connected(n, rows, np.concatenate([firsts(groups), other[same]]))
    return groups


def nearest_alike(
    images: NDArray[np.uint8], others: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Find the images, uint8 (N, C, H, W), that are one picture with one of others (M, C, H, W).

    Returns:
        int64 (K,): rows of the images that are, in their order; int64 (K,): of each the row of the
        other that it is most like; float32 (K,): their correlation.
    """
    best, nearest = np.full(len(images), -1, np.float32), np.zeros(len(images), np.int64)
    for start in range(0, len(others), _PAIRS):
        part = others[start : start + _PAIRS]
        fine, coarse = _vectors(part, _FINE), _vectors(part, _COARSE)
        for first in range(0, len(images), _AT_ONCE):
            own = images[first : first + _AT_ONCE]
            # The coarse images first, as above.
            alike = _vectors(own, _COARSE) @ coarse.T >= ALIKE
            rows = np.flatnonzero(alike.any(axis=1))
            if not len(rows):
                continue
            same = np.where(alike[rows], _vectors(own[rows], _FINE) @ fine.T, -1)
            value, other = same.max(axis=1, initial=-1), same.argmax(axis=1)
            better = value > best[first + rows]
            best[first + rows[better]] = value[better]
            nearest[first + rows[better]] = start + other[better]
    found = np.flatnonzero(best >= ALIKE)
    return found, nearest[found], best[found]


def firsts(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the position of the first of each one's equals: int64 (N,)."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse]


def connected(n: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the connected groups of n things, int64 (n,), by links between two of them."""
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), (n, n))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _vectors(images: NDArray[np.uint8], side: int) -> Vectors:
    """Return grey pixels, about `side` wide, as unit vectors (N, D) with mean 0; 0 of flat ones."""
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        grey = images[start : start + _AT_ONCE].mean(axis=1, dtype=np.float32)
        step = max(1, grey.shape[-1] // side)
        kept = grey.shape[-1] // step * step
        cells = grey[:, :kept, :kept].reshape(len(grey), kept // step, step, kept // step, step)
        flat = cells.mean(axis=(2, 4)).reshape(len(grey), -1)
        flat -= flat.mean(axis=1, keepdims=True)
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        parts.append(np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3))
    return np.concatenate(parts)
