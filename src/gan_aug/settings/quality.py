"""Settings of how generated images are measured: conf/quality."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gan_aug.settings.base import Settings, own
from gan_aug.settings.models import FixedStepsClassifier
from gan_aug.settings.node import Node
from gan_aug.settings.values import MOST_IMAGES, From0, Index, Names, PathText, Positive


class MetricNode(Node):
    """The function of a metric."""

    k: Positive = own("neighbours")
    pairs: Positive = own("pairs of images")


class MetricSettings(Settings):
    """A metric of images."""

    good: dict[str, Literal["lower", "higher", "baseline"]] = Field(
        description="of each value: what is good"
    )
    cheap: bool = Field(default=False, description="costs little enough for curves in studies")
    function: MetricNode = Field(description="`f(real, fake, context) -> {value: number}`")


class QualitySettings(Settings):
    """How generated images are measured."""

    extractor: Node = Field(description="what gives features")
    classifier: FixedStepsClassifier = Field(description="the reference classifier")
    count: Annotated[int, Field(ge=10, le=MOST_IMAGES)] = Field(description="images of each side")
    seed: Index = Field(description="of latents, pairs and projections")
    reference_dir: PathText = Field(description="reference classifiers, each fitted once")
    reference_steps: Positive = Field(description="batches that it is fitted for")
    fit_steps: Positive = Field(description="batches for the classifiers of gan_train and gan_test")
    gate: dict[str, From0] = Field(description="how far values may be from the baseline, to pass")
    use: Names = Field(description="metrics to compute")
    metrics: dict[str, MetricSettings] = Field(description="every file of conf/metric")
    every_n_epochs: Positive | None = Field(default=None, description="curves in training")
    select: str | None = Field(default=None, description="what chooses a GAN's weights")
