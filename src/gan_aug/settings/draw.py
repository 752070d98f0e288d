"""What the results of a study's draw depend on, out of its configuration: arms, question ..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_aug.run.run_record import Config
from gan_aug.run.typed import from_plain
from gan_aug.settings.endpoints import Endpoint

Swept = dict[str, Any]
"""A condition: the settings in which the jobs of a study differ, to their values."""


@dataclass(frozen=True)
class FilterSettings:
    """Which GAN images an arm takes; the attributes are those of conf/arm/base.yaml."""

    min_confidence: float
    min_distance: float
    candidates: int

    @property
    def on(self) -> bool:
        """Whether it can leave an image out."""
        return bool(self.min_confidence or self.min_distance)


@dataclass(frozen=True)
class AddedSettings:
    """The images that join the real ones; the attributes are those of conf/arm/base.yaml.

    `count` may be anything that a user may type until `gan_aug.data.settle.settle` has made it a
    number for each class.
    """

    source: str
    unlabelled: bool | None
    replicate: int | None
    count: Any
    ratio: float | None
    weight: float
    label_smoothing: float
    mixup: float | None
    paired: bool | None
    labels: str | None
    augment: Config | None
    filter: FilterSettings


@dataclass(frozen=True)
class ArmSettings:
    """An arm; the attributes are those of conf/arm/base.yaml."""

    title: str
    balanced: bool
    augment: Config | None
    stream: int
    pretrain: float
    real: Any  # settled: a number for each class, None for all of the draw's
    added: AddedSettings


@dataclass(frozen=True)
class Question:
    """The arm that a study asks about, and the one that it is compared with."""

    arm: str
    reference: str


@dataclass(frozen=True)
class StudySettings:
    """A study; the attributes are those of conf/study.yaml."""

    condition: Swept
    question: Question
    comparisons: list[list[str]]
    repeats: int
    folder: Any  # a text, or a number that is the draw
    endpoints: list[Endpoint]

    @property
    def primary(self) -> str:
        """The split of the primary endpoint."""
        return self.endpoints[0].split


@dataclass(frozen=True)
class DataSettings:
    """The data set."""

    name: str


@dataclass(frozen=True)
class DrawSettings:
    """A draw of a study.

    Attributes:
        draw: which.
        data: the data set.
        study: what all its draws share.
        arms: by name.
    """

    draw: int
    data: DataSettings
    study: StudySettings
    arms: dict[str, ArmSettings]

    @property
    def asked(self) -> ArmSettings:
        """The arm that the study asks about."""
        return self.arms[self.study.question.arm]


def draw_settings(config: Config | DictConfig) -> DrawSettings:
    """Read a draw's settings.

    Raises:
        gan_aug.run.typed.Misfit: it is no configuration of a study.
    """
    if isinstance(config, DictConfig):
        return from_plain(DrawSettings, OmegaConf.to_container(config, resolve=True))
    return from_plain(DrawSettings, config)
