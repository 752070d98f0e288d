"""What can be known before the first fit is checked before it: hours of fits are not to be lost."""

from __future__ import annotations

from gan_aug.arms.base import source_of
from gan_aug.arms.check import check_images
from gan_aug.data.classes import Classes
from gan_aug.evaluation.evaluator import metrics_of
from gan_aug.metrics.classification import metric_names
from gan_aug.models.fit import make_trainer
from gan_aug.run.errors import GanAugError
from gan_aug.settings.design import CHOSEN_ON_VALIDATION
from gan_aug.settings.node import building
from gan_aug.settings.study import SettledStudy
from gan_aug.study.gans import own_gan, used_in_training
from gan_aug.study.images import DrawImages
from gan_aug.training.watching import check_select


def check_first(settings: SettledStudy, images: DrawImages) -> None:
    """Build once, and throw away, all that a study's settings describe; count the images it takes.

    Args:
        settings: of the study.
        images: of the draw; nothing is fitted here.

    Raises:
        GanAugError: naming the setting that describes nothing that can be built.
    """
    _check_endpoints(settings)
    make_trainer(settings.trainer, max_epochs=1, logger=False)
    with building("classifier"):
        settings.classifier.module.build("classifier").make_optimizer()
    arms = settings.arms
    if any(source_of(arm).fits_gan(arm) for arm in arms.values()):
        with building("model"):
            own_gan(settings).configure_optimizers()
        if settings.quality.use:
            _check_quality(settings)
    for name, arm in arms.items():
        for key, node in (("augment", arm.augment), ("added.augment", arm.added.augment)):
            if node is not None:
                node.build(f"arms.{name}.{key}")
    check_images(images)


def _check_endpoints(settings: SettledStudy) -> None:
    classes = Classes(tuple(settings.data.classes), settings.data.positive)
    for i, one in enumerate(settings.study.endpoints):
        if one.metric not in metric_names(classes):
            raise GanAugError(
                f"study.endpoints[{i}].metric={one.metric}: this data set's classes have "
                f"{', '.join(metric_names(classes))}"
            )
        if one.at == CHOSEN_ON_VALIDATION and classes.positive is None:
            raise GanAugError(
                f"study.endpoints[{i}].at={one.at}: no class is the positive one, so there is no "
                "threshold; leave it out, or set data.positive"
            )


def _check_quality(settings: SettledStudy) -> None:
    quality, select = settings.quality, settings.study.gan_select
    metrics_of(quality)
    quality.extractor.build("quality.extractor")
    quality.classifier.module.build("quality.classifier")
    if select is not None:
        shown = quality.model_copy(update={"use": used_in_training(settings)})
        check_select(select, shown, "study.gan_select")
