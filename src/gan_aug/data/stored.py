"""Data settings that a checkpoint or a manifest carries: what a file may say of a data set.

No file names a path or starts a download; patterns and names of columns are taken from one's own
checkpoint alone. The command line says what a file may not.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from pydantic import ValidationError

import gan_aug.data.sources
from gan_aug.runtime.errors import GanAugError, said
from gan_aug.settings.base import Plain
from gan_aug.settings.data import DataSettings
from gan_aug.settings.wording import line_of

_REMEDY = "use a file that gan_aug wrote"
_PATHS = ("root", "table")
_OWN = ("patient_regex", "exclude", "columns")
_MOST_PHANTOMS = 2**32
"""Bytes of the phantoms that a file may ask for; they are held in memory."""


def data_settings(data: Mapping[str, Any], root: str | None, download: bool = False) -> Plain:
    """Return a run's resolved `data` settings for use elsewhere: real images, in another root."""
    kept = {key: value for key, value in data.items() if key not in ("cache_dir", "download")}
    now = {"root": root, "download": download}
    source = {key: now.get(key, value) for key, value in data["source"].items()}
    no_images = {"dir": None, "count": None}
    here = {"cache_dir": None, "synthetic": no_images, "external": None}
    return kept | now | {"source": source} | here


def classes_in(*packages: ModuleType) -> dict[str, type[Any]]:
    """Return the classes that the files of some packages define, by their dotted names.

    Raises:
        GanAugError: one of them, which somebody is writing perhaps, cannot be imported.
    """
    modules = [
        _imported(f"{package.__name__}.{info.name}")
        for package in packages
        for info in pkgutil.iter_modules(package.__path__)
    ]
    return {
        f"{module.__name__}.{kind.__qualname__}": kind
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__ == module.__name__
    }


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = f"{type(error).__name__}: {said(error, 200)}"
        raise GanAugError(
            f"{name}: cannot be imported ({reason}); mend that file, or take it away"
        ) from error


@functools.cache
def known_sources() -> frozenset[str]:
    """Return the dotted names of gan_aug's own data sets: classes of data.sources with `load`."""
    kinds = classes_in(gan_aug.data.sources)
    return frozenset(name for name, kind in kinds.items() if hasattr(kind, "load"))


def check_stored_data(settings: Any, where: str, own: bool) -> Plain:
    """Return the `data` settings of a file once they may join a configuration.

    A file that is not one's own is held to sizes too; messages begin with `where`: file and key.

    Raises:
        GanAugError: they name a data set that is not gan_aug's, or are no sound settings.
    """
    source = settings.get("source") if isinstance(settings, dict) else None
    if not isinstance(source, dict):
        raise GanAugError(f"{where}: holds no data settings; {_REMEDY}")
    name = source.get("_target_")
    if not isinstance(name, str) or name not in known_sources():
        raise GanAugError(
            f"{where}.source names {name!r}, which is none of gan_aug's data sets; a file can only "
            f"name those; {_REMEDY}"
        )
    for key, value in source.items():
        if key != "_target_" and (key.startswith("_") or not _is_plain(value)):
            raise GanAugError(f"{where}.source.{key}: is no plain value; {_REMEDY}")
    check_plain(settings, where)
    try:
        data = DataSettings.model_validate(settings)
    except ValidationError as error:
        raise GanAugError(
            f"{where}: {line_of(DataSettings, settings, error)}; {_REMEDY}"
        ) from error
    per_class = (data.source.train_per_class or 0) + (data.source.test_per_class or 0)
    asked = 2 * per_class * (data.channels or 1) * data.image_size**2
    if not own and asked > _MOST_PHANTOMS:
        raise GanAugError(
            f"{where}: asks for {asked // 2**30} GiB of phantoms; use a file that asks for fewer"
        )
    return dict(settings)


def _is_plain(node: Any) -> bool:
    """Tell whether a node describes nothing to be built."""
    if isinstance(node, dict):
        return all(isinstance(k, str) and k[:1] != "_" and _is_plain(v) for k, v in node.items())
    if isinstance(node, list):
        return all(map(_is_plain, node))
    return node is None or isinstance(node, str | int | float)


def data_of_file(
    held: Any, where: str, own: bool, given: Plain, typed: Collection[str], file: str
) -> Plain:
    """Return the data settings of a file, with what the command line says of the data.

    Args:
        held: what the file holds.
        where: the file and the key, for messages.
        own: whether it is one's own checkpoint.
        given: the command's own data settings.
        typed: the settings that the command line names.
        file: the setting that names the file.

    Raises:
        GanAugError: the file's settings are not sound, or are of another data set than is typed;
            or the command line does not say what a file may not.
    """
    stored = check_stored_data(held, where, own)
    asked = [key for key in (_PATHS if own else _PATHS + _OWN) if stored.get(key)]
    data = data_settings(stored, given["root"], given["download"])
    nothing: Plain = {key: None for key in asked if key != "root"}
    data |= nothing
    if "data" in typed:  # a group of conf/ is the user's too
        typed = {*typed, *(f"data.{key}" for key in asked)}
        if given["source"]["_target_"] != stored["source"]["_target_"]:
            raise GanAugError(
                f"data={given['name']}: {file} is of data={stored['name']}; leave data= out, or "
                "name that"
            )
    source = {key: nothing.get(key, value) for key, value in data["source"].items()}
    for path in sorted(path for path in typed if path.startswith("data.")):
        _, key, *inner = path.split(".", 2)
        if key == "source" and inner and inner[0] in source:
            source[inner[0]] = given["source"][inner[0]]
        elif key not in data:
            raise GanAugError(
                f"{path}: {file} is of data={stored['name']}, which has no such setting; leave it "
                "out"
            )
        else:
            data[key] = given[key]
            if key in source:
                source[key] = given[key]
    for key in asked:
        if not data[key]:
            raise GanAugError(
                f"data.{key}: is not taken from a file; {file} was made with {stored[key]!r}; set "
                f"data.{key} to what it is here"
            )
    return data | {"source": source}


def check_plain(node: Any, where: str) -> None:
    """Raise GanAugError for text of a file, in containers, that OmegaConf would resolve."""
    if isinstance(node, Mapping):
        node = [*node, *node.values()]
    if isinstance(node, list):
        for inner in node:
            check_plain(inner, where)
    elif isinstance(node, str) and ("${" in node or node == "???"):
        raise GanAugError(f"{where}: {node!r} is no plain value; {_REMEDY}")
