"""PneumoniaMNIST (Yang et al. 2023, MedMNIST v2) through the medmnist package's npz files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import SUBTYPES, ImageTable
from gan_aug.data.splits import Source
from gan_aug.errors import GanAugError

SIZES = (28, 64, 128, 224)


@dataclass(frozen=True)
class PneumoniaMNIST:
    """The official train, val and test arrays.

    The files carry no patient ids, so validation is the official val split (cut by image by its
    makers), and every image counts as a patient of its own.

    Attributes:
        root: folder that holds (or will hold) the npz file; None is medmnist's own, ~/.medmnist.
        download: let medmnist fetch a missing file.
    """

    root: str | None
    download: bool

    def load(self, image_size: int, channels: int, cache_dir: Path) -> Source:
        """Read the npz file of this size; without `download` the network is not touched.

        Raises:
            GanAugError: a size MedMNIST does not have, or no such file.
        """
        if image_size not in SIZES:
            raise GanAugError(
                f"data.image_size={image_size}: data=pneumoniamnist has only "
                f"{', '.join(map(str, SIZES))}"
            )
        if self.root is not None and not Path(self.root).expanduser().is_dir():
            raise GanAugError(f"data.root={self.root}: no such folder")
        from medmnist import PneumoniaMNIST as Reader

        def split(name: str) -> ImageTable:
            where = {} if self.root is None else {"root": str(Path(self.root).expanduser())}
            data = Reader(split=name, size=image_size, download=self.download, **where)
            return _table(name, data.imgs, data.labels.reshape(-1), channels)

        try:
            train, val, test = split("train"), split("val"), split("test")
        except Exception as error:  # medmnist raises bare RuntimeError, zipfile and url errors
            suffix = "" if image_size == 28 else f"_{image_size}"
            raise GanAugError(
                f"data=pneumoniamnist: pneumoniamnist{suffix}.npz could not be read from "
                f"{self.root or '~/.medmnist'} ({error}); set data.download=true or data.root=DIR"
            ) from error
        n = sum(len(table) for table in (train, val, test))
        notes = {"root": self.root, "files_without_patient_id": n}
        return Source(train=train, test=test, validation=val, notes=notes)


def _table(
    split: str, images: NDArray[np.uint8], labels: NDArray[np.integer], channels: int
) -> ImageTable:
    names = np.array([f"{split}/{i:05d}" for i in range(len(images))])
    return ImageTable(
        images=np.repeat(images[:, None], channels, axis=1),
        labels=labels.astype(np.int64),
        subtypes=np.where(labels == 0, SUBTYPES.index("normal"), SUBTYPES.index("unknown")),
        patients=names,
        paths=names,
        hashes=np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images]),
    )
