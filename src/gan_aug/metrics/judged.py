"""Does a generated image show its class? The reference classifier's opinion."""

from __future__ import annotations

from gan_aug.metrics.sample import Context, Sample


def judged(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    """Return `judged_as_class`: the share whose class the reference classifier sees, in [0, 1]."""
    return {"judged_as_class": context.share_of_class(fake.probabilities)}
