"""Rebuild the objects that a file describes. A file is data: it can only choose from known classes.

Hydra's `instantiate` would import and call whatever `_target_` says, so what comes from a
checkpoint or a manifest never reaches it. Here the name in the file is looked up among classes that
gan_aug has loaded by itself; nothing is imported because a file names it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn

import gan_aug.models.adaptive_augment
import gan_aug.models.augment
import gan_aug.models.classifier
import gan_aug.models.gans
import gan_aug.models.networks
from gan_aug.run.errors import GanAugError

OPTIMIZERS = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
_PLAIN = (str, int, float, bool, type(None))


def _modules() -> list[ModuleType]:
    packages = (gan_aug.models.gans, gan_aug.models.networks)
    found = [
        importlib.import_module(f"{package.__name__}.{info.name}")
        for package in packages
        for info in pkgutil.iter_modules(package.__path__)
    ]
    own = (gan_aug.models.adaptive_augment, gan_aug.models.augment, gan_aug.models.classifier)
    return [*found, *own]


@functools.cache
def known_classes() -> Mapping[str, type]:
    """Return all that a file may name: gan_aug's own nn.Modules and a few torch optimizers."""
    own = {
        f"{kind.__module__}.{kind.__qualname__}": kind
        for module in _modules()
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, nn.Module)
        and kind.__module__ == module.__name__
        and not inspect.isabstract(kind)
    }
    return own | {f"torch.optim.{name}": getattr(torch.optim, name) for name in OPTIMIZERS}


def rebuild(node: Any, where: str, key: str) -> Any:
    """Build what a `_target_` node of a file describes.

    Args:
        node: from a file: a mapping with `_target_`, or a plain value.
        where: the file, for messages.
        key: the node's place in the file, for messages.

    Returns:
        The object; of an optimizer, which is always `_partial_`, its maker.

    Raises:
        GanAugError: it names another class, or has arguments that its class does not take.
    """
    if isinstance(node, _PLAIN):
        return node
    if isinstance(node, list):
        return [rebuild(item, where, f"{key}[{i}]") for i, item in enumerate(node)]
    if not isinstance(node, dict) or not all(isinstance(name, str) for name in node):
        raise GanAugError(f"{where}: {key} is no plain value; {_REMEDY}")
    if "_target_" not in node:
        return {name: rebuild(inner, where, f"{key}.{name}") for name, inner in node.items()}
    kind = _kind(node, where, key)
    arguments = {
        name: rebuild(inner, where, f"{key}.{name}")
        for name, inner in node.items()
        if name not in ("_target_", "_partial_")
    }
    try:
        if issubclass(kind, torch.optim.Optimizer):
            inspect.signature(kind).bind(None, **arguments)
            return functools.partial(kind, **arguments)
        return kind(**arguments)
    except GanAugError as error:
        raise GanAugError(f"{where}: {key}: {error}") from error
    except Exception as error:  # constructors raise almost anything on foreign arguments
        reason = " ".join(str(error).split())
        raise GanAugError(
            f"{where}: {key} ({kind.__name__}) cannot be built ({reason}); {_REMEDY}"
        ) from error


_REMEDY = "the file was changed, or another version wrote it; use one that this gan_aug wrote"


def _kind(node: dict[str, Any], where: str, key: str) -> type:
    name = node["_target_"]
    kind = known_classes().get(name) if isinstance(name, str) else None
    if kind is None:
        raise GanAugError(
            f"{where}: {key} names {name!r}, which is none of gan_aug's classes; a file can only "
            f"name those; {_REMEDY}"
        )
    partial = node.get("_partial_", False)
    if bool(partial) != issubclass(kind, torch.optim.Optimizer) or not isinstance(partial, bool):
        raise GanAugError(f"{where}: {key}._partial_={partial!r} does not fit {name}; {_REMEDY}")
    return kind


def same_shapes(module: nn.Module, state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the first difference between a module's weights and saved ones, None without one."""
    own = module.state_dict()
    for name in [*own, *state]:
        if name not in state:
            return f"{name} is missing"
        if name not in own:
            return f"{name} is no weight of it"
        if own[name].shape != state[name].shape:
            return f"{name} is {list(state[name].shape)}, not {list(own[name].shape)}"
    return None
