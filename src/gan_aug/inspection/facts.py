"""What can be said of a data set without training on it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.near_duplicates import near_duplicates
from gan_aug.data.splits import Source

EXAMPLES = 3


@dataclass
class Groups:
    """Images that are the same, or nearly.

    Attributes:
        groups: how many groups of two and more there are.
        extra: images that could be left out.
        across_splits: groups with images in several splits.
        across_classes: groups with images of several classes.
        across_patients: groups with images of several patients.
        examples: paths of some groups; those that cross a split or a class come first.
    """

    groups: int = 0
    extra: int = 0
    across_splits: int = 0
    across_classes: int = 0
    across_patients: int = 0
    examples: list[list[str]] = field(default_factory=list)


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
        skipped: file to why.
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
    without_patient: int
    warnings: list[str]


def tables_of(source: Source) -> dict[str, ImageTable]:
    """Return the splits that a data set has."""
    found = {"train": source.train, "validation": source.validation, "test": source.test}
    return {name: table for name, table in found.items() if table is not None}


def find_facts(source: Source, squeezed: Source) -> Facts:
    """Look at all images of a data set.

    Args:
        source: the data set.
        squeezed: the same with `data.fit=squeeze`: black bars make any two images alike.
    """
    tables = tables_of(source)
    every = concatenate(*tables.values())
    split = np.repeat(list(tables), [len(table) for table in tables.values()])
    known = source.patients_known
    exact_groups = np.unique(every.hashes, return_inverse=True)[1]
    first = np.unique(exact_groups, return_index=True)[1]
    looked_at = concatenate(*tables_of(squeezed).values())
    assert np.array_equal(looked_at.paths, every.paths)
    alike = near_duplicates(np.asarray(looked_at.images[first]))
    near = _groups(every.take(first), split[first], alike, known)
    exact = _groups(every, split, exact_groups, known)
    notes = source.notes
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
        skipped=notes.get("files_skipped", {}) | notes.get("bad_files_skipped", {}),
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
    listed: list[tuple[bool, list[str]]] = []
    for number in numbers[counts > 1].tolist():
        rows = np.flatnonzero(group == number)
        splits, classes = len(set(split[rows])) > 1, len(set(table.labels[rows].tolist())) > 1
        found.groups += 1
        found.extra += len(rows) - 1
        found.across_splits += splits
        found.across_classes += classes
        found.across_patients += known and len(set(table.patients[rows].tolist())) > 1
        listed.append((splits or classes, table.paths[rows].tolist()))
    listed.sort(key=lambda item: not item[0])
    found.examples = [paths for _, paths in listed[:EXAMPLES]]
    return found


def _warnings(source: Source, exact: Groups, near: Groups) -> list[str]:
    said = []
    if not source.patients_known:
        said.append(
            "Which images are of one patient is not known, so leakage between training and test "
            "images of one patient cannot be excluded. Say how to find patients "
            "(data.patient_regex, or data.table with a column patient)."
        )
    if exact.across_classes:
        said.append(
            f"{exact.across_classes} images are in more than one class, byte for byte, such as "
            f"{' and '.join(exact.examples[0][:2])}. Training refuses them: remove the wrong ones."
        )
    if exact.across_splits:
        said.append(
            f"{exact.across_splits} images are in more than one split, byte for byte; they are "
            "left out of training."
        )
    if near.across_splits:
        said.append(
            f"{near.across_splits} images are in more than one split as near duplicates, such as "
            f"{' and '.join(near.examples[0][:2])}: results on the test images are too good."
        )
    if near.across_classes:
        said.append(
            f"{near.across_classes} images are in more than one class as near duplicates, such as "
            f"{' and '.join(near.examples[0][:2])}."
        )
    fewest = min(n for counts in tables_counts(source) for n in counts.values())
    if fewest < FEW:
        said.append(
            f"A class has only {fewest} images in some split: numbers of so few say very little."
        )
    return said


FEW = 30
"""Images of a class in a split, below which that is said."""


def tables_counts(source: Source) -> list[dict[str, int]]:
    """Return images by class of every split."""
    return [table.counts() for table in tables_of(source).values()]
