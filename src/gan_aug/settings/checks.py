"""Range checks of the configuration, made before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gan_aug.run.errors import GanAugError
from gan_aug.settings.class_facts import gan_facts, image_sizes
from gan_aug.settings.ranges import (
    EXPLAIN_RULES,
    MODEL_RULES,
    RULES,
    check_augment,
    check_ranges,
    not_negative,
)


def check_config(cfg: DictConfig) -> None:
    """Check ranges, and that the network can take the images.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
        MissingMandatoryValue: a key that must be given was not.
    """
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    check_ranges(cfg, RULES)
    for node in ("model", "classifier"):
        if node in cfg:
            check_ranges(cfg[node], MODEL_RULES, f"{node}.")
    if OmegaConf.select(cfg, "model.augment") is not None:
        check_augment(cfg.model.augment, "model.augment", "gan_augment")
    if "quality" in cfg:
        _check_quality(cfg)
    if "model" in cfg and "data" in cfg:
        _check_size(cfg)
        _check_balance(cfg)
        if "study" not in cfg:  # which sets classes and synthetic images itself
            _check_task(cfg)


def check_explain(cfg: DictConfig) -> None:
    """Check the settings that the explain command alone has.

    Raises:
        GanAugError: naming the key, its value and what it may hold.
    """
    check_ranges(cfg, EXPLAIN_RULES)


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
            raise GanAugError(
                f"synthetic.dir={cfg.synthetic.dir}: no such folder; name a synthetic/ of a GAN run"
            )
    elif not Path(cfg.checkpoint).expanduser().is_file():
        raise GanAugError(f"checkpoint={cfg.checkpoint}: no such file; name {what}")


def _check_quality(cfg: DictConfig) -> None:
    check_ranges(cfg.quality.classifier, MODEL_RULES, "quality.classifier.")
    for name in cfg.quality.use:
        if name not in cfg.quality.metrics:
            raise GanAugError(
                f"quality.use: {name} is none of {', '.join(map(str, cfg.quality.metrics))}"
            )
    _check_gate(cfg)


def _check_gate(cfg: DictConfig) -> None:
    known = {
        str(value)
        for metric in cfg.quality.metrics.values()
        for value in metric.good
        if "source" not in value  # unseen real images have none
    }
    for value in map(str, cfg.quality.gate):
        if value not in known:
            raise GanAugError(
                f"quality.gate.{value}: is none of the values {', '.join(sorted(known))}"
            )
        check_ranges(cfg.quality.gate, {value: not_negative}, "quality.gate.")


def _check_size(cfg: DictConfig) -> None:
    size, takes, name = cfg.data.image_size, image_sizes(cfg.model), cfg.model.name
    if size < takes.min_size or (takes.power_of_two and size & (size - 1)):
        wanted = (
            f"powers of two from {takes.min_size}"
            if takes.power_of_two
            else (f"sizes from {takes.min_size}")
        )
        raise GanAugError(f"data.image_size={size}: model={name} takes {wanted}")


def _check_balance(cfg: DictConfig) -> None:
    if cfg.model.kind != "gan" or not cfg.model.balanced:
        return
    if (fitted_on := gan_facts(cfg.model).fitted_on) != "all":
        raise GanAugError(
            f"model.balanced=true: model={cfg.model.name} is fitted on {fitted_on} of the classes, "
            "not on all at once; set model.balanced=false"
        )


def _check_task(cfg: DictConfig) -> None:
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
    pairs = cfg.model.kind == "gan" and gan_facts(cfg.model).fitted_on == "two"
    if pairs and cfg.data.batch_size % 2:
        raise GanAugError(
            f"data.batch_size={cfg.data.batch_size}: model={cfg.model.name} takes as many images "
            "of two classes; choose an even number"
        )
    if cfg.model.kind == "classifier" and cfg.data.train_class is not None:
        raise GanAugError(
            f"data.train_class={cfg.data.train_class}: a classifier needs all classes; set "
            "data.train_class=null"
        )
