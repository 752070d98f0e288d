"""What was measured of generated images, as it stands in a metrics.json, and whether it will do.

A GAN passes the gate whose images are as varied as unseen real ones, within what it allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from gan_aug.runtime.stored_model import Part

Values = dict[str, float]
BASELINE, GENERATED = "real", "generated"
"""What sets of images are called: unseen real ones, which are the baseline, and a GAN's."""
_ROUNDING = 1e-9
"""12 of 120 images are within 0.1, however the shares were rounded."""


class ReferenceFacts(Part):
    """What a number that depends on the reference classifier is published with."""

    sha256: str
    fitted_on: dict[str, int]
    """Class to the number of images."""
    right_on_unseen_real: Values | None = None
    """Class to the share of unseen real images that it gets right; None: not measured."""


class ClassQuality(Part):
    """Sets of images of one class."""

    values: dict[str, Values]
    """Set to its values, the real-vs-real baseline first."""
    seconds: Values | None
    """Metric to what it took for the first set after the baseline."""
    images: dict[str, int]
    """What images were for to how many there were; `measured` in each set."""
    real_passes: float | None = None
    """How often unseen real images pass the gate against others; None: not measured."""


class Quality(Part):
    """All that was measured."""

    extractor: str
    extractor_sha256: str | None = None
    reference_classifier: ReferenceFacts | None = None
    good: dict[str, str]
    """Value to what is good: lower, higher, or baseline, as near to it as possible."""
    gate: Values | None = None
    """Value to its largest distance from that of unseen real images in a GAN that passes."""
    classes: dict[str, ClassQuality]


def misses(quality: Quality, name: str) -> list[str] | None:
    """Return the values by which a class's generated images miss the gate.

    Returns:
        Names of values; none: the GAN passes. None where the gate names something that was not
        measured, or there is none.
    """
    if name not in quality.classes:
        return None
    values = quality.classes[name].values
    return missed_by(quality, values[GENERATED], values[BASELINE])


def missed_by(quality: Quality, asked: Values, real: Values) -> list[str] | None:
    """Return, as `misses`, the values by which a set misses the gate that other, real images set.

    Where lower or higher is better, the distance counts on the worse side alone.
    """
    if not quality.gate or not quality.gate.keys() <= asked.keys() & real.keys():
        return None
    missed = []
    for value, reach in quality.gate.items():
        further = asked[value] - real[value]
        worse = {"lower": further, "higher": -further}.get(quality.good[value], abs(further))
        if not worse <= reach + _ROUNDING:
            missed.append(value)
    return missed


def real_share(measured: Sequence[tuple[Quality, Values, Values]]) -> float | None:
    """Return how often real images pass, to read a verdict on generated ones with.

    Of each pair of sets of unseen real images, the second sets the gate for the first. None without
    a pair that was measured by all of the gate.
    """
    verdicts = [missed for one in measured if (missed := missed_by(*one)) is not None]
    return sum(not missed for missed in verdicts) / len(verdicts) if verdicts else None
