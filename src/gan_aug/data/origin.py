"""What a model was fitted on, as checkpoints, shared GANs and synthetic sets say it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gan_aug.data.classes import is_class_name
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.stored_model import Part, Stored

MANIFEST = "manifest.json"
AGAIN = "generate the set again"
"""What to do about a set that is damaged."""
MOST_CLASSES = 1000
_MOST_MANIFEST = 256 * 2**20
"""Bytes: it has a line for each image of the set, and for each that its generator saw."""
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
ClassName = Annotated[str, AfterValidator(_names_a_folder)]
ImageName = Annotated[str, AfterValidator(_in_set)]


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
    classes: Annotated[list[ClassName], Field(max_length=MOST_CLASSES)]
    makes: dict[ClassName, list[ClassName]]
    source_hashes: list[Sha256]
    draw: int
    training_seed: int
    data_fingerprint: str
    seen_hashes: Annotated[list[Sha256], Field(min_length=1)]
    synthetic: dict[str, Any] | None


class Manifest(Origin, Stored):
    """What a synthetic set says of itself, and what its generator was fitted on.

    Attributes:
        checkpoint_sha256: of the generator's weights.
        chosen_by: the measure of validation images that chose the weights; null: none did.
        data_settings: settings of the data set; see `gan_aug.data.stored`.
        files: path below the folder to the SHA-256 of its bytes.
        sources: the same to that of the real image that it was translated from; empty: of none.
    """

    WHAT: ClassVar[str] = "manifest of a synthetic set"

    checkpoint_sha256: Sha256
    seed: int
    chosen_by: str | None
    data_settings: dict[str, Any]
    count: dict[str, int]
    image_size: Annotated[int, Field(ge=1, le=2**14)]
    channels: Literal[1, 3]
    files: Annotated[dict[ImageName, Sha256], Field(min_length=1)]
    sources: dict[str, Sha256]

    @model_validator(mode="after")
    def _each_with_its_source(self) -> Self:
        if self.sources and self.sources.keys() != self.files.keys():
            said = "sources does not hold the real image that each file was made from"
            raise PydanticCustomError("sources", said)
        return self

    @classmethod
    def of(cls, folder: Path, key: str) -> Self:
        """Read the manifest of a set that a setting, `key`, names.

        Raises:
            GanAugError: not a synthetic set, a damaged one, or one whose manifest names files
                outside it or does not say what its generator saw.
        """
        if not folder.is_dir():
            raise GanAugError(f"{key}={folder}: no such folder; name a synthetic/ of a GAN run")
        if not (folder / MANIFEST).exists():
            raise GanAugError(
                f"{key}={folder}: has no {MANIFEST}; "
                "only sets written by gan_aug.train or gan_aug.generate can be used"
            )
        return cls.read(folder / MANIFEST, AGAIN, _MOST_MANIFEST)

    @property
    def seen(self) -> set[str]:
        """Hashes of all real images that the images were made from."""
        return {*self.seen_hashes, *self.sources.values()}
