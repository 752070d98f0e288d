"""Read GANs: from one's own checkpoint, or as they travel; from neither does anything run.

A checkpoint (.ckpt) is one's own: it holds all that training goes on from, and nothing bounds what
reading it takes. What travels may come from anyone: NAME.safetensors holds weights, NAME.json says
of what. What that asks for is checked before memory or time is spent on it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import ValidationError, create_model
from torch import Tensor

from gan_aug.data.origin import Origin, Sha256
from gan_aug.data.stored import check_plain, check_stored_data, data_settings
from gan_aug.models.gans.base import GAN
from gan_aug.models.rebuild import at_most, check_makes, untrained_gan, without_training
from gan_aug.models.weights_file import (
    Damaged,
    check_weights,
    read_shapes,
    read_weights,
    write_weights,
)
from gan_aug.runtime.errors import GanAugError, said, see
from gan_aug.runtime.files import read_json, sha256_of
from gan_aug.runtime.hardware import lacks_memory
from gan_aug.runtime.stored_model import Part, Stored, first_fault
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


class DescribedModel(Part):
    """What kind of GAN it is, and of which networks."""

    name: str
    kind: Literal["gan"]
    pair: list[str] | None
    module: Plain


class Description(Stored):
    """What NAME.json holds."""

    WHAT: ClassVar[str] = "description of a GAN"

    weights_sha256: Sha256
    checkpoint_sha256: Sha256
    """Of the checkpoint that it was written from."""
    origin: Origin
    model: DescribedModel
    data: Plain
    """Settings that its draw is cut again with."""
    chosen_by: str | None
    """The metric that chose its weights; None: none did, they are the last."""

    @property
    def config(self) -> Plain:
        """What a run's configuration would say of it."""
        chosen = {"select": self.chosen_by}
        return {"model": self.model.model_dump(), "data": self.data, "quality": chosen}


@dataclass(frozen=True)
class SavedGAN:
    """A GAN as it lies in a file, and what the file says of it.

    Attributes:
        origin: what it was fitted on (`models.synthesis.origin_of`).
        config: of its run; of one that travels `model`, `data` and `quality`.
        checkpoint_sha256: of its checkpoint, or of the one that its generator.safetensors is of.
    """

    gan: GAN
    origin: Origin
    config: Plain
    checkpoint_sha256: str


def chosen_by(config: Mapping[str, Any]) -> str | None:
    """Return the metric that chose a GAN's weights; None: none did, they are the last."""
    select: str | None = (config.get("quality") or {}).get("select")
    return select


