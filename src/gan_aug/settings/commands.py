"""All settings of each command: conf/train.yaml, conf/study.yaml and so on."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from gan_aug.settings.arms import ArmSettings, SettledArm
from gan_aug.settings.base import Settings
from gan_aug.settings.data import DataSettings, SettledData
from gan_aug.settings.design import Design, SettledDesign
from gan_aug.settings.models import (
    CallbackNode,
    ClassifierSettings,
    GanSettings,
    Model,
    TrainerSettings,
)
from gan_aug.settings.node import Node
from gan_aug.settings.quality import QualitySettings
from gan_aug.settings.values import Above0, Images, Index, Layers, PathText, Positive, Seed
from gan_aug.settings.whole import Whole


class GenerateSet(Settings):
    """The synthetic set at the end of a GAN's run."""

    count: Images = Field(description="images per class")
    seed: Index = Field(description="of the latents")


class SyntheticFolder(Settings):
    """A synthetic set to measure."""

    dir: PathText | None = Field(description="its folder")


class _Fitting(Whole):
    """What commands have that train networks."""

    name: str = Field(description="of the run, and of its folder")
    seed: Seed = Field(description="of all that is random, but for the draw")
    draw: Index = Field(description="which random choice of images")
    verbose: bool = Field(default=False, description="print all settings before the start")
    data: DataSettings
    trainer: TrainerSettings
    callbacks: dict[str, CallbackNode | None] = Field(description="of the trainer")
    logger: dict[str, Node | None] = Field(description="where scalars go")
    quality: QualitySettings


class TrainSettings(_Fitting):
    """`gan_aug.train`: one model."""

    model: Model
    generate: GenerateSet
    resume: bool = Field(default=False, description="go on with the latest run of this command")


class SettledTrain(TrainSettings):
    """`gan_aug.train`, once the data set has been read."""

    data: SettledData


class StudySettings(_Fitting):
    """`gan_aug.study`: one draw, all arms."""

    model: GanSettings
    classifier: ClassifierSettings
    study_dir: PathText = Field(description="the study's folder")
    gans_dir: PathText = Field(description="fitted GANs, shared by all studies")
    study: Design
    arms: Mapping[str, ArmSettings] = Field(description="by name")


class SettledStudy(StudySettings):
    """`gan_aug.study`, once the data set has been read."""

    data: SettledData
    study: SettledDesign
    arms: Mapping[str, SettledArm]

    @property
    def asked(self) -> SettledArm:
        """The arm that the study asks about."""
        return self.arms[self.study.question.arm]


class GenerateSettings(Whole):
    """`gan_aug.generate`: a synthetic set from a checkpoint."""

    checkpoint: PathText = Field(description="of a GAN, or a generator.safetensors")
    count: Images = Field(description="images per class")
    output_dir: PathText = Field(description="must not exist yet")
    seed: Index = Field(description="of the latents")
    data: DataSettings


class SubjectSettings(Whole):
    """What commands have that measure or explain generated images."""

    name: str = Field(description="of the run, and of its folder")
    seed: Seed = Field(description="of the latents of generated images")
    verbose: bool = Field(default=False, description="print all settings before the start")
    checkpoint: PathText | None = Field(description="of a GAN, or a generator.safetensors")
    data: DataSettings
    quality: QualitySettings


class EvaluateSettings(SubjectSettings):
    """`gan_aug.evaluate`: how good are generated images?"""

    synthetic: SyntheticFolder
    controls: bool = Field(description="measure broken generators too")


class ExplainSettings(SubjectSettings):
    """`gan_aug.explain`: what did the networks learn?"""

    layers: Layers | None = Field(description="convolutions of the discriminator; null: all from 1")
    filters: Positive = Field(description="of each layer")
    patches: Positive = Field(description="of each filter, one an image")
    images: Positive = Field(description="of each group, in the mean maps")


class InspectSettings(Whole):
    """`gan_aug.inspect`: what is in a data set?"""

    name: str = Field(description="of the run, and of its folder")
    seed: Seed = Field(description="of the images that are shown")
    draw: Index = Field(description="of no consequence")
    verbose: bool = Field(default=False, description="print all settings before the start")
    images: Positive = Field(description="of each class, on its contact sheet")
    data: DataSettings


class ReportSettings(Whole):
    """`gan_aug.report`: the report of a study."""

    study_dir: PathText = Field(description="of a study")
    archive: PathText | None = Field(description="a zip of all that the report is made from")


class StatusSettings(Whole):
    """`gan_aug.status`: how jobs stand."""

    study_dir: PathText = Field(description="of a study, a multirun, a run, or many of these")
    watch: bool = Field(description="on a terminal: again and again until nothing runs")
    refresh_seconds: Above0 = Field(description="between two looks")


COMMANDS: dict[str, type[Whole]] = {
    "train": TrainSettings,
    "study": StudySettings,
    "generate": GenerateSettings,
    "evaluate": EvaluateSettings,
    "explain": ExplainSettings,
    "inspect": InspectSettings,
    "report": ReportSettings,
    "status": StatusSettings,
}
"""What each command of conf/ is validated as."""
