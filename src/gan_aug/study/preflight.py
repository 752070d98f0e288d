"""What can be known before the first fit is checked before it: hours of fits are not to be lost."""

from __future__ import annotations

from omegaconf import DictConfig

from gan_aug.arms.base import source_of
from gan_aug.arms.check import check_images
from gan_aug.data.classes import Classes
from gan_aug.evaluation.evaluator import metrics_of
from gan_aug.metrics.classification import metric_names
from gan_aug.models.fit import make_trainer
from gan_aug.run.building import build
from gan_aug.run.errors import GanAugError
from gan_aug.settings.commands import SettledStudy
from gan_aug.settings.endpoints import AT_VALIDATION, endpoints_of
from gan_aug.study.gans import own_gan
from gan_aug.study.images import DrawImages
from gan_aug.training.watching import check_select


def check_first(cfg: DictConfig, images: DrawImages) -> None:
    """Build once, and throw away, all that a study's settings describe; count the images it takes.

    Args:
        cfg: the study's configuration.
        images: of the draw; nothing is fitted here.

    Raises:
        GanAugError: naming the setting that describes nothing that can be built.
    """
    _check_endpoints(cfg)
    settings = images.settings
    make_trainer(settings.trainer, max_epochs=1, logger=False)
    build("classifier", lambda: settings.classifier.module.build("classifier").make_optimizer())
    arms = settings.arms
    if any(source_of(arm).fits_gan(arm) for arm in arms.values()):
        build("model", lambda: own_gan(cfg).configure_optimizers())
        if settings.quality.use:
            _check_quality(settings)
    for name, arm in arms.items():
        for key, node in (("augment", arm.augment), ("added.augment", arm.added.augment)):
            if node is not None:
                node.build(f"arms.{name}.{key}")
    check_images(images)


def _check_endpoints(cfg: DictConfig) -> None:
    classes = Classes(tuple(cfg.data.classes), cfg.data.positive)
    for i, one in enumerate(endpoints_of(cfg)):
        if one.metric not in metric_names(classes):
            raise GanAugError(
                f"study.endpoints[{i}].metric={one.metric}: this data set's classes have "
                f"{', '.join(metric_names(classes))}"
            )
        if one.at == AT_VALIDATION and classes.positive is None:
            raise GanAugError(
                f"study.endpoints[{i}].at={one.at}: no class is the positive one, so there is no "
                "threshold; leave it out, or set data.positive"
            )


def _check_quality(settings: SettledStudy) -> None:
    quality = settings.quality
    metrics_of(quality)
    quality.extractor.build("quality.extractor")
    quality.classifier.module.build("quality.classifier")
    if settings.study.gan_select is not None:
        cheap = [name for name in quality.use if quality.metrics[name].cheap]
        shown = quality.model_copy(update={"use": cheap})
        check_select(settings.study.gan_select, shown, "study.gan_select")
