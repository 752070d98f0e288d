"""All settings of each command: conf/train.yaml, conf/study.yaml and so on."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.base import Settings
from gan_aug.settings.class_facts import gan_facts, image_sizes
from gan_aug.settings.data import DataSettings, SettledData
from gan_aug.settings.models import (
    CallbackNode,
    GanSettings,
    Model,
    NetworkSettings,
    TrainerSettings,
)
from gan_aug.settings.node import Node
from gan_aug.settings.quality import QualitySettings, SettledQuality
from gan_aug.settings.values import Above0, Images, Index, Layers, PathText, Positive, Seed
from gan_aug.settings.whole import Whole

_CHECKPOINT = "checkpoint=RUN/checkpoints/last.ckpt"


class GenerateSet(Settings):
    """The synthetic set at the end of a GAN's run."""

    count: Images = Field(description="images per class")
    seed: Index = Field(description="of the latents")


class SyntheticFolder(Settings):
    """A synthetic set to measure."""

    dir: PathText | None = Field(description="its folder")


class FittingSettings(Whole):
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


def check_size(data: DataSettings, model: NetworkSettings) -> None:
    """Check that a network takes images of the size that is asked for.

    Raises:
        GanAugError: it does not.
    """
    size, takes = data.image_size, image_sizes(model)
    if size < takes.min_size or (takes.power_of_two and size & (size - 1)):
        wanted = "powers of two" if takes.power_of_two else "sizes"
        raise GanAugError(
            f"data.image_size={size}: model={model.name} takes {wanted} from {takes.min_size}"
        )


class TrainSettings(FittingSettings):
    """`gan_aug.train`: one model."""

    model: Model
    generate: GenerateSet
    resume: bool = Field(default=False, description="go on with the latest run of this command")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        model, data, quality = self.model, self.data, self.quality
        check_size(data, model)
        if quality.select is not None and quality.every_n_epochs is None:
            raise GanAugError(
                f"quality.select={quality.select}: chooses by what is measured in training; set "
                "quality.every_n_epochs"
            )
        if isinstance(model, GanSettings):
            if data.synthetic.dir is not None:
                raise GanAugError(
                    f"data.synthetic.dir={data.synthetic.dir}: a GAN learns from real images only; "
                    "synthetic images join the training of a classifier (model=cnn)"
                )
            if gan_facts(model).fitted_on == "two" and data.batch_size % 2:
                raise GanAugError(
                    f"data.batch_size={data.batch_size}: model={model.name} takes as many images "
                    "of two classes; choose an even number"
                )
        elif data.train_class is not None:
            raise GanAugError(
                f"data.train_class={as_typed(data.train_class)}: a classifier needs all classes; "
                "set data.train_class=null"
            )
        return self


class SettledTrain(TrainSettings):
    """`gan_aug.train`, once the data set has been read."""

    data: SettledData
    quality: SettledQuality


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


def _check_checkpoint(path: str) -> None:
    if not Path(path).expanduser().is_file():
        raise GanAugError(f"checkpoint={path}: no such file; name {_CHECKPOINT}")


class EvaluateSettings(SubjectSettings):
    """`gan_aug.evaluate`: how good are generated images?"""

    synthetic: SyntheticFolder
    controls: bool = Field(description="measure broken generators too")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        folder = self.synthetic.dir
        if (self.checkpoint is None) == (folder is None):
            raise GanAugError(
                "checkpoint, synthetic.dir: set just one, "
                f"{_CHECKPOINT} or synthetic.dir=RUN/synthetic"
            )
        if self.checkpoint is not None:
            _check_checkpoint(self.checkpoint)
        if folder is not None and not Path(folder).expanduser().is_dir():
            raise GanAugError(
                f"synthetic.dir={folder}: no such folder; name a synthetic/ of a GAN run"
            )
        return self


class SettledEvaluate(EvaluateSettings):
    """`gan_aug.evaluate`, once the data set has been read."""

    data: SettledData


class ExplainSettings(SubjectSettings):
    """`gan_aug.explain`: what did the networks learn?"""

    layers: Layers | None = Field(description="convolutions of the discriminator; null: all from 1")
    filters: Positive = Field(description="of each layer")
    patches: Positive = Field(description="of each filter, one an image")
    images: Positive = Field(description="of each group, in the mean maps")

    @model_validator(mode="after")
    def _is_a_gan(self) -> Self:
        if self.checkpoint is None:
            raise GanAugError(f"checkpoint=null: name a GAN, {_CHECKPOINT}")
        _check_checkpoint(self.checkpoint)
        return self


class SettledExplain(ExplainSettings):
    """`gan_aug.explain`, once the data set has been read."""

    data: SettledData


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


def kind_of(command: str) -> type[Whole]:
    """Return what a command of conf/ is validated as."""
    if command == "study":  # whose arms need more than others load
        from gan_aug.settings.study import StudySettings

        return StudySettings
    return _KINDS[command]


COMMANDS = ("train", "study", "generate", "evaluate", "explain", "inspect", "report", "status")
_KINDS: dict[str, type[Whole]] = {
    "train": TrainSettings,
    "generate": GenerateSettings,
    "evaluate": EvaluateSettings,
    "explain": ExplainSettings,
    "inspect": InspectSettings,
    "report": ReportSettings,
    "status": StatusSettings,
}
