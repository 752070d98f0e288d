"""Rebuild a trained model from its checkpoint alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from gan_aug.errors import GanAugError
from gan_aug.gans.base import GAN


def read_checkpoint(checkpoint: Path, key: str = "checkpoint") -> dict[str, Any]:
    """Read a checkpoint that a run wrote.

    Args:
        checkpoint: the file.
        key: the setting that named it.

    Returns:
        Its content; `gan_aug` holds `config` and `origin` (`gan_aug.synthesis.origin_of`).

    Raises:
        GanAugError: not such a file.
    """
    if not checkpoint.is_file():
        raise GanAugError(f"{key}={checkpoint}: no such file")
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        _ = content["gan_aug"]["config"], content["gan_aug"]["origin"], content["state_dict"]
    except Exception as error:  # torch.load raises almost anything on a foreign file
        raise GanAugError(
            f"{key}={checkpoint}: is not a checkpoint of gan_aug ({type(error).__name__})"
        ) from error
    found: dict[str, Any] = content
    return found


def load_gan(checkpoint: Path) -> tuple[GAN, dict[str, Any], dict[str, Any]]:
    """Load a GAN on the CPU.

    Args:
        checkpoint: a file that a GAN run wrote.

    Returns:
        The GAN in evaluation mode, what it was fitted on (`gan_aug.synthesis.origin_of`), and the
        run's configuration.

    Raises:
        GanAugError: not such a file.
    """
    content = read_checkpoint(checkpoint)
    config, origin = content["gan_aug"]["config"], content["gan_aug"]["origin"]
    module = instantiate(config["model"]["module"], _convert_="all")
    if not isinstance(module, GAN):
        raise GanAugError(
            f"checkpoint={checkpoint}: holds a {config['model']['name']}, which generates nothing"
        )
    module.load_state_dict(content["state_dict"])
    return module.eval(), origin, config
