"""The classes of a data set, and settings that give a number for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gan_aug.run.errors import GanAugError
from gan_aug.settings.by_name import by_name

LONGEST_NAME = 100


@dataclass(frozen=True)
class Classes:
    """Class names in the order of their labels.

    Attributes:
        names: at least two; the label of an image is the position of its class here.
        positive: of two classes the one that sensitivity, specificity and the threshold are about;
            None where no class is.

    Raises:
        GanAugError: fewer than two names, a name twice or one that cannot name a folder, or a
            positive class that is none of two.
    """

    names: tuple[str, ...]
    positive: str | None = None

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            found = f"only the class {self.names[0]}" if self.names else "no class"
            raise GanAugError(f"data: has {found}; a classifier needs two classes or more")
        for name in self.names:
            if not is_class_name(name):
                raise GanAugError(
                    f"data: {name!r} cannot name a class, as it names folders; use letters, digits "
                    f"and spaces, at most {LONGEST_NAME}, and no / or leading dot"
                )
        if len({name.casefold() for name in self.names}) < len(self.names):
            raise GanAugError(
                f"data: of {self._listed} two names differ by case at most; rename one"
            )
        if self.positive is not None and self.positive not in self.names:
            raise GanAugError(
                f"data.positive={self.positive}: is none of the classes {self._listed}"
            )
        if self.positive is not None and len(self.names) > 2:
            raise GanAugError(
                f"data.positive={self.positive}: of {len(self.names)} classes none is the positive "
                "one; set data.positive=null"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @property
    def _listed(self) -> str:
        return ", ".join(self.names)

    @property
    def positive_label(self) -> int | None:
        """The label of the positive class."""
        return None if self.positive is None else self.names.index(self.positive)

    def label(self, name: str) -> int:
        """Return the label of a class."""
        return self.names.index(name)

    def check_name(self, name: Any, setting: str) -> None:
        """Check that a setting, as it is typed, names a class.

        Raises:
            GanAugError: it does not; the message lists the classes.
        """
        if name not in self.names:
            raise GanAugError(f"{setting}: {name} is none of the classes {self._listed}")

    def numbers(self, value: Any, key: str) -> dict[str, int | None]:
        """Return a number for each class from a setting.

        Args:
            value: a number for all classes, null, or what `by_name` takes, where null, as of a
                class that is not named, says nothing.
            key: the setting.

        Raises:
            GanAugError: it names something that is no class.
        """
        value = by_name(value)
        if not isinstance(value, Mapping):
            return dict.fromkeys(self.names, value)
        for name, number in value.items():
            if number is not None and name not in self.names:
                raise GanAugError(
                    f"{key}.{name}={number}: {name} is none of the classes {self._listed}; set "
                    f"{key}=NUMBER for all of them, or {key}={{{self.names[0]}: NUMBER}}"
                )
        return {name: value.get(name) for name in self.names}


def is_class_name(name: Any) -> bool:
    """Tell whether a text can name a class: it also names folders and stands in file names."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= LONGEST_NAME
        and name.isprintable()
        and name == name.strip()
        and not name.startswith(".")
        and not set(name) & set('/\\:*?"<>|')
    )
