"""The quality of a draw's GANs, measured beside what their images do for the classifier."""

from __future__ import annotations

from gan_aug.arms.base import source_of
from gan_aug.data.held_out import HeldOut, cut_held_out
from gan_aug.data.splits import Splits
from gan_aug.evaluation.evaluator import GENERATED, Evaluator, discriminator_of
from gan_aug.evaluation.measured import ClassQuality, Quality
from gan_aug.evaluation.subject import source_images
from gan_aug.models.restore import load_gan
from gan_aug.models.synthesis import images_of
from gan_aug.run.progress import stage, update
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.study import SettledStudy
from gan_aug.study.gans import FittedGAN, own_gan


def generated_classes(settings: SettledStudy) -> list[str]:
    """Return the classes that some arm adds GAN images of, of a GAN that knows the classes."""
    arms = settings.arms.values()
    made = {name for arm in arms for name, _ in source_of(arm).of_own_gans(arm)}
    return [name for name in settings.data.classes if name in made]


def held_out_of(settings: SettledStudy, splits: Splits) -> HeldOut | None:
    """Cut the real images to measure with; None where the study measures no quality.

    Raises:
        GanAugError: there are hardly any; better now than after the GANs are fitted.
    """
    made = generated_classes(settings)
    if not settings.quality.use or not made:
        return None
    return cut_held_out(
        splits, settings.quality.count, made, validation=settings.study.gan_select is None
    )


def measure_gans(
    settings: SettledStudy, splits: Splits, held_out: HeldOut, gans: dict[str, FittedGAN]
) -> Quality:
    """Measure what the GANs of a draw generate, beside unseen real images.

    The images are of the same latents as the draw's synthetic set, which is the first of them (an
    arm's filter comes after); their number is `quality.count`, or that of the unseen real ones.

    Args:
        settings: of the study.
        splits: the draw.
        held_out: from `held_out_of`.
        gans: class to the GAN that makes it.
    """
    stage("quality of the GANs", unit="classes")
    evaluator = Evaluator(settings.quality, splits)
    classes: dict[str, ClassQuality] = {}
    for name, fitted in gans.items():
        update(len(classes), len(gans))
        gan, origin, _ = load_gan(fitted.checkpoint, lambda: own_gan(settings))
        seed = stream_seed("latents", settings.seed, settings.draw, name)
        made = images_of(gan, origin, name, settings.quality.count, seed, splits.train)
        discriminator = discriminator_of(gan, splits.classes.label(name))
        classes[name] = evaluator.against_baseline(
            {GENERATED: made.images},
            name,
            held_out,
            discriminator,
            source_images(made, splits.train),
        )
    return evaluator.quality(classes)
