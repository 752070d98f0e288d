"""Which settings may change between the commands of a study.

A setting that stands in none of these lists keeps draws apart: with another value of it a draw is
neither gone on with nor reported with others.

- `may_differ`: between the parts of one draw, which was interrupted and is gone on with.
- `may_be_redone`: on a finished draw, which is opened once more for it and keeps its fits; between
  draws until all have been.
- `MACHINE`: on a finished draw, or run, of which nothing is to be done again.
- `_FREE`: between the draws of a study, before a new one is trained and when a report reads them.
- `CHANGE_NO_GAN`: between jobs that share a GAN.
- `deciding`: what of `quality` may not where GANs are chosen by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gan_aug.settings.base import Plain
from gan_aug.settings.whole import among

if TYPE_CHECKING:
    from gan_aug.settings.study import StudySettings

MACHINE = (
    *("trainer.accelerator", "trainer.deterministic", "trainer.benchmark"),
    "model.accelerator",  # of a generator that is no GAN
)
"""What a draw is computed on: those of a study may differ in it, the parts of one may not."""
_PLACES = (
    *("study_dir", "gans_dir", "data.root", "data.source.root", "data.cache_dir", "data.download"),
    *("data.source.download", "data.on_bad_file", "data.source.on_bad_file", "data.on_conflict"),
)
"""Where images and results lie: images are known by their hashes."""
_FREE = (
    *("quality", "callbacks", "logger", *MACHINE, *_PLACES),
    "data.external",  # compared by the fingerprints of its sets
    *("draw", "data.draw", "study.folder", "study.gan_curve_points", "trainer.threads"),
    "data.source.classes",  # as data.classes, which is compared
)
"""Settings that may differ between the jobs of a study, unless its GANs are chosen by them.
Draws of CPUs and GPUs go together, as those of two torch versions do: arms are compared within a
job, and the report names the machines."""
CHANGE_NO_GAN = (
    *("callbacks", "logger", "quality", "data.root", "data.download", "data.on_bad_file"),
    *("data.on_conflict", "data.cache_dir", "data.subset", "data.synthetic", "data.source"),
    *("data.classes", "data.num_classes", "data.positive", "data.target", "data.external"),
)
"""Settings that change no pixel of a GAN's images; the images that it sees are known by hashes."""
_OF_ARMS = (".added.dir", ".title")
"""Ends of settings that may: a draw's own folder of added images, and what people read."""


def first_difference(
    one: Plain, other: Plain, open_: tuple[str, ...] = ()
) -> tuple[str, Any, Any] | None:
    """Return a setting that keeps two draws under one condition apart, and its two values.

    `one` and `other` are their settled configurations, `open_` settings, or groups of them, that
    may differ as well.
    """
    before, after = _flat(one), _flat(other)
    select, decides = one["study"].get("gan_select"), list[str]()
    if select is not None:  # what GANs were chosen by
        of_quality = (f"quality.{key}" for key in deciding(one["quality"], select))
        decides = ["study.gan_curve_points", *of_quality]
    for key in sorted(before.keys() | after.keys()):
        free = among(key, _FREE) and not among(key, tuple(decides))
        free |= key.endswith(_OF_ARMS)
        if before.get(key) != after.get(key) and not (free or among(key, open_)):
            return key, before.get(key), after.get(key)
    return None


def _flat(config: Any, prefix: str = "") -> Plain:
    if not isinstance(config, dict):
        return {prefix[:-1]: config}
    return {
        k: v for name, inner in config.items() for k, v in _flat(inner, f"{prefix}{name}.").items()
    }


def may_differ(settings: StudySettings) -> tuple[str, ...]:
    """Return the settings in which an earlier part of a draw may differ."""
    curves = () if settings.study.gan_select is not None else ("study.gan_curve_points",)
    return ("callbacks", "logger", *_PLACES, *curves)


def may_be_redone(settings: StudySettings) -> tuple[str, ...]:
    """Return the settings that may change on a finished draw, whose fits are then kept.

    Of quality all, unless GANs are chosen by it: then those that decide nothing.
    """
    keys, select = ["quality"], settings.study.gan_select
    if select is not None:
        quality = settings.plain()["quality"]
        names = [*quality, *(f"metrics.{name}" for name in quality["metrics"])]
        decide = {"metrics", *deciding(quality, select)}
        keys = [f"quality.{name}" for name in names if name not in decide]
    asked = ("question", "comparisons", "endpoints", "subgroups")
    return (*(f"study.{key}" for key in asked), *keys)


def deciding(quality: Mapping[str, Any], select: str) -> tuple[str, ...]:
    """Return the settings of quality, as plain containers, that decide which weights are taken.

    `select` is a value of one of its metrics.
    """
    metrics = quality["metrics"]
    named = tuple(f"metrics.{name}" for name, metric in metrics.items() if select in metric["good"])
    return ("extractor", "classifier", "reference_steps", "seed", *named)
