"""From a trained GAN to labelled images: which classes it makes, what from, and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from gan_aug.data.batches import to_float, to_uint8
from gan_aug.data.image_table import ClassImages, ImageTable
from gan_aug.data.origin import Origin
from gan_aug.data.prepare import Prepared
from gan_aug.data.stored import data_settings
from gan_aug.models.gans.base import GAN
from gan_aug.models.restore import chosen_by
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.progress import track
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.base import Plain
from gan_aug.settings.class_facts import classes_made

AT_ONCE = 1024
"""Images that are floating-point numbers at the same time."""
SHOWN_FROM = 4 * AT_ONCE
"""With more images than this the progress is shown."""


def origin_of(config: Mapping[str, Any], prepared: Prepared, real: ImageTable) -> Origin:
    """Describe what a model is fitted on: `real` images of a draw, and its synthetic ones.

    `config` is the run's, resolved.
    """
    splits, synthetic = prepared.splits, prepared.synthetic
    model, train_class = config["model"], config["data"]["train_class"]
    classes = splits.classes.names
    makes = {} if model["kind"] == "classifier" else classes_made(model, train_class, classes)
    sources = splits.train.of_classes({name for names in makes.values() for name in names})
    return Origin(
        model=model["name"],
        data=config["data"]["name"],
        train_class=train_class,
        classes=list(classes),
        makes=makes,
        source_hashes=sorted(sources.hashes.tolist()),
        draw=splits.draw,
        training_seed=config["seed"],
        data_fingerprint=splits.fingerprint,
        seen_hashes=sorted(real.hashes.tolist()),
        synthetic=None if synthetic is None else synthetic.facts(),
    )


def images_by_class(
    gan: GAN, origin: Origin, count: int, seed: int, train: ImageTable | None
) -> dict[str, ClassImages]:
    """Generate `count` images of each class that the GAN makes; see `images_of`."""
    return {name: images_of(gan, origin, name, count, seed, train) for name in origin.makes}


def images_of(
    gan: GAN, origin: Origin, name: str, count: int, seed: int, train: ImageTable | None
) -> ClassImages:
    """Generate `count` images of the class `name`.

    The one place that gives generated images their labels: they are of the class that was asked
    for, and translated from those that `origin` says, each source as often as any other, within
    one. The seed fixes latents and sources; the first images do not depend on `count`. A GAN that
    translates needs the draw's training images.

    Raises:
        GanAugError: the GAN does not make the class, or there is nothing to translate.
    """
    makes = origin.makes
    if name not in makes:
        raise GanAugError(
            f"model={origin.model}: makes {', '.join(makes)}, not {name}; ask for one of these"
        )
    gan.eval()
    # Latents of one class are not those of another, unless there is only one.
    own = seed if len(makes) == 1 else stream_seed(seed, name)
    random = torch.Generator().manual_seed(own)
    sources = None
    if makes[name]:
        assert train is not None
        known = train.take(np.isin(train.hashes, origin.source_hashes)).of_classes(makes[name])
        if not len(known):
            listed = " and no ".join(makes[name])
            raise GanAugError(
                f"data.subset: there are no {listed} training images to translate; set "
                f"data.subset.{makes[name][0]} above 0"
            )
        order = np.random.default_rng(own).permutation(len(known))
        sources = known.take(np.resize(order, count))
    starts: Iterable[int] = range(0, count, AT_ONCE)
    if count > SHOWN_FROM:
        starts = track(starts, f"Generating {count} images", len(range(0, count, AT_ONCE)))
    images, label = [], origin.classes.index(name)
    for start in starts:
        end = min(start + AT_ONCE, count)
        part = None
        if sources is not None:
            part = to_float(torch.tensor(sources.images[start:end]), torch.channels_last)
        images.append(to_uint8(gan.synthesise(label, end - start, random, part)))
    hashes = None if sources is None else sources.hashes.tolist()
    return ClassImages(torch.cat(images).numpy(), hashes)


def manifest_head(
    origin: Origin, config: Mapping[str, Any], checkpoint_sha256: str, seed: int
) -> Plain:
    """Return what a manifest says of a generator, and of the seed of its images.

    `config` is that of the run which fitted it; the hash is what it is known by.
    """
    return {
        **origin.model_dump(),
        "checkpoint_sha256": checkpoint_sha256,
        "seed": seed,
        "chosen_by": chosen_by(config),
        "data_settings": data_settings(config["data"], None),
    }
