"""From a trained GAN to a synthetic set: which classes it makes and where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gan_aug.data.datamodule import DataModule
from gan_aug.data.pixels import to_uint8
from gan_aug.data.prepare import data_settings
from gan_aug.models.gans.base import GAN
from gan_aug.run.files import sha256_of
from gan_aug.run.progress import track

AT_ONCE = 1024
"""Images that are floating-point numbers at the same time."""
SHOWN_FROM = 4 * AT_ONCE
"""With more images than this the progress is shown."""


def origin_of(config: Mapping[str, Any], datamodule: DataModule) -> dict[str, Any]:
    """Describe what a model is fitted on.

    Args:
        config: the run's resolved configuration.
        datamodule: serves its images.

    Returns:
        model, data set, class, draw, seed, data fingerprint, the SHA-256 of every real training
        image, and what is known of the synthetic images, if any.
    """
    splits, synthetic = datamodule.splits, datamodule.synthetic
    return {
        "model": config["model"]["name"],
        "data": config["data"]["name"],
        "train_class": config["data"]["train_class"],
        "draw": splits.draw,
        "training_seed": config["seed"],
        "data_fingerprint": splits.fingerprint,
        "seen_hashes": sorted(datamodule.real_table.hashes.tolist()),
        "synthetic": None if synthetic is None else synthetic.facts(),
    }


def images_by_class(
    gan: GAN, origin: Mapping[str, Any], count: int, seed: int
) -> dict[str, NDArray[np.uint8]]:
    """Generate `count` images of each class that the GAN was fitted on.

    The one place that gives generated images their labels: a GAN without conditioning makes
    images of the class it was fitted on.

    Args:
        gan: trained.
        origin: from `origin_of`.
        count: images per class.
        seed: fixes the latents; the first images do not depend on `count`.

    Returns:
        Class name to uint8 (count, C, H, W).
    """
    gan.eval()
    random = torch.Generator().manual_seed(seed)
    starts: Iterable[int] = range(0, count, AT_ONCE)
    if count > SHOWN_FROM:
        starts = track(starts, f"Generating {count} images", len(range(0, count, AT_ONCE)))
    parts = []
    for start in starts:
        images = gan.synthesise(min(AT_ONCE, count - start), random)
        parts.append(to_uint8(images))
    return {origin["train_class"]: torch.cat(parts).numpy()}


def manifest_head(
    origin: Mapping[str, Any], config: Mapping[str, Any], checkpoint: Path, seed: int
) -> dict[str, Any]:
    """Return what a manifest says of the generator.

    Args:
        origin: from `origin_of`.
        config: the configuration of the run that fitted it.
        checkpoint: the file that holds the generator.
        seed: of the latents.
    """
    settings = data_settings(config["data"], None)
    return {
        **origin,
        "checkpoint_sha256": sha256_of(checkpoint),
        "seed": seed,
        "data_settings": settings,
    }
