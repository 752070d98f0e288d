"""Files that gan_aug writes and reads again: a pydantic model for each kind, read with one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import MOST_JSON, read_json, write_json


class Part(BaseModel):
    """A part of such a file: its keys and no others, in types that are not converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Stored(Part):
    """What a JSON file holds, with the number of its format; another format is refused."""

    FORMAT: ClassVar[int] = 1
    WHAT: ClassVar[str] = "file of gan_aug"
    """What such a file is called."""

    format: int = 1

    @classmethod
    def read(
        cls, path: Path, remedy: str = "remove it or restore it", most: int = MOST_JSON
    ) -> Self:
        """Read a file that may come from anyone, of `most` bytes at most; see `parse`."""
        return cls.parse(read_json(path, remedy, most), str(path), remedy)

    @classmethod
    def parse(cls, content: Any, where: str, remedy: str = "remove it or restore it") -> Self:
        """Read plain containers of a file.

        GanAugError, with the remedy, where it is of another format or no such file.
        """
        found = content.get("format") if isinstance(content, dict) else None
        if found != cls.FORMAT:
            raise GanAugError(
                f"{where}: is of format {found!r:.20}, this gan_aug reads {cls.FORMAT}; {remedy}"
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            fault = first_fault(error)
            raise GanAugError(f"{where}: is no {cls.WHAT} ({fault}); {remedy}") from error

    def write(self, path: Path) -> None:
        """Write the file in one step; see `gan_aug.runtime.files.replace_file`."""
        write_json(path, self.plain())

    def plain(self) -> dict[str, Any]:
        """Return plain containers as JSON has them; `class_` is the key `class`."""
        return self.model_dump(mode="json", by_alias=True)


def first_fault(error: ValidationError) -> str:
    """Return the first thing that is wrong: which key, and what it must be."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"])
    said = fault["msg"][:1].lower() + fault["msg"][1:]
    shown = "" if fault["type"] == "missing" else f"={fault['input']!r:.50}"
    return f"{key}{shown}: {said}"
