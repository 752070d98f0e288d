"""What was measured of generated images, as it stands in a metrics.json."""

from __future__ import annotations

from gan_aug.run.stored_model import Part

Values = dict[str, float]


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
