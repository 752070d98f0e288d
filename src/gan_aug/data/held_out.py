"""Real images that no GAN of the draw has seen, for measuring generated ones. Loads no torch.

The training folder's patients are cut into two halves, the same for every draw. One half fits the
reference classifier, which supplies features and opinions. From the other half come the images to
compare with, less all patients that the draw trains or validates on. The test images stay unread.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.splits import Splits
from gan_aug.run.errors import GanAugError, warn

_HALVES_STREAM = 20200216
_SIDES_STREAM = 20200217
FEWEST = 10
"""Images to measure with; features of fewer say nothing."""


@dataclass(frozen=True)
class HeldOut:
    """Real images by what they are for; no patient is in two of these, nor in the draw's training.

    Attributes:
        classifier: fit the reference classifier; may hold training and validation images of the
            draw.
        reference: what generated images are compared with.
        baseline: real images measured in place of generated ones: the best that a metric can read.
    """

    classifier: ImageTable
    reference: ImageTable
    baseline: ImageTable

    def counts(self) -> dict[str, dict[str, int]]:
        """Return images by part and class."""
        parts = {
            "classifier": self.classifier,
            "reference": self.reference,
            "baseline": self.baseline,
        }
        return {name: table.counts() for name, table in parts.items()}


def reference_classifier_images(splits: Splits) -> ImageTable:
    """Return the images that fit the reference classifier: half of the training folder's patients.

    They do not depend on the draw, so that numbers of several draws have the same classifier.
    """
    table = _training_folder(splits)
    return table.take(_in_reference_half(splits, table))


def cut_held_out(splits: Splits, count: int, needed: Collection[str]) -> HeldOut:
    """Cut the images that a draw's generated images are measured with.

    A class has as many in `reference` as in `baseline`: `count`, or as many as there are, which is
    said.

    Args:
        splits: the draw.
        count: images of each class in `reference` and in `baseline`, at the most.
        needed: classes that are measured; of the others there may be fewer than `FEWEST`.

    Raises:
        GanAugError: a class that is measured has fewer than `FEWEST`.
    """
    table = _training_folder(splits)
    unit = _units_of(splits, table)
    in_half = _in_reference_half(splits, table)
    seen = np.isin(unit, np.concatenate([_units_of(splits, t) for t in _in_use(splits)]))
    free = ~in_half & ~seen
    sides: tuple[list[NDArray[np.int64]], ...] = ([], [])
    side_of: dict[int, int] = {}
    random = np.random.default_rng(_SIDES_STREAM)
    for label, name in enumerate(table.classes):
        rows = np.flatnonzero(free & (table.labels == label))
        # Whole units in random order, the first on one side and the next on the other; one that
        # has images of both classes stays where it is.
        for place, number in enumerate(random.permutation(np.unique(unit[rows])).tolist()):
            side_of.setdefault(number, place % 2)
        on_side = np.array([side_of[number] for number in unit[rows].tolist()], np.int64)
        left = int(np.bincount(on_side, minlength=2).min())
        if left < FEWEST and name in needed:
            raise GanAugError(
                f"quality.count={count}: only {left} {name} images that the GAN has not seen are "
                f"left on each side, {FEWEST} are the fewest; leave it more of them (a smaller "
                f"data.subset.{name}), or measure no quality (quality.use=[])"
            )
        taken = min(count, left) if name in needed else count
        if taken < count and name in needed:
            warn(
                f"quality.count={count}: only {taken} {name} images that the GAN has not seen are "
                f"left on each side; {name} is measured with N = {taken}"
            )
        for place, side in enumerate(sides):
            side.append(rows[on_side == place][:taken])
    reference, baseline = (table.take(np.concatenate(side)) for side in sides)
    return HeldOut(table.take(in_half), reference, baseline)


def _in_use(splits: Splits) -> tuple[ImageTable, ...]:
    """Return what fits or chooses a model in this draw, as far as it is of the training folder."""
    return (splits.train, _cut_validation(splits))


def _cut_validation(splits: Splits) -> ImageTable:
    """Return the validation images, unless the data set brought them as a split of its own."""
    own = np.array([p in splits.patient_units for p in splits.validation.patients.tolist()], bool)
    return splits.validation.take(own)


def _training_folder(splits: Splits) -> ImageTable:
    """Return the training folder's images, each once, in an order that no draw changes."""
    table = concatenate(splits.train, _cut_validation(splits), splits.internal, splits.unused)
    return table.take(np.argsort(table.hashes, kind="stable"))


def _units_of(splits: Splits, table: ImageTable) -> NDArray[np.int64]:
    return np.array([splits.patient_units[p] for p in table.patients.tolist()], np.int64)


def _in_reference_half(splits: Splits, table: ImageTable) -> NDArray[np.bool_]:
    unit = _units_of(splits, table)
    random = np.random.default_rng(_HALVES_STREAM)
    chosen = []
    for label in range(len(table.classes)):
        of_class = np.unique(unit[table.labels == label])
        chosen.append(random.permutation(of_class)[: len(of_class) // 2])
    return np.isin(unit, np.concatenate(chosen))
