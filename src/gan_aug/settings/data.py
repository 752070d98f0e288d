"""Settings of the images: conf/data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gan_aug.settings.base import Node, Settings, own
from gan_aug.settings.values import (
    Auto,
    BatchSize,
    Between0And1,
    ByClass,
    ClassList,
    ClassName,
    Columns,
    Count,
    Images,
    Index,
    PathText,
    Patterns,
    Positive,
    Window,
)


class SourceNode(Node):
    """The data set's class, with what it is given."""

    train_per_class: Images = own("phantoms of each class in the training folder")
    test_per_class: Images = own("phantoms of each class in the test folder")
    seed: Index = own("of the phantoms")


class SyntheticSettings(Settings):
    """Generated images that join the training of a classifier."""

    dir: PathText | None = Field(description="a synthetic set")
    count: Count | None = Field(description="images per class from it; null is all")


class DataSettings(Settings):
    """The images, as typed."""

    name: str = Field(description="of the data set, for people")
    root: PathText | None = Field(description="the data set's folder")
    download: bool = Field(description="whether to fetch the data set where it is not")
    on_bad_file: Literal["error", "skip"] = Field(description="about files that nothing can decode")
    on_conflict: Literal["stop", "drop"] = Field(description="about an image in two classes")
    cache_dir: PathText | None = Field(description="decoded images; null is ~/.cache/gan_aug")
    image_size: int = Field(ge=8, le=1024, description="pixels of a side")
    fit: Literal["squeeze", "pad", "crop"] = Field(description="how images become square")
    channels: Literal[None, 1, 3] = Field(description="1 grey, 3 RGB; null: what the data set has")
    classes: ClassList | None = Field(description="those to take; `other`: all that are not named")
    num_classes: int | None = Field(description="how many; null: the data set says")
    positive: ClassName | None = Field(description="of two classes the one sensitivity is about")
    draw: Index | None = Field(description="which random choice of images")
    development_per_class: Index = Field(description="images set aside, the same for every draw")
    val_per_class: Positive = Field(description="validation images, cut by patient")
    internal_per_class: Index | Auto = Field(description="a test from the training images")
    subset: ByClass[Index | None] | Auto = Field(description="training images; null: all left")
    train_class: ClassName | None = Field(description="train on one class alone")
    synthetic: SyntheticSettings
    batch_size: BatchSize = Field(description="images of a batch")
    source: SourceNode = Field(description="the data set's class")

    target: Literal["class", "subtype"] = own("normal and pneumonia, or the kind of pneumonia too")
    set: str = own("which set of MedMNIST")
    table: PathText | None = own("a CSV with path, label and, if need be, patient, site, split")
    columns: Columns | None = own("names of the table's columns, where they are others")
    exclude: Patterns | None = own("patterns of paths below root that are not read")
    patient_regex: str | None = own("finds the patient in the path below the class folder")
    window: Window | None = own("how grey DICOM is shown")
    test_share: Between0And1 = own("of each class, where there is no test split")
    val_share: Between0And1 = own("of what is left, where there is no validation split")
    split_seed: Index = own("of these cuts, the same for every draw")


class SettledData(DataSettings):
    """The images, once the data set has been read."""

    classes: list[str] = Field(description="in the order of their labels")
    num_classes: int = Field(description="how many")
    positive: str | None = Field(description="of two classes the one sensitivity is about")
    channels: Literal[1, 3] = Field(description="1 grey, 3 RGB")
    internal_per_class: Index = Field(description="a test from the training images")
    subset: dict[str, Index | None] = Field(description="training images; null: all left")
    train_class: str | None = Field(description="train on one class alone")
