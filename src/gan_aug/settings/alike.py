"""Which settings may change between the commands of a study.

A setting that stands in none of these lists keeps draws apart: with another value of it a draw is
neither gone on with nor reported with others.

- `may_differ`: between the parts of one draw. A draw that was interrupted is gone on with where
  nothing else has changed (`gan_aug.study`).
- `may_be_redone`: on a finished draw, which is opened once more for it and keeps its fits
  (`gan_aug.study`); between draws until all have been (`study/other_draws.py`).
- `MACHINE`: on a finished draw of which nothing is to be done again (`gan_aug.study`).
- `_FREE`, and all of `quality`, `callbacks` and `logger`: between the draws of a study
  (`first_difference`), before a new one is trained (`study/other_draws.py`) and when a report reads
  them (`report/study.py`).
- `deciding`: no list of what may change, but what of `quality` may not where a study's GANs are
  chosen by it; part of what a GAN is known by (`study/gans.py`).

A GAN's own folder has lists of its own, in `study/gans.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gan_aug.settings.base import Plain
from gan_aug.settings.whole import among

if TYPE_CHECKING:
    from gan_aug.settings.study import StudySettings

MACHINE = ("trainer.accelerator", "trainer.deterministic", "trainer.benchmark")
"""What a draw is computed on: those of a study may differ in it, the parts of one may not."""
_PLACES = (
    *("study_dir", "gans_dir", "data.root", "data.source.root", "data.cache_dir", "data.download"),
    *("data.source.download", "data.on_bad_file", "data.source.on_bad_file", "data.on_conflict"),
)
"""Where images and results lie: images are known by their hashes."""
_FREE = (
    *_PLACES,
    *("draw", "data.draw", "study.folder", "study.gan_curve_points", "trainer.threads"),
    "data.source.classes",  # as data.classes, which is compared
    *MACHINE,
)
"""Settings that may differ between the jobs of a study; so may those of `quality`. Settings that a
study's GANs are chosen by (`study.gan_select`) may not, though they stand here or in `quality`.
Draws of CPUs and GPUs go together, as those of two torch versions do: arms are compared within a
job, and the report names the machines."""


def first_difference(
    one: Plain, other: Plain, open_: tuple[str, ...] = ()
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


def _deciding(config: Plain) -> tuple[str, ...]:
    """Return the settings, or what they begin with, that a study's GANs were chosen by."""
    select = config["study"].get("gan_select")
    if select is None:
        return ()
    of_quality = deciding(config["quality"], select)
    return ("study.gan_curve_points", *(f"quality.{key}" for key in of_quality))


def _flat(config: Any, prefix: str = "") -> Plain:
    if not isinstance(config, dict):
        return {prefix[:-1]: config}
    return {
        k: v for name, inner in config.items() for k, v in _flat(inner, f"{prefix}{name}.").items()
    }


def may_differ(settings: StudySettings) -> tuple[str, ...]:
    """Return the settings in which an earlier part of a draw may differ."""
    chooses = settings.study.gan_select is not None
    curves = () if chooses else ("study.gan_curve_points",)
    return ("callbacks", "logger", *_PLACES, *curves)


def may_be_redone(settings: StudySettings) -> tuple[str, ...]:
    """Return the settings that may change on a finished draw, whose fits are then kept.

    Of quality all, unless GANs are chosen by it: then those that decide nothing.
    """
    of_study = ("study.question", "study.comparisons", "study.endpoints")
    select, quality = settings.study.gan_select, settings.plain()["quality"]
    if select is None:
        return (*of_study, "quality")
    kept = {f"quality.{key}" for key in deciding(quality, select)}
    keys = [f"quality.{key}" for key in quality if key != "metrics"]
    keys += [f"quality.metrics.{name}" for name in quality["metrics"]]
    return (*of_study, *(key for key in keys if key not in kept))


def deciding(quality: Mapping[str, Any], select: str) -> tuple[str, ...]:
    """Return the settings of quality that decide which weights `select` takes.

    Args:
        quality: conf/quality, as plain containers.
        select: a value of one of its metrics.
    """
    metrics = quality["metrics"]
    of = tuple(f"metrics.{name}" for name, metric in metrics.items() if select in metric["good"])
    return ("extractor", "classifier", "reference_steps", "seed", *of)
