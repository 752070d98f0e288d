"""What classes of gan_aug.models say of themselves, before torch is loaded, and what follows.

A GAN's class says which classes it is fitted on, whether it translates images and which sizes it
takes; a classifier's network says its sizes. These are constants in the body of the class or of
one that it inherits from, read from the source: importing it would load torch. No setting can
contradict them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import OmegaConf
from pydantic import BaseModel

from gan_aug.runtime.errors import GanAugError, said

_MODULE = re.compile(r"gan_aug\.models\.(gans|networks)\.([a-z0-9_]+)")
FOR_TRAINING = ("optimizer_g", "optimizer_d", "augment")
"""Arguments of a GAN that make no image: no file is read for them."""


class ImageSizes(NamedTuple):
    """The sides of images that a network takes, in pixels: the least, and whether powers of two."""

    min_size: int
    power_of_two: bool


class GanFacts(NamedTuple):
    """What a GAN is, whatever its settings.

    Attributes:
        fitted_on: `one` class, `two` or `all` at once.
        translates: whether it makes images of a class from images of the others.
    """

    fitted_on: Literal["one", "two", "all"]
    translates: bool


def gan_facts(model: Any) -> GanFacts:
    """Return what a GAN is.

    `model` is its settings, as `GanSettings` or as a mapping, which may come from a file. A
    generator that is no GAN (`GeneratorSettings`) is fitted on what its settings say.

    Raises:
        GanAugError: its class is none of gan_aug.models.gans.
    """
    plain = _plain(model)
    if plain.get("kind") == "generator":
        return GanFacts(plain["fitted_on"], False)
    target = str(plain["module"]["_target_"])
    constants = class_constants(target)
    if "FITTED_ON" not in constants:
        raise GanAugError(
            f"model.module._target_={target:.100}: is none of gan_aug's GANs, which lie in "
            "gan_aug/models/gans; name one of them"
        )
    return GanFacts(constants["FITTED_ON"], constants["TRANSLATES"])


def image_sizes(model: Any) -> ImageSizes:
    """Return which image sizes a GAN or a classifier takes; refuse a class that is none of ours."""
    plain = _plain(model)
    module = plain["module"]
    target = str((module if plain["kind"] == "gan" else module["network"])["_target_"])
    constants = class_constants(target)
    if "MIN_SIZE" not in constants:
        raise GanAugError(
            f"model.module: {target:.100} is none of gan_aug's GANs and networks, which lie in "
            "gan_aug/models/gans and gan_aug/models/networks and are subclasses of GAN and "
            "ImageClassifier; name one of them"
        )
    return ImageSizes(constants["MIN_SIZE"], constants["POWER_OF_TWO"])


def foreign_networks(module: Mapping[str, Any]) -> dict[str, str]:
    """Return the classes of a GAN's networks that are none of gan_aug's, by argument."""
    return {
        key: str(node["_target_"])
        for key, node in module.items()
        if key not in FOR_TRAINING and isinstance(node, Mapping) and "_target_" in node
        if not _MODULE.fullmatch(str(node["_target_"]).rpartition(".")[0])
    }


def _plain(model: Any) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = model
    return model.model_dump(by_alias=True) if isinstance(model, BaseModel) else plain


@functools.lru_cache
def class_constants(target: str) -> Mapping[str, Any]:
    """Return the constants in the bodies of a class and of those that it inherits from.

    `target`, which may come from a file, is a dotted name in gan_aug.models.gans or .networks.
    Where there is no such class the mapping is empty.
    """
    module, _, name = target.rpartition(".")
    tree = _parsed(module)
    node = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
    if node is None:
        return {}
    names: dict[str, str] = {}  # that the module imports, and what each stands for
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom | ast.Import):
            of = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
            names |= {one.asname or one.name: of + one.name for one in statement.names}
    constants: dict[str, Any] = {}
    for base in reversed(node.bases):
        first, dot, rest = ast.unparse(base).partition(".")
        own = f"{module}.{first}" if not dot else first  # else by its whole name
        constants |= class_constants(names.get(first, own) + dot + rest)
    for statement in node.body:
        match statement:
            case ast.Assign([ast.Name(name)], ast.Constant(value)) | ast.AnnAssign(
                ast.Name(name), value=ast.Constant(value)
            ):
                constants[name] = value
    return constants


@functools.lru_cache
def _parsed(module: str) -> ast.Module:
    place = _MODULE.fullmatch(module)
    if place is None:
        return ast.Module([], [])
    folder, name = place.groups()
    path = Path(__file__).parents[1] / "models" / folder / f"{name}.py"
    try:
        return ast.parse(path.read_bytes() if path.is_file() else "", path.name)
    except (SyntaxError, ValueError) as error:
        raise GanAugError(f"{path}: is no Python ({said(error, 200)}); mend it") from error


@functools.cache
def file_of(target: object) -> str | None:
    """Return the SHA-256 of the file that a class lies in; None: there is none that can be read.

    `target` is its dotted name, from the command line; packages around it are imported, and so is
    its module where that takes the class from another file. The hash stays what it was first, as
    the class does that a process has loaded.
    """
    module = str(target)
    while "." in module:
        module, _, name = module.rpartition(".")
        try:
            found = importlib.util.find_spec(module)
            if found is not None and found.origin is not None:
                file = _where_it_is(str(target), name, Path(found.origin))
                return hashlib.sha256(file.read_bytes()).hexdigest()
        except Exception:  # it raises what it likes, and building it will say so
            continue
    return None


def _where_it_is(target: str, name: str, file: Path) -> Path:
    """Return the file that a class lies in: its module's, or the one that this takes it from."""
    with suppress(Exception):  # of somebody's module, almost anything
        if name not in {getattr(node, "name", None) for node in ast.parse(file.read_bytes()).body}:
            return Path(inspect.getfile(pkgutil.resolve_name(target)))
    return file


