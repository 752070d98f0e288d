"""What the choice of a GAN's weights depends on, among the settings of its quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_aug.settings.study import StudySettings

_MEASURE = ("extractor", "classifier", "reference_steps", "seed")


def deciding(quality: Mapping[str, Any], select: str) -> tuple[str, ...]:
    """Return the settings that decide which weights `select` takes.

    Args:
        quality: conf/quality.
        select: a value of one of its metrics.
    """
    metrics = quality["metrics"]
    of = tuple(f"metrics.{name}" for name, metric in metrics.items() if select in _values(metric))
    return (*(key for key in _MEASURE if key in quality), *of)


def _values(metric: Any) -> Mapping[str, str]:
    known = isinstance(metric, Mapping) and metric.get("good") is not None
    found: Mapping[str, str] = metric["good"] if known else {}
    return found


def quality_of_finished(settings: StudySettings) -> tuple[str, ...]:
    """Return the settings of quality that may change on a draw whose GANs are fitted.

    All, unless GANs are chosen by quality: then those that decide nothing.
    """
    select, quality = settings.study.gan_select, settings.plain()["quality"]
    if select is None:
        return ("quality",)
    kept = {f"quality.{key}" for key in deciding(quality, select)}
    keys = [f"quality.{key}" for key in quality if key != "metrics"]
    keys += [f"quality.metrics.{name}" for name in quality["metrics"]]
    return tuple(key for key in keys if key not in kept)
