"""Anyone's images: a folder for each class, or a table that says what each file is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.data.decode import channels_of, decode_files
from gan_aug.data.dicom import Window
from gan_aug.data.groups import ColumnsRead, GroupsByColumn
from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import Source, units
from gan_aug.data.sources.entries import (
    SPLITS,
    Entry,
    check_splits,
    chosen_classes,
    notes_of,
    readable,
    reading,
    tables,
)
from gan_aug.data.sources.layout import find_entries, warn_of_masks
from gan_aug.data.sources.patients import (
    PatientPattern,
    grouped,
    the_one_patient,
    warn_of_patients,
)
from gan_aug.data.sources.table import Table
from gan_aug.data.sources.tree import Tree, find_files
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.settings.by_name import by_name


@dataclass(frozen=True)
class Folder:
    """A folder with a folder for each class, `train/ val/ test/` above them where there are.

    `gan_aug.data.sources.layout` says which folders are splits and classes. Every file below the
    root is either read, or listed with its reason. Where there is no `test/` (or `val/`), a share
    of each class is set aside as such, by patient: the same for every draw. The patient comes from
    the table, from `patient_regex`, or from a DICOM header. Where nothing tells it, each group of
    near duplicates counts as one patient.

    Attributes are as in `gan_aug.settings.data.DataSettings`:
        table: in place of folders; patients of two sites are two, whatever their ids.
        exclude: what is left out changes the fingerprint, which is of the images that are read.
        patient_regex: matched at the start of the path below the class folder (of a table: of its
            path, where it gives no patient); its first group is the patient.
        classes: see `chosen_classes`.
        window: see `read_dicom`.
    """

    root: str | None
    table: str | None = None
    columns: Mapping[str, str] | str | None = None
    exclude: Sequence[str] | str | None = None
    patient_regex: str | None = None
    classes: Any = None
    positive: Any = None
    test_share: float = 0.2
    val_share: float = 0.2
    split_seed: int = 0
    fit: str = "squeeze"
    on_bad_file: str = "error"
    window: Window | None = None

    def load(
        self, image_size: int, channels: int | None, cache_dir: Path, whole: bool = False
    ) -> Source:
        """Decode (or map from the cache) all images and cut what splits there are not.

        Where `channels` is None there are 3 if some image looked at has colours, else 1. `whole`
        puts all images into train and cuts nothing, whatever splits they have.

        Raises:
            GanAugError: no data, a bad layout or table, or a bad file.
        """
        if self.root is None:
            raise GanAugError("data=folder needs data.root=DIR, with a folder for each class")
        root = Path(self.root).expanduser()
        if root.is_file():
            raise GanAugError(
                f"data.root={root}: is a file; unpack it where it is an archive, and name the "
                "folder of your images"
            )
        if not root.is_dir():
            raise GanAugError(f"data.root={root}: no such folder; name that of your images")
        pattern = PatientPattern(self.patient_regex)
        with reading(root):
            tree = find_files(root, self.exclude, self.on_bad_file)
            entries, columns = self._entries(root, pattern, tree, whole)
            names = [entry.path for entry in entries]
            wanted = channels or channels_of(root, names, self.window)
        decoded = decode_files(
            root, names, image_size, wanted, cache_dir, self.on_bad_file, self.fit, self.window
        )
        classes = Classes.of({entry.label for entry in entries}, self.positive)
        told_by = "patient" if any(entry.patient for entry in entries) else "PatientID"
        entries = readable(root, entries, decoded)
        known = [entry.patient for entry in entries]
        one_patient = the_one_patient(known, told_by)
        to_cut = not whole and not {"test", "val"} <= {entry.split for entry in entries}
        if None not in known and one_patient and to_cut:
            with see("patients"):
                raise GanAugError(f"data.root={root}: {one_patient}")
        patients = [patient for patient in known if patient is not None]
        if len(patients) < len(known):
            # Always looked at in one way, the one that `ALIKE` was measured in.
            small = decode_files(
                root, names, 64, 1, cache_dir, self.on_bad_file, window=self.window
            )
            patients = grouped(known, small.images)
        groups = columns.of([entry.path for entry in entries])
        warnings = [
            *warn_of_masks([entry.path for entry in entries]),
            *warn_of_patients(entries, pattern, one_patient),
            *(_warn_of_splits(groups) if to_cut and entries[0].split is None else ()),
        ]
        notes = notes_of(root, entries, decoded, tree, *warnings)
        parts = tables(entries, patients, decoded, classes, groups)
        if to_cut:
            self._cut(parts, any(known))
        return Source(parts["train"], parts["test"], parts["val"], notes, columns.left_out)

    def _cut(self, parts: dict[str, ImageTable], patients_known: bool) -> None:
        """Cut the splits that there are not from train."""
        shares = {"test": self.test_share, "val": self.val_share}
        for number, (name, share) in enumerate(shares.items()):
            if not len(parts[name]):
                train, setting = parts["train"], f"data.{name}_share={share}"
                random = np.random.default_rng([self.split_seed, number])
                aside = _set_aside(train, share, random, setting, patients_known)
                parts.update({name: train.take(aside), "train": train.take(~aside)})

    def _entries(
        self, root: Path, pattern: PatientPattern, tree: Tree, whole: bool
    ) -> tuple[list[Entry], ColumnsRead]:
        where = f"data.root={root}"
        if self.table is not None:
            names = {name: str(called) for name, called in (by_name(self.columns) or {}).items()}
            table = Table(Path(self.table).expanduser(), root, names)
            entries, columns = table.read(tree, pattern)
        else:
            entries, columns = find_entries(root, tree, pattern), ColumnsRead(())
        entries = chosen_classes(entries, self.classes, tree, where)
        if whole:
            entries = [replace(entry, split=None) for entry in entries]
        check_splits(f"data.table={self.table}" if self.table else where, entries)
        pattern.check(entries, of_table=bool(self.table))
        return entries, columns


def _warn_of_splits(groups: GroupsByColumn) -> Iterator[str]:
    """Say which columns of a table look like splits that nobody asked to take."""
    for column, of in groups.items():
        splits = {SPLITS.get(name.casefold()) for name in of.names}
        if {"train"} < splits and None not in splits:
            yield (
                f"data.table: its column {column} looks like splits, and the images are cut anew; "
                f"if it is, set 'data.columns={{split: {column}}}'"
            )


def _set_aside(
    table: ImageTable,
    share: float,
    random: np.random.Generator,
    setting: str,
    patients_known: bool,
) -> NDArray[np.bool_]:
    """Choose whole patients that hold a share of each class, or less where they cannot."""
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
            names, sizes = np.unique(table.patients[table.labels == label], return_counts=True)
            one, most = names[sizes.argmax()], int(sizes.max())
            whole, remedy = "whole groups of near duplicates", "bring more images"
            if patients_known:
                whole = f"whole patients ({one} has {most} of them)"
                remedy += ", or tell patients in another way (data.patient_regex, data.table)"
            raise GanAugError(
                f"{setting}: cannot be taken of the {n} images of {name} by {whole}; choose "
                f"another share, {remedy}"
            )
    aside: NDArray[np.bool_] = chosen[unit]
    return aside
