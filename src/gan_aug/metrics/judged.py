"""Does a generated image show its class? The reference classifier's opinion."""

from __future__ import annotations

from gan_aug.metrics.sample import Context, Sample


def judged(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return the share that the reference classifier takes for the class they are meant to be.

    Returns:
        `judged_as_class`, a share in [0, 1], by the most probable class.
    """
    return {"judged_as_class": context.share_of_class(fake.probabilities)}
