"""A GAN that travels: NAME.safetensors holds its weights, NAME.json says what it is.

Both may come from anyone. What the description asks for is checked before memory or time is spent
on it, and the weights are read once they are known to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torch import Tensor

from gan_aug.data.origin import Origin, Sha256
from gan_aug.data.stored import check_plain, check_stored_data, data_settings
from gan_aug.models.gans.base import GAN
from gan_aug.models.gans.request import Request, Sources
from gan_aug.models.rebuild import at_most, check_makes, untrained_gan, without_training
from gan_aug.models.weights_file import (
    Damaged,
    Shapes,
    check_fits,
    read_shapes,
    read_weights,
    write_weights,
)
from gan_aug.run.errors import GanAugError, said
from gan_aug.run.files import read_json, sha256_of
from gan_aug.run.stored_model import Stored
from gan_aug.settings.base import Plain, Settings
from gan_aug.settings.models import GanSettings
from gan_aug.settings.wording import line_of

SUFFIX = ".safetensors"
NAME = f"generator{SUFFIX}"
"""Of the weights, in a run's checkpoints/."""
MOST_NUMBERS = 2**29
"""That a GAN may hold beside the weights of its file: its training's generator and image pools."""
REMEDY = "ask for the file again"

_LIMITS: type[Settings] = create_model(
    "_LIMITS",
    __base__=Settings,
    **{
        name: (field.rebuild_annotation(), None)
        for name, field in GanSettings.model_fields.items()
        if name not in ("name", "kind", "module", "augment", "r1", "growth")
    },  # type: ignore[call-overload]
)
"""What the arguments of a GAN and of its networks may be: as the settings of the same names."""


class DescribedModel(BaseModel):
    """What kind of GAN it is, and of which networks."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    kind: Literal["gan"]
    pair: list[str] | None
    module: dict[str, Any]


class Description(Stored):
    """What NAME.json holds.

    Attributes:
        weights_sha256: of NAME.safetensors.
        checkpoint_sha256: of the checkpoint that it was written from.
        origin: what it was fitted on.
        model: what kind of GAN it is.
        data: settings that its draw is cut again with.
        chosen_by: the metric that chose its weights; None: none did, they are the last.
    """

    WHAT: ClassVar[str] = "description of a GAN"

    weights_sha256: Sha256
    checkpoint_sha256: Sha256
    origin: Origin
    model: DescribedModel
    data: dict[str, Any]
    chosen_by: str | None

    @property
    def config(self) -> Plain:
        """What a run's configuration would say of it."""
        chosen = {"select": self.chosen_by}
        return {"model": self.model.model_dump(), "data": self.data, "quality": chosen}


def write_shared(
    path: Path, gan: GAN, origin: Origin, config: Plain, checkpoint_sha256: str
) -> None:
    """Write a GAN as it travels.

    Args:
        path: of the weights; ends in .safetensors.
        gan: the GAN.
        origin: what it was fitted on.
        config: of its run.
        checkpoint_sha256: of the checkpoint that holds it.

    Raises:
        GanAugError: it cannot be written.
    """
    write_weights(path, gan.lasting_state(), {})
    model = config["model"]
    Description(
        weights_sha256=sha256_of(path),
        checkpoint_sha256=checkpoint_sha256,
        origin=origin,
        model=DescribedModel(
            name=model["name"],
            kind=model["kind"],
            pair=model.get("pair"),
            module=without_training(model["module"]),
        ),
        data=data_settings(config["data"], None),
        chosen_by=(config.get("quality") or {}).get("select"),
    ).write(path.with_suffix(".json"))


def read_description(path: Path, where: str) -> Description:
    """Read what a GAN that travels is.

    Args:
        path: of its weights.
        where: what to call it in messages.

    Raises:
        GanAugError: there is none, it is not sound, or it asks for more than a GAN may be.
    """
    if not path.is_file():
        raise GanAugError(f"{where}: no such file; name a GAN's {NAME}")
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise GanAugError(f"{where}: lacks {beside.name} beside it, which says what it is")
    where = f"{where}: {beside.name}"
    described = Description.parse(read_json(beside, REMEDY), where, REMEDY)
    check_plain(described.config, where)
    check_makes(described.origin, described.config["model"], where)
    check_stored_data(described.data, f"{where}: data", own=False)
    try:
        _check_arguments(described.model.module, described.data)
    except GanAugError as error:
        raise Damaged(where, str(error)) from error
    return described


def _check_arguments(module: dict[str, Any], data: dict[str, Any]) -> None:
    for name, node in {"module": module, **module}.items():
        if not isinstance(node, dict):
            continue
        try:
            _LIMITS.model_validate(node)
        except ValidationError as error:
            raise GanAugError(f"model.{name}.{line_of(_LIMITS, node, error)}") from error
        for key in ("image_size", "channels"):
            if node.get(key, data[key]) != data[key]:
                raise GanAugError(f"model.{name}.{key}={node[key]}: is not data.{key}")


def read_shared(
    path: Path, where: str, build: Callable[[], GAN] | None = None
) -> tuple[GAN, Description]:
    """Read a GAN that travels.

    Args:
        path: of its weights.
        where: what to call it in messages.
        build: makes the GAN where its configuration is the user's own.

    Returns:
        The GAN in evaluation mode, and its description.

    Raises:
        GanAugError: there is none, it is not sound, or it names what is no class of gan_aug.
    """
    described = read_description(path, where)
    if build is None:
        _sketch(described.config, read_shapes(path, where), where)
    gan = untrained_gan(described.config, where) if build is None else build()
    weights, _ = read_weights(path, where, gan.lasting_state())
    if sha256_of(path) != described.weights_sha256:
        raise Damaged(where, "is not the file that its .json was written with")
    gan.load_state_dict(weights, strict=False)
    gan.eval()
    if build is None:
        _try(gan, described, where)
    return gan, described


def _sketch(config: Plain, saved: Shapes, where: str) -> None:
    """Check on the device `meta`, where no weight takes memory, what a file asks for."""
    with torch.device("meta"), at_most(20 * len(saved) + 100):
        gan = untrained_gan(config, where)
    lasting = gan.lasting_state()
    check_fits(lasting, saved, where)
    others = sum(tensor.numel() for name, tensor in gan.state_dict().items() if name not in lasting)
    if others > MOST_NUMBERS:
        raise Damaged(where, f"asks for {others} numbers beside its weights")


@torch.no_grad()
def _try(gan: GAN, described: Description, where: str) -> None:
    """Make an image of each class, and ask the discriminator about it."""
    size, channels = described.data["image_size"], described.data["channels"]
    shape = (1, channels, size, size)
    for name, sources in described.origin.makes.items():
        label = described.origin.classes.index(name)
        given = Sources(torch.zeros(shape), torch.zeros(1, dtype=torch.int64), [""])
        random = torch.Generator().manual_seed(0)
        try:
            made = gan.synthesise(Request(label, 1, random, given if sources else None)).images
            logits: Tensor = gan.critic(label).eval()(made)
        except Exception as error:  # networks that do not go together raise almost anything
            reason = said(error, 200)
            raise Damaged(where, f"makes no image of {name} ({reason})") from error
        if made.shape != shape or logits.shape != (1,) or not bool(torch.isfinite(made).all()):
            raise Damaged(where, f"makes no image of {name} of {channels}x{size}x{size}")
