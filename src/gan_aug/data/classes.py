"""The classes of a data set, and settings that give a number for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.runtime.errors import GanAugError, as_typed
from gan_aug.settings.by_name import by_name, class_named, names_in, normal, values_by_class

LONGEST_NAME = 100
NOT_IN_NAMES = r'/\:*?"<>|'
"""Letters that some system cannot have in the names of folders."""


@dataclass(frozen=True)
class Classes:
    """Class names in the order of their labels, at least two.

    Of two, `positive` is the one that sensitivity, specificity and the threshold are about.

    Raises:
        GanAugError: fewer than two names, a name twice or one that cannot name a folder, or a
            positive class that is none of two.
    """

    names: tuple[str, ...]
    positive: str | None = None

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            has = f"only the class {self.names[0]}" if self.names else "no class"
            raise GanAugError(f"data: has {has}; a classifier needs two classes or more")
        for name in self.names:
            if not is_class_name(name):
                raise GanAugError(
                    f"data: {name!r} cannot name a class, as it names folders; rename it: letters, "
                    f"digits, spaces (not at an end), no leading dot and none of {NOT_IN_NAMES}, "
                    f"at most {LONGEST_NAME}"
                )
        listed = ", ".join(self.names)
        if len({normal(name).casefold() for name in self.names}) < len(self.names):
            raise GanAugError(
                f"data: of {listed} two names are one, or differ by case at most; rename one, or "
                "write them alike in data.table"
            )
        if self.positive is not None and self.positive not in self.names:
            raise GanAugError(f"data.positive={self.positive}: is none of the classes {listed}")
        if self.positive is not None and len(self.names) > 2:
            raise GanAugError(
                f"data.positive={self.positive}: of {len(self.names)} classes none is the positive "
                f"one; make them two with data.classes=[{self.positive},other], all others as one, "
                "or set data.positive=null"
            )

    @classmethod
    def of(cls, names: Iterable[str], positive: Any) -> Classes:
        """Return the classes in the order of their names; the positive one is as it was typed."""
        ordered = tuple(sorted(names))
        if positive is None:
            return cls(ordered)
        setting = f"data.positive={as_typed(positive)}"
        return cls(ordered, class_named(positive, ordered, setting))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @property
    def positive_label(self) -> int | None:
        """The label of the positive class."""
        return None if self.positive is None else self.names.index(self.positive)

    def label(self, name: str) -> int:
        """Return the label of a class."""
        return self.names.index(name)

    def counts(self, labels: NDArray[np.integer[Any]]) -> dict[str, int]:
        """Return how many of some labels are of each class."""
        return {name: int((labels == i).sum()) for i, name in enumerate(self.names)}

    def named(self, typed: Any, key: str) -> str:
        """Return the class that a setting means; see `class_named`."""
        return class_named(typed, self.names, f"{key}={as_typed(typed)}")

    def all_named(self, typed: Any, key: str) -> list[str]:
        """Return the classes that a list in a setting means; it may be given as text."""
        return [self.named(one, key) for one in names_in(typed)]

    def numbers(self, value: Any, key: str) -> dict[str, Any]:
        """Return a number for each class; None where the setting `key` says nothing.

        The value is a number for all, null, or a mapping, which may be given as text.

        Raises:
            GanAugError: it names something that is no class.
        """
        value = by_name(value)
        if not isinstance(value, Mapping):
            return dict.fromkeys(self.names, value)
        said = {typed: number for typed, number in value.items() if number is not None}
        try:
            numbers = values_by_class(said, self.names, key)
        except GanAugError as error:
            raise GanAugError(
                f"{error}; set {key}=NUMBER for all of them, or {key}={{{self.names[0]}: NUMBER}}"
            ) from error
        return {name: numbers.get(name) for name in self.names}


def is_class_name(name: Any) -> bool:
    """Tell whether a text can name a class: it also names folders and stands in file names."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= LONGEST_NAME
        and name.isprintable()
        and name == name.strip()
        and not name.startswith(".")
        and not set(name) & set(NOT_IN_NAMES)
        and "${" not in name  # OmegaConf would resolve it
    )
