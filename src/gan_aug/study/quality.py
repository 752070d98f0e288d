"""How good a draw's generated images are: which are measured, and beside which real ones."""

from __future__ import annotations

from gan_aug.arms.base import own_gans
from gan_aug.data.held_out import FEWEST, HeldOut, cut_held_out
from gan_aug.data.image_table import ClassImages
from gan_aug.evaluation.evaluator import Evaluator
from gan_aug.evaluation.measured import GENERATED, ClassQuality, Quality
from gan_aug.runtime.progress import stage, update
from gan_aug.study.external import external_classes, external_sets
from gan_aug.study.gans import sampling_seed
from gan_aug.study.images import DrawImages


class DrawQuality:
    """Images of the draw's own GANs, or of an external set where it has none, and what they are.

    Attributes:
        external: images of the external set that is measured, by class; none where there are GANs.
        classes: whose images may be measured.
        held_out: real images to measure with; None: nothing is measured.
    """

    def __init__(self, images: DrawImages) -> None:
        """Cut the real images to measure with.

        Raises:
            GanAugError: there are hardly any; better now than after the GANs are fitted.
        """
        settings, self._images = images.settings, images
        own = {name for name, _ in own_gans(settings.arms)}
        self.external = {} if own else _measured_set(images)
        self.classes = [name for name in settings.data.classes if name in {*own, *self.external}]
        self.held_out: HeldOut | None = None
        if settings.quality.use and self.classes:
            validation = settings.study.gan_select is None
            self.held_out = cut_held_out(
                images.splits, settings.quality.count, self.classes, validation
            )

    def measure(self) -> Quality | None:
        """Measure what is generated, beside unseen real images; None: nothing is measured.

        Images of GANs are of the same latents as the draw's synthetic set, which is the first of
        them (an arm's filter comes after). Their number is `quality.count`, or that of the unseen
        real ones.
        """
        if self.held_out is None:
            return None
        stage("quality of the images", unit="classes")
        settings, splits, gans = self._images.settings, self._images.splits, self._images.gans
        evaluator, count = Evaluator(settings.quality, splits), settings.quality.count
        classes: dict[str, ClassQuality] = {}
        for name in self.external or gans:
            update(len(classes), len(self.external or gans))
            if self.external:
                made, discriminator = self.external[name].first(count), None
            else:
                made, _, discriminator = gans[name].images(count, sampling_seed(settings, name, 0))
            classes[name] = evaluator.against_baseline(
                {GENERATED: made.images},
                name,
                self.held_out,
                discriminator,
                made.sources_in(splits.train),
            )
        return evaluator.quality(classes)


def _measured_set(images: DrawImages) -> dict[str, ClassImages]:
    """Return images of the set whose quality is measured, by class where there are enough.

    It is that of the asked arm, else the first.
    """
    sets, settings = external_sets(images), images.settings
    asked = [there for arms, there in sets if settings.study.question.arm in arms]
    first = next(iter([*asked, *(there for _, there in sets)]), None)
    by_class = {} if first is None else first.by_class
    named = {name: by_class[name] for name in external_classes(settings)}
    return {name: own for name, own in named.items() if len(own) >= FEWEST}
