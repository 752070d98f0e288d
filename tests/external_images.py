"""Writes what the generators of others make: images by class, and the draw.json beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_aug.data.image_table import ImageTable
from gan_aug.data.origin import ExportedDraw
from gan_aug.data.splits import Splits


def write(folder: Path, images: np.ndarray[Any, Any], name: str = "{:03d}.png") -> None:
    """Write grey images, uint8 (N, 1, H, W)."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(folder / name.format(i))


def plant(folder: Path, table: ImageTable, count: int = 12) -> None:
    """Write real images, again and again where there are fewer, as those of a generator."""
    for name in table.classes:
        images = np.asarray(table.of_class(name).images)
        write(folder / name, images[np.resize(np.arange(len(images)), count)])


def describe(folder: Path, splits: Splits, **others: Any) -> None:
    """Write the draw.json of a draw beside the images."""
    says: dict[str, Any] = {
        "data_fingerprint": splits.fingerprint,
        "draw": splits.draw,
        "classes": list(splits.classes),
        "seen_hashes": splits.train.hashes.tolist(),
        "image_size": 32,
        "channels": 1,
        "data_settings": {},
    }
    ExportedDraw(**says | others).write(folder / "draw.json")
