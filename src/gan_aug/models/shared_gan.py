"""A GAN that travels: NAME.safetensors holds its weights, NAME.json says what it is.

Both may come from anyone. What the description asks for is checked before memory or time is spent
on it, and the weights are read once they are known to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from gan_aug.data.stored import check_plain, data_settings
from gan_aug.models.gans.base import GAN
from gan_aug.models.gans.request import Request, Sources
from gan_aug.models.origin import check_origin
from gan_aug.models.rebuild import at_most, untrained_gan, without_training
from gan_aug.models.weights_file import (
    Damaged,
    Shapes,
    check_fits,
    read_shapes,
    read_weights,
    write_weights,
)
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import read_json, sha256_of, write_json
from gan_aug.run.run_record import Config
from gan_aug.run.typed import Misfit, from_plain, to_plain
from gan_aug.settings.ranges import MODEL_RULES, RULES, check_ranges

SUFFIX = ".safetensors"
NAME = f"generator{SUFFIX}"
"""Of the weights, in a run's checkpoints/."""
FORMAT = 1
MOST_NUMBERS = 2**29
"""That a GAN may hold beside the weights of its file: its training's generator and image pools."""
_MODEL = ("name", "kind", "pair", "module")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What NAME.json holds.

    Attributes:
        format: of the file.
        weights_sha256: of NAME.safetensors.
        checkpoint_sha256: of the checkpoint that it was written from.
        origin: see `gan_aug.models.synthesis.origin_of`.
        model: what kind of GAN it is, and of which networks.
        data: settings that its draw is cut again with.
        chosen_by: the metric that chose its weights; None: none did, they are the last.
    """

    format: int
    weights_sha256: str
    checkpoint_sha256: str
    origin: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]
    chosen_by: str | None

    @property
    def config(self) -> Config:
        """What a run's configuration would say of it."""
        return {
            "model": self.model,
            "data": self.data,
            "quality": {"select": self.chosen_by},
        }


def write_shared(
    path: Path, gan: GAN, origin: Mapping[str, Any], config: Config, checkpoint_sha256: str
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
    model = {key: config["model"].get(key) for key in _MODEL}
    described = Description(
        format=FORMAT,
        weights_sha256=sha256_of(path),
        checkpoint_sha256=checkpoint_sha256,
        origin=dict(origin),
        model=model | {"module": without_training(model["module"])},
        data=data_settings(config["data"], None),
        chosen_by=(config.get("quality") or {}).get("select"),
    )
    write_json(path.with_suffix(".json"), to_plain(described))


def read_description(path: Path, where: str) -> Description:
    """Read what a GAN that travels is.

    Args:
        path: of its weights.
        where: what to call it in messages.

    Raises:
        GanAugError: there is none.
        Damaged: it is not sound, or asks for more than a GAN of gan_aug may be.
    """
    if not path.is_file():
        raise GanAugError(f"{where}: no such file; name a GAN's {NAME}")
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise GanAugError(f"{where}: lacks {beside.name} beside it, which says what it is")
    where = f"{where}: {beside.name}"
    content = read_json(beside, "ask for the file again")
    try:
        found = from_plain(Description, content)
    except Misfit as error:
        raise Damaged(where, f"is no description of a GAN ({error})") from error
    if found.format != FORMAT:
        raise Damaged(where, f"is of format {found.format}, this gan_aug reads {FORMAT}")
    check_origin(found.origin, found.model, where)
    module = found.model.get("module")
    if not isinstance(module, dict):
        raise Damaged(where, "does not say what it is (model.module)")
    check_plain(found.config, where)
    try:
        _check_ranges(found, module)
    except GanAugError as error:
        raise Damaged(where, str(error)) from error
    return found


def _check_ranges(found: Description, module: dict[str, Any]) -> None:
    check_ranges(OmegaConf.create({"data": found.data}), RULES)
    for key in ("image_size", "channels"):
        if type(found.data.get(key)) is not int:
            raise GanAugError(f"data.{key}={found.data.get(key)}: must be a whole number")
    for name, node in {"module": module, **module}.items():
        if not isinstance(node, dict):
            continue
        check_ranges(OmegaConf.create(node), MODEL_RULES, f"model.{name}.")
        for key in ("image_size", "channels"):
            if node.get(key, found.data[key]) != found.data[key]:
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
        GanAugError: there is none, or it names what is no class of gan_aug.
        Damaged: it is not sound; see `read_description`.
    """
    found = read_description(path, where)
    if build is None:
        _sketch(found.config, read_shapes(path, where), where)
    gan = untrained_gan(found.config, where) if build is None else build()
    weights, _ = read_weights(path, where, gan.lasting_state())
    if sha256_of(path) != found.weights_sha256:
        raise Damaged(where, "is not the file that its .json was written with")
    gan.load_state_dict(weights, strict=False)
    gan.eval()
    if build is None:
        _try(gan, found, where)
    return gan, found


def _sketch(config: Config, saved: Shapes, where: str) -> None:
    """Check on the device `meta`, where no weight takes memory, what a file asks for."""
    with torch.device("meta"), at_most(20 * len(saved) + 100):
        gan = untrained_gan(config, where)
    lasting = gan.lasting_state()
    check_fits(lasting, saved, where)
    others = sum(tensor.numel() for name, tensor in gan.state_dict().items() if name not in lasting)
    if others > MOST_NUMBERS:
        raise Damaged(where, f"asks for {others} numbers beside its weights")


@torch.no_grad()
def _try(gan: GAN, found: Description, where: str) -> None:
    """Make an image of each class, and ask the discriminator about it."""
    size, channels = found.data["image_size"], found.data["channels"]
    shape = (1, channels, size, size)
    for name, of in found.origin["makes"].items():
        label = found.origin["classes"].index(name)
        given = Sources(torch.zeros(shape), torch.zeros(1, dtype=torch.int64), [""]) if of else None
        try:
            request = Request(label, 1, torch.Generator().manual_seed(0), given)
            made = gan.synthesise(request).images
            logits: Tensor = gan.critic(label).eval()(made)
        except Exception as error:  # networks that do not go together raise almost anything
            reason = " ".join(str(error).split())[:200]
            raise Damaged(where, f"makes no image of {name} ({reason})") from error
        if made.shape != shape or logits.shape != (1,) or not bool(torch.isfinite(made).all()):
            raise Damaged(where, f"makes no image of {name} of {channels}x{size}x{size}")
