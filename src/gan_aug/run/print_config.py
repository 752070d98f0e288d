"""All settings of a run as a tree: verbose=true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.syntax import Syntax
from rich.tree import Tree

from gan_aug.run.terminal import console


def print_config(config: Mapping[str, Any]) -> None:
    """Print all settings, resolved, as a tree."""
    tree = Tree("settings", guide_style="dim")
    for key, value in config.items():
        branch = tree.add(key, style="bold")
        for line in _lines(value):
            branch.add(Syntax(line, "yaml", background_color="default"))
    console().print(tree)


def _lines(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [f"{prefix[:-1]}: {value}" if prefix else str(value)]
    return [line for key, inner in value.items() for line in _lines(inner, f"{prefix}{key}.")]
