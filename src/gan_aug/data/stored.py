"""Data settings that a checkpoint or a manifest carries: what a file may say of a data set.

No file names a path or starts a download: where the data is now, the command line says. Patterns
and names of columns are taken from one's own checkpoint alone; a file that may come from anyone
says them, and the command line has to.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

import gan_aug.data.sources
from gan_aug.run.errors import GanAugError
from gan_aug.settings.data import DataSettings
from gan_aug.settings.wording import line_of

Plain = dict[str, Any]
"""Settings as plain containers, as files hold them."""

_REMEDY = "use a file that gan_aug wrote"
_PATHS = ("root", "table")
_OWN = ("patient_regex", "exclude", "columns")
_MOST_PHANTOMS = 2**32
"""Bytes of the phantoms that a file may ask for; they are held in memory."""


def data_settings(data: Mapping[str, Any], root: str | None, download: bool = False) -> Plain:
    """Return a run's `data` settings for use elsewhere: real images, in another folder.

    Args:
        data: the resolved settings of the run.
        root: where the data set is now.
        download: whether to fetch it where it is not.
    """
    kept = {key: value for key, value in data.items() if key not in ("cache_dir", "download")}
    now = {"root": root, "download": download}
    source = {key: now.get(key, value) for key, value in data["source"].items()}
    no_images = {"dir": None, "count": None}
    return kept | now | {"source": source, "cache_dir": None, "synthetic": no_images}


@functools.cache
def known_sources() -> frozenset[str]:
    """Return the dotted names of gan_aug's own data sets: classes of data.sources with `load`."""
    modules = [
        importlib.import_module(f"{gan_aug.data.sources.__name__}.{info.name}")
        for info in pkgutil.iter_modules(gan_aug.data.sources.__path__)
    ]
    return frozenset(
        f"{kind.__module__}.{kind.__qualname__}"
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and hasattr(kind, "load") and kind.__module__ == module.__name__
    )


def check_stored_data(settings: Any, where: str, own: bool) -> Plain:
    """Check the `data` settings of a file before they join a configuration.

    Args:
        settings: what the file holds.
        where: the file and the key, for messages.
        own: whether it is one's own; others are held to sizes too.

    Returns:
        The settings.

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
    if not own:
        _check_phantoms(data, where)
    return dict(settings)


def _is_plain(node: Any) -> bool:
    """Tell whether a node describes nothing to be built."""
    if isinstance(node, dict):
        return all(isinstance(k, str) and k[:1] != "_" and _is_plain(v) for k, v in node.items())
    if isinstance(node, list):
        return all(map(_is_plain, node))
    return node is None or isinstance(node, str | int | float)


def _check_phantoms(data: DataSettings, where: str) -> None:
    per_class = (data.source.train_per_class or 0) + (data.source.test_per_class or 0)
    asked = 2 * per_class * (data.channels or 1) * data.image_size**2
    if asked > _MOST_PHANTOMS:
        raise GanAugError(
            f"{where}: asks for {asked // 2**30} GiB of phantoms; use a file that asks for fewer"
        )


def split_typed(settings: Plain, own: bool) -> tuple[Plain, Plain]:
    """Take out of a file's data settings what only the command line says.

    Args:
        settings: from `check_stored_data`.
        own: whether it is one's own checkpoint.

    Returns:
        The settings without it, and what the file says of it.
    """
    keys = _PATHS if own else _PATHS + _OWN
    said = {key: settings[key] for key in keys if settings.get(key)}
    nothing = dict.fromkeys(said)
    source = {key: nothing.get(key, value) for key, value in settings["source"].items()}
    return settings | nothing | {"source": source}, said


def check_typed(settings: Mapping[str, Any], said: Plain, file: str) -> None:
    """Check that the command line says what a file may not.

    Args:
        settings: of the command.
        said: from `split_typed`.
        file: for messages.

    Raises:
        GanAugError: naming the setting, and what it was.
    """
    for key, value in said.items():
        if not settings.get(key):
            raise GanAugError(
                f"data.{key}: is not taken from a file; {file} was made with {value!r}; set "
                f"data.{key} to what it is here"
            )


def check_plain(node: Any, where: str) -> None:
    """Refuse text of a file that OmegaConf would resolve into something else.

    Args:
        node: plain containers; what gan_aug stores is resolved already.
        where: the file, for messages.

    Raises:
        GanAugError: naming the file and the text.
    """
    if isinstance(node, Mapping):
        node = [*node, *node.values()]
    if isinstance(node, list):
        for inner in node:
            check_plain(inner, where)
    elif isinstance(node, str) and ("${" in node or node == "???"):
        raise GanAugError(f"{where}: {node!r} is no plain value; {_REMEDY}")
