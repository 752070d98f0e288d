"""What a model was fitted on, as checkpoints, shared GANs and manifests say it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gan_aug.data.classes import is_class_name

MOST_CLASSES = 1000


def _names_a_folder(name: str) -> str:
    if not is_class_name(name):
        raise PydanticCustomError("class_name", "must name a class, and so a folder")
    return name


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClassName = Annotated[str, AfterValidator(_names_a_folder)]


class Origin(BaseModel):
    """What a model was fitted on; it may come from anyone.

    Attributes:
        model: its name.
        data: name of the data set that it was fitted on.
        train_class: the one class that it was fitted on, if any.
        classes: of the data set.
        makes: class that a GAN makes to the classes that it translates.
        source_hashes: of the images that may be translated.
        draw: of the training images.
        training_seed: of its run.
        data_fingerprint: of the data set.
        seen_hashes: of the real images that it was fitted on.
        synthetic: what is known of generated images that it was fitted on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

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
