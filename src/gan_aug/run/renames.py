"""Names of classes as earlier versions wrote them into run.json, checkpoints and manifests."""

from __future__ import annotations

from typing import Any

_MODELS = ("augment", "classifier", "gans", "networks")
_SOURCES = ("chest_xray", "folder", "medmnist", "phantom")
MOVED = {f"gan_aug.{name}.": f"gan_aug.models.{name}." for name in _MODELS} | {
    f"gan_aug.data.{name}.": f"gan_aug.data.sources.{name}." for name in _SOURCES
}
"""Beginnings of dotted names, then and now."""


def renamed(node: Any) -> Any:
    """Return plain containers of a file with every `_target_` as it is named today."""
    if isinstance(node, list):
        return [renamed(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {key: renamed(value) for key, value in node.items()}
    name = found.get("_target_")
    if isinstance(name, str):
        for then, now in MOVED.items():
            if name.startswith(then):
                found["_target_"] = now + name.removeprefix(then)
    return found
