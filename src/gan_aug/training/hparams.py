"""The settings of a run that TensorBoard's tab HParams shows: numbers as numbers, short names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from gan_aug.training.event_files import Setting

_OF_DATA = ("image_size", "batch_size", "train_class")
_HIDDEN = {
    *("name", "kind", "sample_every_n_epochs", "batches"),
    *(
        "root",
        "cache_dir",
        "download",
        "on_bad_file",
        "on_conflict",
        "subset",
        "dir",
        "count",
        "resume",
    ),
    *("study_dir", "gans_dir", "quality", "callbacks", "logger"),
}
"""Parts of the names of settings that change no fit, are no number, or are shown otherwise."""


def settings_of(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Setting]:
    """Return what is used most and all that was set on the command line; what is null is left out.

    So is `model.batches`: how many were trained on, trainer.max_epochs or study.gan_batches says.

    Args:
        config: resolved, of `train` or `study`.
        overrides: the job's, from run.json.
    """
    found = {"model": config["model"]["name"], "data": config["data"]["name"]}
    paths = [
        *(f"model.{key}" for key in config["model"]),
        *("seed", "draw", *(f"data.{key}" for key in _OF_DATA), "trainer.max_epochs"),
    ]
    given = OverridesParser.create().parse_overrides(list(overrides))
    paths += [override.get_key_element().lstrip("+~") for override in given]
    for path in dict.fromkeys(paths):
        short = path.rpartition(".")[2]
        if not _HIDDEN & set(path.split(".")):
            found.setdefault(path if short in found else short, _select(config, path))
    found |= by_class("real", config["data"]["subset"])
    if config["data"]["synthetic"]["dir"] is not None:
        found["synthetic"] = config["data"]["synthetic"]["count"]
    return {name: v for name, v in found.items() if isinstance(v, int | float | str)}


def by_class(name: str, counts: Mapping[str, int | None] | None) -> dict[str, int | None]:
    """Return a setting of every class, under a name each."""
    return {f"{name}_{of_class}": count for of_class, count in (counts or {}).items()}


def _select(config: Mapping[str, Any], path: str) -> Any:
    found: Any = config
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
