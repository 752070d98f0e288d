"""All settings of each command: conf/train.yaml, conf/study.yaml and so on."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gan_aug.runtime.errors import GanAugError, as_typed, see
from gan_aug.settings.base import Node, Settings
from gan_aug.settings.class_facts import gan_facts, image_sizes
from gan_aug.settings.data import DataSettings, SettledData
from gan_aug.settings.models import (
    CallbackNode,
    GanSettings,
    GeneratorSettings,
    Model,
    NetworkSettings,
    TrainerSettings,
)
from gan_aug.settings.quality import QualitySettings, SettledQuality
from gan_aug.settings.values import (
    MEANINGS,
    Above0,
    Images,
    Index,
    Layers,
    PathText,
    Positive,
    Seed,
    Seen,
)
from gan_aug.settings.whole import Whole

_CHECKPOINT = "checkpoint=RUN/checkpoints/last.ckpt"


class GenerateSet(Settings):
    """The synthetic set at the end of a GAN's run."""

    count: Images = Field(description="images to make of each class")
    seed: Index = Field(description="seed of the latents that the images are made from")


class SyntheticFolder(Settings):
    """A synthetic set to measure."""

    dir: PathText | None = Field(description="folder of a synthetic set to measure")


class ExternalFolder(Settings):
    """Images of a generator that gan_aug did not fit."""

    dir: PathText | None = Field(description="images of another generator: a folder for each class")


class ExternalSettings(ExternalFolder):
    """Such images, to measure."""

    seen: Seen | None = Field(description="what their generator saw")


class RunSettings(Whole):
    """What commands have that read a data set and write a run folder."""

    name: str = Field(description="name of the run and of its folder")
    seed: Seed = Field(description="seed of all that is random, except for the draw")
    verbose: bool = Field(default=False, description="print all settings before the start")
    data: DataSettings


class FittingSettings(RunSettings):
    """What commands have that train networks."""

    draw: Index = Field(description="number of the random choice of images")
    trainer: TrainerSettings
    callbacks: dict[str, CallbackNode | None] = Field(description="callbacks of the trainer")
    logger: dict[str, Node | None] = Field(description="where scalars go")
    quality: QualitySettings


def check_model(
    model: NetworkSettings | GeneratorSettings, data: DataSettings, batch_key: str, batch: int
) -> None:
    """Refuse images of a size, or batches of a number, that a network does not take."""
    if isinstance(model, GeneratorSettings):  # its own matter
        return
    size, takes = data.image_size, image_sizes(model)
    if size < takes.min_size or (takes.power_of_two and size & (size - 1)):
        wanted = "powers of two" if takes.power_of_two else "sizes"
        raise GanAugError(
            f"data.image_size={size}: model={model.name} takes {wanted} from {takes.min_size}"
        )
    if isinstance(model, GanSettings) and gan_facts(model).fitted_on == "two" and batch % 2:
        raise GanAugError(
            f"{batch_key}={batch}: model={model.name} takes as many images of two classes; choose "
            "an even number"
        )


class TrainSettings(FittingSettings):
    """`gan_aug.train`: one model."""

    model: Model
    generate: GenerateSet
    resume: bool = Field(default=False, description="go on with the latest run of this command")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        data, quality = self.data, self.quality
        makes_images = isinstance(self.model, GanSettings | GeneratorSettings)
        check_model(self.model, data, "data.batch_size", data.batch_size)
        if quality.select is not None and quality.every_n_epochs is None:
            raise GanAugError(
                f"quality.select={quality.select}: chooses by what is measured in training; set "
                "quality.every_n_epochs"
            )
        if isinstance(self.model, GeneratorSettings) and quality.select is not None:
            raise GanAugError(
                f"quality.select={quality.select}: chooses a GAN's weights while it trains, and "
                f"model={self.model.name} is no GAN; set quality.select=null"
            )
        if makes_images and data.synthetic.dir is not None:
            raise GanAugError(
                f"data.synthetic.dir={data.synthetic.dir}: it learns from real images only; "
                "synthetic images join the training of a classifier (model=cnn)"
            )
        if not makes_images and data.train_class is not None:
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

    checkpoint: PathText = Field(description="checkpoint of a GAN, or its generator.safetensors")
    count: Images = Field(description="images to make of each class")
    output_dir: PathText = Field(description="folder for the images; must not exist yet")
    seed: Index = Field(description="seed of the latents that the images are made from")
    data: DataSettings


