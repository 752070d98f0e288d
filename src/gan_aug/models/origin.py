"""What a model was fitted on, as a file says it: see `gan_aug.models.synthesis.origin_of`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gan_aug.data.classes import is_class_name
from gan_aug.models.weights_file import Damaged
from gan_aug.run.errors import GanAugError
from gan_aug.run.typed import Misfit, Others, from_plain
from gan_aug.settings.gan_classes import classes_made

MOST_CLASSES = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class _Origin:
    model: str
    data: str
    train_class: str | None
    classes: list[str]
    makes: dict[str, list[str]]
    source_hashes: list[str]
    draw: int
    training_seed: int
    data_fingerprint: str
    seen_hashes: list[str]
    synthetic: Any = None
    others: Others = field(default_factory=dict)


def check_origin(found: object, model: object, where: str) -> dict[str, Any]:
    """Check what a file says that its model was fitted on.

    Args:
        found: what it says.
        model: the settings of its model; of a GAN they tell which classes it makes.
        where: the file, for messages.

    Returns:
        The origin.

    Raises:
        Damaged: it is not sound. Names of classes become those of folders.
    """
    try:
        origin = from_plain(_Origin, found)
    except Misfit as error:
        raise Damaged(where, f"does not say what it was fitted on (origin: {error})") from error
    hashes = [*origin.seen_hashes, *origin.source_hashes]
    if not origin.seen_hashes or not all(map(_SHA256.fullmatch, hashes)):
        raise Damaged(where, "does not say which images it was fitted on (seen_hashes)")
    if not isinstance(model, dict):
        raise Damaged(where, "does not say what it is (model)")
    sound = len(origin.classes) <= MOST_CLASSES and all(map(is_class_name, origin.classes))
    if sound and model.get("kind") == "gan":
        try:
            sound = origin.makes == classes_made(model, origin.train_class, origin.classes)
            sound = sound and origin.makes.keys() <= {*origin.classes}
        except (GanAugError, KeyError, TypeError):
            sound = False
    if not sound:
        raise Damaged(where, "does not say which classes it knows and makes (classes, makes)")
    assert isinstance(found, dict)
    return found
