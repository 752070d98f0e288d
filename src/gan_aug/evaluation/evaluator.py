"""Every metric of a draw's generated images, each beside its baseline."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from gan_aug.data.batches import to_float
from gan_aug.data.held_out import FEWEST, HeldOut
from gan_aug.data.image_table import Images, ImageTable, concatenate
from gan_aug.data.splits import Splits
from gan_aug.evaluation.extractors import Extractor, in_parts
from gan_aug.evaluation.measured import (
    BASELINE,
    GENERATED,
    ClassQuality,
    Quality,
    Values,
    real_share,
)
from gan_aug.evaluation.reference_classifier import (
    ReferenceClassifier,
    find_or_fit_reference,
    fit_on_images,
)
from gan_aug.metrics.sample import Context, Metric, Predict, Sample
from gan_aug.models.classifier import probabilities
from gan_aug.models.gans.base import GAN
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.quality import QualitySettings

HALVINGS = 5
"""How often unseen real images are cut in two, to see whether one half passes the other's gate."""


def metrics_of(quality: QualitySettings) -> dict[str, Metric]:
    """Return the metrics that the settings ask for."""
    return {name: quality.metrics[name].function.build("quality.metrics") for name in quality.use}


def directions_of(quality: QualitySettings) -> dict[str, str]:
    """Return what is good for each value: lower, higher, or as near to the baseline as possible."""
    return {
        value: direction
        for name in quality.use
        for value, direction in quality.metrics[name].good.items()
    }


