"""From an error of pydantic to the one line: key=value: must be ..., and what to do."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.groups import no_group
from gan_aug.settings.values import ByClassMark, Wanted

_MAPPINGS = (dict, Mapping)
_CALLED = {bool: "true or false", str: "text", type(None): "null", Any: "anything"}


def line_of(kind: type[BaseModel], given: Any, error: ValidationError) -> GanAugError:
    """Return the line for the first thing that is wrong.

    Args:
        kind: the model.
        given: what it was to be made from.
        error: of pydantic.
    """
    faults = [_Fault(kind, given, fault["loc"]) for fault in error.errors(include_url=False)]
    first = faults[0]
    # Of a union there is an error for each choice: the one inside a mapping says which class.
    inner = [fault for fault in faults if fault.key.startswith(f"{first.key}.")]
    return (inner or faults)[0].line()


class _Fault:
    """Where an error lies: the key as it is typed, its value, and the type that it must have."""

    def __init__(self, kind: Any, given: Any, where: Sequence[int | str]) -> None:
        self.key, self.value, self.is_there = "", given, True
        self.hint: Any = kind
        for part in where:
            if not self._enter(part):
                break

    def _enter(self, part: int | str) -> bool:
        """Go on to a part; False: what follows is of no use to a user."""
        if not isinstance(self.value, dict | list):
            return False
        value: Any = self.value
        inner = _inner(self.hint, part)
        if inner is None:
            if not isinstance(self.value, dict) or part not in self.value:
                return True  # the name of a choice of a union
            if not _is_by_class(self.hint):
                return False
            inner = self.hint
        self.hint = inner
        self.key += f"[{part}]" if isinstance(part, int) and isinstance(self.value, list) else (
            f".{part}" if self.key else str(part)
        )  # fmt: skip
        try:
            self.value = value[part]
        except (KeyError, IndexError, TypeError):
            self.is_there, self.value = False, None
        return True

    def line(self) -> GanAugError:
        """Return what is wrong, in a line."""
        if not self.is_there:
            return GanAugError(f"{self.key}: is missing; conf/ has it")
        if _is_group(self.hint) and not isinstance(self.value, dict):
            return no_group(self.key, self.value)
        return GanAugError(f"{self.key}={as_typed(self.value)}: must be {in_words(self.hint)}")


def _parts(hint: Any) -> Iterator[Any]:
    """Yield the choices of a type, without what is said beside them."""
    origin = get_origin(hint)
    if origin is Annotated:
        yield from _parts(get_args(hint)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(hint):
            yield from _parts(one)
    else:
        yield hint


def _said(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _is_by_class(hint: Any) -> bool:
    if any(isinstance(said, ByClassMark) for said in _said(hint)):
        return True
    inner = get_args(hint) if get_origin(hint) in (Annotated, Union, types.UnionType) else ()
    return any(map(_is_by_class, inner))


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _is_group(hint: Any) -> bool:
    """Tell whether a type is of groups of settings and nothing else."""
    if any(isinstance(said, Wanted) for said in _said(hint)):
        return False
    groups = [p for p in _parts(hint) if p is not type(None)]
    return all(_is_model(p) or get_origin(p) in _MAPPINGS for p in groups) and bool(groups)


def _inner(hint: Any, part: int | str) -> Any:
    """Return the type of what lies at a part, as far as that is a setting of its own."""
    for one in _parts(hint):
        if _is_model(one):
            for name, field in one.model_fields.items():
                if part in (name, field.alias):
                    return _hint_of(field)
        elif get_origin(one) in (*_MAPPINGS, list) and not _is_by_class(hint):
            item = get_args(one)[-1]
            of_list = get_origin(one) is list
            if not of_list or (isinstance(part, int) and any(map(_is_model, _parts(item)))):
                return item
    return None


def _hint_of(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def in_words(hint: Any) -> str:
    """Return what a value of a type is called: a whole number from 1, or null."""
    said = _said(hint)
    for one in said:
        if isinstance(one, Wanted):
            return one.text
    if get_origin(hint) is Annotated:
        plain = get_args(hint)[0]
        if any(isinstance(one, ByClassMark) for one in said):
            numbers = [p for p in get_args(plain) if get_origin(p) not in _MAPPINGS]
            return f"{_either(numbers)}, for all classes or as {{CLASS: NUMBER}}"
        if plain in (int, float):
            return _number(plain, said)
        return in_words(plain)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(as_typed(choice) for choice in get_args(hint))}"
    if get_origin(hint) in (Union, types.UnionType):
        return _either(list(get_args(hint)))
    if hint in (int, float):
        return _number(hint, ())
    if get_origin(hint) is list:
        return "a list"
    return _CALLED.get(hint, "a group of settings")


def _either(choices: list[Any]) -> str:
    words = [in_words(choice) for choice in choices if choice is not type(None)]
    words = [word.removeprefix("one of ") if i else word for i, word in enumerate(words)]
    words += ["null"] if type(None) in choices else []
    return ", or ".join(words)


def _number(kind: type, said: tuple[Any, ...]) -> str:
    bounds: dict[str, Any] = {}
    for one in _flat(said):
        for name in ("ge", "gt", "le", "lt"):
            if (bound := getattr(one, name, None)) is not None:
                bounds[name] = bound
    what = "a whole number" if kind is int else "a number"
    show = "{:d}" if kind is int else "{:g}"
    words = {name: show.format(bound) for name, bound in bounds.items()}
    if {"gt", "lt"} <= words.keys():
        return f"{what} between {words['gt']} and {words['lt']}"
    low = (
        f" from {words['ge']}"
        if "ge" in words
        else f" above {words['gt']}"
        if "gt" in words
        else ""
    )
    high = (
        f" to {words['le']}"
        if "le" in words
        else f" to below {words['lt']}"
        if "lt" in words
        else ""
    )
    return f"{what}{low}{high}"


def _flat(said: Sequence[Any]) -> Iterator[Any]:
    for one in said:
        if isinstance(one, FieldInfo):
            yield from one.metadata
        elif isinstance(one, annotated_types.GroupedMetadata):
            yield from one
        else:
            yield one


def no_such_setting(key: str, value: Any, known: Sequence[str]) -> GanAugError:
    """Return the line for a key that no group has and nothing reads.

    Args:
        key: with its groups.
        value: what it was set to.
        known: the keys of its group.
    """
    group, _, name = key.rpartition(".")
    shown = key if isinstance(value, BaseModel) else f"{key}={as_typed(value)}"
    return GanAugError(f"{shown}: {unknown(group, name, known)}")


def unknown(group: str, name: str, known: Sequence[str]) -> str:
    """Say that a group has no such key, and which may be meant."""
    if near := difflib.get_close_matches(name, known, n=1):
        meant = f"{group}.{near[0]}" if group else near[0]
        return f"there is no such setting; did you mean {meant}?"
    more = " ..." if len(known) > 12 else ""
    there = f"has {', '.join(known[:12])}{more}" if known else "holds no settings"
    return f"there is no such setting; {group or 'the top'} {there}"
