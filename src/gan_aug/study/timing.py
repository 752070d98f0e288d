"""How long the fits of a study take, and what they leave: from a few real steps of each kind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from gan_aug.arms.base import ArmImages, mixing_of
from gan_aug.data.datamodule import draw_data
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.evaluation.reference_classifier import fit_on_images
from gan_aug.models.fit import fit
from gan_aug.models.gans.base import GAN, total_batches
from gan_aug.models.resumable import ResumableModule
from gan_aug.settings.commands import SettledTrain
from gan_aug.settings.quality import QualitySettings
from gan_aug.settings.study import SettledStudy
from gan_aug.study.fits import fit_arm
from gan_aug.training.run import serving_of

_SHARES = (0.875, 0.375, 0.625, 0.125)
"""Places in a GAN's training that are timed: the networks of some grow."""
_ENOUGH = 100
"""Steps that tell as much as more would."""
_ENDLESS = 10**6
"""Steps, or epochs, of a training that a clock ends."""


Seconds = NDArray[np.float64]
"""(2,): by the clock, and of cores, which does not depend on what else they do."""
NONE: Seconds = np.zeros(2)


@dataclass(frozen=True)
class Cost:
    """What fits of a kind cost.

    Attributes:
        step: of an optimizer step.
        image: of an image that is only predicted.
        size: bytes of the weights that one fit leaves.
    """

    step: Seconds = field(default_factory=NONE.copy)
    image: Seconds = field(default_factory=NONE.copy)
    size: int = 0


def _now() -> Seconds:
    return np.array([time.monotonic(), time.process_time()])


class Clock(Callback):
    """Times the steps of a training for some seconds, and then ends it.

    Attributes:
        steps: of a step, at each of the `shares` of the training that there was time for.
        validation: of one validation.
    """

    def __init__(self, seconds: float, shares: Sequence[float] = (0.0,)) -> None:
        self.steps: list[Seconds] = []
        self.validation = NONE
        self._seconds, self._shares = seconds, shares
        self._begun = self._since = _now()

    @property
    def step(self) -> Seconds:
        """The mean of `steps`."""
        mean: Seconds = np.mean(self.steps, axis=0)
        return mean

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the first place."""
        assert isinstance(pl_module, ResumableModule)
        pl_module.latest.setdefault("train/loss", float("nan"))  # its curve asks for one
        self._begun = _now()
        self._go_to_next(trainer, pl_module)

    def _go_to_next(self, trainer: Trainer, module: Any) -> None:
        self._cycle = module.d_steps if isinstance(module, GAN) else 1
        begin = self._shares[len(self.steps)] * total_batches(trainer)
        module.batches_done = int(begin) // self._cycle * self._cycle
        self._counted = -self._cycle  # the first are slower

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Count whole cycles; go on to the next place, or end, when it has had its time."""
        now = _now()
        self._counted += 1
        if self._counted == 0:
            self._since = now
        took = now - self._since
        enough = took[0] >= self._seconds / len(self._shares)
        enough |= self._counted * len(self._shares) >= _ENOUGH
        if self._counted <= 0 or self._counted % self._cycle or not enough:
            return
        self.steps.append(took / self._counted)
        if len(self.steps) < len(self._shares) and (now - self._begun)[0] < self._seconds:
            self._go_to_next(trainer, pl_module)
        else:
            trainer.should_stop = True  # it is validated first

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a clock of its own."""
        self._since = _now()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self.validation = _now() - self._since


def time_gan(settings: SettledTrain, splits: Splits, seconds: float) -> Cost:
    """Time the steps of a GAN, at some places of its training, for about so many seconds."""
    module: ResumableModule = settings.model.module.build("model.module")
    serving = serving_of(settings, splits)
    data = draw_data(Prepared(splits), settings.data.batch_size, settings.seed, serving)
    clock = Clock(seconds, _SHARES)
    fit(
        module,
        data,
        settings.trainer,
        max_epochs=_ENDLESS,
        log_every_n_steps=_ENDLESS,
        logger=False,
        enable_checkpointing=False,
        callbacks=[clock],
    )
    state = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    moments = sum(2 * 4 * p.numel() for p in module.parameters() if p.requires_grad)  # Adam's
    checkpoints = 2 if settings.quality.select is None else 3
    return Cost(clock.step, size=checkpoints * (state + moments) + state)


def time_arm(settings: SettledStudy, name: str, splits: Splits, seconds: float) -> Cost:
    """Time the steps and the validation of an arm's fit for about so many seconds.

    Copies of real images stand for those that it adds, and for unlabelled ones.
    """
    arm, train = settings.arms[name], splits.train
    endless = {"study.steps": _ENDLESS, "study.validate_every": _ENDLESS}
    count = sum(arm.added.count.values()) if arm.added.source != "none" else 0
    rows = np.resize(np.arange(len(train)), count)
    unlabelled = settings.study.unlabelled or 0 if mixing_of(arm).unlabelled else 0
    stand_ins = train.images[np.resize(np.arange(len(train)), unlabelled)]
    images = ArmImages(train, train.images[rows], train.labels[rows], rows, stand_ins)
    clock, validation = Clock(seconds), splits.validation
    unbounded = settings.changed(SettledStudy, endless)
    fit_arm(unbounded, arm, images, 0, validation, watch=clock)
    return Cost(clock.step, clock.validation / len(validation))


def time_reference(quality: QualitySettings, table: ImageTable, seconds: float) -> Cost:
    """Time the steps of the reference classifier, which is fitted on `table`."""
    images = {label: table.of_class(name).images for label, name in enumerate(table.classes)}
    clock = Clock(seconds)
    fit_on_images(quality, images, _ENDLESS, "timing", [clock])
    return Cost(clock.step)
