"""What can be known before the first fit is checked before it: hours of fits are not to be lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hydra.utils import instantiate
from omegaconf import DictConfig

from gan_aug.errors import GanAugError
from gan_aug.protocol.extras import Extras
from gan_aug.protocol.gans import own_gan
from gan_aug.quality.evaluation import metrics_of
from gan_aug.run import one_line


def check_first(cfg: DictConfig, extras: Extras) -> None:
    """Build once, and throw away, all that a study's settings describe; count the images it takes.

    Args:
        cfg: the study's configuration.
        extras: of the draw; nothing is fitted here.

    Raises:
        GanAugError: naming the setting that describes nothing that can be built.
    """
    _try("trainer", lambda: instantiate(cfg.trainer, max_epochs=1, logger=False))
    _try(
        "classifier",
        lambda: instantiate(cfg.classifier.module, _convert_="all").configure_optimizers(),
    )
    if any(arm.extra.source == "gan" for arm in cfg.arms.values()):
        _try("model", lambda: own_gan(cfg).configure_optimizers())
        if cfg.quality.use:
            _check_quality(cfg)
    for name, arm in cfg.arms.items():
        _try(f"arms.{name}.augment", partial(instantiate, arm.augment))
        _try(f"arms.{name}.extra.augment", partial(instantiate, arm.extra.augment))
        extras.check_real(str(name), arm)


def _check_quality(cfg: DictConfig) -> None:
    quality = cfg.quality
    _try("quality.metrics", lambda: metrics_of(quality))
    _try("quality.extractor", lambda: instantiate(quality.extractor))
    _try("quality.classifier", lambda: instantiate(quality.classifier.module, _convert_="all"))


def _try(key: str, build: Callable[[], object]) -> None:
    try:
        build()
    except GanAugError:
        raise
    except Exception as error:  # Hydra's, Lightning's and torch's own
        cause = error.__cause__ or error
        raise GanAugError(f"{key}: cannot be built: {one_line(cause)}; see conf/") from error
