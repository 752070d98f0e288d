"""From an error of pydantic to the one line: key=value: must be ..., and what to do.

What a setting may hold is read from the model's JSON schema, as pydantic makes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from gan_aug.runtime.errors import GanAugError, as_typed
from gan_aug.settings.groups import CHOSEN_BY, choose, no_group

_CALLED = {"boolean": "true or false", "string": "text", "null": "null", "array": "a list"}
_BOUNDS = {
    **{"minimum": "from", "exclusiveMinimum": "above"},
    **{"maximum": "to", "exclusiveMaximum": "to below"},
}
_Schema = Mapping[str, Any]


def line_of(kind: type[BaseModel], given: Any, error: ValidationError) -> GanAugError:
    """Return the line for the first thing that is wrong with what a model was to be made from."""
    schema = kind.model_json_schema()
    faults = [_Fault(schema, given, fault["loc"]) for fault in error.errors(include_url=False)]
    first = faults[0]
    # Of a union there is an error for each choice: the one inside a mapping says which class.
    inner = [fault for fault in faults if fault.key.startswith(f"{first.key}.")]
    # data.draw is what was typed as draw.
    typed = [fault for fault in faults if first.key.endswith(f".{fault.key}")]
    return (inner or typed or faults)[0].line()


class _Fault:
    """Where an error lies: the key as it is typed, its value, and the schema that it has."""

    def __init__(self, schema: _Schema, given: Any, where: Sequence[int | str]) -> None:
        self._models = schema.get("$defs", {})
        self.key, self._value, self._is_there, self._schema = "", given, True, schema
        for part in where:
            if not self._enter(part):
                break
        kinds = [one["discriminator"] for one in self._choices() if "discriminator" in one]
        if kinds and isinstance(self._value, dict):  # which of several groups it is
            self._enter(kinds[0]["propertyName"])
            self._schema = {"enum": list(kinds[0]["mapping"])}

    def _choices(self, schema: _Schema | None = None) -> Iterator[_Schema]:
        """Yield the choices of a schema, those of a union of models last."""
        schema = self._schema if schema is None else schema
        if "$ref" in schema:
            schema = {**schema, **self._models[schema["$ref"].rpartition("/")[2]]}
        for one in schema.get("anyOf", ()):
            yield from self._choices(one)
        if "anyOf" not in schema:
            yield schema
        for one in schema.get("oneOf", ()):
            yield from self._choices(one)

    def _inner(self, part: int | str) -> _Schema | None:
        """Return the schema of what lies at a part, as far as that is a setting of its own."""
        for one in self._choices():
            fields: dict[int | str, _Schema] = one.get("properties", {})
            if part in fields:
                return fields[part]
            item: _Schema = one.get("items", {}) if isinstance(part, int) else {}
            if any("properties" in choice for choice in self._choices(item)):
                return item
            of_any_key = one.get("additionalProperties")
            if isinstance(of_any_key, Mapping) and not self._is_by_class():
                return of_any_key
        return None

    def _is_by_class(self) -> bool:
        return any("by_class" in one for one in (self._schema, *self._schema.get("anyOf", ())))

    def _enter(self, part: int | str) -> bool:
        """Go on to a part; False: what follows is of no use to a user."""
        if not isinstance(self._value, dict | list):
            return False
        inner = self._inner(part)
        if inner is None:
            if not isinstance(self._value, dict) or part not in self._value:
                return True  # the name of a choice of a union
            if not self._is_by_class():
                return False
        self._schema = self._schema if inner is None else inner
        dot = "." if self.key else ""
        self.key += f"[{part}]" if isinstance(self._value, list) else f"{dot}{part}"
        value: Any = self._value
        try:
            self._value = value[part]
        except (KeyError, IndexError, TypeError):
            self._is_there, self._value = False, None
        return True

    def line(self) -> GanAugError:
        """Return what is wrong, in a line."""
        if not self._is_there:
            return missing(self.key)
        # A union of models (oneOf) is one of the choices itself, beside each model.
        choices = [one for one in self._choices() if "oneOf" not in one]
        groups = [one for one in choices if one.get("type") != "null"]
        is_group = groups and all(one.get("type") == "object" for one in groups)
        if is_group and "wanted" not in self._schema and not isinstance(self._value, dict):
            return no_group(self.key, self._value)
        words = in_words(self._schema)
        return GanAugError(f"{self.key}={as_typed(self._value)}: must be {words}")


def in_words(schema: _Schema) -> str:
    """Return what a value of a JSON schema is called: a whole number from 1, or null."""
    if "wanted" in schema:
        return str(schema["wanted"])
    choices = schema.get("anyOf", ())
    if "by_class" in schema:
        numbers = [one for one in choices if "additionalProperties" not in one]
        either = in_words({"anyOf": numbers})
        return f"{either}, for all classes or as {{CLASS: NUMBER}}"
    if choices:
        null = [{"type": "null"}] if {"type": "null"} in choices else []
        words = [in_words(one) for one in [*(c for c in choices if c not in null), *null]]
        return ", or ".join([words[0], *(word.removeprefix("one of ") for word in words[1:])])
    if "const" in schema or "enum" in schema:
        names = schema.get("enum") or [schema["const"]]
        return f"one of {', '.join(map(as_typed, names))}"
    if (kind := schema.get("type", "")) in ("integer", "number"):
        return _number(schema, "a whole number" if kind == "integer" else "a number")
    return _CALLED.get(kind, "a group of settings" if schema else "anything")


def _number(schema: _Schema, what: str) -> str:
    show = "{:d}" if schema["type"] == "integer" else "{:g}"
    bound = {name: show.format(schema[name]) for name in _BOUNDS if name in schema}
    if {"exclusiveMinimum", "exclusiveMaximum"} <= bound.keys():
        return f"{what} between {bound['exclusiveMinimum']} and {bound['exclusiveMaximum']}"
    return " ".join([what, *(f"{_BOUNDS[name]} {number}" for name, number in bound.items())])


def missing(key: str) -> GanAugError:
    """Return the line for a setting or a group that is not there."""
    remedy = choose(CHOSEN_BY[key]) if key in CHOSEN_BY else "conf/ has it"
    return GanAugError(f"{key}: is missing; {remedy}")


def no_such_setting(key: str, value: Any, known: Sequence[str]) -> GanAugError:
    """Return the line for a key that no group has and nothing reads; `known` are its group's."""
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
