"""Read checkpoints, which may be damaged or come from anyone, and rebuild a GAN from one alone."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from gan_aug.data.classes import is_class_name
from gan_aug.data.stored import check_plain
from gan_aug.models.gans.base import GAN
from gan_aug.models.rebuild import rebuild, same_shapes
from gan_aug.run.errors import GanAugError
from gan_aug.run.renames import renamed
from gan_aug.run.run_record import Config
from gan_aug.settings.gan_classes import classes_made
from gan_aug.settings.ranges import MODEL_RULES, RULES, check_ranges

_ORIGIN = {
    "model": str,
    "data": str,
    "train_class": (str, type(None)),
    "draw": int,
    "data_fingerprint": str,
    "seen_hashes": list,
}


class Damaged(GanAugError):
    """A file of weights that cannot be used.

    Args:
        where: the file, for the message.
        what: what is wrong with it.
        path: the file.

    Attributes:
        what: what is wrong with it.
    """

    def __init__(self, where: str, what: str, path: Path | None = None) -> None:
        previous = None if path is None else path.with_name("previous.ckpt")
        remedy = "name another one, or train again"
        if previous is not None and path != previous and previous.is_file():
            remedy = f"use the one before it, {previous}"
        super().__init__(f"{where}: {what}; {remedy}")
        self.what = what


def read_weights(path: Path, where: str) -> dict[str, Any]:
    """Read a file of `torch.save`, whole or not at all.

    torch does not check what it reads; the zip archive it wrote has a CRC of every part.

    Args:
        path: the file.
        where: what to call it in messages.

    Raises:
        GanAugError: no such file.
        Damaged: a damaged one, or one that holds something else.
    """
    if not path.is_file():
        raise GanAugError(f"{where}: no such file; name a GAN run's last.ckpt")
    try:
        with zipfile.ZipFile(path) as archive:
            # torch stores its parts as they are; a compressed one could be of any size.
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise ValueError("a part is compressed")
            bad = archive.testzip()
    except Exception as error:  # zipfile raises almost anything on damaged headers
        what = f"is damaged or not a checkpoint of gan_aug ({type(error).__name__}: {error})"
        raise Damaged(where, what, path) from error
    if bad is not None:
        raise Damaged(where, f"is damaged (its part {bad} fails its CRC)", path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # and so does torch.load on a foreign file
        what = f"is not a checkpoint of gan_aug ({type(error).__name__})"
        raise Damaged(where, what, path) from error
    if not isinstance(found, dict):
        raise Damaged(where, "is not a checkpoint of gan_aug", path)
    return found


def read_checkpoint(checkpoint: Path, key: str = "checkpoint") -> dict[str, Any]:
    """Read a checkpoint that a run wrote.

    Args:
        checkpoint: the file.
        key: the setting that named it.

    Returns:
        Its content; `gan_aug` holds `config` and `origin` (`gan_aug.models.synthesis.origin_of`).

    Raises:
        GanAugError: no such file.
        Damaged: a damaged one, one of something else, or settings out of range.
    """
    where = f"{key}={checkpoint}"
    content = read_weights(checkpoint, where)
    _check_content(content, where)
    config = content["gan_aug"]["config"] = renamed(content["gan_aug"]["config"])
    check_plain(config, where)
    try:
        cfg = OmegaConf.create(config)
        check_ranges(cfg, RULES)
        check_ranges(cfg.model, MODEL_RULES, "model.")
    except Exception as error:  # OmegaConf too may not take what a file holds
        raise Damaged(where, f"its configuration is not sound: {error}") from error
    return content


def _check_content(content: Mapping[str, Any], where: str) -> None:
    """Check that a checkpoint holds what is read of it."""

    def need(node: Any, name: str, kind: Any) -> Any:
        found = node.get(name) if isinstance(node, dict) else None
        if not isinstance(found, kind):
            raise Damaged(where, f"is not a checkpoint of gan_aug (it has no sound {name})")
        return found

    own = need(content, "gan_aug", dict)
    config, origin = need(own, "config", dict), need(own, "origin", dict)
    need(config, "data", dict)
    need(need(config, "model", dict), "module", dict)
    for name, kind in _ORIGIN.items():
        need(origin, name, kind)
    _check_classes(config, origin, where)
    if not origin["seen_hashes"] or not all(isinstance(h, str) for h in origin["seen_hashes"]):
        raise Damaged(where, "does not say which images it was fitted on (seen_hashes)")
    state = need(content, "state_dict", dict)
    if not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise Damaged(where, "its state_dict holds something else than weights")


def _check_classes(config: dict[str, Any], origin: dict[str, Any], where: str) -> None:
    """Check which classes a model knows and makes; fill them in where an earlier version wrote it.

    Their names become those of folders.
    """
    train_class, model = origin["train_class"], config["model"]
    if "makes" not in origin:
        _of_earlier_version(config)
        origin["classes"] = config["data"].get("classes") or [train_class]
        origin["makes"] = {} if train_class is None else {train_class: []}
    classes, makes = origin.get("classes"), origin["makes"]
    sound = isinstance(classes, list) and all(map(is_class_name, classes))
    if isinstance(classes, list) and sound and model.get("kind") == "gan":
        try:
            sound = makes == classes_made(model, train_class, classes)
        except (GanAugError, KeyError, TypeError):
            sound = False
    if not sound or not isinstance(makes, dict):
        raise Damaged(where, "does not say which classes it knows and makes (classes, makes)")


def _of_earlier_version(config: dict[str, Any]) -> None:
    """Give a GAN's settings what all GANs were before they had a choice."""
    model = config["model"]
    if model.get("kind") == "gan":
        model |= {"fitted_on": "one", "sources": None}
        discriminator = model["module"].get("discriminator")
        known = isinstance(discriminator, dict) and discriminator.get("spectral_norm") is True
        model["module"].pop("sample_every_n_epochs", None)
        model["module"] |= {"decay_from": 1, "truncation": None, "spectral_norm": known}
        model["module"] |= {"r1_gamma": 0, "r1_every": 16}


