"""Lightning's trainer, as every fit of gan_aug uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.utils import instantiate
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from omegaconf import DictConfig


def make_trainer(settings: DictConfig | Mapping[str, Any], **own: Any) -> Trainer:
    """Build a trainer that takes no notice of a cluster.

    Within a Slurm job Lightning would take over its signals and count its tasks; what goes on
    after a requeue is the run folder's matter (`gan_aug.run.record`).

    Args:
        settings: with `_target_`, as conf/trainer has them; `threads` are the whole process's.
        own: what the fit adds.
    """
    of_lightning = {key: value for key, value in settings.items() if key != "threads"}
    trainer: Trainer = instantiate(
        of_lightning, plugins=[LightningEnvironment()], _convert_="all", **own
    )
    return trainer
