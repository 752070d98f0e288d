"""What lies beside the images of an exported draw, and beside those made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from gan_aug.data.origin import MOST_CLASSES, ClassName, Sha256
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.stored_model import Stored

DRAW_FILE = "draw.json"
_MOST = 256 * 2**20
"""Bytes: it has a line for each training image."""


class ExportedDraw(Stored):
    """Which draw some images are of; it may come from anyone.

    `gan_aug.export` writes it. Who makes images from the draw's copies it beside them.

    Attributes:
        data_fingerprint: of the whole data set.
        classes: in the order of their labels.
        seen_hashes: of the draw's training images, as `ImageTable.hashes` has them.
        image_size: pixels of a side of the files; null: they are the originals.
        data_settings: settings of the data set; see `gan_aug.data.stored`.
    """

    WHAT: ClassVar[str] = "description of an exported draw"

    data_fingerprint: str
    draw: Annotated[int, Field(ge=0)]
    classes: Annotated[list[ClassName], Field(min_length=1, max_length=MOST_CLASSES)]
    seen_hashes: Annotated[list[Sha256], Field(min_length=1)]
    image_size: Annotated[int, Field(ge=1, le=2**14)] | None
    channels: Literal[1, 3]
    data_settings: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, key: str) -> Self:
        """Read the draw.json of a folder that a setting, `key`, names.

        Raises:
            GanAugError: there is none, or it is damaged.
        """
        if not folder.is_dir():
            raise GanAugError(f"{key}={folder}: no such folder; name one that holds {DRAW_FILE}")
        path = folder / DRAW_FILE
        if not path.is_file():
            raise GanAugError(
                f"{key}={folder}: has no {DRAW_FILE}; copy it there from the exported draw that "
                "the images were made from (gan_aug.export writes it)"
            )
        return cls.read(path, "copy it again from the exported draw", _MOST)
