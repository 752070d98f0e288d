"""Range checks of the configuration, made before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_aug.data.image_table import CLASSES
from gan_aug.errors import GanAugError

Rule = tuple[Callable[[Any], bool], str]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at_least(least: int) -> Rule:
    return lambda v: _is_int(v) and v >= least, f"a whole number from {least}"


def _or_null(rule: Rule) -> Rule:
    return lambda v: v is None or rule[0](v), f"{rule[1]}, or null"


def _one_of(*choices: Any) -> Rule:
    return lambda v: v in choices, f"one of {', '.join(str(c).lower() for c in choices)}"


_POSITIVE: Rule = (lambda v: _is_number(v) and v > 0, "a number above 0")
_NOT_NEGATIVE: Rule = (lambda v: _is_number(v) and v >= 0, "a number from 0")
_SHARE: Rule = (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 to below 1")
_BOOL: Rule = (lambda v: isinstance(v, bool), "true or false")

RULES: dict[str, Rule] = {
    "seed": (lambda v: _is_int(v) and 0 <= v < 2**32, "a whole number from 0 to 4294967295"),
    "draw": _at_least(0),
    "resume": _BOOL,
    "generate.count": _at_least(1),
    "generate.seed": _at_least(0),
    "count": _at_least(1),
    "data.source.train_per_class": _at_least(1),
    "data.source.test_per_class": _at_least(1),
    "data.source.seed": _at_least(0),
    "data.download": _BOOL,
    "data.image_size": _at_least(8),
    "data.channels": _one_of(1, 3),
    "data.batch_size": _at_least(2),
    "data.holdout_per_class": _at_least(0),
    "data.val_per_class": _at_least(1),
    "data.internal_per_class": _at_least(0),
    "data.subset.normal": _or_null(_at_least(0)),
    "data.subset.pneumonia": _or_null(_at_least(0)),
    "data.synthetic.count": _or_null(_at_least(0)),
    "data.on_bad_file": _one_of("error", "skip"),
    "data.train_class": _one_of(None, *CLASSES),
    "model.lr": _POSITIVE,
    "model.lr_g": _POSITIVE,
    "model.lr_d": _POSITIVE,
    "model.d_steps": _at_least(1),
    "model.g_steps": _at_least(1),
    "model.width": _at_least(1),
    "model.hidden": _at_least(1),
    "model.patience": _at_least(1),
    "model.latent_dim": _at_least(1),
    "model.ema_decay": _SHARE,
    "model.real_label": (lambda v: _is_number(v) and 0.5 < v <= 1, "a number in (0.5, 1]"),
    "model.loss": _one_of("non_saturating", "hinge", "least_squares"),
    "model.spectral_norm": _BOOL,
    "model.sample_every_n_epochs": _at_least(1),
    "trainer.devices": _one_of(1),
    "trainer.max_epochs": _at_least(1),
    "trainer.log_every_n_steps": _at_least(1),
    "callbacks.checkpoint.every_n_seconds": _NOT_NEGATIVE,
}
"""What each key may hold; keys that a configuration does not have are passed over."""

_ABSENT = object()


def check_config(cfg: DictConfig) -> None:
    """Check ranges, and that the network can take the images.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
        MissingMandatoryValue: a key that must be given was not.
    """
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    for key, (holds, wanted) in RULES.items():
        value = OmegaConf.select(cfg, key, default=_ABSENT)
        if value is not _ABSENT and not holds(value):
            raise GanAugError(f"{key}={value}: must be {wanted}")
    if "model" in cfg and "data" in cfg:
        _check_model(cfg)


def _check_model(cfg: DictConfig) -> None:
    size, takes, name = cfg.data.image_size, cfg.model.takes, cfg.model.name
    if size < takes.min_size or (takes.power_of_two and size & (size - 1)):
        wanted = (
            f"powers of two from {takes.min_size}"
            if takes.power_of_two
            else (f"sizes from {takes.min_size}")
        )
        raise GanAugError(f"data.image_size={size}: model={name} takes {wanted}")
    if cfg.model.kind == "gan" and cfg.data.synthetic.dir is not None:
        raise GanAugError(
            f"data.synthetic.dir={cfg.data.synthetic.dir}: a GAN learns from real images only; "
            "synthetic images join the training of a classifier (model=cnn)"
        )
    if cfg.model.kind == "gan" and cfg.model.conditioning == "none" and not cfg.data.train_class:
        raise GanAugError(
            f"data.train_class=null: model={name} has no labels and is fitted on one class; "
            f"set data.train_class to {' or '.join(CLASSES)}"
        )
    if cfg.model.kind == "classifier":
        if cfg.data.train_class:
            raise GanAugError(
                f"data.train_class={cfg.data.train_class}: a classifier needs both classes; "
                "set data.train_class=null"
            )
        for name, wanted in cfg.data.subset.items():
            if wanted == 0:
                raise GanAugError(f"data.subset.{name}=0: a classifier needs images of each class")
