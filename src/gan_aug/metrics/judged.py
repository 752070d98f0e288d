"""Is a generated pneumonia a pneumonia? The judge's opinion."""

from __future__ import annotations

from gan_aug.metrics.sample import Context, Sample


def judged(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return the share of images that the judge takes for the class they are meant to be.

    Args:
        real: unused; the floor says what it makes of real images.
        fake: see `Metric`.
        context: the class.

    Returns:
        `judged_as_class`, a share in [0, 1], at a probability of 0.5.
    """
    return {"judged_as_class": (context.of_class(fake.pneumonia) >= 0.5).double().mean().item()}
