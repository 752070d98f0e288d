"""What can be said of a data set without training on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.near_duplicates import near_duplicates
from gan_aug.data.source import Source


@dataclass(frozen=True)
class Group:
    """Files of one picture.

    Attributes:
        paths: of each.
        classes: of each.
        splits: of each.
    """

    paths: list[str]
    classes: list[str]
    splits: list[str]

    @property
    def crosses_classes(self) -> bool:
        """Whether its files are of several classes."""
        return len(set(self.classes)) > 1

    @property
    def crosses_splits(self) -> bool:
        """Whether its files are in several splits."""
        return len(set(self.splits)) > 1


@dataclass
class Groups:
    """Images that are the same, or nearly.

    Attributes:
        groups: how many groups of two and more there are.
        extra: images that could be left out.
        across_splits: groups with images in several splits.
        across_classes: groups with images of several classes.
        across_patients: groups with images of several patients.
        all: of them; those across classes come first, then those across splits.
    """

    groups: int = 0
    extra: int = 0
    across_splits: int = 0
    across_classes: int = 0
    across_patients: int = 0
    all: list[Group] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What was found.

    Attributes:
        classes: names.
        positive: the positive one, or None.
        images: split to class to images.
        patients: split to class to patients; None where they are not known.
        patients_in_several_classes: as it says; None likewise.
        patients_in_several_splits: as it says; None likewise.
        channels: 1 or 3.
        modes: of the files.
        sizes: of the files.
        exact: files with the same bytes.
        near: images whose pixels correlate by `data.near_duplicates.ALIKE` and more, those with
            the same bytes left out.
        skipped: file to why it was not read.
        skipped_by_reason: reason to how many files.
        without_patient: how many images do not tell their patient.
        warnings: for a person to think about.
    """

    classes: list[str]
    positive: str | None
    images: dict[str, dict[str, int]]
    patients: dict[str, dict[str, int]] | None
    patients_in_several_classes: int | None
    patients_in_several_splits: int | None
    channels: int
    modes: dict[str, int]
    sizes: dict[str, int]
    exact: Groups
    near: Groups
    skipped: dict[str, str]
    skipped_by_reason: dict[str, int]
    without_patient: int
    warnings: list[str]


def find_facts(source: Source, squeezed: Source) -> Facts:
    """Look at all images of a data set.

    Args:
        source: the data set.
        squeezed: the same with `data.fit=squeeze`: black bars make any two images alike.
    """
    tables = source.tables()
    every = concatenate(*tables.values())
    split = np.repeat(list(tables), [len(table) for table in tables.values()])
    known = source.patients_known
    exact_groups = np.unique(every.hashes, return_inverse=True)[1]
    first = np.unique(exact_groups, return_index=True)[1]
    looked_at = concatenate(*squeezed.tables().values())
    assert np.array_equal(looked_at.paths, every.paths)
    alike = near_duplicates(np.asarray(looked_at.images[first]))
    near = _groups(every.take(first), split[first], alike, known)
    exact = _groups(every, split, exact_groups, known)
    notes = source.notes
    bad = notes.get("bad_files_skipped", {})
    skipped = notes.get("files_skipped", {}) | bad
    by_reason = Counter(notes.get("files_left_out", {})) + Counter(bad.values())
    return Facts(
        classes=list(source.classes.names),
        positive=source.classes.positive,
        images={name: table.counts() for name, table in tables.items()},
        patients={name: _patients(table) for name, table in tables.items()} if known else None,
        patients_in_several_classes=_in_several(every.patients, every.labels) if known else None,
        patients_in_several_splits=_in_several(every.patients, split) if known else None,
        channels=source.channels,
        modes=notes.get("modes", {}),
        sizes=notes.get("sizes", {}),
        exact=exact,
        near=near,
        skipped=skipped,
        skipped_by_reason=dict(by_reason.most_common()),
        without_patient=notes.get("files_without_patient_id", 0),
        warnings=[*notes.get("warnings", []), *_warnings(source, exact, near)],
    )


def _patients(table: ImageTable) -> dict[str, int]:
    return {name: len(set(table.of_class(name).patients.tolist())) for name in table.classes}


def _in_several(patients: NDArray[np.str_], values: NDArray[Any]) -> int:
    found: dict[str, set[Any]] = defaultdict(set)
    for patient, value in zip(patients.tolist(), values.tolist(), strict=True):
        found[patient].add(value)
    return sum(len(of_patient) > 1 for of_patient in found.values())


def _groups(
    table: ImageTable, split: NDArray[np.str_], group: NDArray[np.int64], known: bool
) -> Groups:
    found = Groups()
    numbers, counts = np.unique(group, return_counts=True)
    names = np.array(table.classes.names)[table.labels]
    for number in numbers[counts > 1].tolist():
        rows = np.flatnonzero(group == number)
        one = Group(table.paths[rows].tolist(), names[rows].tolist(), split[rows].tolist())
        found.groups += 1
        found.extra += len(rows) - 1
        found.across_splits += one.crosses_splits
        found.across_classes += one.crosses_classes
        found.across_patients += known and len(set(table.patients[rows].tolist())) > 1
        found.all.append(one)
    found.all.sort(key=lambda group: (not group.crosses_classes, not group.crosses_splits))
    return found


def _two_sides(paths: list[str], sides: list[str]) -> str:
    """Return the first file of each of two sides."""
    first: dict[str, str] = {}
    for path, side in zip(paths, sides, strict=True):
        first.setdefault(side, path)
    return " and ".join(list(first.values())[:2])


def _warnings(source: Source, exact: Groups, near: Groups) -> list[str]:
    said = []
    if not source.patients_known:
        n = source.notes.get("files_without_patient_id", 0)
        said.append(
            f"The patient of {n} images is not known, so leakage between training and test images "
            "of one patient cannot be excluded. Say how to find patients (data.patient_regex, or "
            "data.table with a column patient)."
        )
    if exact.across_classes:
        one = exact.all[0]
        said.append(
            f"In more than one class, byte for byte: {exact.across_classes}, such as "
            f"{_two_sides(one.paths, one.classes)}. Training stops at them: remove the wrong ones, "
            "or set data.on_conflict=drop, which leaves out all their files."
        )
    if exact.across_splits:
        said.append(
            f"In more than one split, byte for byte: {exact.across_splits}; they are left out of "
            "training."
        )
    if near.across_splits:
        one = next(group for group in near.all if group.crosses_splits)
        said.append(
            f"In more than one split as near duplicates: {near.across_splits}, such as "
            f"{_two_sides(one.paths, one.splits)}: results on the test images are too good."
        )
    if near.across_classes:
        one = near.all[0]
        said.append(
            f"In more than one class as near duplicates: {near.across_classes}, such as "
            f"{_two_sides(one.paths, one.classes)}."
        )
    fewest = min(n for table in source.tables().values() for n in table.counts().values())
    if fewest < FEW:
        said.append(
            f"A class has only {fewest} images in some split: numbers of so few say very little."
        )
    return said


FEW = 30
"""Images of a class in a split, below which that is said."""
