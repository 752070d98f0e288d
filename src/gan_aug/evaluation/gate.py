"""Are a GAN's images as varied as unseen real ones, to within what the gate allows?"""

from __future__ import annotations

from gan_aug.evaluation.measured import Quality

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
    generated, real = of_class["generated"], of_class["real"]
    if not quality.gate or not quality.gate.keys() <= generated.keys() & real.keys():
        return None
    found = []
    for value, reach in quality.gate.items():
        further = generated[value] - real[value]
        worse = {"lower": further, "higher": -further}.get(quality.good[value], abs(further))
        if not worse <= reach + _ROUNDING:
            found.append(value)
    return found
