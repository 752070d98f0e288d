"""Settings of the images: conf/data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Node, Settings, own
from gan_aug.settings.values import (
    SPLITS,
    Auto,
    BatchSize,
    Between0And1,
    ByClass,
    ClassList,
    ClassMap,
    ClassName,
    Columns,
    Count,
    Images,
    Index,
    PathText,
    Patterns,
    Positive,
    Window,
    names_external_test,
)


class SourceNode(Node):
    """The data set's class, with what it is given."""

    train_per_class: Images = own("phantoms of each class in the training folder")
    test_per_class: Images = own("phantoms of each class in the test folder")
    seed: Index = own("seed of the phantoms")


class SyntheticSettings(Settings):
    """Generated images that join the training of a classifier."""

    dir: PathText | None = Field(description="a synthetic set whose images join training")
    count: Count | None = Field(description="images of each class to take from it; null: all")


class ExternalSettings(Settings):
    """A further test: images of another hospital, say, that only finished fits are measured on.

    A text in its place is the `root` of a folder. Keys are as those of `data=folder`.
    """

    root: PathText | None = Field(default=None, description="folder of the further test")
    table: PathText | None = Field(default=None, description="as data.table")
    columns: Columns | None = Field(default=None, description="as data.columns")
    exclude: Patterns | None = Field(default=None, description="as data.exclude")
    patient_regex: str | None = Field(default=None, description="as data.patient_regex")
    window: Window | None = Field(default=None, description="as data.window")
    source: Node | None = Field(
        default=None, description="class of another data set, in place of a folder"
    )
    classes: ClassMap | None = Field(
        default=None, description="its classes by those of the data set; null leaves one out"
    )

    @model_validator(mode="after")
    def _is_one(self) -> ExternalSettings:
        if (self.root is None) == (self.source is None):
            raise GanAugError(
                "data.external: each set needs root=DIR, a folder with a folder for each class, "
                "or a source (the class of a data set, as in conf/data); set just one"
            )
        return self


def _root(value: Any) -> Any:
    return {"root": value} if isinstance(value, str) else value


def _named(sets: Any) -> Any:
    """Refuse names of external tests that something else has, or that are no plain words."""
    for name in sets if isinstance(sets, Mapping) else ():
        if not names_external_test(name):
            raise GanAugError(
                f"data.external.{name}: names a split, as in results.csv; choose letters and "
                f"digits, at most 31, and none of {', '.join(SPLITS)}, train"
            )
    return sets


External = Annotated[
    Mapping[str, Annotated[ExternalSettings, BeforeValidator(_root)]],
    BeforeValidator(_named),
]


class DataSettings(Settings):
    """The images, as typed."""

    name: str = Field(description="name of the data set")
    root: PathText | None = Field(description="the data set's folder")
    download: bool = Field(description="whether to fetch the data set where it is not")
    on_bad_file: Literal["error", "skip"] = Field(
        description="what to do about files that cannot be decoded"
    )
    on_conflict: Literal["stop", "drop"] = Field(
        description="what to do about an image in two classes; drop leaves it out"
    )
    cache_dir: PathText | None = Field(
        description="folder of decoded images; null: ~/.cache/gan_aug"
    )
    image_size: int = Field(ge=8, le=1024, description="pixels along each side of an image")
    fit: Literal["squeeze", "pad", "crop"] = Field(
        description="how images that are not square become square"
    )
    channels: Literal[None, 1, 3] = Field(description="1 grey, 3 RGB; null: what the data set has")
    classes: ClassList | None = Field(
        description="classes to take; `other`: all that are not named"
    )
    num_classes: int | None = Field(description="number of classes; null: the data set says")
    positive: ClassName | None = Field(
        description="of two classes the one that sensitivity is about"
    )
    draw: Index | None = Field(description="number of the random choice of images")
    development_per_class: Index = Field(
        description="training and test images of each class set aside"
    )
    val_per_class: Positive = Field(
        description="validation images of each class, cut by patient; not used where the data set "
        "has its own, as data=folder does"
    )
    internal_per_class: Index | Auto = Field(
        description="images of each class for the internal test"
    )
    subset: ByClass[Index | None] | Auto = Field(
        description="training images; null: all that are left"
    )
    train_class: ClassName | None = Field(description="the one class to train a GAN on; null: all")
    synthetic: SyntheticSettings
    external: External | None = Field(
        default=None, description="further tests, as of other hospitals, by name"
    )
    batch_size: BatchSize = Field(description="images in a batch")
    source: SourceNode = Field(description="the data set's class")

    target: Literal["class", "subtype"] = own("normal and pneumonia, or the kind of pneumonia too")
    set: str = own("which set of MedMNIST")
    table: PathText | None = own("CSV with path, label and, where known, patient, site, split")
    columns: Columns | None = own("names of the table's columns, where they differ")
    exclude: Patterns | None = own("patterns of paths below root that are not read")
    patient_regex: str | None = own("pattern that finds the patient in the path below the class")
    window: Window | None = own("window of grey DICOM; null: as each file says")
    test_share: Between0And1 = own("share of each class for the test, where there is no test split")
    val_share: Between0And1 = own("share of the rest for validation, where there is no such split")
    split_seed: Index = own("seed of these cuts, the same for every draw")

    def shares(self) -> list[str]:
        """Return the settings of how much is set aside for good, which not every data set has."""
        shares = {"data.test_share=": self.test_share, "data.val_share=": self.val_share}
        return [key for key, share in shares.items() if share is not None]


class SettledData(DataSettings):
    """The images, once the data set has been read."""

    classes: list[str] = Field(description="in the order of their labels")
    num_classes: int = Field(description="how many")
    positive: str | None = Field(description="of two classes the one sensitivity is about")
    channels: Literal[1, 3] = Field(description="1 grey, 3 RGB")
    internal_per_class: Index = Field(description="a test from the training images")
    subset: dict[str, Index | None] = Field(description="training images; null: all left")
    train_class: str | None = Field(description="train on one class alone")
