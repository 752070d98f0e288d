"""Settings that no configuration has: a mistyped one must not pass as if it had done something."""

from __future__ import annotations

import difflib
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_aug.run.errors import GanAugError

_CLOSED = ("", "study", "generate", "quality", "arms.*", "arms.*.added", "arms.*.added.filter")
"""Nodes whose settings are those of conf/: what else is added to them nobody reads."""
_CLOSED_WITH = {"data": "data.source", "model": "model.module", "classifier": "classifier.module"}
"""Likewise, where they describe what is to be built, and not what to change in a stored one."""
_REFUSED_LATER = ("study.primary",)
"""Of earlier versions, with a message of their own."""


def check_additions(cfg: DictConfig, overrides: list[str], groups: set[str]) -> None:
    """Check that no `+KEY=VALUE` of a command line adds what nobody reads.

    Args:
        cfg: the composed configuration.
        overrides: of the command line, as Hydra has them.
        groups: names of configuration groups, which are chosen with a + too.

    Raises:
        GanAugError: one does, naming the setting that may be meant.
    """
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if not override.is_add() or override.get_key_element() in groups or key in groups:
            continue
        parent, _, name = key.rpartition(".")
        if key not in _REFUSED_LATER and _is_closed(cfg, parent):
            node = OmegaConf.select(cfg, parent) if parent else cfg
            known = [str(other) for other in node if other != name]
            raise GanAugError(unknown(override.input_line or key, parent, name, known))


def _is_closed(cfg: DictConfig, parent: str) -> bool:
    if parent in _CLOSED_WITH:
        return OmegaConf.select(cfg, _CLOSED_WITH[parent]) is not None
    pattern = re.sub(r"^arms\.[^.]+", "arms.*", parent)
    return pattern in _CLOSED


def unknown(argument: str, parent: str, name: str, known: list[str]) -> str:
    """Say that there is no such setting.

    Args:
        argument: as it was typed.
        parent: of the setting.
        name: of the setting in its parent.
        known: what there is.
    """
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {f'{parent}.' if parent else ''}{near[0]}?" if near else ""
    there = f"{parent or 'the top'} has {', '.join(known[:12])}{' ...' * (len(known) > 12)}"
    return f"{argument}: there is no such setting; {meant or there}"


def unknown_override(argument: str, cause: BaseException | None) -> str | None:
    """Return what to say of an override that Hydra refuses because nothing has its key.

    Args:
        argument: KEY=VALUE.
        cause: what OmegaConf said.
    """
    if not isinstance(cause, OmegaConfBaseException) or cause.parent_node is None:
        return None
    parent = cause.parent_node
    full = str(cause.full_key or "")
    known = [str(key) for key in parent] if isinstance(parent, DictConfig) else []
    above, _, name = full.rpartition(".")
    return unknown(argument, above, name, known)
