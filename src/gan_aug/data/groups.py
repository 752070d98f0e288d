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
_NONE = 255
"""The code of a cell without a value, -1 as int8."""


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
    """The columns of a table while it is read row by row; a byte is kept of each cell."""

    def __init__(self, columns: Iterable[str]) -> None:
        given = list(columns)
        names = [normal(name) for name in given]
        self.left_out = {
            name: "stands twice in the first line of data.table"
            for name in names
            if names.count(name) > 1
        }
        """Columns whose values are no groups, and why."""
        self._codes = {name: bytearray() for name in names if name and name not in self.left_out}
        self._called = dict(zip(names, given, strict=True))  # in the file
        self._values: dict[str, dict[str, int]] = {name: {} for name in self._codes}
        self._row_of: dict[str, int] = {}

    def add(self, path: str, cells: Mapping[str, str]) -> None:
        """Take in what a row says of the image at a path."""
        self._row_of[path] = len(self._row_of)
        for column, codes in list(self._codes.items()):
            value, values = normal(cells.get(self._called[column], "")), self._values[column]
            if not value:
                codes.append(_NONE)
                continue
            if value not in values and (len(values) == MOST_GROUPS or len(value) > _LONGEST):
                many = f"has more than {MOST_GROUPS} values"
                long = f"has values of more than {_LONGEST} characters"
                self.left_out[column] = long if len(value) > _LONGEST else many
                del self._codes[column], self._values[column]
                continue
            codes.append(values.setdefault(value, len(values)))

    def of(self, paths: Sequence[str]) -> dict[str, Groups]:
        """Return the groups of these images, in their order, by column."""
        found: dict[str, Groups] = {}
        if not self._codes:
            return found
        rows = np.array([self._row_of[path] for path in paths], np.int64)
        for column, codes in self._codes.items():
            values = self._values[column]
            if not values:
                self.left_out[column] = "has no value in any row"
                continue
            names = sorted(values)
            place = np.full(_NONE + 1, -1, np.int8)
            place[[values[name] for name in names]] = np.arange(len(names))
            found[column] = Groups(tuple(names), place[np.frombuffer(codes, np.uint8)[rows]])
        return found
