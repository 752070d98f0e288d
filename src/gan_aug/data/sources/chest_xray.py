"""Kaggle's "Chest X-Ray Images (Pneumonia)" (Kermany et al. 2018), as real copies come."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_aug.data.classes import Classes
from gan_aug.data.decode import decode_files
from gan_aug.data.image_table import ImageTable
from gan_aug.data.sources.tree import (
    LeftOut,
    as_patterns,
    excluded,
    find_files,
    unused_patterns,
)
from gan_aug.data.splits import Source
from gan_aug.run.errors import GanAugError
from gan_aug.run.extras import require

KAGGLE_NAME = "paultimothymooney/chest-xray-pneumonia"
EXTENSIONS = frozenset({".jpeg", ".jpg", ".png"})

FOLDERS = ("normal", "pneumonia")
TARGETS = {
    "class": Classes(FOLDERS, "pneumonia"),
    "subtype": Classes(("normal", "bacteria", "virus")),
}
"""What a classifier can be asked: the class folders, or the kind of pneumonia in the file names."""

NOT_IN_LAYOUT = "no .jpeg, .jpg or .png in train|test / NORMAL|PNEUMONIA"

_PNEUMONIA = re.compile(r"(person\d+)_(bacteria|virus)_\d+")
_NORMAL = re.compile(r"(?:NORMAL2-)?(IM-\d+)-\d+")


def parse_name(stem: str) -> tuple[str | None, str | None]:
    """Read patient and subtype off a file name.

    `NORMAL2-IM-0123-0001` and `IM-0123-0001` may or may not be one person; they are treated as
    one, which can only make the validation cut stricter.

    Args:
        stem: file name without extension.

    Returns:
        Patient id and kind of pneumonia, each None when the name has none.
    """
    if match := _PNEUMONIA.match(stem):
        return match[1], match[2]
    if match := _NORMAL.match(stem):
        return match[1], None
    return None, None


def find_root(root: Path) -> Path:
    """Find the folder that holds train/ and test/, at most two `chest_xray/` deep.

    Raises:
        GanAugError: no such folder.
    """
    if not root.is_dir():
        raise GanAugError(f"data.root={root}: no such folder; name your copy of the data set")
    for folder in (root, root / "chest_xray", root / "chest_xray" / "chest_xray"):
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            return folder
    raise GanAugError(
        f"data.root={root}: has no train/ and test/ (each with NORMAL/ and PNEUMONIA/); "
        "point data.root at the folder that holds them"
    )


def download() -> Path:
    """Download the data set with kagglehub (needs the network) and return its folder.

    Raises:
        GanAugError: the download failed.
    """
    require("kagglehub", "data.download=true")
    import kagglehub

    try:
        return Path(kagglehub.dataset_download(KAGGLE_NAME))
    except Exception as error:
        raise GanAugError(
            f"data.download=true: kagglehub could not fetch {KAGGLE_NAME} "
            f"({type(error).__name__}: {error}); download it by hand and set data.root"
        ) from error


def list_images(root: Path, split: str) -> list[tuple[str, str]]:
    """List (relative path, class) of one split's images, sorted; hidden files are not images.

    Raises:
        GanAugError: a class folder is missing, there twice, or has no images.
    """
    _refuse_twins([p for p in root.iterdir() if p.name.lower() == split and p.is_dir()], "split")
    found = []
    for class_name in FOLDERS:
        folders = sorted(p for p in (root / split).iterdir() if p.name.lower() == class_name)
        if not folders:
            raise GanAugError(f"{root / split / class_name.upper()}: class folder is missing")
        _refuse_twins(folders, "class")
        if not folders[0].is_dir():
            raise GanAugError(f"{folders[0]}: should be the class folder, and is no folder")
        names = sorted(
            p.name
            for p in folders[0].iterdir()
            if p.suffix.lower() in EXTENSIONS and not p.name.startswith(".")
        )
        if not names:
            raise GanAugError(f"{folders[0]}: class folder has no .jpeg, .jpg or .png file")
        found += [(f"{split}/{folders[0].name}/{name}", class_name) for name in names]
    return found


def _refuse_twins(folders: list[Path], what: str) -> None:
    """Refuse folders whose names differ by case: only one of them would be read."""
    if len(folders) > 1:
        one, other = sorted(folders)[:2]
        raise GanAugError(
            f"{one} and {other.name}: two folders of one {what}; put the images into one of them "
            "and remove the other"
        )


def contradictions(names: Iterable[tuple[str, str]]) -> list[str]:
    """Say where file names contradict the class folders that they lie in.

    Args:
        names: (relative path, class) of images.

    Returns:
        A sentence for each folder with such files.
    """
    wrong: dict[str, list[str]] = {}
    total: Counter[str] = Counter()
    for name, class_name in names:
        folder, _, file = name.rpartition("/")
        total[folder] += 1
        pattern = _PNEUMONIA if class_name == "normal" else _NORMAL
        if pattern.match(file):
            wrong.setdefault(folder, []).append(file)
    return [
        f"{len(files)} of {total[folder]} files in {folder} are named like the other class "
        f"({files[0]}): are the class folders swapped?"
        for folder, files in wrong.items()
    ]


@dataclass(frozen=True)
class ChestXray:
    """Folder of X-rays in Kaggle's layout.

    A `val/` folder (16 images in Kaggle's copy) is not used: validation is cut by patient. Every
    file below the root is either read, or listed with its reason.

    Attributes:
        root: the data set's folder, or None.
        download: fetch it with kagglehub when `root` is None.
        on_bad_file: `error` or `skip`.
        target: a key of `TARGETS`.
        fit: see `gan_aug.data.decode.decode`.
        exclude: patterns (`fnmatch`) of paths below the root that are not read.
    """

    root: str | None
    download: bool
    on_bad_file: str
    target: str = "class"
    fit: str = "squeeze"
    exclude: Sequence[str] | str | None = None

    def load(self, image_size: int, channels: int, cache_dir: Path) -> Source:
        """Decode (or map from the cache) both splits.

        Raises:
            GanAugError: no data, a bad layout, or a bad file.
        """
        if self.root is None and not self.download:
            raise GanAugError(
                "data=chest_xray needs data.root=DIR (your copy of the data set), or "
                "data.download=true (fetched with kagglehub), or data=phantom (made-up images)"
            )
        folder = download() if self.root is None else Path(self.root).expanduser()
        patterns, left_out = as_patterns(self.exclude), LeftOut()
        try:
            root = find_root(folder)
            above = root.relative_to(folder)
            entries = {
                split: [
                    (name, class_name)
                    for name, class_name in list_images(root, split)
                    if not excluded((above / name).as_posix(), patterns)
                ]
                for split in ("train", "test")
            }
            tree = find_files(folder, patterns, self.on_bad_file)
        except OSError as error:
            raise GanAugError(
                f"data.root={folder}: {error.filename} cannot be read ({error.strerror}); allow "
                "reading it, or name another folder"
            ) from error
        every = entries["train"] + entries["test"]
        names = [name for name, _ in every]
        tree.list_all_but({(above / name).as_posix() for name in names}, NOT_IN_LAYOUT, left_out)
        found = decode_files(
            root, names, image_size, channels, cache_dir, self.on_bad_file, self.fit
        )
        good = [(n, c, h) for (n, c), h in zip(every, found.hashes, strict=True) if h is not None]
        parsed = [parse_name(Path(name).stem) for name, _, _ in good]
        classes = TARGETS[self.target]
        labels = [
            self._label(root / name, folder, subtype)
            for (name, folder, _), (_, subtype) in zip(good, parsed, strict=True)
        ]
        table = ImageTable(
            images=found.images,
            labels=np.array(labels, np.int64),
            # Without an id in its name an image counts as a patient of its own.
            patients=np.array([p or n for (p, _), (n, _, _) in zip(parsed, good, strict=True)]),
            paths=np.array([name for name, _, _ in good]),
            hashes=np.array([h for _, _, h in good]),
            classes=classes,
        )
        n_train = sum(name.startswith("train/") for name, _, _ in good)
        splits = {
            "train": table.take(slice(None, n_train)),
            "test": table.take(slice(n_train, None)),
        }
        for split, part in splits.items():
            if empty := [name for name, n in part.counts().items() if not n]:
                raise GanAugError(
                    f"data.root={root}: no {empty[0]} image in {split}/ is read; mend bad files, "
                    "and leave out fewer with data.exclude"
                )
        notes = {
            "root": str(root),
            "bad_files_skipped": found.bad,
            **left_out.notes(),
            "files_without_patient_id": sum(p is None for p, _ in parsed),
            "modes": found.modes,
            "sizes": found.sizes,
            "warnings": [
                *unused_patterns(tree, patterns),
                *contradictions((name, class_name) for name, class_name, _ in good),
            ],
        }
        return Source(splits["train"], splits["test"], notes=notes)

    def _label(self, path: Path, folder: str, subtype: str | None) -> int:
        classes = TARGETS[self.target]
        if self.target == "class" or folder == "normal":
            return classes.label(folder)
        if subtype is None:
            raise GanAugError(
                f"{path}: its name says neither bacteria nor virus, which data.target=subtype "
                "needs; rename or remove it, or set data.target=class"
            )
        return classes.label(subtype)