class SubjectSettings(RunSettings):
    """What commands have that measure or explain generated images."""

    checkpoint: PathText | None = Field(
        description="checkpoint of a GAN, or its generator.safetensors"
    )
    quality: QualitySettings

    @see("checkpoint")
    def _check_checkpoint(self) -> None:
        if self.checkpoint is not None and not Path(self.checkpoint).expanduser().is_file():
            raise GanAugError(
                f"checkpoint={self.checkpoint}: no such file; name {_CHECKPOINT} of a GAN "
                "(generators of one's own leave none: evaluate synthetic.dir=RUN/synthetic)"
            )


class EvaluateSettings(SubjectSettings):
    """`gan_aug.evaluate`: how good are generated images?"""

    synthetic: SyntheticFolder
    external: ExternalSettings
    controls: bool = Field(description="measure broken generators too")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        folder, external = self.synthetic.dir, self.external
        if [self.checkpoint, folder, external.dir].count(None) != 2:
            raise GanAugError(
                "checkpoint, synthetic.dir, external.dir: set just one, "
                f"{_CHECKPOINT}, synthetic.dir=RUN/synthetic or external.dir=made/draw_0"
            )
        if (external.dir is None) != (external.seen is None):
            raise GanAugError(
                f"external.seen={as_typed(external.seen)}: goes with external.dir=DIR, and says "
                f"what the generator of these images saw: {MEANINGS}"
            )
        self._check_checkpoint()
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

    layers: Layers | None = Field(
        description="convolutions of the discriminator to show; null: all from 1"
    )
    filters: Positive = Field(description="filters to show of each layer")
    patches: Positive = Field(description="image patches to show for each filter")
    images: Positive = Field(description="images of each group that the mean maps are of")

    @model_validator(mode="after")
    def _is_a_gan(self) -> Self:
        if self.checkpoint is None:
            raise GanAugError(f"checkpoint=null: name a GAN, {_CHECKPOINT}")
        self._check_checkpoint()
        return self


class SettledExplain(ExplainSettings):
    """`gan_aug.explain`, once the data set has been read."""

    data: SettledData


class InspectSettings(RunSettings):
    """`gan_aug.inspect`: what is in a data set?"""

    draw: Index = Field(description="has no effect here")
    images: Positive = Field(description="images of each class on its contact sheet")
    external: ExternalFolder


class ReportSettings(Whole):
    """`gan_aug.report`: the report of a study."""

    study_dir: PathText = Field(description="folder of a study")
    archive: PathText | None = Field(
        description="zip file to write: all that the report is made from"
    )

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if not Path(self.study_dir).expanduser().is_dir():
            raise GanAugError(
                f"study_dir={self.study_dir}: no such folder; name one of gan_aug.study"
            )
        return self


class StatusSettings(Whole):
    """`gan_aug.status`: how jobs stand."""

    study_dir: PathText = Field(
        description="folder of a study, a multirun, a run, or many of these"
    )
    watch: bool = Field(description="whether a terminal shows it again until nothing runs")
    refresh_seconds: Above0 = Field(description="seconds between two looks")


def kind_of(command: str) -> type[Whole]:
    """Return what a command of conf/ is validated as."""
    if command in ("study", "export"):  # whose arms need more than others load
        from gan_aug.settings.study import ExportSettings, StudySettings

        return StudySettings if command == "study" else ExportSettings
    return _KINDS[command]


_KINDS: dict[str, type[Whole]] = {
    "train": TrainSettings,
    "generate": GenerateSettings,
    "evaluate": EvaluateSettings,
    "explain": ExplainSettings,
    "inspect": InspectSettings,
    "report": ReportSettings,
    "status": StatusSettings,
}
COMMANDS = ("study", "export", *_KINDS)
