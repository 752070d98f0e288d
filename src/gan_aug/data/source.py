"""What a data set supplies, and which of its images are one."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.near_duplicates import connected, firsts
from gan_aug.runtime.errors import GanAugError, see

FEWEST_TRAINING = 25
"""Training images of a class that a study can be cut from."""


@dataclass(frozen=True)
class Notes:
    """What a data set says of itself, for run.json.

    Attributes:
        files_without_patient_id: images whose patient nothing tells.
        bad_files_skipped: file to what is wrong with it.
        files_skipped: other file, or folder, to why it is not read.
        files_left_out: such a reason to how many files it holds for.
        modes: of the files, to how many have it; so are `sizes`.
        scaled: that images were made in another size, None where they were not.
        conflicts_left_out: files of each image in two classes that was left out.
    """

    root: str = "no folder"
    files_without_patient_id: int = 0
    bad_files_skipped: dict[str, str] = field(default_factory=dict)
    files_skipped: dict[str, str] = field(default_factory=dict)
    files_left_out: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    scaled: str | None = None
    conflicts_left_out: list[list[str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExternalTest:
    """A set of `data.external`: its images, with the data set's classes, and what run.json keeps.

    `facts` hold its `fingerprint`, and how many images of which kind were left out.
    """

    table: ImageTable
    facts: dict[str, Any]


@dataclass(frozen=True)
class WithTraining:
    """Images of a data set, among them some to train on."""

    train: ImageTable

    @property
    def classes(self) -> Classes:
        """Class names, and which of them is the positive one."""
        return self.train.classes

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        return int(self.train.images.shape[1])

    @property
    def image_size(self) -> int:
        """Pixels of a side."""
        return int(self.train.images.shape[-1])


@dataclass(frozen=True)
class Source(WithTraining):
    """What a data set supplies: its official splits, and facts worth keeping with a run.

    Attributes:
        validation: an official split to use as it is; None cuts one by patient.
        no_groups: columns of a table whose values are no groups of images, and why.
        external: further tests by name, which share no image with it.
    """

    test: ImageTable
    validation: ImageTable | None = None
    notes: Notes = field(default_factory=Notes)
    no_groups: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, ExternalTest] = field(default_factory=dict)

    @property
    def patients_known(self) -> bool:
        """Whether all patients are real ones; else groups of near duplicates, or images, count."""
        return not self.notes.files_without_patient_id

    def tables(self) -> dict[str, ImageTable]:
        """Return the splits that the data set has."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: table for name, table in splits.items() if table is not None}

    def fingerprint(self) -> str:
        """Return a hash of the content: split, class and source hash of every image."""
        rows = sorted(
            f"{name} {label} {image}"
            for name, table in self.tables().items()
            for label, image in zip(table.labels, table.hashes, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def units(table: ImageTable) -> NDArray[np.int64]:
    """Number the connected groups of images that share a patient or a source hash.

    Returns:
        int64 (N,): equal numbers for images that must stay on one side of a cut.
    """
    links = [firsts(column) for column in (table.patients, table.hashes)]
    return connected(len(table), np.tile(np.arange(len(table)), 2), np.concatenate(links))


def in_two_classes(tables: Iterable[ImageTable]) -> tuple[dict[str, list[str]], str]:
    """Find images that are in two classes.

    Returns:
        The hash of each such image to the paths of its copies, sorted; and the first one's paths,
        as a message names them: "ONE and OTHER", one of either class.
    """
    copies = defaultdict[str, list[tuple[int, str]]](list)
    for table in tables:
        rows = zip(table.labels.tolist(), table.paths.tolist(), strict=True)
        for image, row in zip(table.hashes.tolist(), rows, strict=True):
            copies[image].append(row)
    conflicts = {h: rows for h, rows in copies.items() if len({label for label, _ in rows}) > 1}
    if not conflicts:
        return {}, ""
    paths = {image: sorted(path for _, path in rows) for image, rows in conflicts.items()}
    shown = conflicts[min(conflicts, key=lambda image: paths[image])]
    return paths, " and ".join(path for _, path in sorted(dict(reversed(shown)).items())[:2])


@see("two-classes")
def without_conflicts(source: Source, on_conflict: str) -> Source:
    """Return a data set in which no image is in two classes, in one split or in several.

    Raises:
        GanAugError: there are such images and `on_conflict` is `stop`; or `drop`, which leaves out
            all their copies, leaves a class without others in some split.
    """
    conflicts, shown = in_two_classes(source.tables().values())
    if not conflicts:
        return source
    if on_conflict != "drop":
        raise GanAugError(
            f"{shown}: are the same image, in two classes ({len(conflicts)} such "
            f"image{'s' * (len(conflicts) > 1)} in all); delete the wrong ones, which inspect "
            "lists, or leave out all of them with data.on_conflict=drop"
        )
    kept = {
        name: table.take(~np.isin(table.hashes, list(conflicts)))
        for name, table in source.tables().items()
    }
    for name, table in kept.items():
        if empty := [label for label, count in table.counts().items() if not count]:
            raise GanAugError(
                f"data.on_conflict=drop: leaves no {name} images of {empty[0]}, all are in another "
                "class too; mend the folders"
            )
    said = (
        f"images that are in two classes: {len(conflicts)}, such as {shown}; their "
        f"{sum(map(len, conflicts.values()))} files are left out (data.on_conflict=drop)"
    )
    warnings, left_out = [*source.notes.warnings, said], sorted(conflicts.values())
    notes = replace(source.notes, warnings=warnings, conflicts_left_out=left_out)
    train, test, validation = kept["train"], kept["test"], kept.get("validation")
    return replace(source, train=train, test=test, validation=validation, notes=notes)


def extra_copies(table: ImageTable) -> NDArray[np.bool_]:
    """Tell which rows are copies of an earlier one: bool (N,)."""
    extra: NDArray[np.bool_] = firsts(table.hashes) != np.arange(len(table))
    return extra


def held_out_copies(source: Source, train: ImageTable) -> NDArray[np.bool_]:
    """Tell which training images are in the data set's test or validation split too: bool (N,)."""
    held = [table.hashes for name, table in source.tables().items() if name != "train"]
    return np.isin(train.hashes, np.concatenate(held))


def lasting(source: Source, development_per_class: int, val_per_class: int) -> dict[str, int]:
    """Return how many training images of each class any draw has to choose from, at the least.

    The numbers are those of `make_splits`.
    """
    new = ~held_out_copies(source, source.train) & ~extra_copies(source.train)
    aside = development_per_class + (val_per_class if source.validation is None else 0)
    return {name: max(0, n - aside) for name, n in source.train.take(new).counts().items()}
