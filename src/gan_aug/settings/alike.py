"""Which settings the draws of a study must have in common, for a report to take them together."""

from __future__ import annotations

from typing import Any

from gan_aug.run.run_record import Config
from gan_aug.settings.selection import deciding
from gan_aug.settings.whole import among

MACHINE = ("trainer.accelerator", "trainer.deterministic", "trainer.benchmark")
"""What a draw is computed on: those of a study may differ in it, the parts of one may not."""
_FREE = (
    "draw",
    "study_dir",
    "gans_dir",
    "data.draw",
    "data.root",
    "data.source.root",
    "data.cache_dir",
    "data.download",
    "data.source.download",
    "data.on_bad_file",
    "data.source.on_bad_file",
    "data.on_conflict",
    "data.source.classes",  # as data.classes, which is compared
    "study.folder",
    "study.gan_curve_points",
    "trainer.threads",
    *MACHINE,
)
"""Settings that may differ between the jobs of a study; so may those of `quality`. Not where GANs
are chosen by them. Draws of CPUs and GPUs go together, as those of two torch versions do: arms are
compared within a job, and the report names the machines."""


def first_difference(
    one: Config, other: Config, open_: tuple[str, ...] = ()
) -> tuple[str, Any, Any] | None:
    """Return a setting that keeps two draws under one condition apart, and its two values.

    Args:
        one: the settled configuration of a draw.
        other: of another.
        open_: settings, or groups of them, that may differ as well.
    """
    before, after = _flat(one), _flat(other)
    decides = _deciding(one)
    for key in sorted(before.keys() | after.keys()):
        if among(key, open_):
            continue
        free = key in _FREE or key.startswith(("quality.", "callbacks.", "logger."))
        if (key.startswith(decides) or not free) and before.get(key) != after.get(key):
            return key, before.get(key), after.get(key)
    return None


def _deciding(config: Config) -> tuple[str, ...]:
    """Return the settings, or what they begin with, that a study's GANs were chosen by."""
    select = config["study"].get("gan_select")
    if select is None:
        return ()
    of_quality = deciding(config["quality"], select)
    return ("study.gan_curve_points", *(f"quality.{key}" for key in of_quality))


def _flat(config: Any, prefix: str = "") -> Config:
    if not isinstance(config, dict):
        return {prefix[:-1]: config}
    return {
        k: v for name, inner in config.items() for k, v in _flat(inner, f"{prefix}{name}.").items()
    }
