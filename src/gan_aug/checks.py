"""Range checks of the configuration, made before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_aug.data.image_table import CLASSES
from gan_aug.errors import GanAugError

Rule = tuple[Callable[[Any], bool], str]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def at_least(least: int) -> Rule:
    """Return the rule of whole numbers from `least`."""
    return lambda v: _is_int(v) and v >= least, f"a whole number from {least}"


def or_null(rule: Rule) -> Rule:
    """Return a rule that also takes null."""
    return lambda v: v is None or rule[0](v), f"{rule[1]}, or null"


def one_of(*choices: Any) -> Rule:
    """Return the rule of a few choices."""
    return lambda v: v in choices, f"one of {', '.join(str(c).lower() for c in choices)}"


positive: Rule = (lambda v: _is_number(v) and v > 0, "a number above 0")
not_negative: Rule = (lambda v: _is_number(v) and v >= 0, "a number from 0")
share: Rule = (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 to below 1")
is_bool: Rule = (lambda v: isinstance(v, bool), "true or false")

RULES: dict[str, Rule] = {
    "seed": (lambda v: _is_int(v) and 0 <= v < 2**32, "a whole number from 0 to 4294967295"),
    "draw": at_least(0),
    "resume": is_bool,
    "generate.count": at_least(1),
    "generate.seed": at_least(0),
    "count": at_least(1),
    "data.source.train_per_class": at_least(1),
    "data.source.test_per_class": at_least(1),
    "data.source.seed": at_least(0),
    "data.download": is_bool,
    "data.image_size": at_least(8),
    "data.channels": one_of(1, 3),
    "data.batch_size": at_least(2),
    "data.holdout_per_class": at_least(0),
    "data.val_per_class": at_least(1),
    "data.internal_per_class": at_least(0),
    "data.subset.normal": or_null(at_least(0)),
    "data.subset.pneumonia": or_null(at_least(0)),
    "data.synthetic.count": or_null(at_least(0)),
    "data.on_bad_file": one_of("error", "skip"),
    "data.train_class": one_of(None, *CLASSES),
    "model.lr": positive,
    "model.lr_g": positive,
    "model.lr_d": positive,
    "model.d_steps": at_least(1),
    "model.g_steps": at_least(1),
    "model.width": at_least(1),
    "model.hidden": at_least(1),
    "model.patience": or_null(at_least(1)),
    "model.latent_dim": at_least(1),
    "model.ema_decay": share,
    "model.real_label": (lambda v: _is_number(v) and 0.5 < v <= 1, "a number in (0.5, 1]"),
    "model.loss": one_of("non_saturating", "hinge", "least_squares"),
    "model.spectral_norm": is_bool,
    "model.sample_every_n_epochs": at_least(1),
    "trainer.devices": one_of(1),
    "trainer.max_epochs": or_null(at_least(1)),
    "trainer.precision": one_of("32-true", "bf16-mixed", "16-mixed"),
    "trainer.log_every_n_steps": at_least(1),
    "quality.count": at_least(10),
    "quality.seed": at_least(0),
    "quality.judge_steps": at_least(1),
    "quality.fit_steps": at_least(1),
    "quality.every_n_epochs": or_null(at_least(1)),
    "controls": is_bool,
    "callbacks.checkpoint.every_n_seconds": not_negative,
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
    check_ranges(cfg, RULES)
    if "quality" in cfg:
        _check_quality(cfg)
    if "model" in cfg and "data" in cfg:
        _check_size(cfg)
        if "study" not in cfg:  # which sets classes and synthetic images itself
            _check_task(cfg)


def check_subject(cfg: DictConfig) -> None:
    """Check what names the images to measure or explain, before torch is loaded to read them.

    Raises:
        GanAugError: not just one of checkpoint and synthetic.dir, nothing there, or a bad setting.
    """
    check_ranges(cfg, RULES)
    _check_quality(cfg)
    what = "checkpoint=RUN/checkpoints/last.ckpt"
    if "synthetic" not in cfg:
        if cfg.checkpoint is None:
            raise GanAugError(f"checkpoint=null: name a GAN, {what}")
    elif (cfg.checkpoint is None) == (cfg.synthetic.dir is None):
        raise GanAugError(
            f"checkpoint, synthetic.dir: set just one, {what} or synthetic.dir=RUN/synthetic"
        )
    if cfg.checkpoint is None:
        if not Path(cfg.synthetic.dir).expanduser().is_dir():
            raise GanAugError(f"synthetic.dir={cfg.synthetic.dir}: no such folder")
    elif not Path(cfg.checkpoint).expanduser().is_file():
        raise GanAugError(f"checkpoint={cfg.checkpoint}: no such file")


def _check_quality(cfg: DictConfig) -> None:
    for name in cfg.quality.use:
        if name not in cfg.quality.metrics:
            raise GanAugError(
                f"quality.use: {name} is none of {', '.join(map(str, cfg.quality.metrics))}"
            )


def check_ranges(cfg: DictConfig, rules: Mapping[str, Rule], prefix: str = "") -> None:
    """Check those keys of `rules` that a configuration has; `prefix` says where it hangs.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    for key, (holds, wanted) in rules.items():
        value = OmegaConf.select(cfg, key, default=_ABSENT)
        if value is not _ABSENT and not holds(value):
            raise GanAugError(f"{prefix}{key}={value}: must be {wanted}")


def _check_size(cfg: DictConfig) -> None:
    size, takes, name = cfg.data.image_size, cfg.model.takes, cfg.model.name
    if size < takes.min_size or (takes.power_of_two and size & (size - 1)):
        wanted = (
            f"powers of two from {takes.min_size}"
            if takes.power_of_two
            else (f"sizes from {takes.min_size}")
        )
        raise GanAugError(f"data.image_size={size}: model={name} takes {wanted}")


def _check_task(cfg: DictConfig) -> None:
    name = cfg.model.name
    if cfg.quality.select is not None and cfg.quality.every_n_epochs is None:
        raise GanAugError(
            f"quality.select={cfg.quality.select}: chooses by what is measured in training; set "
            "quality.every_n_epochs"
        )
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
