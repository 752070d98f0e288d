"""Anyone's images: a folder for each class, or a table that says what each file is."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.data.decode import decode_files, look_at_colour
from gan_aug.data.dicom import is_dicom
from gan_aug.data.image_table import ImageTable
from gan_aug.data.near_duplicates import near_duplicates
from gan_aug.data.splits import Source, units
from gan_aug.run.errors import GanAugError

EXTENSIONS = frozenset(
    {".jpeg", ".jpg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm", ".dicom"}
)
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folders, and entries of a table's column `split`, to what they are."""
_NEEDED, _OPTIONAL = ("path", "label"), ("patient", "site", "split")


@dataclass(frozen=True)
class Entry:
    """One file, before it is read.

    Attributes:
        path: relative to the root.
        label: its class.
        split: train, val or test; None: to be cut.
        patient: None where nothing tells it.
    """

    path: str
    label: str
    split: str | None
    patient: str | None


@dataclass(frozen=True)
class Folder:
    """A folder with a folder for each class, `train/ val/ test/` above them where there are.

    Where there is no `test/` (or `val/`), a share of each class is set aside as such, by patient:
    the same for every draw. The patient comes from the table, from `patient_regex`, or from a DICOM
    header. Where nothing tells it, each group of near duplicates counts as one patient.

    Attributes:
        root: the folder.
        table: a CSV file in place of folders: columns path (relative to the root) and label, and
            if need be patient, site (patients of two sites are two, whatever their ids) and split.
        patient_regex: matched at the start of a file's name; its first group is the patient.
        positive: the positive one of two classes, or None.
        test_share: of each class, where there is no test split.
        val_share: of each class of what is left, where there is no validation split.
        split_seed: fixes that cut.
        fit: how images that are not square become so: squeeze, pad or crop.
        on_bad_file: `error` or `skip`.
    """

    root: str | None
    table: str | None
    patient_regex: str | None
    positive: Any
    test_share: float
    val_share: float
    split_seed: int
    fit: str
    on_bad_file: str

    def load(self, image_size: int, channels: int | None, cache_dir: Path) -> Source:
        """Decode (or map from the cache) all images and cut what splits there are not.

        Args:
            image_size: side length in pixels.
            channels: 1 or 3; None: 3 where some image looked at has colours.
            cache_dir: see `gan_aug.data.cache.load_or_build`.

        Raises:
            GanAugError: no data, a bad layout or table, or a bad file.
        """
        if self.root is None:
            raise GanAugError("data=folder needs data.root=DIR, with a folder for each class")
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise GanAugError(f"data.root={root}: no such folder; name that of your images")
        skipped: dict[str, str] = {}
        try:
            entries = self._entries(root, skipped)
            names = [entry.path for entry in entries]
            wanted = channels or look_at_colour(root, names)
        except OSError as error:
            raise GanAugError(
                f"data.root={root}: {error.filename} cannot be read ({error.strerror}); allow "
                "reading it, or name another folder"
            ) from error
        found = decode_files(root, names, image_size, wanted, cache_dir, self.on_bad_file, self.fit)
        classes = Classes.of({entry.label for entry in entries}, self.positive)
        good = [i for i, digest in enumerate(found.hashes) if digest is not None]
        entries = [entries[i] for i in good]
        if lost := set(classes) - {entry.label for entry in entries}:
            raise GanAugError(
                f"data.root={root}: no file of the class {min(lost)} can be read; mend them, or "
                "take the class away"
            )
        told = [entries[i].patient or found.patients[k] for i, k in enumerate(good)]
        patients = told
        if None in told:
            # Always looked at in one way, the one that `ALIKE` was measured in.
            small = decode_files(root, names, 64, 1, cache_dir, self.on_bad_file)
            patients = _grouped(told, small.images)
        table = ImageTable(
            images=found.images,
            labels=np.array([classes.label(entry.label) for entry in entries], np.int64),
            patients=np.array(patients, np.str_),
            paths=np.array([entry.path for entry in entries], np.str_),
            hashes=np.array([found.hashes[i] for i in good], np.str_),
            classes=classes,
        )
        parts = self._cut(table, [entry.split for entry in entries])
        unknown = sum(patient is None for patient in told)
        notes = {
            "root": str(root),
            "bad_files_skipped": found.bad,
            "files_skipped": skipped,
            "files_without_patient_id": unknown,
            "modes": found.modes,
            "sizes": found.sizes,
            "warnings": _crossing(parts) if not unknown else [],
        }
        return Source(parts["train"], parts["test"], parts["val"], not unknown, notes)

    def _entries(self, root: Path, skipped: dict[str, str]) -> list[Entry]:
        if self.table is not None:
            return read_table(root, Path(self.table).expanduser())
        pattern = _compiled(self.patient_regex)
        found: list[Entry] = []
        for split, top in _tops(root, skipped):
            for folder in _folders(top):
                for path in sorted(p for p in folder.rglob("*") if not p.is_dir()):
                    name = path.relative_to(root).as_posix()
                    if not _is_image(path):
                        skipped[name] = "no image by its name"
                        continue
                    match = pattern.match(path.name) if pattern else None
                    found.append(Entry(name, folder.name, split, match[1] if match else None))
        if not found:
            raise GanAugError(
                f"data.root={root}: has no folder with images; it needs a folder for each class, "
                "in it or in its train/, val/ and test/"
            )
        if pattern and not any(entry.patient for entry in found):
            raise GanAugError(
                f"data.patient_regex={self.patient_regex}: matches none of the file names, such as "
                f"{Path(found[0].path).name}; mend it, or set it to null"
            )
        check_splits(str(root), found)
        return found

    def _cut(self, table: ImageTable, splits: list[str | None]) -> dict[str, ImageTable]:
        """Return train, val and test, cut by patient where there are none."""
        named = np.array([split or "train" for split in splits])
        parts = {name: table.take(named == name) for name in ("train", "val", "test")}
        shares = {"test": self.test_share, "val": self.val_share}
        for number, (name, share) in enumerate(shares.items()):
            if not len(parts[name]):
                random = np.random.default_rng([self.split_seed, number])
                aside = set_aside(parts["train"], share, random, f"data.{name}_share={share}")
                parts[name], parts["train"] = (
                    parts["train"].take(aside),
                    parts["train"].take(~aside),
                )
        return parts


