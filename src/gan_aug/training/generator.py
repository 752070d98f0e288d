"""Fit a generator that is no GAN, and write what its run folder promises: its images."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gan_aug.data.image_table import ClassImages, Images
from gan_aug.data.origin import Origin
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import read_set, write_set
from gan_aug.models.generators.base import AT_ONCE
from gan_aug.models.generators.fitted import FittedGenerator
from gan_aug.models.synthesis import manifest_head, origin_of
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import read_json, remove_folder, sha256_of_json, write_json
from gan_aug.runtime.progress import reporting, stage
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RESULT
from gan_aug.settings.base import Plain
from gan_aug.settings.class_facts import classes_made
from gan_aug.settings.commands import SettledTrain
from gan_aug.settings.models import GeneratorSettings

KEPT = "kept"
"""Folder of a run that its generator writes to."""
FITTED_ON = "fitted_on.json"
"""Says which images that is of: a generator of anybody's does not."""
SET = "synthetic"


def fit_generator(
    settings: SettledTrain, prepared: Prepared, run: Run, wanted: Mapping[str, int]
) -> None:
    """Fit a generator, and write synthetic/ with so many images of each class, and metrics.json.

    Images that are there stay the first ones; where they are enough nothing is fitted.

    Raises:
        GanAugError: a class without images, what its class did wrong, or other images than those
            that an earlier attempt was fitted on.
    """
    model, splits, folder = settings.model, prepared.splits, run.folder / SET
    assert isinstance(model, GeneratorSettings)
    fitted_on = list(classes_made(model, settings.data.train_class, splits.classes.names))
    train = splits.train.of_classes(fitted_on)
    if empty := [name for name, n in train.counts().items() if name in fitted_on and not n]:
        raise GanAugError(
            f"data.subset.{empty[0]}: the draw has no {empty[0]} images, and model={model.name} is "
            "fitted on them; set it above 0"
        )
    there, identity = _made_before(folder, splits)
    lacking = {n: k for n, k in wanted.items() if n not in there or len(there[n]) < k}
    started, facts = time.monotonic(), Plain()
    if lacking:
        origin = origin_of(run.config, prepared, train)
        _check_fitted_on(run.folder, origin)
        with reporting(run.folder, stages=2):
            stage(f"{model.called}: fit", unit="")
            generator = FittedGenerator(model, train, splits.draw, settings.seed, run.folder / KEPT)
            facts["fit_seconds"] = round(time.monotonic() - started, 3)
            stage(f"{model.called}: images", unit="blocks")
            for name, count in lacking.items():
                label, before = splits.classes.label(name), there.get(name, train.images[:0])
                # Some that are there are made again: are the others of the same fit?
                start = max(len(before) - 1, 0) // AT_ONCE * AT_ONCE
                more = generator.sample(label, start, count - start, settings.generate.seed)
                if not np.array_equal(more[: len(before) - start], before[start:]):
                    warn(
                        f"{run.folder}: {model.called} does not make the same {name} images again "
                        f"from the same seed: the first {len(before)} are of one fit, others of "
                        f"another; remove {run.folder} to have all of one, and draws that used it"
                    )
                there[name] = np.concatenate([before, more[len(before) - start :]])
        if identity is None:
            first = hashlib.sha256(there[min(there)][:1].tobytes()).hexdigest()
            identity = sha256_of_json([origin.model_dump(), first])
        head = manifest_head(origin, run.config, identity, settings.generate.seed)
        if folder.exists():
            remove_folder(folder)
        in_order = {name: ClassImages(there[name]) for name in splits.classes if name in there}
        write_set(folder, in_order, head)
    metrics = {
        "headline": {},
        "generator": model.module.class_path,
        "source": model.source,
        "images": {name: len(images) for name, images in there.items()},
        "checkpoint_sha256": identity,
        **facts,
    }
    write_json(run.folder / RESULT, metrics)


def _check_fitted_on(folder: Path, origin: Origin) -> None:
    """Check that what a generator kept is of these images; say so of what it will keep."""
    file, now = folder / FITTED_ON, sha256_of_json(origin.model_dump())
    if file.exists() and (folder / KEPT).exists():
        remedy = "restore the images, or start again in another hydra.run.dir"
        if read_json(file, remedy).get("origin_sha256") != now:
            raise GanAugError(
                f"{folder / KEPT}: was fitted on other images: the data set has changed since; "
                f"{remedy}"
            )
    write_json(file, {"origin_sha256": now})


def _made_before(folder: Path, splits: Splits) -> tuple[dict[str, Images], str | None]:
    """Return the images of a sound set that an earlier attempt left, by class, and whose it is."""
    if not folder.exists():
        return {}, None
    try:
        kept = read_set(folder, splits)
    except GanAugError as error:
        warn(f"{error}: fitting again")
        return {}, None
    there = {name: made.images for name, made in kept.by_class.items() if len(made)}
    return there, kept.manifest.checkpoint_sha256


def enough(folder: Path, splits: Splits, wanted: Mapping[str, int]) -> bool:
    """Tell whether a finished run's folder holds so many sound images of each class."""
    try:
        kept = read_set(folder / SET, splits)
    except GanAugError:  # `fit_generator` says which
        return False
    return all(len(kept.by_class[name]) >= count for name, count in wanted.items())
