"""Settings of how generated images are measured: conf/quality."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Node, Settings, own
from gan_aug.settings.models import FixedStepsClassifier
from gan_aug.settings.values import MOST_IMAGES, Auto, From0, Index, Names, PathText, Positive


class MetricNode(Node):
    """The function of a metric."""

    k: Positive = own("nearest neighbours")
    pairs: Positive = own("pairs of images to compare")


class MetricSettings(Settings):
    """A metric of images."""

    good: dict[str, Literal["lower", "higher", "baseline"]] = Field(
        description="of each value of the metric: what is good"
    )
    cheap: bool = Field(
        default=False, description="whether it costs little enough for curves in studies"
    )
    function: MetricNode = Field(description="`f(real, fake, context) -> {value: number}`")


class QualitySettings(Settings):
    """How generated images are measured."""

    extractor: Node = Field(description="what gives features of images")
    classifier: FixedStepsClassifier = Field(description="the reference classifier")
    count: Annotated[int, Field(ge=10, le=MOST_IMAGES)] = Field(
        description="generated, and as many real, images of each class"
    )
    seed: Index = Field(description="seed of latents, pairs and projections")
    reference_dir: PathText = Field(description="folder of reference classifiers, each fitted once")
    reference_steps: Positive = Field(
        description="batches that the reference classifier is fitted for"
    )
    fit_steps: Positive = Field(description="batches for the classifiers of gan_train and gan_test")
    gate: dict[str, From0] = Field(
        description="how far values may be from the baseline for a GAN to pass"
    )
    use: Names = Field(description="metrics to compute")
    metrics: dict[str, MetricSettings] = Field(description="every file of conf/metric")
    every_n_epochs: Positive | Auto | None = Field(
        default=None, description="epochs between points of the curves; auto: nine points"
    )
    select: str | None = Field(default=None, description="metric that chooses a GAN's weights")

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        for name in self.use:
            if name not in self.metrics:
                raise GanAugError(f"quality.use: {name} is none of {', '.join(self.metrics)}")
        # What tells of a source is not measured of unseen real images, which have none.
        of_all = {v for metric in self.metrics.values() for v in metric.good if "source" not in v}
        for value in self.gate:
            if value not in of_all:
                raise GanAugError(
                    f"quality.gate.{value}: is none of the values {', '.join(sorted(of_all))}"
                )
        return self


class SettledQuality(QualitySettings):
    """How generated images are measured, once the length of the training is known."""

    every_n_epochs: Positive | None = Field(default=None, description="curves in training")
