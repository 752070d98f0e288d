"""The GANs of a draw, found or fitted: what they make, and how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from itertools import chain
from operator import getitem
from pathlib import Path

from torch import Tensor

from gan_aug.arms.base import source_of
from gan_aug.data.batches import epochs_of
from gan_aug.data.held_out import HeldOut, cut_held_out
from gan_aug.data.image_table import Images
from gan_aug.data.origin import Manifest
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import Generated, read_set
from gan_aug.evaluation.evaluator import Evaluator, discriminator_of
from gan_aug.evaluation.measured import GENERATED, ClassQuality, Quality
from gan_aug.evaluation.subject import source_images
from gan_aug.models.restore import NAME, load_gan, read_description
from gan_aug.models.synthesis import images_of, manifest_head
from gan_aug.report.records import GANFacts
from gan_aug.runtime.errors import Diverged, GanAugError, said, warn
from gan_aug.runtime.files import read_json, sha256_of, sha256_of_json
from gan_aug.runtime.hardware import record_threads
from gan_aug.runtime.lock import Lock
from gan_aug.runtime.progress import stage, update
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RECORD, read_record
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.alike import deciding
from gan_aug.settings.base import Plain
from gan_aug.settings.class_facts import gan_facts, made_with
from gan_aug.settings.commands import SettledTrain
from gan_aug.settings.models import GanSettings, GeneratorSettings
from gan_aug.settings.study import SettledStudy
from gan_aug.settings.whole import of_plain
from gan_aug.training.generator import SET, enough, fit_generator
from gan_aug.training.run import train

_CHANGE_NO_PIXEL = (
    *("root", "download", "on_bad_file", "on_conflict", "cache_dir", "subset", "synthetic"),
    *("source", "classes", "num_classes", "positive", "target", "external"),
)
"""Data settings that change no pixel of a GAN's images; those are known by their hashes."""
_MAY_DIFFER = ("callbacks", "logger", "quality", *(f"data.{name}" for name in _CHANGE_NO_PIXEL))
_NOT_TOLD = ("trainer", "data.batch_size")
"""Settings that a generator which is no GAN is not told."""


def used_in_training(settings: SettledStudy) -> list[str]:
    """Return the metrics of a study that its GANs' curves show."""
    return [name for name in settings.quality.use if settings.quality.metrics[name].cheap]


