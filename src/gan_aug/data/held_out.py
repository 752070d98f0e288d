"""Real images that no GAN of the draw has seen, for measuring generated ones.

The training folder's patients are cut into two halves, the same for every draw. One half fits the
reference classifier. From the other half come the images to compare with, less all patients that
the draw trains or validates on. The test images stay unread.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError, see, warn

_HALVES_STREAM = 20200216
_SIDES_STREAM = 20200217
FEWEST = 10
"""Images to measure with; features of fewer say nothing."""


@dataclass(frozen=True)
class HeldOut:
    """Real images by what they are for; no patient is in both, nor in the draw's training.

    Attributes:
        reference: what generated images are compared with.
        baseline: real images measured in place of generated ones: the best that a metric can read.
    """

    reference: ImageTable
    baseline: ImageTable


def reference_classifier_images(splits: Splits) -> ImageTable:
    """Return the images that fit the reference classifier, the same for every draw."""
    table = _training_folder(splits)
    return table.take(_in_reference_half(splits, table))


@see("held-out")
def cut_held_out(
    splits: Splits, count: int, needed: Collection[str], validation: bool = False
) -> HeldOut:
    """Cut the images that a draw's generated images are measured with.

    A class has `count` images in `reference`, and as many in `baseline`; fewer where there are not
    so many, which is said. Where fewer than `FEWEST` are left of one that is `needed`, the
    validation images join, with `validation`: only where they chose nothing of what is measured.

    Raises:
        GanAugError: a class that is needed has fewer than `FEWEST`.
    """
    sides, joined = _measuring_sides(splits, needed, validation)
    among = " (validation images among them)" if joined else ""
    wanted: list[int] = []
    for name in splits.classes:
        left = min(side.counts()[name] for side in sides)
        if left < FEWEST and name in needed:
            raise GanAugError(
                f"quality.count={count}: only {left} {name} images to compare with are "
                f"left on each side, {FEWEST} are the fewest; leave it more of them (a smaller "
                f"data.subset.{name}), or measure no quality (quality.use=[])"
            )
        if left < count and name in needed:
            warn(
                f"quality.count={count}: only {left} {name} images to compare with are "
                f"left on each side{among}; {name} is measured with N = {left}"
            )
        wanted.append(min(count, left) if name in needed else count)

    def first(side: ImageTable) -> ImageTable:
        rows = [np.flatnonzero(side.labels == label)[:n] for label, n in enumerate(wanted)]
        return side.take(np.concatenate(rows))

    return HeldOut(*map(first, sides))


def left_to_measure(splits: Splits, needed: Collection[str], validation: bool) -> dict[str, int]:
    """Return how many images `cut_held_out` has at the most, of each class that is measured."""
    sides, _ = _measuring_sides(splits, needed, validation)
    return {name: min(side.counts()[name] for side in sides) for name in needed}


def _measuring_sides(
    splits: Splits, needed: Collection[str], validation: bool
) -> tuple[list[ImageTable], bool]:
    """Part the unseen images; say whether validation images have joined them."""
    sides = _part(splits, with_validation=False)
    few = any(side.counts()[name] < FEWEST for side in sides for name in needed)
    joined = few and validation
    return _part(splits, with_validation=True) if joined else sides, joined


def _part(splits: Splits, with_validation: bool) -> list[ImageTable]:
    """Part the unseen images outside the reference classifier's half into two sides."""
    cut, brought = _validation(splits)
    folder = _training_folder(splits)
    unit = _units_of(splits, folder)
    seen = _units_of(splits, splits.train, *(() if with_validation else (cut,)))
    free = ~_in_reference_half(splits, folder) & ~np.isin(unit, seen)
    table, unit = folder.take(free), unit[free]
    if with_validation:
        brought = brought.take(np.unique(brought.hashes, return_index=True)[1])
        _, numbers = np.unique(brought.patients, return_inverse=True)
        last = max(splits.patient_units.values(), default=-1)
        table, unit = concatenate(table, brought), np.concatenate([unit, last + 1 + numbers])
    sides: tuple[list[NDArray[np.int64]], ...] = ([], [])
    side_of: dict[int, int] = {}
    random = np.random.default_rng(_SIDES_STREAM)
    for label in range(len(table.classes)):
        rows = np.flatnonzero(table.labels == label)
        # Whole units in random order, the first on one side and the next on the other; one that
        # has images of both classes stays where it is.
        for place, number in enumerate(random.permutation(np.unique(unit[rows])).tolist()):
            side_of.setdefault(number, place % 2)
        on_side = np.array([side_of[number] for number in unit[rows].tolist()], np.int64)
        for place, side in enumerate(sides):
            side.append(rows[on_side == place])
    return [table.take(np.concatenate(side)) for side in sides]


def _validation(splits: Splits) -> tuple[ImageTable, ImageTable]:
    """Return validation images cut from the training folder, and those the data set brought."""
    table = splits.validation
    cut = np.isin(table.patients, list(splits.patient_units))
    return table.take(cut), table.take(~cut)


def _training_folder(splits: Splits) -> ImageTable:
    """Return the training folder's images, each once, in an order that no draw changes."""
    table = concatenate(splits.train, _validation(splits)[0], splits.internal, splits.unused)
    return table.take(np.argsort(table.hashes, kind="stable"))


def _units_of(splits: Splits, *tables: ImageTable) -> NDArray[np.int64]:
    patients = np.concatenate([table.patients for table in tables]).tolist()
    return np.array([splits.patient_units[patient] for patient in patients], np.int64)


def _in_reference_half(splits: Splits, table: ImageTable) -> NDArray[np.bool_]:
    unit = _units_of(splits, table)
    random = np.random.default_rng(_HALVES_STREAM)
    chosen = []
    for label in range(len(table.classes)):
        of_class = np.unique(unit[table.labels == label])
        chosen.append(random.permutation(of_class)[: len(of_class) // 2])
    return np.isin(unit, np.concatenate(chosen))
