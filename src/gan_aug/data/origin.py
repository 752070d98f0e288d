"""What a model was fitted on, and what lies beside images and says where they come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gan_aug.data.classes import is_class_name
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.stored_model import Part, Stored

MANIFEST, DRAW_FILE = "manifest.json", "draw.json"
AGAIN = "generate the set again"
"""What to do about a set that is damaged."""
_MOST_CLASSES = 1000
_MOST_BYTES = 256 * 2**20
"""Of a file beside images: it has a line for each image, and for each that a generator saw."""
_FILE = re.compile(r"([^/]+)/\w[\w-]*\.png")


def _names_a_folder(name: str) -> str:
    if not is_class_name(name):
        raise PydanticCustomError("class_name", "must name a class, and so a folder")
    return name


def _in_set(name: str) -> str:
    matched = _FILE.fullmatch(name)
    if matched is None or not is_class_name(matched[1]):
        raise PydanticCustomError("file", f"{name!r} is not CLASS/NAME.png inside the set")
    return name


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hashes = Annotated[list[Sha256], Field(min_length=1)]
ClassName = Annotated[str, AfterValidator(_names_a_folder)]
ClassNames = Annotated[list[ClassName], Field(min_length=1, max_length=_MOST_CLASSES)]
ImageName = Annotated[str, AfterValidator(_in_set)]
Side = Annotated[int, Field(ge=1, le=2**14)]


class Origin(Part):
    """What a model was fitted on; it may come from anyone.

    Attributes:
        train_class: the one class that it was fitted on, if any.
        makes: class that a GAN makes to the classes that it translates.
        source_hashes: of the images that may be translated.
        seen_hashes: of the real images that it was fitted on.
        synthetic: what is known of generated images that it was fitted on.
    """

    model: str
    data: str
    train_class: ClassName | None
    classes: ClassNames
    makes: dict[ClassName, list[ClassName]]
    source_hashes: list[Sha256]
    draw: int
    training_seed: int
    data_fingerprint: str
    seen_hashes: Hashes
    synthetic: dict[str, Any] | None


class BesideImages(Stored):
    """What a file beside images says of them; it may come from anyone."""

    NAME: ClassVar[str]
    NO_FOLDER: ClassVar[str]
    NO_FILE: ClassVar[str]
    DAMAGED: ClassVar[str]
    """What to do about either."""

    @classmethod
    def of(cls, folder: Path, key: str) -> Self:
        """Read the one of a folder that a setting, `key`, names.

        Raises:
            GanAugError: there is none, or it is damaged, names files outside the folder or does not
                say what a generator saw.
        """
        if not folder.is_dir():
            raise GanAugError(f"{key}={folder}: no such folder; {cls.NO_FOLDER}")
        if not (folder / cls.NAME).exists():
            raise GanAugError(f"{key}={folder}: has no {cls.NAME}; {cls.NO_FILE}")
        return cls.read(folder / cls.NAME, cls.DAMAGED, _MOST_BYTES)


class Manifest(Origin, BesideImages):
    """What a synthetic set says of itself, and what its generator was fitted on.

    Attributes:
        checkpoint_sha256: of the generator's weights.
        chosen_by: the measure of validation images that chose the weights; null: none did.
        data_settings: settings of the data set; see `gan_aug.data.stored`.
        files: path below the folder to the SHA-256 of its bytes.
        sources: the same to that of the real image that it was translated from; empty: of none.
    """

    WHAT = "manifest of a synthetic set"
    NAME = MANIFEST
    NO_FOLDER = "name a synthetic/ of a GAN run"
    NO_FILE = "only sets written by gan_aug.train or gan_aug.generate can be used"
    DAMAGED = AGAIN

    checkpoint_sha256: Sha256
    seed: int
    chosen_by: str | None
    data_settings: dict[str, Any]
    count: dict[str, int]
    image_size: Side
    channels: Literal[1, 3]
    files: Annotated[dict[ImageName, Sha256], Field(min_length=1)]
    sources: dict[str, Sha256]

    @model_validator(mode="after")
    def _each_with_its_source(self) -> Self:
        if self.sources and self.sources.keys() != self.files.keys():
            said = "sources does not hold the real image that each file was made from"
            raise PydanticCustomError("sources", said)
        return self

    @property
    def seen(self) -> set[str]:
        """Hashes of all real images that the images were made from."""
        return {*self.seen_hashes, *self.sources.values()}


class ExportedDraw(BesideImages):
    """Which draw some images are of.

    `gan_aug.export` writes it. Who makes images from the draw's copies it beside them.

    Attributes:
        data_fingerprint: of the whole data set.
        classes: in the order of their labels.
        seen_hashes: of the draw's training images, as `ImageTable.hashes` has them.
        image_size: pixels of a side of the files; null: they are the originals.
        data_settings: settings of the data set; see `gan_aug.data.stored`.
    """

    WHAT = "description of an exported draw"
    NAME = DRAW_FILE
    NO_FOLDER = f"name one that holds {DRAW_FILE}"
    NO_FILE = (
        "copy it there from the exported draw that the images were made from (gan_aug.export "
        "writes it)"
    )
    DAMAGED = "copy it again from the exported draw"

    data_fingerprint: str
    draw: Annotated[int, Field(ge=0)]
    classes: ClassNames
    seen_hashes: Hashes
    image_size: Side | None
    channels: Literal[1, 3]
    data_settings: dict[str, Any]