def set_aside(
    table: ImageTable, share: float, random: np.random.Generator, setting: str
) -> NDArray[np.bool_]:
    """Choose whole patients at random that hold a share of the images of each class.

    Args:
        table: the images; a patient may have some of several classes.
        share: of each class, in (0, 1); rounded, and where whole patients cannot give it, less.
        random: chooses.
        setting: for messages.

    Returns:
        bool (N,).

    Raises:
        GanAugError: a class would have no image on one of the sides.
    """
    unit = units(table)
    k = len(table.classes)
    in_unit = np.zeros((unit.max() + 1, k), np.int64)
    np.add.at(in_unit, (unit, table.labels), 1)
    wanted = np.round(share * in_unit.sum(axis=0)).astype(np.int64)
    left = wanted.copy()
    chosen = np.zeros(len(in_unit), bool)
    for number in random.permutation(len(in_unit)):
        if (in_unit[number] <= left).all():
            chosen[number] = True
            left -= in_unit[number]
    for label, name in enumerate(table.classes):
        n = int(in_unit[:, label].sum())
        if not 0 < wanted[label] - left[label] < n:
            raise GanAugError(
                f"{setting}: cannot be taken of the {n} images of {name} by whole patients; choose "
                "another share, or bring more images"
            )
    aside: NDArray[np.bool_] = chosen[unit]
    return aside


def read_table(root: Path, path: Path) -> list[Entry]:
    """Read a CSV that says what each file is.

    Raises:
        GanAugError: it cannot be read, lacks a column, or a row of it is not sound.
    """
    try:
        if not path.is_file():
            raise ValueError("no such file")
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        reason = " ".join(str(error).split())
        raise GanAugError(f"data.table={path}: cannot be read as CSV ({reason})") from error
    if missing := [name for name in _NEEDED if name not in table.columns]:
        raise GanAugError(
            f"data.table={path}: lacks the column {missing[0]}; it needs path and label, and may "
            "have patient, site and split"
        )
    found = [_entry(root, path, i + 2, row) for i, row in enumerate(table.to_dict("records"))]
    if not found:
        raise GanAugError(f"data.table={path}: has no rows; it needs one for each image")
    name, n = Counter(entry.path for entry in found).most_common(1)[0]
    if n > 1:
        raise GanAugError(f"data.table={path}: has {name} in {n} rows; leave one")
    check_splits(f"data.table={path}", found)
    return found


