"""Names of classes, and values by them, brought back to what was typed.

Hydra's grammar and YAML take some names for something else: 0, 01, 1e3, 1_000, yes, on, null. Which
class is meant is known once the data set has said which there are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml

from gan_aug.runtime.errors import GanAugError, as_typed


def normal(name: str) -> str:
    """Return a name in NFC: macOS writes the letters of folders in parts, keyboards do not."""
    return unicodedata.normalize("NFC", name)


def by_name(value: Any) -> Any:
    """Return a mapping or a list that was given as text; anything else as it is.

    Hydra's grammar has no Korean letters, nor quotes around the keys of a mapping; a quoted text
    may hold any. The keys of the mapping stay as they were typed.
    """
    node = _parsed(value)
    with suppress(yaml.YAMLError):
        if isinstance(node, yaml.MappingNode):
            return dict(_pair(key, inner, value) for key, inner in node.value)
        if isinstance(node, yaml.SequenceNode):
            return yaml.safe_load(value)
    return value


def names_in(value: Any) -> Any:
    """Return a list of names that was given as text, each as it was typed; else as it is."""
    node = _parsed(value)
    if isinstance(node, yaml.SequenceNode):
        return [_typed(inner, value) for inner in node.value]
    return value


def _parsed(value: Any) -> yaml.Node | None:
    """Return the YAML that a text is; None where it is none, or no text."""
    try:
        return yaml.SafeLoader(value).get_single_node() if isinstance(value, str) else None
    except yaml.YAMLError:
        return None


def _pair(key: yaml.Node, inner: yaml.Node, text: str) -> tuple[str, Any]:
    """Return a key as it was typed, and its value; Hydra, unlike YAML, wants no blank after `:`."""
    name = _typed(key, text)
    quoted = getattr(key, "style", None)
    if quoted is None and ":" in name and isinstance(inner, yaml.ScalarNode) and not inner.value:
        name, _, number = name.rpartition(":")
        return name.strip(), yaml.safe_load(number)
    return name, yaml.SafeLoader("").construct_object(inner, deep=True)


def _typed(node: yaml.Node, text: str) -> str:
    """Return what stands in a text, without quotes: [A] is a name here, not a list."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return text[node.start_mark.index : node.end_mark.index].strip()


def class_named(typed: Any, classes: Sequence[str], setting: str, what: str = "classes") -> str:
    """Return the class that a setting means.

    Args:
        typed: text, or what Hydra or YAML made of it: a number, true or false, null.
        classes: of the data set.
        setting: for messages, as it was typed.
        what: they are called in messages.

    Raises:
        GanAugError: it names none, or it may be one of several.
    """
    if isinstance(typed, str):
        meant = [name for name in classes if normal(name) == normal(typed)]
    else:
        meant = [name for name in classes if _same(_read(name), typed)]
    if len(meant) > 1:
        raise GanAugError(
            f"{setting}: may be {' or '.join(meant)}, which are read alike without quotes; write "
            f"'{meant[0]}' in a file, \"'{meant[0]}'\" on the command line"
        )
    if not meant:
        raise GanAugError(
            f"{setting}: {as_typed(typed)} is none of the {what} {', '.join(classes)}"
        )
    return meant[0]


def _read(name: str) -> Any:
    """Return what a name is without quotes, to YAML or to Hydra, which also knows 1e3 and inf."""
    try:
        value = yaml.safe_load(name)
        return float(value) if isinstance(value, str) else value
    except (yaml.YAMLError, ValueError):
        return name


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    both_nan = one != one and other != other
    return both_nan or bool(one == other)


def values_by_class(value: Mapping[Any, Any], classes: Sequence[str], key: str) -> dict[str, Any]:
    """Return a mapping with the classes' own names; refuse what is no class, or is there twice."""
    values: dict[str, Any] = {}
    for typed, inner in value.items():
        name = class_named(typed, classes, f"{key}.{as_typed(typed)}={inner}")
        if name in values:
            raise GanAugError(f"{key}={dict(value)}: names {name} twice; leave one of them out")
        values[name] = inner
    return values
