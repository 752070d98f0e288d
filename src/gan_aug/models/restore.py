"""Read GANs: from one's own checkpoint, or as they travel.

A checkpoint (.ckpt) is one's own: it holds all that training goes on from, and nothing bounds what
reading it takes. What may come from anyone is `gan_aug.models.shared_gan`'s. From neither does
anything run, name a path or start a download.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from gan_aug.data.origin import Origin
from gan_aug.models.gans.base import GAN
from gan_aug.models.rebuild import check_makes, untrained_gan
from gan_aug.models.shared_gan import SUFFIX, read_description, read_shared
from gan_aug.models.weights_file import Damaged, check_finite, check_fits, shapes_of
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import sha256_of
from gan_aug.run.stored_model import first_fault
from gan_aug.settings.base import Plain


@dataclass(frozen=True)
class StoredGan:
    """What a file says of the GAN that it holds.

    Attributes:
        origin: what it was fitted on (`gan_aug.models.synthesis.origin_of`).
        config: its run's configuration; of one that travels only `model`, `data`, `quality.select`.
        own: whether it is one's own checkpoint.
    """

    origin: Origin
    config: Plain
    own: bool


def read_checkpoint(checkpoint: Path, key: str = "checkpoint") -> dict[str, Any]:
    """Read a checkpoint that a run wrote, whole or not at all.

    torch does not check what it reads; the zip archive it wrote has a CRC of every part.

    Args:
        checkpoint: the file.
        key: the setting that named it.

    Returns:
        Its content; `gan_aug` holds `config` and `origin`.

    Raises:
        GanAugError: no such file.
        Damaged: a damaged one, or one of something else.
    """
    where = f"{key}={checkpoint}"
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
        content: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
        own, state = content["gan_aug"], content["state_dict"]
        config = own["config"]
        described = isinstance(config["model"]["module"], dict) and "source" in config["data"]
        sound = described and all(isinstance(tensor, Tensor) for tensor in state.values())
    except Exception as error:  # and so does torch.load on a foreign file
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


def read_stored(path: Path) -> StoredGan:
    """Read what a file says of its GAN: one's own checkpoint, or generator.safetensors.

    Raises:
        GanAugError: no such file, or a damaged one.
    """
    if path.suffix == SUFFIX:
        described = read_description(path, f"checkpoint={path}")
        return StoredGan(described.origin, described.config, own=False)
    content = read_checkpoint(path)["gan_aug"]
    return StoredGan(Origin(**content["origin"]), content["config"], own=True)


def checkpoint_sha256(path: Path) -> str:
    """Return the hash of a GAN's checkpoint, or of the one that its generator.safetensors is of."""
    if path.suffix == SUFFIX:
        return read_description(path, f"checkpoint={path}").checkpoint_sha256
    return sha256_of(path)


def load_gan(checkpoint: Path, build: Callable[[], GAN] | None = None) -> tuple[GAN, Origin, Plain]:
    """Load a GAN on the CPU.

    Args:
        checkpoint: a checkpoint that a GAN run wrote, or its generator.safetensors.
        build: makes the GAN where its configuration is the user's own; None: the file says what it
            is, and can only name classes of gan_aug.

    Returns:
        The GAN in evaluation mode, what it was fitted on (`models.synthesis.origin_of`), and the
        run's configuration.

    Raises:
        GanAugError: not such a file, or a damaged one.
    """
    where = f"checkpoint={checkpoint}"
    if checkpoint.suffix == SUFFIX:
        gan, described = read_shared(checkpoint, where, build)
        return gan, described.origin, described.config
    content = read_checkpoint(checkpoint)
    own = content["gan_aug"]
    gan = rebuild_gan(own["config"], content["state_dict"], where, build)
    return gan, Origin(**own["origin"]), own["config"]


def rebuild_gan(
    config: Plain,
    state: Mapping[str, Tensor],
    where: str,
    build: Callable[[], GAN] | None = None,
) -> GAN:
    """Build the GAN that a checkpoint's configuration describes and give it its weights.

    Args:
        config: the configuration in the checkpoint.
        state: the weights.
        where: the checkpoint, for messages.
        build: see `load_gan`.

    Raises:
        GanAugError: a class that is not gan_aug's, weights of other networks, or not finite.
    """
    if build is None:
        with torch.device("meta"):  # widths that do not fit take no memory
            sketch = untrained_gan(config, where)
        _check(sketch, state, where)
    gan = untrained_gan(config, where) if build is None else build()
    lasting = _check(gan, state, where)
    gan.load_state_dict(lasting, strict=False)
    return gan.eval()


def _check(gan: GAN, state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the weights that last; they must fit and be finite."""
    lasting = {n: t for n, t in state.items() if not n.startswith(gan.ONLY_TRAINED_WITH)}
    check_fits(gan.lasting_state(), shapes_of(lasting), where)
    check_finite(lasting, where)
    return lasting
