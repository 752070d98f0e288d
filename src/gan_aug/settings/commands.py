"""All settings of each command: conf/train.yaml, conf/study.yaml and so on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gan_aug.run.errors import GanAugError, as_typed
from gan_aug.settings.arms import ArmSettings, SettledArm
from gan_aug.settings.base import Settings
from gan_aug.settings.class_facts import gan_facts, image_sizes
from gan_aug.settings.data import DataSettings, SettledData
from gan_aug.settings.design import SPLITS, Design, SettledDesign
from gan_aug.settings.models import (
    CallbackNode,
    ClassifierSettings,
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


def _check_size(data: DataSettings, model: NetworkSettings) -> None:
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
        _check_size(data, model)
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


class StudySettings(FittingSettings):
    """`gan_aug.study`: one draw, all arms."""

    model: GanSettings
    classifier: ClassifierSettings
    study_dir: PathText = Field(description="the study's folder")
    gans_dir: PathText = Field(description="fitted GANs, shared by all studies")
    study: Design
    arms: Mapping[str, ArmSettings] = Field(description="by name")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        study, model, data = self.study, self.model, self.data
        _check_size(data, model)
        if study.validate_every > study.steps.max:
            raise GanAugError(
                f"study.validate_every={study.validate_every}: is more than the "
                f"{study.steps.max} of study.steps"
            )
        if study.gan_select is None and study.gan_fits is not None:
            raise GanAugError(
                f"study.gan_fits={study.gan_fits}: one of them is taken by study.gan_select, which "
                "is null; set it, to kid say"
            )
        if study.gan_select is not None and not (study.gan_curve_points and self.quality.use):
            raise GanAugError(
                f"study.gan_select={study.gan_select}: chooses by what is measured in training; "
                "set study.gan_curve_points and quality.use"
            )
        if not self.arms:
            raise GanAugError(
                "arms: there are none; add +study=seed_protocol, or another of conf/study"
            )
        if self.trainer.max_epochs is not None:
            raise GanAugError(
                f"trainer.max_epochs={self.trainer.max_epochs}: a study is measured in batches; "
                "set study.gan_batches for the GAN and study.steps for the classifier"
            )
        if gan_facts(model).fitted_on == "two" and model.batch_size % 2:
            raise GanAugError(
                f"model.batch_size={model.batch_size}: model={model.name} takes as many images of "
                "two classes; choose an even number"
            )
        if data.train_class is not None or data.synthetic.dir is not None:
            raise GanAugError(
                "data.train_class, data.synthetic.dir: a study sets these itself; leave them null"
            )
        self._check_splits()
        self._check_names_of_arms()
        return self

    def _check_splits(self) -> None:
        chosen, data = self.study.splits, self.data
        if unknown := set(chosen) - set(SPLITS):
            raise GanAugError(f"study.splits: {min(unknown)} is none of {', '.join(SPLITS)}")
        for name in ("validation", *(one.split for one in self.study.endpoints)):
            if name not in chosen:
                raise GanAugError(f"study.splits: lacks {name}, which is needed; add it")
        for name, key, number in (
            ("internal", "internal_per_class", data.internal_per_class),
            ("development", "development_per_class", data.development_per_class),
        ):
            if name in chosen and not number:
                raise GanAugError(
                    f"study.splits: {name} needs data.{key} above 0; set it, or leave {name} out"
                )

    def _check_names_of_arms(self) -> None:
        question, listed = self.study.question, ", ".join(self.arms)
        for key, arm in (("arm", question.arm), ("reference", question.reference)):
            if arm not in self.arms:
                raise GanAugError(
                    f"study.question.{key}={arm}: there is no such arm; name one of {listed}"
                )
        pairs = self.study.comparisons
        kept = [pair for pair in pairs if all(arm in self.arms for arm in pair)]
        for pair in pairs:
            if lacking := [arm for arm in pair if arm not in self.arms]:
                rest = ",".join(f"[{','.join(pair)}]" for pair in kept)
                raise GanAugError(
                    f"study.comparisons: [{','.join(pair)}] names the arm {lacking[0]}, there are "
                    f"{listed}; without it write 'study.comparisons=[{rest}]'"
                )


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

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.checkpoint is not None and not Path(self.checkpoint).expanduser().is_file():
            raise GanAugError(f"checkpoint={self.checkpoint}: no such file; name {_CHECKPOINT}")
        return self


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
