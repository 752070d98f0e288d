"""The groups of images in a split: which of them have numbers, and what fits predict of these.

A group of a split goes by the name that `images_of` gives it (`test (sex=F)`), and wherever numbers
are looked up it stands in a split's place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.groups import FEWEST
from gan_aug.report.metrics import LAST
from gan_aug.report.predictions import Predicted, Predictions
from gan_aug.report.records import DrawResult
from gan_aug.settings.design import images_of


def split_of(images: str) -> str:
    """Return the split that images are of: `test`, of `test (sex=F)` and `test_last (sex=F)`."""
    return images.partition(" (")[0].removesuffix(LAST)


def is_last(images: str) -> bool:
    """Tell whether images stand for what the last step's weights give on them."""
    return images.partition(" (")[0].endswith(LAST)


def last_of(images: str) -> str:
    """Return how numbers of the last step's weights go by: `test_last`, `test_last (sex=F)`."""
    split, bracket, group = images.partition(" (")
    return f"{split}{LAST}{bracket}{group}"


def not_last(images: str) -> str:
    """Return the images of what `last_of` gives; others as they are."""
    return images.replace(LAST, "", 1) if is_last(images) else images


def members(result: DrawResult) -> Iterator[tuple[str, str, str, NDArray[np.bool_]]]:
    """Yield each split, column and group of it with the images that are in it, bool (N,)."""
    for split, columns in result.groups.items():
        for column, groups in columns.items():
            codes = np.array([-1 if one is None else one for one in groups.images], np.int64)
            for code, name in enumerate(groups.names):
                yield split, column, name, codes == code


def by_group(predictions: Predictions, result: DrawResult) -> dict[str, Predicted]:
    """Return the predictions of each group that has `FEWEST` images of every class or more."""
    found = {}
    for split, column, name, inside in members(result):
        one = predictions[split].take(inside)
        if np.bincount(one.labels, minlength=len(result.classes)).min() >= FEWEST:
            found[images_of(split, column, name)] = one
    return found
