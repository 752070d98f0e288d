"""One split in memory: images and, for each, what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

CLASSES = ("normal", "pneumonia")
"""Class names; the label of an image is the position of its class here."""

SUBTYPES = ("normal", "bacteria", "virus", "unknown")
"""The finer target that Kaggle's file names carry."""


@dataclass(frozen=True)
class ImageTable:
    """Images of one split, row by row.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255; may be memory-mapped.
        labels: int64 (N,), positions in `CLASSES`.
        subtypes: int64 (N,), positions in `SUBTYPES`.
        patients: (N,) patient ids; images of one patient never lie on both sides of a cut.
        paths: (N,) where each image came from, relative to the data set's root.
        hashes: (N,) SHA-256 of each source (the file's bytes, or the array's where there is no
            file), so equal hashes are exact duplicates at any `image_size`.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    subtypes: NDArray[np.int64]
    patients: NDArray[np.str_]
    paths: NDArray[np.str_]
    hashes: NDArray[np.str_]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns of different length: {lengths}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> ImageTable:
        """Return the table of these rows in that order; a slice copies no images."""
        return ImageTable(*(getattr(self, field.name)[rows] for field in fields(self)))

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(CLASSES)}