@see("checkpoint")
def read_checkpoint(checkpoint: Path) -> Mapping[str, Any]:
    """Read a checkpoint that a run wrote, whole or not at all; `gan_aug` says what it is.

    torch does not check what it reads; the zip archive it wrote has a CRC of every part.

    Raises:
        GanAugError: no such file.
        Damaged: a damaged one, or one of something else.
    """
    where = f"checkpoint={checkpoint}"
    if not checkpoint.is_file():
        raise GanAugError(f"{where}: no such file; name a GAN run's last.ckpt")
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            bad = archive.testzip()
    except Exception as error:  # zipfile raises almost anything on damaged headers
        what = f"is damaged or not a checkpoint of gan_aug ({type(error).__name__}: {error})"
        raise Damaged(where, what, checkpoint) from error
    if bad is not None:
        raise Damaged(where, f"is damaged (its part {bad} fails its CRC)", checkpoint)
    try:
        content: Mapping[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
        own, state = content["gan_aug"], content["state_dict"]
        config = own["config"]
        described = isinstance(config["model"]["module"], dict) and "source" in config["data"]
        sound = described and all(isinstance(tensor, Tensor) for tensor in state.values())
    except Exception as error:  # and so does torch.load on a foreign file
        if lacks_memory(error):  # no fault of the file's: `resume` would set it aside
            raise
        what = f"is not a checkpoint of gan_aug ({type(error).__name__})"
        raise Damaged(where, what, checkpoint) from error
    if not sound:
        raise Damaged(where, "is not a checkpoint of gan_aug", checkpoint)
    try:
        origin = Origin.model_validate(own.get("origin", {}))
    except ValidationError as error:
        what = f"does not say what it was fitted on (origin: {first_fault(error)})"
        raise Damaged(where, what, checkpoint) from error
    if config["model"].get("kind") == "gan":
        check_makes(origin, config["model"], where)
    return content


def read_config(path: Path) -> Plain:
    """Read the configuration of a GAN's run; of one that travels `model`, `data` and `quality`."""
    if path.suffix == SUFFIX:
        return read_description(path, f"checkpoint={path}").config
    config: Plain = read_checkpoint(path)["gan_aug"]["config"]
    return config


@see("checkpoint")
def load_gan(path: Path) -> SavedGAN:
    """Load a GAN on the CPU, from a run's checkpoint or as it travels, in evaluation mode.

    The file says what it is, and can only name classes of gan_aug.

    Raises:
        GanAugError: not such a file, or a damaged one.
    """
    where = f"checkpoint={path}"
    if path.suffix == SUFFIX:
        described = read_description(path, where)
        gan, digest = _read_shared(path, where, described), described.checkpoint_sha256
        return SavedGAN(gan, described.origin, described.config, digest)
    content = read_checkpoint(path)
    own = content["gan_aug"]
    gan = rebuild_gan(own["config"], content["state_dict"], where)
    return SavedGAN(gan, Origin(**own["origin"]), own["config"], sha256_of(path))


def rebuild_gan(config: Plain, state: Mapping[str, Tensor], where: str) -> GAN:
    """Build the GAN of a checkpoint's configuration and give it its weights; see `load_gan`."""
    with torch.device("meta"):  # widths that do not fit take no memory
        sketch = untrained_gan(config, where)
    kept = {n: t for n, t in state.items() if not n.startswith(sketch.ONLY_TRAINED_WITH)}
    check_weights(sketch.lasting_state(), kept, where)
    gan = untrained_gan(config, where)
    gan.load_state_dict(kept, strict=False)
    return gan.eval()


def write_shared(path: Path, saved: SavedGAN) -> None:
    """Write a GAN as it travels: weights to `path`, which ends in .safetensors, and its .json."""
    write_weights(path, saved.gan.lasting_state(), {})
    model = saved.config["model"]
    Description(
        weights_sha256=sha256_of(path),
        checkpoint_sha256=saved.checkpoint_sha256,
        origin=saved.origin,
        model=DescribedModel(
            name=model["name"],
            kind=model["kind"],
            pair=model.get("pair"),
            module=without_training(model["module"]),
        ),
        data=data_settings(saved.config["data"], None),
        chosen_by=chosen_by(saved.config),
    ).write(path.with_suffix(".json"))


@see("checkpoint")
def read_description(path: Path, where: str) -> Description:
    """Read what a GAN that travels is; `path` is of its weights, `where` names it in messages.

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
    module, data = described.model.module, described.data
    for name, node in {"module": module, **module}.items():
        if not isinstance(node, dict):
            continue
        try:
            _LIMITS.model_validate(node)
        except ValidationError as error:
            line = f"model.{name}.{line_of(_LIMITS, node, error)}"
            raise Damaged(where, line) from error
        for key in ("image_size", "channels"):
            if node.get(key, data[key]) != data[key]:
                raise Damaged(where, f"model.{name}.{key}={node[key]}: is not data.{key}")
    return described


def _read_shared(path: Path, where: str, described: Description) -> GAN:
    saved = read_shapes(path, where)
    with torch.device("meta"), at_most(20 * len(saved) + 100):
        sketch = untrained_gan(described.config, where)
    lasting = sketch.lasting_state()
    weights, _ = read_weights(path, where, lasting)
    others = sum(t.numel() for n, t in sketch.state_dict().items() if n not in lasting)
    if others > MOST_NUMBERS:
        raise Damaged(where, f"asks for {others} numbers beside its weights")
    if sha256_of(path) != described.weights_sha256:
        raise Damaged(where, "is not the file that its .json was written with")
    gan = untrained_gan(described.config, where)
    gan.load_state_dict(weights, strict=False)
    _try(gan.eval(), described, where)
    return gan


@torch.no_grad()
def _try(gan: GAN, described: Description, where: str) -> None:
    """Make an image of each class, and ask the discriminator about it."""
    size, channels = described.data["image_size"], described.data["channels"]
    shape = (1, channels, size, size)
    for name, sources in described.origin.makes.items():
        label = described.origin.classes.index(name)
        given = torch.zeros(shape) if sources else None
        random = torch.Generator().manual_seed(0)
        try:
            made = gan.synthesise(label, 1, random, given)
            logits: Tensor = gan.critic(label).eval()(made)
        except Exception as error:  # networks that do not go together raise almost anything
            reason = said(error, 200)
            raise Damaged(where, f"makes no image of {name} ({reason})") from error
        if made.shape != shape or logits.shape != (1,) or not bool(torch.isfinite(made).all()):
            raise Damaged(where, f"makes no image of {name} of {channels}x{size}x{size}")
