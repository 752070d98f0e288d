"""Data settings that a checkpoint or a manifest carries: what a file may say of a data set."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import gan_aug.data.sources
from gan_aug.run.errors import GanAugError
from gan_aug.run.run_record import Config

_PLAIN = (str, int, float, bool, type(None))
_NEEDED = {
    *("name", "image_size", "channels", "draw", "subset"),
    *("development_per_class", "val_per_class", "internal_per_class"),
}
"""What the draw of a generator is cut again from."""


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


def check_stored_data(settings: Any, where: str) -> Config:
    """Check the `data` settings of a file before they join a configuration.

    Args:
        settings: what the file holds.
        where: the file and the key, for messages.

    Returns:
        The settings.

    Raises:
        GanAugError: they name a data set that is not gan_aug's, or are no plain values.
    """
    source = settings.get("source") if isinstance(settings, dict) else None
    if not isinstance(source, dict):
        raise GanAugError(f"{where}: holds no data settings; use a file that gan_aug wrote")
    if missing := _NEEDED - settings.keys():
        raise GanAugError(f"{where}: lacks {min(missing)}; use a file that gan_aug wrote")
    name = source.get("_target_")
    if not isinstance(name, str) or name not in known_sources():
        raise GanAugError(
            f"{where}.source names {name!r}, which is none of gan_aug's data sets; a file can only "
            "name those; use a file that gan_aug wrote"
        )
    for key, value in source.items():
        if not _is_plain(value) or (key.startswith("_") and key != "_target_"):
            raise GanAugError(
                f"{where}.source.{key}: is no plain value; use a file that gan_aug wrote"
            )
    check_plain(settings, where)
    return dict(settings)


def _is_plain(value: Any) -> bool:
    """Tell whether it is text, a number or the like, or a list or mapping of such."""
    if isinstance(value, list):
        return all(isinstance(inner, _PLAIN) for inner in value)
    if isinstance(value, dict):
        return all(isinstance(v, _PLAIN) and not str(k).startswith("_") for k, v in value.items())
    return isinstance(value, _PLAIN)


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
    elif isinstance(node, str) and "${" in node:
        raise GanAugError(f"{where}: {node!r} is no plain value; use a file that gan_aug wrote")
