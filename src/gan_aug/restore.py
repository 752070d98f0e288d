"""Rebuild a trained model from its checkpoint alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from gan_aug.errors import GanAugError
from gan_aug.gans.base import GAN


def load_gan(checkpoint: Path) -> tuple[GAN, dict[str, Any]]:
    """Load a GAN on the CPU.

    Args:
        checkpoint: a file that a GAN run wrote.

    Returns:
        The GAN in evaluation mode, and what it was fitted on (`gan_aug.synthesis.origin_of`).

    Raises:
        GanAugError: not such a file.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        config, origin = content["gan_aug"]["config"], content["gan_aug"]["origin"]
    except Exception as error:  # torch.load raises almost anything on a foreign file
        raise GanAugError(
            f"checkpoint={checkpoint}: is not a checkpoint of gan_aug ({type(error).__name__})"
        ) from error
    module = instantiate(config["model"]["module"], _convert_="all")
    if not isinstance(module, GAN):
        raise GanAugError(
            f"checkpoint={checkpoint}: holds a {config['model']['name']}, which generates nothing"
        )
    module.load_state_dict(content["state_dict"])
    return module.eval(), origin
