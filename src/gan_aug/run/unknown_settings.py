"""Settings that no configuration has: a mistyped one must not pass as if it had done something."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_aug.run.errors import GanAugError

_CLOSED = ("", "study", "generate", "quality", "arms.*", "arms.*.added", "arms.*.added.filter")
"""Nodes whose settings are those of conf/: what else is added to them nobody reads."""
_CLOSED_WITH = {
    **dict.fromkeys(("data", "data.synthetic"), "data.source._target_"),
    **dict.fromkeys(("model", "model.r1", "model.growth"), "model.module._target_"),
    "classifier": "classifier.module._target_",
}
"""Likewise, where they describe what is to be built, and not what to change in a stored one."""
_REFUSED_LATER = ("study.primary",)
"""Of earlier versions, with a message of their own."""


def check_additions(
    cfg: DictConfig, hydra: Any, compose: Callable[[list[str]], DictConfig]
) -> None:
    """Check that no `+KEY=VALUE` or `++KEY=VALUE` of a command line adds what nobody reads.

    Args:
        cfg: the composed configuration.
        hydra: Hydra's own part, which has the overrides and the groups that are chosen from.
        compose: gives the configuration of other overrides: what is there without a `++KEY=VALUE`
            may be set by it.

    Raises:
        GanAugError: one does, naming the setting that may be meant.
    """
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    parsed = OverridesParser.create().parse_overrides(overrides)
    for override in parsed:
        key = override.key_or_group
        named = any(f"${{{key}}}" in other for other in overrides)  # others are made from it
        if named or not _adds(override, hydra):
            continue
        for path in _paths(key, override.value()):
            parent, _, name = path.rpartition(".")
            if path in _REFUSED_LATER or not _is_closed(cfg, parent):
                continue
            same = [o.key_or_group == key and _adds(o, hydra) for o in parsed]
            rest = compose([o for o, out in zip(overrides, same, strict=True) if not out])
            there = OmegaConf.select(rest, parent) if parent else rest
            if isinstance(there, DictConfig) and name in list(there):  # one that is ??? too
                continue
            if path != key and there is None:  # a new arm, say, whose mapping is this one
                continue
            node = OmegaConf.select(cfg, parent) if parent else cfg
            known = [str(other) for other in node if other not in (name, "hydra")]
            raise GanAugError(_unknown(override.input_line or key, parent, name, known))


def _adds(override: Override, hydra: Any) -> bool:
    """Tell whether it is a `+KEY=VALUE` or `++KEY=VALUE` that chooses from no group."""
    mapping = isinstance(override.value(), dict)  # merged into what is there, also of a group
    chooses = override.package is not None or (
        override.key_or_group in hydra.runtime.choices and not mapping
    )
    return (override.is_add() or override.is_force_add()) and not chooses


def _paths(key: str, value: Any) -> Iterator[str]:
    """Yield the settings that a value of `key` sets: those of a mapping one by one."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _paths(f"{key}.{name}", inner)
    else:
        yield key


def _is_closed(cfg: DictConfig, parent: str) -> bool:
    if parent in _CLOSED_WITH:
        return OmegaConf.select(cfg, _CLOSED_WITH[parent]) is not None
    return re.sub(r"^arms\.[^.]+", "arms.*", parent) in _CLOSED


def _unknown(argument: str, parent: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"{argument}: there is no such setting; did you mean {_join(parent, near[0])}?"
    more = " ..." if len(known) > 12 else ""
    there = f"has {', '.join(known[:12])}{more}" if known else "holds no settings"
    return f"{argument}: there is no such setting; {parent or 'the top'} {there}"


def _join(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


def unknown_override(argument: str, cause: BaseException | None) -> str | None:
    """Return what to say of an override that Hydra refuses because nothing has its key.

    Args:
        argument: KEY=VALUE.
        cause: what OmegaConf said.
    """
    if not isinstance(cause, OmegaConfBaseException) or cause.parent_node is None:
        return None
    node = cause.parent_node
    known = [str(key) for key in node] if isinstance(node, DictConfig) else []
    parent, _, name = str(cause.full_key or "").rpartition(".")
    message = _unknown(argument, parent, name, known)
    root = node._get_root()
    if known and isinstance(root, DictConfig) and not _is_closed(root, parent):
        message += f"; +{argument} adds one"
    return message
