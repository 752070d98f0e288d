"""PneumoniaMNIST (Yang et al. 2023, MedMNIST v2) through the medmnist package's npz files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_aug.data.image_table import SUBTYPES, ImageTable
from gan_aug.data.splits import Source
from gan_aug.errors import GanAugError

SIZES = (28, 64, 128, 224)
SPLITS = ("train", "val", "test")


def file_name(size: int) -> str:
    """Return the name of MedMNIST's file of a size."""
    return "pneumoniamnist.npz" if size == 28 else f"pneumoniamnist_{size}.npz"


@dataclass(frozen=True)
class PneumoniaMNIST:
    """The official train, val and test arrays.

    The files carry no patient ids, so validation is the official val split (cut by image by its
    makers), and every image counts as a patient of its own.

    Attributes:
        root: folder that holds (or will hold) the npz file; None is medmnist's own, ~/.medmnist.
        download: let medmnist fetch a file where there is none; one that is there is not replaced.
    """

    root: str | None
    download: bool

    def load(self, image_size: int, channels: int, cache_dir: Path) -> Source:
        """Read a file and scale it to the size; without `download` the network is not touched.

        The file of just that size is read, else the next larger one there is, else the largest.

        Raises:
            GanAugError: no file, or a damaged one.
        """
        folder = Path("~/.medmnist" if self.root is None else self.root).expanduser()
        try:
            if self.root is not None and not folder.is_dir():
                raise GanAugError(f"data.root={self.root}: no such folder; name that of the npz")
            size = self._choose(folder, image_size)
        except OSError as error:
            raise GanAugError(
                f"data.root={folder}: cannot be read ({error.strerror}); allow reading it, or name "
                "another folder"
            ) from error
        path = folder / file_name(size)
        tables = {name: self._read(path, name, size, image_size, channels) for name in SPLITS}
        notes: dict[str, Any] = {
            "root": str(folder),
            "files_without_patient_id": sum(map(len, tables.values())),
        }
        if size != image_size:
            notes["scaled"] = f"images scaled from {size} to {image_size} pixels ({path.name})"
        return Source(tables["train"], tables["test"], tables["val"], notes)

    def _choose(self, folder: Path, image_size: int) -> int:
        """Return the size to read, of the files there are or of those that can be fetched."""
        there = [size for size in SIZES if (folder / file_name(size)).is_file()]
        if not there and not self.download:
            names = ", ".join(map(file_name, SIZES))
            raise GanAugError(
                f"data=pneumoniamnist: {folder} holds none of {names}; set data.download=true or "
                "data.root=DIR"
            )
        # A larger file loses less; but what is there is taken rather than fetched.
        sizes = there or SIZES
        return next((size for size in sizes if size >= image_size), sizes[-1])

    def _read(
        self, path: Path, split: str, size: int, image_size: int, channels: int
    ) -> ImageTable:
        from medmnist import PneumoniaMNIST as Reader

        fetch = not path.is_file()  # `_choose` lets this be with data.download=true only
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = Reader(split=split, size=size, download=fetch, root=str(path.parent))
            images, labels = np.asarray(data.imgs), np.asarray(data.labels).reshape(-1)
        except Exception as error:  # medmnist raises bare RuntimeError, zipfile and url errors
            failed, first = ("fetched", "") if fetch else ("read", "remove it and ")
            raise GanAugError(
                f"data=pneumoniamnist: {path} could not be {failed} ({' '.join(str(error).split())}"
                f"); {first}repeat with data.download=true, or set data.root=DIR to a folder with "
                "a sound one"
            ) from error
        if images.dtype != np.uint8 or images.shape[1:] != (size, size):
            raise GanAugError(
                f"{path}: {split}_images are not uint8 (N, {size}, {size}); fetch the file again"
            )
        whole = labels.dtype.kind in "iu"
        if not whole or len(labels) != len(images) or not np.isin(labels, (0, 1)).all():
            raise GanAugError(
                f"{path}: {split}_labels are not a 0 or 1 for each image; fetch the file again"
            )
        return _table(split, images, labels, image_size, channels)


def _table(
    split: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    image_size: int,
    channels: int,
) -> ImageTable:
    names = np.array([f"{split}/{i:05d}" for i in range(len(images))])
    scaled = _scale(images, image_size)
    return ImageTable(
        images=np.repeat(scaled[:, None], channels, axis=1),
        labels=labels.astype(np.int64),
        subtypes=np.where(labels == 0, SUBTYPES.index("normal"), SUBTYPES.index("unknown")),
        patients=names,
        paths=names,
        hashes=np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images]),
    )


def _scale(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize uint8 (N, s, s) images to (N, size, size), bilinear."""
    if images.shape[1] == size:
        return images
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(i).resize((size, size), bilinear)) for i in images])
