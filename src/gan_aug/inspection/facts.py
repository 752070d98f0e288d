"""What can be said of a data set without training on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.near_duplicates import near_duplicates
from gan_aug.data.source import FEWEST_TRAINING, Source, lasting
from gan_aug.runtime.stored_model import Stored

FEW = 30
"""Images of a class in a split, below which that is said."""


class Group(BaseModel):
    """Files of one picture: path, class and split of each."""

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

    def two(self, sides: list[str]) -> str:
        """Return the first file of each of two sides: of two classes or splits."""
        first = dict(zip(reversed(sides), reversed(self.paths), strict=True))
        return " and ".join([first[side] for side in dict.fromkeys(sides)][:2])


class Duplicates(BaseModel):
    """Images that are the same, or nearly, in groups of two and more.

    Attributes:
        groups: how many there are.
        extra: images that could be left out.
        across_splits: groups with images in several; so are `across_classes`, `across_patients`.
        all: of them; those across classes come first, then those across splits.
    """

    groups: int
    extra: int
    across_splits: int
    across_classes: int
    across_patients: int
    all: list[Group]


class Facts(Stored):
    """What a data set holds: inspect.json. Numbers of patients are None where none is known.

    Attributes:
        images: split to class to images; so are `patients`.
        modes: of the files, to how many have it; so are `sizes`.
        exact: files with the same bytes.
        near: images whose pixels correlate by `data.near_duplicates.ALIKE` and more, those with
            the same bytes left out.
        skipped: file to why it was not read.
        skipped_by_reason: reason to how many files.
        without_patient: how many images do not tell their patient.
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
    exact: Duplicates
    near: Duplicates
    skipped: dict[str, str]
    skipped_by_reason: dict[str, int]
    without_patient: int
    warnings: list[str]


def find_facts(source: Source, squeezed: Source, shares: Sequence[str]) -> Facts:
    """Look at all images of a data set, and at the same with `data.fit=squeeze`.

    Near duplicates are looked for there: black bars make any two images alike. `shares` are the
    data set's settings of how much is set aside.
    """
    tables, known, notes = source.tables(), source.patients_known, source.notes
    every = concatenate(*tables.values())
    split = np.repeat(list(tables), [len(table) for table in tables.values()])
    same_bytes = np.unique(every.hashes, return_inverse=True)[1]
    first = np.unique(same_bytes, return_index=True)[1]
    compared = concatenate(*squeezed.tables().values())
    assert np.array_equal(compared.paths, every.paths)
    alike = near_duplicates(np.asarray(compared.images[first]))
    near = _groups(every.take(first), split[first], alike, known)
    exact = _groups(every, split, same_bytes, known)
    by_reason = Counter(notes.files_left_out) + Counter(notes.bad_files_skipped.values())
    return Facts(
        classes=list(source.classes.names),
        positive=source.classes.positive,
        images={name: table.counts() for name, table in tables.items()},
        patients={name: _patients(table) for name, table in tables.items()} if known else None,
        patients_in_several_classes=_in_several(every.patients, every.labels) if known else None,
        patients_in_several_splits=_in_several(every.patients, split) if known else None,
        channels=source.channels,
        modes=notes.modes,
        sizes=notes.sizes,
        exact=exact,
        near=near,
        skipped=notes.files_skipped | notes.bad_files_skipped,
        skipped_by_reason=dict(by_reason.most_common()),
        without_patient=notes.files_without_patient_id,
        warnings=[*notes.warnings, *_warnings(source, exact, near, shares)],
    )


def _patients(table: ImageTable) -> dict[str, int]:
    return {name: len(set(table.of_class(name).patients.tolist())) for name in table.classes}


def _in_several(patients: NDArray[np.str_], values: NDArray[Any]) -> int:
    pairs = set(zip(patients.tolist(), values.tolist(), strict=True))
    return sum(n > 1 for n in Counter(patient for patient, _ in pairs).values())


def _groups(
    table: ImageTable, split: NDArray[np.str_], group: NDArray[np.int64], known: bool
) -> Duplicates:
    columns = (table.paths, np.array(table.classes.names)[table.labels], split)
    numbers, counts = np.unique(group, return_counts=True)
    rows_of = [np.flatnonzero(group == number) for number in numbers[counts > 1]]
    groups = []
    for rows in rows_of:
        paths, classes, splits = (column[rows].tolist() for column in columns)
        groups.append(Group(paths=paths, classes=classes, splits=splits))
    patients = [len(set(table.patients[rows].tolist())) for rows in rows_of]
    return Duplicates(
        groups=len(groups),
        extra=sum(len(each.paths) - 1 for each in groups),
        across_splits=sum(each.crosses_splits for each in groups),
        across_classes=sum(each.crosses_classes for each in groups),
        across_patients=known * sum(n > 1 for n in patients),
        all=sorted(groups, key=lambda each: (not each.crosses_classes, not each.crosses_splits)),
    )


def _warnings(
    source: Source, exact: Duplicates, near: Duplicates, shares: Sequence[str]
) -> Iterable[str]:
    if not source.patients_known:
        n = source.notes.files_without_patient_id
        yield (
            f"The patient of {n} images is not known, so leakage between training and test images "
            "of one patient cannot be excluded. Say how to find patients (data.patient_regex, or "
            "data.table with a column patient)."
        )
    if exact.across_classes:
        one = exact.all[0]
        yield (
            f"In more than one class, byte for byte: {exact.across_classes}, such as "
            f"{one.two(one.classes)}. Training stops at them: remove the wrong ones, "
            "or set data.on_conflict=drop, which leaves out all their files."
        )
    if exact.across_splits:
        yield (
            f"In more than one split, byte for byte: {exact.across_splits}; they are left out of "
            "training."
        )
    if near.across_splits:
        one = next(group for group in near.all if group.crosses_splits)
        yield (
            f"In more than one split as near duplicates: {near.across_splits}, such as "
            f"{one.two(one.splits)}: results on the test images are too good."
        )
    if near.across_classes:
        one = near.all[0]
        yield (
            f"In more than one class as near duplicates: {near.across_classes}, such as "
            f"{one.two(one.classes)}."
        )
    fewest = min(n for table in source.tables().values() for n in table.counts().values())
    if fewest < FEW:
        yield f"A class has only {fewest} images in some split: numbers of so few say very little."
    train = lasting(source, 0, 0)
    scarce = min(train, key=lambda name: train[name])
    if train[scarce] < FEWEST_TRAINING:
        fewer = f", or set fewer aside ({', '.join(shares)})" if shares else ""
        yield (
            f"A study needs {FEWEST_TRAINING} training images of each class, and {scarce} has "
            f"{train[scarce]}: bring more{fewer}."
        )
