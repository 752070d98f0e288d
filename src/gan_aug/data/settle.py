"""Settings that the data set decides: its classes and channels join the configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from gan_aug.data.classes import Classes
from gan_aug.data.splits import Splits
from gan_aug.run.errors import GanAugError
from gan_aug.settings.endpoints import typed_endpoints
from gan_aug.settings.gan_classes import classes_made
from gan_aug.settings.ruler import add_ruler


def settle(cfg: DictConfig, splits: Splits) -> DictConfig:
    """Return a configuration that knows its data: classes, channels, and a number for each class.

    Until the data is read, `data.classes`, `data.positive`, `data.num_classes` and `data.channels`
    may be null, and what counts images may be one number for all classes.

    Args:
        cfg: of a command; not changed.
        splits: the images that it uses.

    Raises:
        GanAugError: a setting names a class that the data set does not have.
    """
    settled = copy.deepcopy(cfg)
    classes = splits.classes
    with open_dict(settled):
        settled.data.classes = list(classes.names)
        settled.data.num_classes = len(classes)
        settled.data.positive = classes.positive
        settled.data.channels = splits.channels
        if (typed := OmegaConf.select(cfg, "data.train_class")) is not None:
            settled.data.train_class = classes.named(typed, "data.train_class")
        if (pair := OmegaConf.select(cfg, "model.pair")) is not None:
            settled.model.pair = classes.all_named(pair, "model.pair")
        _fill(settled, cfg, "data.subset", classes, None)
        if "study" in cfg:
            settled.study.endpoints = typed_endpoints(cfg)
            usual = _fill(settled, cfg, "study.count", classes, {})
            for name, arm in cfg.arms.items():
                _fill(settled, cfg, f"arms.{name}.added.count", classes, usual)
                if arm.get("real") is not None:
                    _fill(settled, cfg, f"arms.{name}.real", classes, None)
            add_ruler(settled, splits.train.counts())
        elif OmegaConf.select(cfg, "trainer.max_epochs", default=0) is None:
            settled.trainer.max_epochs = _epochs(settled, splits)
    _check_task(settled, classes)
    return settled


def _epochs(cfg: DictConfig, splits: Splits) -> int:
    """Return the passes over a GAN's images that model.batches make."""
    if cfg.model.kind != "gan":
        raise GanAugError("trainer.max_epochs=null: a classifier needs a number; set it to 30, say")
    made = classes_made(cfg.model, cfg.data.train_class, splits.classes.names)
    counts = splits.train.counts()
    per_epoch = max(1, sum(counts[name] for name in made) // int(cfg.data.batch_size))
    return -(-int(cfg.model.batches) // per_epoch)


def _fill(
    settled: DictConfig,
    cfg: DictConfig,
    key: str,
    classes: Classes,
    usual: Mapping[str, int | None] | None,
) -> dict[str, int | None]:
    """Write a number for each class; of those that are not named it is the usual one."""
    found: Any = OmegaConf.select(cfg, key)
    if OmegaConf.is_config(found):
        found = OmegaConf.to_container(found, resolve=True)
    numbers = classes.numbers(found, key)
    if usual is not None:
        numbers = {n: usual.get(n, 0) if v is None else v for n, v in numbers.items()}
    OmegaConf.update(settled, key, numbers, merge=False)
    return numbers


def _check_task(cfg: DictConfig, classes: Classes) -> None:
    """Check that a classifier has images of each class, and a GAN those that it is fitted on."""
    if "model" not in cfg:
        return
    if cfg.model.kind == "classifier" or "study" in cfg:
        for name in classes:
            if cfg.data.subset[name] == 0:
                raise GanAugError(f"data.subset.{name}=0: a classifier needs images of each class")
    else:
        classes_made(cfg.model, cfg.data.train_class, classes.names)
