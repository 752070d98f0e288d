"""What a table says of its images beside class and patient: sex, age group, scanner, view.

No column is known by its name. One of few values puts each image into a group; one of many (ages,
numbers of an examination) does not, and is left out with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.settings.by_name import normal

MOST_GROUPS = 20
"""Values of a column whose images are told apart by it."""
FEWEST = 10
"""Images of each class in a group of which there are numbers."""
_LONGEST = 60
"""Characters of a value: what is longer is no name of a group."""


@dataclass(frozen=True)
class Groups:
    """What a column says of N images.

    Attributes:
        names: of the groups, sorted; at most `MOST_GROUPS`.
        of_images: int8 (N,), positions in `names`; -1 where the table says nothing.
    """

    names: tuple[str, ...]
    of_images: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.of_images)

    def take(self, rows: Any) -> Groups:
        """Return the groups of these images in that order."""
        return Groups(self.names, self.of_images[rows])


GroupsByColumn = Mapping[str, Groups]


def join_groups(parts: Sequence[GroupsByColumn]) -> dict[str, Groups]:
    """Return the groups of all images of several tables, of the columns that all of them have."""
    first, *others = parts
    return {
        column: Groups(
            groups.names, np.concatenate([part[column].of_images for part in (first, *others)])
        )
        for column, groups in first.items()
        if all(column in part and part[column].names == groups.names for part in others)
    }


class ColumnsRead:
    """The columns of a table while it is read row by row; a byte is kept of each cell.

    Those of many values are let go of.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        given = list(columns)
        names = [normal(name) for name in given]
        self.left_out = {
            name: "stands twice in the first line of data.table"
            for name in names
            if names.count(name) > 1
        }
        """Columns whose values are no groups, and why."""
        self._called = dict(zip(names, given, strict=True))  # in the file
        left = [name for name in names if name and name not in self.left_out]
        self._cells = {name: bytearray() for name in left}
        """Column to the place of each row's value among these:"""
        self._values: dict[str, dict[str, int]] = {name: {} for name in left}
        self._row_of: dict[str, int] = {}

    def add(self, path: str, cells: Mapping[str, str]) -> None:
        """Take in what a row says of the image at a path."""
        self._row_of[path] = len(self._row_of)
        for column in list(self._cells):
            value, values = normal(cells.get(self._called[column], "")), self._values[column]
            self._cells[column].append(values.setdefault(value, len(values)))
            if len(value) > _LONGEST:
                self.left_out[column] = f"has values of more than {_LONGEST} characters"
            elif len(values.keys() - {""}) > MOST_GROUPS:
                self.left_out[column] = f"has more than {MOST_GROUPS} values"
            if column in self.left_out:
                del self._cells[column]

    def of(self, paths: Sequence[str]) -> dict[str, Groups]:
        """Return the groups of these images, in their order, by column."""
        found = {}
        for column, cells in self._cells.items():
            names = sorted(self._values[column].keys() - {""})
            if not names:
                self.left_out[column] = "has no value in any row"
                continue
            place = {"": -1} | {name: i for i, name in enumerate(names)}
            codes = np.array([place[value] for value in self._values[column]], np.int8)
            rows = [self._row_of[path] for path in paths]
            found[column] = Groups(tuple(names), codes[np.frombuffer(cells, np.uint8)[rows]])
        return found
