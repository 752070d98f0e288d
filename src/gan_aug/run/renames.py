"""Names of settings and classes in earlier versions, whose files and commands still work."""

from __future__ import annotations

import re
from typing import Any

KEYS = {
    "holdout_per_class": "development_per_class",
    "judge_steps": "reference_steps",
    "judges_dir": "reference_dir",
}
"""Settings, then and now."""
_ARGUMENTS = {rf"\b{then}\b": now for then, now in KEYS.items()} | {
    r"\b(arms\.[^.=]+)\.extra\b": r"\1.added"
}
_MODELS = ("augment", "classifier", "gans", "networks")
_SOURCES = ("chest_xray", "folder", "medmnist", "phantom")
_EXTRACTORS = "gan_aug.evaluation.extractors."
MOVED = (
    {f"gan_aug.{name}.": f"gan_aug.models.{name}." for name in _MODELS}
    | {f"gan_aug.data.{name}.": f"gan_aug.data.sources.{name}." for name in _SOURCES}
    | {"gan_aug.quality.extractors.judge_features": f"{_EXTRACTORS}reference_features"}
    | {"gan_aug.quality.extractors.": _EXTRACTORS}
)
"""Beginnings of dotted names, then and now; the first that fits counts."""


def renamed(node: Any) -> Any:
    """Return plain containers of a file with every setting and `_target_` as it is named today."""
    if isinstance(node, list):
        return [renamed(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {KEYS.get(key, key): renamed(value) for key, value in node.items()}
    extra = found.get("extra")
    if isinstance(extra, dict) and "source" in extra:  # of an arm; a class may have that name too
        found["added"] = found.pop("extra")
    if isinstance(found.get("primary"), str) and "question" in found:  # of a study
        split = found.pop("primary")
        found.setdefault(
            "endpoints", [{"split": split, "metric": "accuracy", "smallest_effect": 0.01}]
        )
    name = found.get("_target_")
    if isinstance(name, str):
        fitting = (then for then in MOVED if name.startswith(then))
        for then in list(fitting)[:1]:
            found["_target_"] = MOVED[then] + name.removeprefix(then)
    return found


def renamed_argument(argument: str) -> str:
    """Return KEY=VALUE of a command line with the key as it is named today."""
    key, equals, value = argument.partition("=")
    for then, now in _ARGUMENTS.items():
        key = re.sub(then, now, key)
    return f"{key}{equals}{value}"


def renamed_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return a draw's metrics.json with what its arms add, and what is good, as named today."""
    arms = metrics.get("arms")
    for arm in arms.values() if isinstance(arms, dict) else ():
        if isinstance(arm, dict) and "extra" in arm:
            arm["added"] = arm.pop("extra")
    quality = metrics.get("quality")
    good = quality.get("good") if isinstance(quality, dict) else None
    if isinstance(quality, dict) and isinstance(good, dict):
        quality["good"] = {k: "baseline" if v == "floor" else v for k, v in good.items()}
    return metrics