def gan_config(
    settings: SettledStudy, class_name: str, counts: Mapping[str, int], fit_number: int = 0
) -> SettledTrain:
    """Return the configuration of `gan_aug.train` that fits the GAN which makes a class.

    A GAN that is fitted on several classes has the same configuration for each of them.
    `counts` are training images of each class, `fit_number` says which of several GANs it is.
    """
    model = settings.model
    made = made_with(model, class_name, list(counts))
    needed = {*made, *chain(*made.values())}
    n_images = sum(counts[name] for name in made)
    config = settings.plain()
    kept = {key: config[key] for key in ("data", "model", "trainer", "callbacks", "logger")}
    kept["data"] |= {
        "train_class": class_name if gan_facts(model).fitted_on == "one" else None,
        "subset": {name: n if name in needed else 0 for name, n in counts.items()},
        "external": None,  # no GAN has to do with them
    }
    epochs, points = None, None
    if isinstance(model, GanSettings):
        kept["data"]["batch_size"] = model.batch_size
        epochs = epochs_of(settings.study.gan_batches or 0, n_images, model.batch_size)
        points = settings.study.gan_curve_points if settings.quality.use else None
    kept["trainer"]["max_epochs"] = epochs
    kept["trainer"].pop("threads", None)  # the draw's; the GAN's record has their number
    kept["quality"] = config["quality"] | {
        "use": used_in_training(settings),
        "every_n_epochs": -(-epochs // points) if epochs and points else None,
        "select": settings.study.gan_select if points else None,
    }
    again = [fit_number] if fit_number else []
    return of_plain(
        {
            "name": "_".join(["gan" if isinstance(model, GanSettings) else model.name, *made]),
            "seed": stream_seed("gan", settings.seed, settings.draw, *made, *again),
            "draw": settings.draw,
            "generate": {"count": 64, "seed": _of_its_set(settings, fit_number)},
            **kept,
        },
        SettledTrain,
    )


def _of_its_set(settings: SettledStudy, replicate: int) -> int:
    """Return the seed of the set in the folder of a fit; arms see that of a generator alone."""
    if isinstance(settings.model, GanSettings):
        return 0
    return sampling_seed(settings, "", replicate)


def sampling_seed(settings: SettledStudy, name: str, replicate: int) -> int:
    """Return the seed of the images of a class that a draw's arms add."""
    number = [replicate] if replicate else []
    # A generator has one seed for all classes, whose images are drawn at once.
    of_class = [name] if isinstance(settings.model, GanSettings) else []
    return stream_seed("latents", settings.seed, settings.draw, *of_class, *number)


def gan_key(gan: SettledTrain, splits: Splits) -> str:
    """Return what two GANs share only if they are the same: settings, draw and training images."""
    settings = gan.plain()
    quality = settings.pop("quality")
    del settings["callbacks"], settings["logger"]  # change no weight
    if quality["select"] is not None:  # which weights are taken
        keys = ("select", "every_n_epochs", *deciding(quality, quality["select"]))
        settings["quality"] = {key: reduce(getitem, key.split("."), quality) for key in keys}
    for name in _CHANGE_NO_PIXEL:
        settings["data"].pop(name, None)
    if isinstance(gan.model, GeneratorSettings):  # which is told neither
        del settings["trainer"], settings["data"]["batch_size"]
    needed = [name for name, count in gan.data.subset.items() if count]
    seen = sorted(splits.train.of_classes(needed).hashes.tolist())
    return sha256_of_json([settings, splits.fingerprint, seen])[:20]


def folder_of(settings: SettledStudy, gan: SettledTrain, splits: Splits) -> Path:
    """Return the folder of a GAN, which all jobs with the same one share."""
    return Path(settings.gans_dir).expanduser() / gan_key(gan, splits)


def is_there(study: SettledStudy, folder: Path, splits: Splits, wanted: Mapping[str, int]) -> bool:
    """Tell whether a GAN has been fitted, or a generator has made as many images as are wanted."""
    record = read_record(folder)
    finished = record is not None and record.finished
    return finished and (isinstance(study.model, GanSettings) or enough(folder, splits, wanted))


def find_or_fit(
    settings: SettledStudy, prepared: Prepared, class_name: str, replicate: int = 0
) -> GANFacts:
    """Return the draw's GAN that makes a class; fit it unless some job has, or go on with it.

    Of `study.gan_fits` it is the one whose checkpoint is best by `study.gan_select`; its seconds
    are those of all. Jobs that want the same GAN at once fit it once: the others wait. Another
    number of `replicate` is another GAN of the same settings and images.

    Raises:
        GanAugError: no images of the class, or its training failed.
    """
    fits = settings.study.gan_fits or 1
    fitted: list[tuple[GANFacts, float]] = []
    failed: list[Diverged] = []
    lost = 0.0
    for number in range(replicate * fits, (replicate + 1) * fits):
        started = time.monotonic()
        try:
            fitted.append(_one_gan(settings, prepared, class_name, number))
        except Diverged as error:  # not the one to take; a draw is not left out for it
            warn(str(error))
            failed.append(error)
            lost += time.monotonic() - started
    if not fitted:
        raise failed[0]
    best, _ = min(fitted, key=lambda one: one[1])
    seconds = round(lost + sum(gan.seconds for gan, _ in fitted), 3)
    reused = all(gan.reused for gan, _ in fitted)
    return best.model_copy(update={"seconds": seconds, "reused": reused})


def _one_gan(
    settings: SettledStudy, prepared: Prepared, class_name: str, fit_number: int
) -> tuple[GANFacts, float]:
    """Return a GAN and what its weights were chosen by: lower is better, 0 where they were not."""
    model, splits = settings.model, prepared.splits
    is_gan = isinstance(model, GanSettings)
    what = model.called if isinstance(model, GeneratorSettings) else "GAN"
    which = f", number {fit_number + 1}" if fit_number or settings.study.gan_fits else ""
    stage(f"{what} of {class_name}{which}")
    made = made_with(model, class_name, splits.classes.names)
    config = gan_config(settings, class_name, splits.train.counts(), fit_number)
    wanted = needed_in_set(settings, made, fit_number)
    folder = folder_of(settings, config, splits)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not (lock := _lease(folder)).acquire(wait=False):
        print(
            f"waiting for the {class_name} {what} that another job is fitting: {folder}", flush=True
        )
        lock.acquire()
    try:
        reused = is_there(settings, folder, splits, wanted)
        if not reused:
            print(f"fitting the {class_name} {what} of draw {settings.draw}: {folder}", flush=True)
            free = _MAY_DIFFER if is_gan else (*_MAY_DIFFER, *_NOT_TOLD)
            with Run(config, may_differ=free, folder=folder, anew=not is_gan) as run:
                run.record(data=splits.notes, synthetic=None)
                record_threads(run)
                if is_gan:
                    train(config, Prepared(splits, None), run, keep_chosen=True)
                else:
                    fit_generator(config, Prepared(splits, None), run, wanted)
        record = read_record(folder)
        remedy = f"remove {folder}, the {what} is then fitted again"
        if record is None:
            raise GanAugError(f"{folder / RECORD}: is missing; {remedy}")
        sha256, metrics = (_checked_gan if is_gan else _checked_set)(folder, remedy)
    finally:
        lock.release()
    try:
        facts = GANFacts(
            seconds=record.seconds,
            batches=metrics["batches"] if is_gan else None,
            diverged=metrics.get("diverged", False),
            chosen=metrics.get("best_batches"),
            checkpoint_sha256=sha256,
            reused=reused,
            folder=str(folder),
            sources=made[class_name],
        )
        return facts, 0.0 if facts.chosen is None else float(metrics["best_score"])
    except (KeyError, TypeError, ValueError) as error:
        reason = said(error)
        raise GanAugError(f"{folder}: its records are damaged ({reason}); {remedy}") from error


def _lease(folder: Path) -> Lock:
    """Return the lock of whoever fits what lies in a folder, or reads what another may rewrite."""
    return Lock(folder.with_suffix(".lease"), guards=folder)


def _checked_gan(folder: Path, remedy: str) -> tuple[str, Plain]:
    """Return the hash of a GAN's checkpoint, which its run must have ended with, and metrics."""
    metrics, checkpoint = read_json(folder / "metrics.json", remedy), checkpoint_of(folder)
    if not checkpoint.is_file():
        raise GanAugError(f"{checkpoint}: is missing; {remedy}")
    described = read_description(checkpoint, str(checkpoint))
    hashes = (described.checkpoint_sha256, described.weights_sha256)
    if (metrics.get("checkpoint_sha256"), sha256_of(checkpoint)) != hashes:
        raise GanAugError(f"{checkpoint}: is not the file that its run wrote; {remedy}")
    return described.checkpoint_sha256, metrics


def _checked_set(folder: Path, remedy: str) -> tuple[str, Plain]:
    """Return the hash that a generator's set is known by, and the results of its run."""
    metrics = read_json(folder / "metrics.json", remedy)
    manifest = Manifest.of(folder / SET, "synthetic set")
    if metrics.get("checkpoint_sha256") != manifest.checkpoint_sha256:
        raise GanAugError(f"{folder / SET}: is not the set that its run wrote; {remedy}")
    return manifest.checkpoint_sha256, metrics


def wanted_of(settings: SettledStudy, name: str, replicate: int) -> int:
    """Return the most images of a class, by the draw's GAN or a replicate, that any arm needs."""
    arms = settings.arms.values()
    return max(
        (source_of(arm).of_own_gans(arm).get((name, replicate), 0) for arm in arms), default=0
    )


def needed_in_set(settings: SettledStudy, names: Iterable[str], replicate: int) -> dict[str, int]:
    """Return how many images of each class a generator's set must hold; of a GAN none need be."""
    if isinstance(settings.model, GanSettings):
        return {}
    counts = {name: wanted_of(settings, name, replicate) for name in names}
    measured = settings.quality.count if settings.quality.use and not replicate else 0
    return {name: max(count, measured) for name, count in counts.items() if count}


def checkpoint_of(folder: str | Path) -> Path:
    """Return the file in a GAN's run folder that holds its generator, as it travels."""
    return Path(folder) / "checkpoints" / NAME


def made_by(
    settings: SettledStudy, fitted: GANFacts, name: str, count: int, seed: int, splits: Splits
) -> tuple[Generated, Plain, Callable[[Images], Tensor] | None]:
    """Return images of a class, the first of which do not depend on their number.

    Returns:
        Images; what a manifest says of their generator; its discriminator of the class, if any.
    """
    if isinstance(settings.model, GanSettings):
        checkpoint = checkpoint_of(fitted.folder)
        gan, origin, config = load_gan(checkpoint)
        made = images_of(gan, origin, name, count, seed, splits.train)
        head = manifest_head(origin, config, checkpoint, seed)
        return made, head, discriminator_of(gan, splits.classes.label(name))
    folder = Path(fitted.folder)
    with _lease(folder):  # another job may be adding images, and then writes the set anew
        kept = read_set(folder / SET, None, settings.data.image_size, splits, "gans_dir")
    of_set = {"format", "count", "image_size", "channels", "files", "sources"}
    return kept.by_class[name].first(count), kept.manifest.model_dump(exclude=of_set), None


def generated_classes(settings: SettledStudy) -> list[str]:
    """Return the classes that some arm adds GAN images of, of a GAN that knows the classes."""
    arms = settings.arms.values()
    made = {name for arm in arms for name, _ in source_of(arm).of_own_gans(arm)}
    return [name for name in settings.data.classes if name in made]


def held_out_of(settings: SettledStudy, splits: Splits, made: Collection[str]) -> HeldOut | None:
    """Cut the real images to measure generated ones of some classes with; None: none is measured.

    Raises:
        GanAugError: there are hardly any; better now than after the GANs are fitted.
    """
    if not settings.quality.use or not made:
        return None
    return cut_held_out(
        splits, settings.quality.count, made, validation=settings.study.gan_select is None
    )


def measure_gans(
    settings: SettledStudy, splits: Splits, held_out: HeldOut, gans: dict[str, GANFacts]
) -> Quality:
    """Measure what the GANs of a draw generate, beside unseen real images.

    The images are of the same latents as the draw's synthetic set, which is the first of them (an
    arm's filter comes after); their number is `quality.count`, or that of the unseen real ones.
    `gans` are those that make each class.
    """
    stage("quality of the images", unit="classes")
    evaluator = Evaluator(settings.quality, splits)
    classes: dict[str, ClassQuality] = {}
    for name, fitted in gans.items():
        update(len(classes), len(gans))
        seed, count = sampling_seed(settings, name, 0), settings.quality.count
        made, _, discriminator = made_by(settings, fitted, name, count, seed, splits)
        sources = source_images(made, splits.train)
        classes[name] = evaluator.against_baseline(
            {GENERATED: made.images}, name, held_out, discriminator, sources
        )
    return evaluator.quality(classes)