OmegaConf.register_new_resolver("file_of", file_of, replace=True)


def classes_made(
    model: Any, train_class: str | None, classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return the classes that a GAN is fitted on, each with the classes of its source images.

    It makes images of just those classes; those without sources are made from nothing.

    Args:
        model: its settings, as `GanSettings` or as a mapping; may come from a file.
        train_class: the class of a GAN that is fitted on one.
        classes: of the data set.

    Raises:
        GanAugError: a setting that does not fit the GAN.
    """
    plain = _plain(model)
    facts, name, pair = gan_facts(plain), plain["name"], plain.get("pair")
    if facts.fitted_on == "one" and train_class is None:
        raise GanAugError(
            f"data.train_class=null: model={name} has no labels and is fitted on one class; "
            f"set data.train_class to {' or '.join(classes)}"
        )
    if facts.fitted_on != "one" and train_class is not None:
        raise GanAugError(
            f"data.train_class={train_class}: model={name} is fitted on {facts.fitted_on} "
            "classes at once; set data.train_class=null"
        )
    known = list(classes)
    if facts.fitted_on == "two":
        known = list(pair or classes)
        if len(set(known)) != 2 or not set(known) <= set(classes):
            shown = "null" if pair is None else list(pair)
            raise GanAugError(
                f"model.pair={shown}: model={name} translates between two classes; "
                f"name two of {', '.join(classes)}, as [{classes[0]},{classes[1]}]"
            )
    made = known if train_class is None else [train_class]
    return {
        label: [other for other in known if other != label] if facts.translates else []
        for label in made
    }


def made_with(model: Any, class_name: str, classes: Sequence[str]) -> dict[str, list[str]]:
    """Return what `classes_made` does, of the GAN that makes a class."""
    train_class = class_name if gan_facts(model).fitted_on == "one" else None
    return classes_made(model, train_class, classes)
