"""MedMNIST v2 (Yang et al. 2023): any single-label 2D set, through the medmnist package's files."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.picture import square
from gan_aug.data.source import Notes, Source
from gan_aug.runtime.errors import GanAugError, require, said

SIZES = (28, 64, 128, 224)
SPLITS = ("train", "val", "test")
_HEADER = 2**16
"""Bytes that an array may have before its numbers."""
_SINGLE_LABEL = ("binary-class", "multi-class", "ordinal-regression")


class Info(TypedDict):
    """What medmnist says of a set."""

    python_class: str
    label: dict[str, str]
    n_channels: Literal[1, 3]
    n_samples: dict[str, int]


def file_name(name: str, size: int) -> str:
    """Return the name of MedMNIST's file of a set and size."""
    return f"{name}.npz" if size == 28 else f"{name}_{size}.npz"


def single_label_sets() -> dict[str, Info]:
    """Return medmnist's 2D sets with one label an image, by name."""
    require("medmnist", "data=medmnist")
    from medmnist import INFO

    return {
        name: info
        for name, info in INFO.items()
        if info["task"] in _SINGLE_LABEL and not name.endswith("3d")
    }


def classes_of(info: Info) -> Classes:
    """Return a set's classes; of two the second is the positive one, as MedMNIST has it.

    Names, which also name folders, are shortened to words: without brackets, joined by underscores.
    """
    labels = [info["label"][str(i)] for i in range(len(info["label"]))]
    names = [re.sub(r"[^\w-]+", "_", re.sub(r"\(.*\)", "", label)).strip("_") for label in labels]
    return Classes(tuple(names), names[1] if len(names) == 2 else None)


@dataclass(frozen=True)
class MedMNIST:
    """The official train, val and test arrays of one set, such as bloodmnist.

    The files carry no patient ids, so validation is the official val split (cut by image by its
    makers), and every image counts as a patient of its own.

    Attributes:
        root: folder that holds (or will hold) the npz file; None is medmnist's own, ~/.medmnist.
        download: let medmnist fetch a file where there is none; one that is there is not replaced.
    """

    set: str
    root: str | None
    download: bool

    def load(self, image_size: int, channels: int | None, cache_dir: Path) -> Source:
        """Read a file, scaled to the size; without `download` the network is not touched.

        The file of just that size is read, else the next larger one there is, else the largest.

        Raises:
            GanAugError: no such set, no file, or a damaged one.
        """
        sets = single_label_sets()
        if self.set not in sets:
            raise self._not_taken(", ".join(sets))
        info, classes = sets[self.set], classes_of(sets[self.set])
        path, size = self._choose(image_size)
        shape = (size, size, 3)[: 2 + (info["n_channels"] == 3)]
        tables = []
        for split, (images, labels) in self._read(path, size, info).items():
            if images.dtype != np.uint8 or images.shape[1:] != shape:
                wanted = ", ".join(map(str, shape))
                raise GanAugError(
                    f"{path}: {split}_images are not uint8 (N, {wanted}); fetch the file again"
                )
            whole = labels.dtype.kind in "iu" and len(labels) == len(images)
            if not whole or not np.isin(labels, range(len(classes))).all():
                raise GanAugError(
                    f"{path}: {split}_labels are not a whole number from 0 to {len(classes) - 1} "
                    "for each image; fetch the file again"
                )
            names = np.array([f"{split}/{i:05d}" for i in range(len(images))])
            wanted_channels = channels or info["n_channels"]
            squares = [square(Image.fromarray(i), image_size, wanted_channels) for i in images]
            hashes = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images])
            labels = labels.astype(np.int64)
            tables.append(ImageTable(np.stack(squares), labels, names, names, hashes, classes))
        train, validation, test = tables
        scaled = f"images scaled from {size} to {image_size} pixels ({path.name})"
        notes = Notes(
            root=str(path.parent),
            files_without_patient_id=sum(map(len, tables)),
            scaled=None if size == image_size else scaled,
        )
        return Source(train, test, validation, notes)

    def _not_taken(self, others: str) -> GanAugError:
        from medmnist import INFO

        why, several = "is no set of medmnist", ""
        if self.set in INFO:
            task = INFO[self.set]["task"]
            why = "is three-dimensional"
            if "multi-label" in task:
                several = (
                    "; or ask one finding against the rest: save its images as files, with a table "
                    "of path and label (FINDING or other), for data=folder data.table=FILE.csv"
                )
                why = f"is {task}, an image may have several findings"
        return GanAugError(
            f"data.set={self.set}: {why}; choose one with one label an image: {others}{several}"
        )

    def _choose(self, image_size: int) -> tuple[Path, int]:
        """Return the file to read, of those there are or that can be fetched, and its size."""
        try:
            folder = Path("~/.medmnist" if self.root is None else self.root).expanduser()
            if self.root is not None and not folder.is_dir():
                raise GanAugError(f"data.root={self.root}: no such folder; name that of the npz")
            there = [size for size in SIZES if (folder / file_name(self.set, size)).is_file()]
        except RuntimeError as error:
            raise GanAugError(
                "data.root: HOME is not set, and MedMNIST lies in your home folder; set "
                "data.root=DIR"
            ) from error
        except OSError as error:
            raise GanAugError(
                f"data.root={self.root}: cannot be read ({error.strerror}); allow reading it, or "
                "name another folder"
            ) from error
        if not there and not self.download:
            names = ", ".join(file_name(self.set, size) for size in SIZES)
            raise GanAugError(
                f"data.set={self.set}: {folder} holds none of {names}; set data.download=true or "
                "data.root=DIR"
            )
        # A larger file loses less; but what is there is taken rather than fetched.
        sizes = there or SIZES
        size = next((size for size in sizes if size >= image_size), sizes[-1])
        return folder / file_name(self.set, size), size

    def _read(self, path: Path, size: int, info: Info) -> dict[str, list[NDArray[Any]]]:
        import medmnist

        fetch = not path.is_file()  # `_choose` lets this be with data.download=true only
        try:
            if fetch:
                path.parent.mkdir(parents=True, exist_ok=True)
                reader = getattr(medmnist, info["python_class"])
                reader("train", size=size, download=True, root=str(path.parent))
            _check_unpacked(path, size, info)
            with np.load(path, allow_pickle=False) as file:
                return {
                    split: [file[f"{split}_images"], file[f"{split}_labels"].reshape(-1)]
                    for split in SPLITS
                }
        except Exception as error:  # medmnist raises bare RuntimeError, zipfile and url errors
            failed, first = ("fetched", "") if fetch else ("read", "remove it and ")
            raise GanAugError(
                f"data.set={self.set}: {path} could not be {failed} "
                f"({said(error)}); {first}repeat with data.download=true, or set "
                "data.root=DIR to a folder with a sound one"
            ) from error


def _check_unpacked(path: Path, size: int, info: Info) -> None:
    """Refuse arrays larger than MedMNIST's before they are unpacked: 6 MB can hold 6 GB."""
    with zipfile.ZipFile(path) as archive:
        for split in SPLITS:
            n = info["n_samples"][split]
            most = {"images": n * size * size * info["n_channels"], "labels": 8 * n}
            for kind, limit in most.items():
                unpacked = archive.getinfo(f"{split}_{kind}.npy").file_size
                if unpacked > limit + _HEADER:
                    raise ValueError(
                        f"{split}_{kind} unpack to {unpacked} bytes, MedMNIST's have {limit}"
                    )
