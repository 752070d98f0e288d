"""What can be known before the first fit is checked before it: hours of fits are not to be lost."""

from __future__ import annotations

from functools import partial

from hydra.utils import instantiate
from omegaconf import DictConfig

from gan_aug.evaluation.evaluator import metrics_of
from gan_aug.models.trainer import make_trainer
from gan_aug.run.building import build
from gan_aug.settings.draw import arms_of
from gan_aug.study.added import AddedByArm
from gan_aug.study.gans import own_gan


def check_first(cfg: DictConfig, added_by_arm: AddedByArm) -> None:
    """Build once, and throw away, all that a study's settings describe; count the images it takes.

    Args:
        cfg: the study's configuration.
        added_by_arm: of the draw; nothing is fitted here.

    Raises:
        GanAugError: naming the setting that describes nothing that can be built.
    """
    build("trainer", lambda: make_trainer(cfg.trainer, max_epochs=1, logger=False))
    build(
        "classifier",
        lambda: instantiate(cfg.classifier.module, _convert_="all").make_optimizer(),
    )
    arms = arms_of(cfg)
    if any(arm.added.source == "gan" for arm in arms.values()):
        build("model", lambda: own_gan(cfg).configure_optimizers())
        if cfg.quality.use:
            _check_quality(cfg)
    for name, arm in arms.items():
        build(f"arms.{name}.augment", partial(instantiate, arm.augment))
        build(f"arms.{name}.added.augment", partial(instantiate, arm.added.augment))
        added_by_arm.check_real(name, arm)


def _check_quality(cfg: DictConfig) -> None:
    quality = cfg.quality
    build("quality.metrics", lambda: metrics_of(quality))
    build("quality.extractor", lambda: instantiate(quality.extractor))
    build("quality.classifier", lambda: instantiate(quality.classifier.module, _convert_="all"))
