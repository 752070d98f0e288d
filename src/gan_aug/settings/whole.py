"""All settings of a command: composed by Hydra, validated once, frozen from there on."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError
from pydantic import PrivateAttr, ValidationError

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Plain, Settings
from gan_aug.settings.groups import no_group
from gan_aug.settings.wording import line_of, missing, no_such_setting

_READS = re.compile(r"\$\{(?:oc\.select:)?(\.*)([A-Za-z_]\w*(?:\.\w+)*)")
_NO_GROUP = re.compile(r"node `([\w.]+)` is not a container")
_ABSENT = re.compile(r"key '(\w+)[\w.]*' not found")
NOT_RECORDED = ("resume", "verbose", "plan")
"""Settings that say nothing about what a run is."""


class Whole(Settings):
    """All settings of a command."""

    _tree: DictConfig = PrivateAttr()

    def plain(self) -> Plain:
        """Return plain containers as run.json has them, each key as it was given."""
        return plain_of(self._tree)

    def changed(self, kind: type[W], values: Mapping[str, Any]) -> W:
        """Return settings with other values; what others take from them (`${...}`) changes too.

        Each of `values`, by keys as data.channels, takes the place of what was there; one that may
        not stand there is refused.
        """
        tree = copy.deepcopy(self._tree)
        with open_dict(tree):
            for key, value in values.items():
                OmegaConf.update(tree, key, value, merge=False, force_add=True)
        return of_plain(tree, kind)


W = TypeVar("W", bound=Whole)


def plain_of(cfg: DictConfig) -> Plain:
    """Return a command's configuration as run.json has it."""
    # As JSON will have it: a class called 1 may be a number in the settings of a file.
    plain = json.loads(json.dumps(OmegaConf.to_container(cfg, resolve=True)))
    return {key: value for key, value in plain.items() if key not in NOT_RECORDED}


def validate(cfg: DictConfig, kind: type[W]) -> W:
    """Return the settings of a command, as Hydra composed them.

    Raises:
        GanAugError: naming the key, its value and what it may hold; or a key that nothing reads.
        MissingMandatoryValue: a key that must be given was not.
    """
    read: set[str] = set()
    for path, text in _texts(OmegaConf.to_container(cfg, resolve=False), ()):
        if "\0" in text:
            raise GanAugError(f"{'.'.join(path)}={text!r}: holds a NUL character; leave it out")
        for dots, key in _READS.findall(text):  # what it takes its value from
            read.add(".".join((*path[: len(path) - len(dots)], key) if dots else (key,)))
    settings = of_plain(cfg, kind)
    _refuse_unread(settings, read, "")
    return settings


def of_plain(content: Mapping[Any, Any], kind: type[W]) -> W:
    """Return settings that gan_aug made itself; keys that nothing reads are let through.

    Raises:
        GanAugError: see `validate`.
    """
    tree = content if isinstance(content, DictConfig) else OmegaConf.create(dict(content))
    try:
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
        settings = kind.model_validate(plain)
    except InterpolationResolutionError as error:
        if value := _NO_GROUP.search(str(error)):
            raise no_group(value[1], OmegaConf.select(tree, value[1])) from error
        if (absent := _ABSENT.search(str(error))) and absent[1] not in tree:
            raise missing(absent[1]) from error
        raise
    except ValidationError as error:
        raise line_of(kind, plain, error) from error
    settings._tree = tree
    return settings


def among(key: str, names: tuple[str, ...]) -> bool:
    """Tell whether a setting is one of `names`, or in a group that is."""
    return any(f"{key}.".startswith(f"{name}.") for name in names)


def _texts(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of plain containers with the keys that lead to it."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict | list):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _texts(inner, (*path, str(key)))


def _refuse_unread(settings: Settings, read: set[str], path: str) -> None:
    """Refuse keys that no field names and no other setting reads: they would do nothing."""
    fields, extra = type(settings).model_fields, settings.model_extra or {}
    own = {name for name, field in fields.items() if field.json_schema_extra == {"own": True}}
    for name in (*extra, *(own & settings.model_fields_set)):
        key = f"{path}{name}"
        if not any(among(one, (key,)) for one in read):
            unset = own - settings.model_fields_set
            known = [str(other) for other in (*fields, *extra) if other not in {name, *unset}]
            raise no_such_setting(key, extra.get(name, getattr(settings, name, None)), known)
    for name, value in settings:
        inner: Mapping[str, Any] = {name: value}
        if isinstance(value, Mapping):
            inner = {f"{name}.{key}": one for key, one in value.items()}
        elif isinstance(value, list):
            inner = {f"{name}[{i}]": one for i, one in enumerate(value)}
        for key, one in inner.items():
            if isinstance(one, Settings):
                _refuse_unread(one, read, f"{path}{key}.")
