"""Are a GAN's images as varied as unseen real ones, to within what the gate allows?"""

from __future__ import annotations

from collections.abc import Sequence

from gan_aug.evaluation.measured import Quality, Values

_ROUNDING = 1e-9
"""12 of 120 images are within 0.1, however the shares were rounded."""


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
    of_class = quality.classes[name].values
    return missed_by(quality, of_class["generated"], of_class["real"])


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
    found = []
    for value, reach in quality.gate.items():
        further = asked[value] - real[value]
        worse = {"lower": further, "higher": -further}.get(quality.good[value], abs(further))
        if not worse <= reach + _ROUNDING:
            found.append(value)
    return found


def real_share(measured: Sequence[tuple[Quality, Values, Values]]) -> float | None:
    """Return how often real images pass, to read a verdict on generated ones with.

    Args:
        measured: pairs of sets of unseen real images, the second sets the gate for the first.

    Returns:
        The share that passes; None without a pair that was measured by all of the gate.
    """
    judged = [missed for one in measured if (missed := missed_by(*one)) is not None]
    return sum(not missed for missed in judged) / len(judged) if judged else None