class Evaluator:
    """Measures images of a draw; extractor and fitted classifiers are made once."""

    def __init__(self, quality: QualitySettings, splits: Splits) -> None:
        self._quality, self._splits = quality, splits
        self._metrics = metrics_of(quality)
        self._fits: dict[tuple[str, str], Predict] = {}
        self.classifier: ReferenceClassifier = find_or_fit_reference(quality, splits)
        self.extractor: Extractor = quality.extractor.build("quality.extractor")(self.classifier)

    def sample(self, images: Images) -> Sample:
        """Return images with what extractor and classifier make of them, once somebody asks."""
        return Sample(np.ascontiguousarray(images), self.extractor, self.classifier.probabilities)

    def train_sample(self, name: str) -> Sample:
        """Return the draw's training images of a class."""
        return self.sample(self._splits.train.of_class(name).images)

    def context(
        self, name: str, unseen: ImageTable, discriminator: Callable[[Images], Tensor] | None
    ) -> Context:
        """Return the context of a class; of `unseen` real images nothing was fitted on any."""
        classes, train = self._splits.classes, self.train_sample(name)
        others = {classes.label(other): other for other in classes if other != name}
        return Context(
            classes=classes,
            label=classes.label(name),
            train=train,
            members=train,
            other_train={k: self._splits.train.of_class(n).images for k, n in others.items()},
            other_real={k: unseen.of_class(n).images for k, n in others.items()},
            fit=self._fit,
            discriminator=discriminator,
            seed=self._quality.seed,
        )

    def measure(self, real: Sample, fake: Sample, context: Context) -> tuple[Values, Values]:
        """Return all values, and the seconds that each metric took."""
        values: Values = {}
        seconds: Values = {}
        for name, metric in self._metrics.items():
            started = time.perf_counter()
            values |= metric(real, fake, context)
            seconds[name] = round(time.perf_counter() - started, 3)
        return values, seconds

    def against_baseline(
        self,
        rows: Mapping[str, Images],
        name: str,
        held_out: HeldOut,
        discriminator: Callable[[Images], Tensor] | None,
        sources: Images | None = None,
    ) -> ClassQuality:
        """Measure sets of images of one class, and unseen real images in their place.

        All sets are cut to the size of the smallest: the same N in all that is compared. Of `rows`,
        title to images, only `GENERATED` is the discriminator's, and translated from `sources`.
        """
        unseen = [table.of_class(name).images for table in (held_out.reference, held_out.baseline)]
        n = min(map(len, [*unseen, *rows.values()]))
        real, baseline = (self.sample(images[:n]) for images in unseen)
        context = self.context(name, held_out.reference, discriminator)
        values = {BASELINE: self.measure(real, baseline, replace(context, members=baseline))[0]}
        seconds: Values = {}
        for title, images in rows.items():
            asked = replace(context, discriminator=None)
            if title == GENERATED:
                own = None if sources is None else self.sample(sources[:n])
                asked = replace(context, sources=own)
            values[title], took = self.measure(real, self.sample(images[:n]), asked)
            seconds = seconds or took
        counts = {"measured": n, "reference": n, "baseline": n, "train": len(context.train)}
        for use, others in (("train", context.other_train), ("test", context.other_real)):
            for label, images in others.items():
                counts[f"{context.classes.names[label]} to {use} classifiers"] = len(images)
        return ClassQuality(values=values, seconds=seconds, images=counts)

    def real_passes(self, name: str, held_out: HeldOut) -> float | None:
        """Return how often unseen real images of a class pass the gate against others.

        They are cut in two by patient, anew each time, as large as the sets that `against_baseline`
        measures where patients allow it; each half is measured against the other and sets the gate
        for it. None where the gate was not measured.
        """
        quality, known = self.quality({}), self._quality.metrics
        gate = (quality.gate or {}).keys()
        asked = [metric for n, metric in self._metrics.items() if gate & known[n].good.keys()]
        both = concatenate(*(t.of_class(name) for t in (held_out.reference, held_out.baseline)))
        pool, context = self.sample(np.asarray(both.images)), self.context(name, both, None)
        patients = np.unique(both.patients)
        random = np.random.default_rng(self._quality.seed)
        measured = []
        for _ in range(HALVINGS if asked else 0):
            first = np.isin(both.patients, random.permutation(patients)[: len(patients) // 2])
            n = min(first.sum(), (~first).sum())
            if n < FEWEST:  # some patient has most images
                continue
            halves = [pool.take(np.flatnonzero(side)[:n]) for side in (first, ~first)]
            one, other = (
                {k: v for metric in asked for k, v in metric(real, fake, context).items()}
                for fake, real in (halves, halves[::-1])
            )
            measured += [(quality, one, other), (quality, other, one)]
        return real_share(measured)

    def right_on_unseen(self, held_out: HeldOut) -> Values:
        """Return the share of each class's unseen real images that the classifier gets right."""
        both = [held_out.reference, held_out.baseline]
        shares = {}
        for label, name in enumerate(self._splits.classes):
            images = np.concatenate([table.of_class(name).images for table in both])
            if len(images):
                right = self.classifier.probabilities(images).argmax(dim=1) == label
                shares[name] = right.double().mean().item()
        return shares

    def quality(
        self, classes: dict[str, ClassQuality], right_on_unseen: Values | None = None
    ) -> Quality:
        """Return what was measured of classes, with all that it depends on."""
        facts = self.classifier.facts().model_copy(update={"right_on_unseen_real": right_on_unseen})
        return Quality(
            extractor=self.extractor.label,
            extractor_sha256=self.extractor.sha256,
            reference_classifier=facts,
            good=directions_of(self._quality),
            gate={value: float(reach) for value, reach in self._quality.gate.items()},
            classes=classes,
        )

    def _fit(self, images: Mapping[int, Images], purpose: str) -> Predict:
        digest = hashlib.sha256()
        for label in sorted(images):
            digest.update(images[label].tobytes())
        key = (purpose, digest.hexdigest())
        if key not in self._fits:
            names = self._splits.classes.names
            if empty := [names[k] for k in images if not len(images[k])]:
                raise GanAugError(
                    "quality.use: gan_train and gan_test train a classifier, and the generator's "
                    f"draw has no {empty[0]} training images; add data.subset.{empty[0]}=400, or "
                    "leave them out of quality.use"
                )
            fitted = fit_on_images(self._quality, images, self._quality.fit_steps, purpose)
            self._fits[key] = partial(probabilities, fitted)
        return self._fits[key]


def discriminator_of(gan: GAN, label: int) -> Callable[[Images], Tensor]:
    """Return a GAN's discriminator of a class as a function of uint8 images, in evaluation mode."""

    def logits(images: Images) -> Tensor:
        critic = gan.critic(label).eval()
        return in_parts(images, lambda part: critic(to_float(part)))

    return logits
