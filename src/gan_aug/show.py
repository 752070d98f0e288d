"""What a run prints before it trains: the configuration tree and the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.syntax import Syntax
from rich.tree import Tree

from gan_aug.data.prepare import Prepared
from gan_aug.errors import warn


def print_config(config: Mapping[str, Any]) -> None:
    """Print all settings, resolved, as a tree."""
    tree = Tree("settings", guide_style="dim")
    for key, value in config.items():
        branch = tree.add(key, style="bold")
        for line in _lines(value):
            branch.add(Syntax(line, "yaml", background_color="default"))
    Console().print(tree)


def _lines(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [f"{prefix[:-1]}: {value}" if prefix else str(value)]
    return [line for key, inner in value.items() for line in _lines(inner, f"{prefix}{key}.")]


def print_data(data: DictConfig, prepared: Prepared) -> None:
    """Print how many images of which kind the run uses, and where they come from."""
    notes = prepared.splits.notes
    for warning in notes.get("warnings", []):
        warn(warning)
    print(
        f"data={data.name} ({notes.get('root', 'no folder')}), fingerprint {notes['fingerprint']}"
    )
    for name, counts in {
        "available for training": notes["available"]["train"],
        **{key: value for key, value in notes["used"].items() if sum(value.values())},
    }.items():
        print(f"  {name}: " + ", ".join(f"{n} {label}" for label, n in counts.items()))
    if notes["duplicates"]["left_out_of_training"]:
        print(f"  exact duplicates left out: {notes['duplicates']['left_out_of_training']}")
    if scaled := notes.get("scaled"):
        print(f"  {scaled}")
    if skipped := notes.get("bad_files_skipped"):
        print(f"  bad files skipped: {len(skipped)} (listed in run.json)")
    if prepared.synthetic is not None:
        labels = prepared.synthetic.labels
        print(f"  synthetic images added to training: {len(labels)} from {data.synthetic.dir}")
