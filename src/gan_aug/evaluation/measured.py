"""What was measured of generated images, as it stands in a metrics.json, and whether it will do.

A GAN passes the gate whose images are as varied as unseen real ones, within what it allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from gan_aug.run.stored_model import Part

Values = dict[str, float]
BASELINE, GENERATED = "real", "generated"
"""What sets of images are called: unseen real ones, which are the baseline, and a GAN's."""
_ROUNDING = 1e-9
"""12 of 120 images are within 0.1, however the shares were rounded."""


class ReferenceFacts(Part):
    """What a number that depends on the reference classifier is published with.

    Attributes:
        sha256: of its weights.
        fitted_on: class to the number of images.
        right_on_unseen_real: class to the share of unseen real images that it gets right; None: not
            measured.
    """

    sha256: str
    fitted_on: dict[str, int]
    right_on_unseen_real: Values | None = None


class ClassQuality(Part):
    """Sets of images of one class.

    Attributes:
        values: set to its values, the real-vs-real baseline first.
        seconds: metric to what it took for the first set after the baseline.
        images: what images were for to how many there were; `measured` in each set.
        real_passes: how often unseen real images pass the gate against others; None: not measured.
    """

    values: dict[str, Values]
    seconds: Values | None
    images: dict[str, int]
    real_passes: float | None = None


class Quality(Part):
    """All that was measured.

    Attributes:
        extractor: where features come from.
        extractor_sha256: of its weights; None: of none.
        reference_classifier: which gave opinions.
        good: value to what is good: lower, higher, or baseline, as near to it as possible.
        gate: value to its largest distance from that of unseen real images in a GAN that passes.
        classes: by name.
    """

    extractor: str
    extractor_sha256: str | None = None
    reference_classifier: ReferenceFacts | None = None
    good: dict[str, str]
    gate: Values | None = None
    classes: dict[str, ClassQuality]


def misses(quality: Quality, name: str) -> list[str] | None:
    """Return the values by which a class's generated images miss the gate.

    Args:
        quality: measured with `quality.gate`: value to the largest distance from that of unseen
            real images, on the worse side alone where lower or higher is better.
        name: the class.

    Returns:
        Names of values; none: the GAN passes. None where the gate names something that was not
        measured, or there is none.
    """
    if name not in quality.classes:
        return None
    values = quality.classes[name].values
    return missed_by(quality, values[GENERATED], values[BASELINE])


def missed_by(quality: Quality, asked: Values, real: Values) -> list[str] | None:
    """Return the values by which a set of images misses the gate that other, real ones set.

    Args:
        quality: with its gate.
        asked: the set's values.
        real: those of unseen real images.

    Returns:
        As `misses`.
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

    Args:
        measured: pairs of sets of unseen real images, the second sets the gate for the first.

    Returns:
        The share that passes; None without a pair that was measured by all of the gate.
    """
    verdicts = [missed for one in measured if (missed := missed_by(*one)) is not None]
    return sum(not missed for missed in verdicts) / len(verdicts) if verdicts else None
