"""Settings of an arm, one way to train the classifier on a draw: conf/arm.

Here stands what all arms have; what else one may do is a behaviour, with settings of its own, in
`gan_aug.arms`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, create_model

from gan_aug.settings.base import Settings
from gan_aug.settings.models import Augment
from gan_aug.settings.values import Above0, ByClass, Count, Index, Positive, Share


class AddedSettings(Settings):
    """The images that join the real ones."""

    source: str = Field(description="where the added images come from")
    unlabelled: bool = Field(
        default=False, description="whether their classes are predicted, not known"
    )
    count: ByClass[Count | None] = Field(
        description="added images of each class; null: study.count"
    )
    weight: Above0 = Field(description="weight of an added image in the loss; a real one has 1")
    label_smoothing: Share = Field(description="label smoothing of added images")
    labels: Literal[None, "predicted"] = Field(
        description="null: their class; predicted: by a classifier of real images"
    )
    augment: Augment = Field(description="random changes of the added images")


class ArmSettings(Settings):
    """An arm, as typed."""

    title: str = Field(description="title in reports")
    balanced: bool = Field(description="as many images of each class in every batch")
    augment: Augment = Field(description="random changes of the real images")
    real: ByClass[Positive | None] = Field(
        description="use only so many of the draw's images; null: all"
    )
    stream: Index = Field(description="another number gives another order and other random changes")
    added: AddedSettings


S = TypeVar("S", bound=Settings)


def _with_behaviours(kind: type[S], of_arm: bool, **fields: Any) -> type[S]:
    """Return settings with those of all behaviours that stand in them."""
    for one in importlib.import_module("gan_aug.arms.base").behaviours():
        if one.of_arm == of_arm:
            fields |= {key: (field.annotation, field) for key, field in one.model_fields.items()}
    return create_model(kind.__name__, __base__=kind, __module__=__name__, **fields)


if not TYPE_CHECKING:  # behaviours are found by their files, so their settings are known here only
    _sources = tuple(importlib.import_module("gan_aug.arms.base").source_names())
    AddedSettings = _with_behaviours(
        AddedSettings, False, source=(Literal[_sources], AddedSettings.model_fields["source"])
    )
    ArmSettings = _with_behaviours(ArmSettings, True, added=(AddedSettings, ...))


class SettledAdded(AddedSettings):
    """The images that join the real ones, once the classes are known."""

    count: dict[str, int] = Field(description="of each class")


class SettledArm(ArmSettings):
    """An arm, once the classes are known."""

    real: dict[str, int | None] | None = Field(description="of each class; null: all of the draw's")
    added: SettledAdded
