"""What single settings may hold: numbers with ranges, paths, values by class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from annotated_types import Predicate
from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from gan_aug.settings.by_name import by_name, names_in

MOST_IMAGES = 100_000
"""Of a class at once: they are held in memory."""
MOST_COLUMNS = 20
"""Of a table, whose groups a study measures."""
SPLITS = ("validation", "internal", "development", "test")
"""Parts of a draw that a fit can be measured on; `data.external` adds further tests to them."""
_TAKEN = {*SPLITS, "train", "training", "val", "unused", "unlabelled", "external", "synthetic"}
AUTO: Final = "auto"
"""Of a number that a study takes from its data."""
Seen = Literal["draw", "nothing", "unknown"]
"""What the generator of an external set saw, see `gan_aug.data.external_set`."""
MEANINGS = (
    "draw (the draw's training images alone; its draw.json of gan_aug.export lies beside the "
    "images), nothing (no image of this data set) or unknown (a report then says first that "
    "leakage cannot be excluded)"
)
JsonSchema = dict[str, Any]
T = TypeVar("T")


class Wanted:
    """What an error says that a value must be, where its type does not say it in few words.

    Or that it may be one for all classes, or one by class.
    """

    def __init__(self, text: str = "", by_class: bool = False) -> None:
        self._said: JsonSchema = {"by_class": True} if by_class else {"wanted": text}

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return handler(schema) | self._said


def names_external_test(name: Any) -> bool:
    """Tell whether a text can name a set of `data.external`; it also names columns and scalars."""
    word = isinstance(name, str) and re.fullmatch("[A-Za-z][A-Za-z0-9]{0,30}", name)
    return bool(word) and name.casefold() not in _TAKEN


def _path(value: str) -> bool:
    try:
        Path(value).expanduser()
    except RuntimeError:  # ~somebody, who has no home here
        return False
    return bool(value) and "\0" not in value


def _beta(value: Any) -> Any:
    if not isinstance(value, float):  # torch's optimisers take no whole number
        raise ValueError
    return value


Index = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Images = Annotated[int, Field(ge=1, le=MOST_IMAGES)]
Count = Annotated[int, Field(ge=0, le=MOST_IMAGES)]
BatchSize = Annotated[int, Field(ge=2, le=65536)]
Above0 = Annotated[float, Field(gt=0)]
From0 = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Between0And1 = Annotated[float, Field(gt=0, lt=1)]
Auto = Literal["auto"]


def _several(typed: Any) -> Any:
    return typed if isinstance(typed, list) else [typed]


Draws = Annotated[
    list[Index],
    BeforeValidator(_several),
    Field(min_length=1),
    Predicate(lambda draws: len({*draws}) == len(draws)),
    Wanted("a whole number from 0, or several that differ, as range(0,10)"),
]
PathText = Annotated[
    str,
    Predicate(_path),
    Wanted('the path of a file or folder, as text (in quotes where it is a number: "5")'),
]
ClassName = Annotated[
    Any,
    Predicate(lambda typed: isinstance(typed, str | int | float)),
    Wanted("the name of a class"),
]
"""As it was typed: which class a number or true means, the data set says."""
ByClass = Annotated[T | Mapping[Any, T], BeforeValidator(by_name), Wanted(by_class=True)]
"""One value for all classes, or a mapping from classes, as they were typed, to values."""
_TWO = Field(min_length=2, max_length=2)
SplitName = Annotated[
    str,
    Predicate(lambda name: name in SPLITS or names_external_test(name)),
    Wanted(f"one of {', '.join(SPLITS)}, or the name of a set of data.external"),
]
Names = Annotated[list[str], Wanted("a list of names")]
Pairs = Annotated[
    list[Annotated[list[str], _TWO]], Wanted("a list of pairs of names, as [[classic_gan,classic]]")
]
GroupColumns = Annotated[
    list[str],
    BeforeValidator(names_in),
    Field(max_length=MOST_COLUMNS),
    Wanted(f"a list of at most {MOST_COLUMNS} columns of data.table, as [sex,view]"),
]
Group = Annotated[
    Annotated[dict[Any, Any], Field(min_length=1, max_length=1)] | None,
    BeforeValidator(by_name),
    Wanted("a column of data.table and one of its values, as {sex: F}"),
]
Sizes = Annotated[
    list[Positive],
    Field(min_length=2),
    Predicate(lambda sizes: sorted({*sizes}) == sizes),
    Wanted("a list of two and more growing numbers of images, as [25,50,100]"),
]
Betas = Annotated[
    list[Annotated[Share, BeforeValidator(_beta)]],
    _TWO,
    Wanted("a list of two numbers from 0 to below 1 with a decimal point, as [0.0,0.9]"),
]
Window = Annotated[
    list[float] | Literal["percentiles"],
    Predicate(lambda typed: isinstance(typed, str) or (len(typed) == 2 and typed[1] > 0)),
    Wanted("centre and width as [40,400], or percentiles"),
]
Magnifications = Annotated[
    list[Above0],
    _TWO,
    Predicate(lambda ends: ends[0] <= ends[1]),
    Wanted("a list of two numbers above 0, the smaller first"),
]
Patterns = Annotated[
    str | list[str], Wanted("a list of patterns of paths, as ['*_mask*','*/masks/*']")
]
Columns = Annotated[
    dict[Any, Any],
    BeforeValidator(by_name),
    Wanted("what columns are called, as {path: image_path, label: diagnosis}"),
]
ClassMap = Annotated[
    dict[Any, Any],
    BeforeValidator(by_name),
    Wanted("a mapping of its classes to those of the data set, as {No_findings: normal}"),
]
_ClassNames = Annotated[list[Any], BeforeValidator(names_in)]
ClassList = Annotated[_ClassNames, Field(min_length=2), Wanted("a list of two classes or more")]
ClassPair = Annotated[_ClassNames, _TWO, Wanted("a list of two names of classes")]
RealLabel = Annotated[float, Field(gt=0.5, le=1), Wanted("a number in (0.5, 1]")]
Layers = Annotated[
    list[Index], Field(min_length=1), Wanted("a list of whole numbers from 0, as in layers=[0,2]")
]
