"""Rebuild the networks that a file describes: data, which can only choose from known classes.

Hydra's `instantiate` would import and call whatever `_target_` says, so what comes from a file
never reaches it. Here the name is looked up among classes that gan_aug has loaded by itself. None
of them reads a file or fetches weights; classifiers, which do, are not among these.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

import gan_aug.models.gans
import gan_aug.models.networks
from gan_aug.data.origin import Origin
from gan_aug.data.stored import classes_in
from gan_aug.models.gans.base import GAN
from gan_aug.models.networks.base import ImageClassifier
from gan_aug.models.weights_file import Damaged
from gan_aug.runtime.errors import GanAugError, said
from gan_aug.settings.base import Plain
from gan_aug.settings.class_facts import FOR_TRAINING, classes_made, gan_facts

_PLAIN = (str, int, float, bool, type(None))
_REMEDY = "the file was changed, or another version wrote it; use one that this gan_aug wrote"


@functools.cache
def known_classes() -> Mapping[str, type[nn.Module]]:
    """Return all that a file may name: gan_aug's own GANs, and networks but for classifiers."""
    return {
        name: kind
        for name, kind in classes_in(gan_aug.models.gans, gan_aug.models.networks).items()
        if issubclass(kind, nn.Module)
        and not issubclass(kind, ImageClassifier)
        and not inspect.isabstract(kind)
    }


def rebuild(node: Any, where: str, key: str, **more: Any) -> Any:
    """Build what a node of a file describes: a mapping with `_target_`, or a plain value.

    `where` is the file, `key` the node's place in it; `more` are arguments beside the file's.

    Raises:
        GanAugError: it names another class, or has arguments that its class does not take.
    """
    if isinstance(node, _PLAIN):
        return node
    if isinstance(node, list):
        return [rebuild(item, where, f"{key}[{i}]") for i, item in enumerate(node)]
    if not isinstance(node, dict) or not all(isinstance(name, str) for name in node):
        raise GanAugError(f"{where}: {key} is no plain value; {_REMEDY}")
    name = node.get("_target_")
    kind = known_classes().get(name) if isinstance(name, str) else None
    if "_target_" in node and kind is None:
        raise GanAugError(
            f"{where}: {key} names {name!r}, which is none of gan_aug's classes; a file can only "
            f"name those; {_REMEDY}"
        )
    inside = {k: rebuild(v, where, f"{key}.{k}") for k, v in node.items() if k != "_target_"}
    if kind is None:
        return inside
    try:
        return kind(**inside, **more)
    except GanAugError as error:
        raise GanAugError(f"{where}: {key}: {error}") from error
    except Exception as error:  # constructors raise almost anything on foreign arguments
        raise GanAugError(
            f"{where}: {key} ({kind.__name__}) cannot be built ({said(error)}); {_REMEDY}"
        ) from error


@contextmanager
def at_most(parts: int) -> Iterator[None]:
    """Stop, with a ValueError, building networks of more modules and parameters than `parts`."""
    built = 0

    def count(*registered: Any) -> None:
        nonlocal built
        built += 1
        if built > parts:
            raise ValueError(f"it has more than {parts} parts")

    hooks = [
        register_module_module_registration_hook(count),
        register_module_parameter_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def untrained_gan(config: Plain, where: str) -> GAN:
    """Build a file's GAN without what only training needs.

    Raises:
        GanAugError: it describes no GAN, or one that cannot be built.
    """
    if config["model"].get("kind") != "gan":
        raise GanAugError(
            f"{where}: holds a {config['model'].get('name')}, which generates nothing"
        )
    node = without_training(config["model"]["module"])
    gan = rebuild(node, where, "model.module", **dict.fromkeys(FOR_TRAINING))
    if not isinstance(gan, GAN):
        raise GanAugError(f"{where}: model.module is no GAN; {_REMEDY}")
    return gan


def check_makes(origin: Origin, model: Mapping[str, Any], where: str) -> None:
    """Check that a file's GAN makes what its class says that such a GAN makes.

    Raises:
        Damaged: it does not.
        GanAugError: it names a class that is no GAN of gan_aug.
    """
    try:
        gan_facts(model)
    except GanAugError as error:
        raise GanAugError(f"{where}: {error}; {_REMEDY}") from error
    except (KeyError, TypeError) as error:
        raise Damaged(where, "does not say what it is (model.module)") from error
    try:
        made = classes_made(model, origin.train_class, origin.classes)
    except (GanAugError, KeyError, TypeError):
        made = {}
    if origin.makes != made or not made.keys() <= {*origin.classes}:
        raise Damaged(where, "does not say which classes it knows and makes (classes, makes)")


def without_training(module: Plain) -> Plain:
    """Return the settings of a GAN's module without those that only training needs."""
    return {key: value for key, value in module.items() if key not in FOR_TRAINING}
