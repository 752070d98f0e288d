"""One split in memory: images and, for each, what is known of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.data.groups import GroupsByColumn, join_groups

Images = NDArray[np.uint8]
"""(N, C, H, W), 0 to 255."""
COLUMNS = ("images", "labels", "patients", "paths", "hashes")


@dataclass(frozen=True)
class ImageTable:
    """Images of one split, row by row; uint8, and may be memory-mapped.

    Attributes:
        labels: int64 (N,), positions in `classes`.
        patients: (N,) patient ids; images of one patient never lie on both sides of a cut.
        paths: (N,) where each image came from, relative to the data set's root.
        hashes: (N,) SHA-256 of each source (the file's bytes, or the array's where there is no
            file), so equal hashes are exact duplicates at any `image_size`.
        groups: what a table says of the images beside, (N,) by column; empty without a table.
    """

    images: Images
    labels: NDArray[np.int64]
    patients: NDArray[np.str_]
    paths: NDArray[np.str_]
    hashes: NDArray[np.str_]
    classes: Classes
    groups: GroupsByColumn = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        lengths |= {name: len(groups) for name, groups in self.groups.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns of different length: {lengths}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> ImageTable:
        """Return the table of these rows in that order; a slice copies no images."""
        groups = {name: one.take(rows) for name, one in self.groups.items()}
        return replace(self, groups=groups, **{n: getattr(self, n)[rows] for n in COLUMNS})

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        return self.classes.counts(self.labels)

    def of_class(self, name: str) -> ImageTable:
        """Return the rows of a class."""
        return self.take(self.labels == self.classes.label(name))

    def of_classes(self, names: Collection[str]) -> ImageTable:
        """Return the rows of some classes, in their order here."""
        return self.take(np.isin(self.labels, [self.classes.label(name) for name in names]))


@dataclass(frozen=True)
class ClassImages:
    """Images of one class, uint8 (N, C, H, W), and what they were made of.

    `sources` are the (N,) SHA-256 of the real image that each was made of; None: of none.
    """

    images: Images
    sources: list[str] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> ClassImages:
        """Return the first images."""
        return ClassImages(self.images[:count], self.sources and self.sources[:count])

    def rows_in(self, table: ImageTable) -> NDArray[np.int64]:
        """Return which row of a table each image was made of; -1: of none."""
        if self.sources is None:
            return np.full(len(self), -1)
        row = {digest: i for i, digest in enumerate(table.hashes.tolist())}
        return np.array([row[digest] for digest in self.sources], np.int64)

    def sources_in(self, table: ImageTable) -> Images | None:
        """Return the image of a table that each was made of; None: they were made of none."""
        return None if self.sources is None else np.asarray(table.images)[self.rows_in(table)]


def concatenate(*tables: ImageTable) -> ImageTable:
    """Return the rows of all tables, which are of one data set."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS
    }
    groups = join_groups([table.groups for table in tables])
    return replace(tables[0], groups=groups, **joined)