def _entry(root: Path, path: Path, line: int, row: dict[Any, str]) -> Entry:
    cells = {str(name): value.strip() for name, value in row.items()}
    where = f"data.table={path}: line {line}"
    for name in _NEEDED:
        if not cells[name]:
            raise GanAugError(f"{where}: has no {name}; fill it in or remove the line")
    file = Path(cells["path"])
    if file.is_absolute() or ".." in file.parts:
        raise GanAugError(f"{where}: {file} leads out of data.root={root}; name files in it")
    split = cells.get("split", "").lower()
    if split and split not in SPLITS:
        raise GanAugError(f"{where}: split={split} is none of train, val, test; mend it")
    patient = cells.get("patient") or None
    if patient is not None and cells.get("site"):
        patient = f"{cells['site']}/{patient}"
    return Entry(file.as_posix(), cells["label"], SPLITS[split] if split else None, patient)


def check_splits(where: str, entries: list[Entry]) -> None:
    """Check that splits are given for all images or none, and that each has all classes.

    Raises:
        GanAugError: naming what is missing.
    """
    classes: dict[str | None, set[str]] = {}
    for entry in entries:
        classes.setdefault(entry.split, set()).add(entry.label)
    if classes.keys() == {None}:
        return
    if None in classes:
        bare = next(entry.path for entry in entries if entry.split is None)
        raise GanAugError(f"{where}: {bare} has no split, others have; give it one, or none any")
    if "train" not in classes:
        raise GanAugError(f"{where}: has no training images; name a split train")
    every = set().union(*classes.values())
    for split, names in classes.items():
        if lacking := every - names:
            raise GanAugError(
                f"{where}: {split} has no images of {min(lacking)}, other splits have; add some, "
                "or remove that class"
            )


def _tops(root: Path, skipped: dict[str, str]) -> list[tuple[str | None, Path]]:
    """Return the folders that hold class folders, each with its split."""
    found: dict[str, Path] = {}
    others = []
    for folder in _folders(root):
        split = SPLITS.get(folder.name.lower())
        if split is None:
            others.append(folder)
        elif split in found:
            raise GanAugError(
                f"{found[split]} and {folder.name}: two folders of one split; put the images into "
                "one of them and remove the other"
            )
        else:
            found[split] = folder
    if not found:
        return [(None, root)]
    skipped |= {f"{folder.name}/": "beside train/, val/ or test/" for folder in others}
    return list(found.items())


def _folders(top: Path) -> list[Path]:
    hidden = (".", "__MACOSX")
    return sorted(p for p in top.iterdir() if p.is_dir() and not p.name.startswith(hidden))


def _is_image(path: Path) -> bool:
    """Tell whether a file is to be read: by its name, or by its first bytes where it is DICOM."""
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in EXTENSIONS or not path.is_file():
        return path.suffix.lower() in EXTENSIONS
    with path.open("rb") as file:
        return is_dicom(file.read(132))


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise GanAugError(
            f"data.patient_regex={pattern}: is no regular expression ({error}); mend it"
        ) from error
    if not found.groups:
        raise GanAugError(
            f"data.patient_regex={pattern}: has no group that is the patient; put brackets around "
            r"it, as in (\d+)_.*"
        )
    return found


def _grouped(patients: list[str | None], images: NDArray[np.uint8]) -> list[str | None]:
    """Fill in the patients that nothing tells: each group of near duplicates is one."""
    groups = near_duplicates(images).tolist()
    # Of a group with a known patient the others are that patient's too.
    known = {g: p for g, p in zip(groups, patients, strict=True) if p is not None}
    return [
        p if p is not None else known.get(g, f"unknown {g}")
        for p, g in zip(patients, groups, strict=True)
    ]


def _crossing(parts: dict[str, ImageTable]) -> list[str]:
    """Say which splits, as they were given, share patients."""
    patients = {name: set(part.patients.tolist()) for name, part in parts.items()}
    return [
        f"{len(both)} patients are in {one} and in {other}, such as {min(both)}: results on "
        f"{other} images are too good; mend the splits"
        for one, other in combinations(patients, 2)
        if (both := patients[one] & patients[other])
    ]
