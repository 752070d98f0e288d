"""Plain containers, as JSON and configurations hold them, into dataclasses and back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

OTHERS = "others"
Others = dict[str, Any]
"""What the field of that name holds, in any dataclass that has it: keys which no other field names.

They are written where it stands, so what earlier and later versions wrote passes through.
"""
_CALLED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
Record = TypeVar("Record")


class Misfit(ValueError):
    """A value is not what a record may hold; the message names the key, and what that may be."""


def from_plain(kind: type[Record], found: object) -> Record:
    """Read a record, checking all types.

    Args:
        kind: a dataclass. Its fields are text, numbers, dataclasses, `list[X]`, `dict[str, X]`,
            `X | None`, or `Any`, which takes everything. A key may be missing where its field may
            be None.
        found: a mapping.

    Raises:
        Misfit: a key is missing, or a value is of another type.
    """
    return cast("Record", _read(kind, found, ""))


def to_plain(value: Any) -> Any:
    """Return plain containers.

    A field that is None by default is left out where it is None. `class_` is the field of `class`.
    """
    if isinstance(value, Mapping):
        return {key: to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    if not is_dataclass(value):
        return value
    found: dict[str, Any] = {}
    for field in fields(value):
        inner = getattr(value, field.name)
        if field.name == OTHERS:
            found |= to_plain(inner)
        elif inner is not None or field.default is not None:
            found[_key_of(field.name)] = to_plain(inner)
    return found


def _key_of(field: str) -> str:
    return field.removesuffix("_")


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, found: Any, key: str) -> Any:
    if kind is Any:
        return found
    if isinstance(kind, UnionType):
        (inner,) = (one for one in get_args(kind) if one is not NoneType)
        return None if found is None else _read(inner, found, key)
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        items = _checked(list, found, key, "a list")
        return [_read(inner, item, f"{key}.{i}") for i, item in enumerate(items)]
    if get_origin(kind) is dict:
        _, inner = get_args(kind)
        pairs = _checked(dict, found, key, "a mapping").items()
        return {name: _read(inner, value, f"{key}.{name}") for name, value in pairs}
    if is_dataclass(kind):
        return _read_fields(kind, _checked(dict, found, key, "a mapping"), key)
    # JSON may write 1.0 as 1. True is a number to Python, and to nobody else.
    wanted = (int, float) if kind is float else kind
    if not isinstance(found, wanted) or (isinstance(found, bool) and kind is not bool):
        raise Misfit(f"{key[1:]}={found!r:.50}: must be {_CALLED[kind]}")
    return found


def _checked(kind: type, found: Any, key: str, called: str) -> Any:
    if not isinstance(found, kind):
        raise Misfit(f"{_named(key)}must be {called}")
    return found


def _named(key: str) -> str:
    return f"{key[1:]}: " if key else ""


def _read_fields(kind: Any, found: dict[str, Any], key: str) -> Any:
    hints, left = dict(_types(kind)), dict(found)
    keeps_others = hints.pop(OTHERS, None) is not None
    values = {}
    for field, hint in hints.items():
        name = _key_of(field)
        if name not in left and hint is not Any and NoneType not in get_args(hint):
            raise Misfit(f"{_named(key)}lacks {name}")
        values[field] = _read(hint, left.pop(name, None), f"{key}.{name}")
    return kind(**values, **({OTHERS: left} if keeps_others else {}))
