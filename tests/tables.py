"""Tables of images that tests cut: no pixel of them counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support import BINARY

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable


def table(per_class: int, name: str) -> ImageTable:
    """Return so many images of either class, three of each patient."""
    n = 2 * per_class
    labels = np.repeat([0, 1], per_class).astype(np.int64)
    return ImageTable(
        images=np.arange(n).astype(np.uint8)[:, None, None, None].repeat(4, 2),
        labels=labels,
        patients=np.array([f"{BINARY.names[k]}{name}{i // 3}" for i, k in enumerate(labels)]),
        paths=np.array([f"{name}/{i}" for i in range(n)]),
        hashes=np.array([f"hash-{name}-{i}" for i in range(n)]),
        classes=BINARY,
    )


def of_counts(split: str, counts: dict[str, int]) -> ImageTable:
    """Return so many images of each class, each of a patient of its own."""
    labels = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int64)
    names = np.array([f"{split}-{i}" for i in range(len(labels))])
    images = np.zeros((len(labels), 1, 8, 8), np.uint8)
    return ImageTable(images, labels, names, names, names, Classes(tuple(counts)))


def with_values(t: ImageTable, column: str, rows: dict[int, str]) -> ImageTable:
    """Return a table with other values in some rows of a column."""
    values = getattr(t, column).astype(object)
    values[list(rows)] = list(rows.values())
    return replace(t, **{column: values.astype(str)})


def with_hashes(t: ImageTable, rows: dict[int, str]) -> ImageTable:
    """Return a table in which some images are others."""
    return with_values(t, "hashes", rows)
