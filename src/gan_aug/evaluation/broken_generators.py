"""Broken generators, to show what each metric makes of them."""

from __future__ import annotations

import numpy as np

from gan_aug.metrics.sample import Images


def broken_generators(train: Images, unseen: Images, seed: int) -> dict[str, Images]:
    """Return what generators with a known fault would make, as many images as `unseen` has.

    Args:
        train: the training images of a GAN.
        unseen: real images that it has not seen.
        seed: of the noise.

    Returns:
        `copies` of training images, `one image` again and again (a collapse), `flipped` real images
        (left and right exchanged) and `noise` with the mean and spread of each pixel.
    """
    n = len(unseen)
    random = np.random.default_rng(seed)
    mean, std = unseen.mean(axis=0), unseen.std(axis=0)
    noise = mean + std * random.standard_normal(unseen.shape)
    return {
        "copies": train[np.resize(random.permutation(len(train)), n)],
        "one image": np.repeat(unseen[:1], n, axis=0),
        "flipped": np.ascontiguousarray(unseen[..., ::-1]),
        "noise": noise.round().clip(0, 255).astype(np.uint8),
    }
