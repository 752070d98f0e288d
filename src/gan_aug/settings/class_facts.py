"""What classes of gan_aug.models say of themselves, before torch is loaded.

A GAN's class says which classes it is fitted on, whose images it translates and which sizes it
takes; a classifier's network says its sizes. These are constants in the body of the class or of
one that it inherits from. They are read from the source, as importing it would load torch: help
and errors stay fast, and no setting can contradict the class.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from gan_aug.run.errors import GanAugError
from gan_aug.settings.node import Node

_MODULE = re.compile(r"gan_aug\.models\.(gans|networks)\.([a-z0-9_]+)")


@dataclass(frozen=True)
class ImageSizes:
    """Which image sizes a network takes.

    Attributes:
        min_size: pixels of a side, at least.
        power_of_two: whether the side must be one.
    """

    min_size: int
    power_of_two: bool


@dataclass(frozen=True)
class GanFacts:
    """What a GAN is, whatever its settings.

    Attributes:
        fitted_on: `one` class, `two` or `all` at once.
        sources: whose images it translates: of `other` classes or of the `same`; None: of none.
    """

    fitted_on: Literal["one", "two", "all"]
    sources: Literal["other", "same"] | None


def gan_facts(model: Any) -> GanFacts:
    """Return what a GAN is.

    Args:
        model: its settings, as `GanSettings` or as a mapping; may come from a file.

    Raises:
        GanAugError: its class is none of gan_aug.models.gans.
    """
    target = _target(_value(model, "module"))
    constants = class_constants(target)
    if "FITTED_ON" not in constants:
        raise GanAugError(
            f"model.module._target_={target:.100}: is none of gan_aug's GANs, which lie in "
            "gan_aug/models/gans; name one of them"
        )
    return GanFacts(constants["FITTED_ON"], constants["SOURCES"])


def image_sizes(model: Any) -> ImageSizes:
    """Return which image sizes a GAN or a classifier takes.

    Raises:
        GanAugError: its class is none of gan_aug.models.
    """
    module = _value(model, "module")
    target = _target(module if _value(model, "kind") == "gan" else _value(module, "network"))
    constants = class_constants(target)
    if "MIN_SIZE" not in constants:
        raise GanAugError(
            f"model.module: {target:.100} is none of gan_aug's GANs and networks, which lie in "
            "gan_aug/models/gans and gan_aug/models/networks; name one of them"
        )
    return ImageSizes(constants["MIN_SIZE"], constants["POWER_OF_TWO"])


def _value(node: Any, key: str) -> Any:
    return getattr(node, key) if isinstance(node, BaseModel) else node[key]


def _target(node: Any) -> str:
    return str(node.class_path if isinstance(node, Node) else node["_target_"])


@functools.lru_cache
def class_constants(target: str) -> Mapping[str, Any]:
    """Return the constants in the bodies of a class and of those that it inherits from.

    Args:
        target: dotted name of a class in gan_aug/models/gans or gan_aug/models/networks; may come
            from a file.

    Returns:
        Name to value; empty: there is no such class.
    """
    module, _, name = target.rpartition(".")
    tree = _parsed(module)
    node = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
    if node is None:
        return {}
    names = dict(_imported(tree))
    constants: dict[str, Any] = {}
    for base in reversed(node.bases):
        first, dot, rest = ast.unparse(base).partition(".")
        constants |= class_constants(names.get(first, f"{module}.{first}") + dot + rest)
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            places = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if isinstance(statement.value, ast.Constant):
                value = statement.value.value
                constants |= {place.id: value for place in places if isinstance(place, ast.Name)}
    return constants


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that a module imports, and what it stands for."""
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                yield alias.asname or alias.name, f"{statement.module}.{alias.name}"
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                whole = alias.asname or alias.name.partition(".")[0]
                yield whole, alias.name if alias.asname else whole


@functools.lru_cache
def _parsed(module: str) -> ast.Module:
    place = _MODULE.fullmatch(module)
    if place is None:
        return ast.Module([], [])
    folder, name = place.groups()
    path = Path(__file__).parents[1] / "models" / folder / f"{name}.py"
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
