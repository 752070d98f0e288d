"""Settings of an arm, one way to train the classifier on a draw: conf/arm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gan_aug.settings.base import Settings
from gan_aug.settings.models import Augment
from gan_aug.settings.values import Above0, ByClass, Count, From0, Index, Positive, Share


class FilterSettings(Settings):
    """Which GAN images an arm takes."""

    min_confidence: Share = Field(description="probability of its class")
    min_distance: From0 = Field(description="to the nearest training image, as a ratio")
    candidates: Positive = Field(description="images generated for each one wanted")

    @property
    def on(self) -> bool:
        """Whether it can leave an image out."""
        return bool(self.min_confidence or self.min_distance)


class AddedSettings(Settings):
    """The images that join the real ones."""

    source: Literal["none", "gan", "duplicate", "real"] = Field(description="where they come from")
    unlabelled: bool | None = Field(description="of a GAN of unlabelled images, or these")
    twin: Annotated[int, Field(ge=1, le=100)] | None = Field(description="which further GAN")
    count: ByClass[Count | None] = Field(description="of each class; null: study.count")
    ratio: Share | None = Field(description="share of each batch; null: as many as there are")
    weight: Above0 = Field(description="of an added image in the loss; a real one has 1")
    label_smoothing: Share = Field(description="of added images")
    mixup: Above0 | None = Field(description="alpha; null: images stand apart")
    paired: bool | None = Field(description="each image beside its translation or copy")
    labels: Literal[None, "judged"] = Field(description="null: their class")
    augment: Augment = Field(description="random changes of the added images")
    filter: FilterSettings


class ArmSettings(Settings):
    """An arm, as typed."""

    title: str = Field(description="for people")
    balanced: bool = Field(description="as many images of each class in every batch")
    augment: Augment = Field(description="random changes of the real images")
    real: ByClass[Positive | None] = Field(description="the first so many of the draw's images")
    stream: Index = Field(description="another number: another order and other random changes")
    pretrain: Share = Field(description="share of the steps on added images alone, first")
    added: AddedSettings


class SettledAdded(AddedSettings):
    """The images that join the real ones, once the classes are known."""

    count: dict[str, int] = Field(description="of each class")


class SettledArm(ArmSettings):
    """An arm, once the classes are known."""

    real: dict[str, int | None] | None = Field(description="of each class; null: all of the draw's")
    added: SettledAdded
