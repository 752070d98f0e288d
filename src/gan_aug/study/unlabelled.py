"""Further training images whose labels nobody tells, and a GAN that is fitted on them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import Generated, read_set, write_set
from gan_aug.models.restore import load_gan
from gan_aug.models.synthesis import images_of, manifest_head
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import remove_folder
from gan_aug.run.seeds import stream_seed
from gan_aug.study.gans import FittedGAN, find_or_fit, own_gan

Judge = Callable[[NDArray[np.uint8]], NDArray[np.int64]]
"""From images uint8 (N, C, H, W) to positions of classes (N,)."""

NAME = "unlabelled"
"""The class of all images of a GAN that is told none."""
_NONE = "labelled"
"""The other one of its data set, which needs two: of no image."""
CANDIDATES = 16
"""Images made for each one wanted: which class they are of is judged afterwards."""


def unlabelled_of(cfg: DictConfig, splits: Splits) -> ImageTable:
    """Return the first `study.unlabelled` of the images that a draw leaves over, in random order.

    They are of the classes that they happen to be of, and keep their labels, which no arm reads.

    Raises:
        GanAugError: there are not as many.
    """
    wanted, left = cfg.study.unlabelled, splits.unused
    if wanted > len(left):
        raise GanAugError(
            f"study.unlabelled={wanted}: the draw leaves only {len(left)} training images over; "
            "ask for fewer"
        )
    random = np.random.default_rng(stream_seed(NAME, cfg.seed, cfg.draw))
    return left.take(random.permutation(len(left))[:wanted])


def of_one_class(splits: Splits, table: ImageTable) -> Splits:
    """Return splits for a GAN that is fitted on `table` and told of no class."""
    classes = Classes((NAME, _NONE), None)

    def told_none(one: ImageTable) -> ImageTable:
        return replace(one, labels=np.zeros(len(one), np.int64), classes=classes)

    return replace(
        splits,
        train=told_none(table),
        validation=told_none(splits.validation),
        test=told_none(splits.test),
        development=told_none(splits.development),
        internal=told_none(splits.internal),
        unused=told_none(splits.unused.take(slice(0, 0))),
    )


def fit_on_unlabelled(cfg: DictConfig, splits: Splits, table: ImageTable) -> FittedGAN:
    """Fit the study's GAN on images of no class, or find it.

    Its last weights are taken: what would choose others is told the classes.
    """
    own = copy.deepcopy(cfg)
    own.study.gan_select = own.study.gan_curve_points = own.study.gan_fits = None
    return find_or_fit(own, Prepared(of_one_class(splits, table), None), NAME)


def judged_set(
    cfg: DictConfig,
    splits: Splits,
    table: ImageTable,
    gan: FittedGAN,
    count: int,
    judge: Judge,
    folder: Path,
) -> dict[str, Generated]:
    """Generate images of a GAN that is told no class, and write those of each judged class.

    Args:
        cfg: the study's configuration.
        splits: the draw.
        table: what the GAN was fitted on.
        gan: from `fit_on_unlabelled`.
        count: how many, of all classes.
        judge: tells their classes.
        folder: of the synthetic set, written anew.

    Returns:
        Class to its images; some may have none.
    """
    module, origin, config = load_gan(gan.checkpoint, lambda: own_gan(cfg))
    seed = stream_seed("latents", cfg.seed, cfg.draw, NAME)
    made = images_of(module, origin, NAME, count, seed, None)
    of_class = judge(made.images)
    found = {
        name: Generated(made.images[of_class == label]) for label, name in enumerate(splits.classes)
    }
    if folder.exists():
        remove_folder(folder)
    head = manifest_head(origin, config, gan.checkpoint, seed)
    write_set(folder, {name: of for name, of in found.items() if len(of)}, head)
    # As any set is read: it refuses what has seen an image that it must not.
    read_set(folder, None, cfg.data.image_size, replace(splits, train=table))
    return found
