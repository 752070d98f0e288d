"""How good a draw's generated images are: which are measured, and beside which real ones."""

from __future__ import annotations

from gan_aug.arms.base import own_gans
from gan_aug.data.external_set import ExternalSet
from gan_aug.data.held_out import FEWEST, HeldOut, cut_held_out
from gan_aug.data.synthetic import Generated
from gan_aug.evaluation.evaluator import Evaluator
from gan_aug.evaluation.measured import GENERATED, ClassQuality, Quality
from gan_aug.evaluation.subject import source_images
from gan_aug.runtime.progress import stage, update
from gan_aug.settings.study import SettledStudy
from gan_aug.study.external import external_classes
from gan_aug.study.gans import sampling_seed
from gan_aug.study.images import DrawImages


class DrawQuality:
    """Images of the draw's own GANs, or of external sets where it has none, and what they are.

    Attributes:
        classes: whose images may be measured.
        sets: external sets by these classes; of images of GANs there are none.
        held_out: real images to measure with; None: nothing is measured.
    """

    def __init__(self, images: DrawImages, external: list[tuple[list[str], ExternalSet]]) -> None:
        """Cut the real images to measure with.

        Raises:
            GanAugError: there are hardly any; better now than after the GANs are fitted.
        """
        settings, self._images = images.settings, images
        own = {name for name, _ in own_gans(settings.arms)}
        self.sets = {} if own else _measured_sets(settings, external)
        self.classes = [name for name in settings.data.classes if name in {*own, *self.sets}]
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
        for name in self.sets or gans:
            update(len(classes), len(self.sets or gans))
            if self.sets:
                made, discriminator = Generated(self.sets[name].by_class[name][:count]), None
            else:
                made, _, discriminator = gans[name].images(count, sampling_seed(settings, name, 0))
            classes[name] = evaluator.against_baseline(
                {GENERATED: made.images},
                name,
                self.held_out,
                discriminator,
                source_images(made, splits.train),
            )
        return evaluator.quality(classes)


def _measured_sets(
    settings: SettledStudy, sets: list[tuple[list[str], ExternalSet]]
) -> dict[str, ExternalSet]:
    """Return the set whose quality is measured, by the class that there are enough images of.

    It is that of the asked arm, else the first.
    """
    asked = [there for arms, there in sets if settings.study.question.arm in arms]
    first = next(iter([*asked, *(there for _, there in sets)]), None)
    if first is None:
        return {}
    enough = {name: len(images) >= FEWEST for name, images in first.by_class.items()}
    return {name: first for name in external_classes(settings) if enough[name]}