def load_gan(
    checkpoint: Path, build: Callable[[], GAN] | None = None
) -> tuple[GAN, dict[str, Any], Config]:
    """Load a GAN on the CPU.

    Args:
        checkpoint: a file that a GAN run wrote.
        build: makes the GAN where its configuration is the user's own; None: the checkpoint says
            what it is, and can only name classes of gan_aug.

    Returns:
        The GAN in evaluation mode, what it was fitted on (`models.synthesis.origin_of`), and the
        run's configuration.

    Raises:
        GanAugError: not such a file, or a damaged one.
    """
    content = read_checkpoint(checkpoint)
    where = f"checkpoint={checkpoint}"
    config, origin = content["gan_aug"]["config"], content["gan_aug"]["origin"]
    if build is None:
        gan = rebuild_gan(config, content["state_dict"], where)
    else:
        gan = build()
        check_fits(gan, content["state_dict"], where)
        gan.load_state_dict(content["state_dict"])
    return gan.eval(), origin, config


def rebuild_gan(config: Mapping[str, Any], state: Mapping[str, Tensor], where: str) -> GAN:
    """Build the GAN that a checkpoint's configuration describes and give it its weights.

    Args:
        config: the configuration in the checkpoint.
        state: the weights.
        where: the checkpoint, for messages.

    Raises:
        GanAugError: a class that is not gan_aug's, weights of other networks, or not finite.
    """
    node = config["model"]["module"]
    with torch.device("meta"):  # takes no memory, whatever widths the file claims
        sketch = rebuild(node, where, "model.module")
    if not isinstance(sketch, GAN):
        raise GanAugError(
            f"{where}: holds a {config['model'].get('name')}, which generates nothing"
        )
    check_fits(sketch, state, where)
    gan: GAN = rebuild(node, where, "model.module")
    gan.load_state_dict(state)
    return gan


def check_fits(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Check that saved weights are those of a module, and finite.

    Raises:
        Damaged: they are not.
    """
    if difference := same_shapes(module, state):
        what = f"its weights are of other networks than its configuration says ({difference})"
        raise Damaged(where, what)
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Damaged(where, f"{name} holds weights that are not finite")
