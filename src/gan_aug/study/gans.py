"""The GANs of a draw, found or fitted, and what they make.

A generator of the user's own may stand where a GAN does. A GAN leaves a checkpoint, from which any
number of images is made; a generator leaves a set of images alone.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import reduce
from itertools import chain
from operator import getitem
from pathlib import Path
from typing import ClassVar, Self

from torch import Tensor

from gan_aug.arms.base import own_gans
from gan_aug.data.batches import epochs_of
from gan_aug.data.image_table import ClassImages, Images
from gan_aug.data.origin import Manifest
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import read_set
from gan_aug.evaluation.evaluator import discriminator_of
from gan_aug.models.restore import NAME, load_gan, read_description
from gan_aug.models.synthesis import images_of, manifest_head
from gan_aug.report.records import GANFacts
from gan_aug.runtime.errors import Diverged, GanAugError, said, warn
from gan_aug.runtime.files import read_json, sha256_of, sha256_of_json
from gan_aug.runtime.hardware import record_threads
from gan_aug.runtime.lock import Lock
from gan_aug.runtime.progress import stage
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RECORD, RESULT, read_record
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.alike import CHANGE_NO_GAN, deciding
from gan_aug.settings.base import Plain
from gan_aug.settings.class_facts import gan_facts, made_with
from gan_aug.settings.commands import SettledTrain
from gan_aug.settings.models import GanSettings
from gan_aug.settings.study import SettledStudy
from gan_aug.settings.whole import of_plain
from gan_aug.training.generator import SET, enough, fit_generator
from gan_aug.training.run import train

Made = tuple[ClassImages, Plain, Callable[[Images], Tensor] | None]
"""Images; what a manifest says of their generator; its discriminator of their class, if any."""


def used_in_training(settings: SettledStudy) -> list[str]:
    """Return the metrics of a study that its GANs' curves show."""
    return [name for name in settings.quality.use if settings.quality.metrics[name].cheap]


def sampling_seed(settings: SettledStudy, name: str, replicate: int) -> int:
    """Return the seed of the images of a class that a draw's arms add."""
    number = [replicate] if replicate else []
    # A generator has one seed for all classes, whose images are drawn at once.
    of_class = [name] if isinstance(settings.model, GanSettings) else []
    return stream_seed("latents", settings.seed, settings.draw, *of_class, *number)


class GANFit(ABC):
    """A fit of what makes the images of a class, a GAN or a generator; all studies share its run.

    Attributes:
        made: the classes that it makes, each with those that it translates.
        config: of `gan_aug.train`, which fits it; of several classes it is the same for each.
        folder: of its run; two have the same one only if settings, draw and images are the same.
        facts: what a report says of it, once it has been fitted.
        score: what its weights were chosen by; lower is better, 0 where they were not chosen.
    """

    untold: ClassVar[tuple[str, ...]] = ()
    """Settings of its run that what is fitted is not told."""
    facts: GANFacts
    score: float

    def __init__(self, settings: SettledStudy, splits: Splits, name: str, number: int) -> None:
        """`number` says which of several GANs of the same settings and images it is."""
        self.settings, self.splits, self.name, self.number = settings, splits, name, number
        self.made = made_with(settings.model, name, splits.classes.names)
        self.config = self._config()
        self.folder = Path(settings.gans_dir).expanduser() / self._key()

    def _config(self) -> SettledTrain:
        settings, model, number = self.settings, self.settings.model, self.number
        counts = self.splits.train.counts()
        needed = {*self.made, *chain(*self.made.values())}
        config = settings.plain()
        kept = {key: config[key] for key in ("data", "model", "trainer", "callbacks", "logger")}
        kept["data"] |= {
            "train_class": self.name if gan_facts(model).fitted_on == "one" else None,
            "subset": {name: n if name in needed else 0 for name, n in counts.items()},
            "external": None,  # no GAN has to do with them
        }
        # Arms see the set in the run's folder of a generator alone.
        title, epochs, points, seed = model.name, None, None, sampling_seed(settings, "", number)
        if isinstance(model, GanSettings):
            kept["data"]["batch_size"] = model.batch_size
            n_images = sum(counts[name] for name in self.made)
            epochs = epochs_of(settings.study.gan_batches or 0, n_images, model.batch_size)
            points = settings.study.gan_curve_points if settings.quality.use else None
            title, seed = "gan", 0
        kept["trainer"]["max_epochs"] = epochs
        kept["trainer"].pop("threads", None)  # the draw's; the GAN's record has their number
        kept["quality"] = config["quality"] | {
            "use": used_in_training(settings),
            "every_n_epochs": -(-epochs // points) if epochs and points else None,
            "select": settings.study.gan_select if points else None,
        }
        again = [number] if number else []
        return of_plain(
            {
                "name": "_".join([title, *self.made]),
                "seed": stream_seed("gan", settings.seed, settings.draw, *self.made, *again),
                "draw": settings.draw,
                "generate": {"count": 64, "seed": seed},
                **kept,
            },
            SettledTrain,
        )

    def _key(self) -> str:
        plain = self.config.plain()
        quality = plain["quality"]
        for key in (*CHANGE_NO_GAN, *self.untold):
            *group, name = key.split(".")
            reduce(getitem, group, plain).pop(name, None)
        if quality["select"] is not None:  # which weights are taken
            keys = ("select", "every_n_epochs", *deciding(quality, quality["select"]))
            plain["quality"] = {key: reduce(getitem, key.split("."), quality) for key in keys}
        needed = [name for name, count in self.config.data.subset.items() if count]
        seen = sorted(self.splits.train.of_classes(needed).hashes.tolist())
        return sha256_of_json([plain, self.splits.fingerprint, seen])[:20]

    def is_there(self) -> bool:
        """Tell whether some job has fitted it."""
        record = read_record(self.folder)
        return record is not None and record.finished

    def fit_once(self) -> Self:
        """Have it fitted, with `facts` and `score`; jobs that want it at once fit it once.

        Raises:
            GanAugError: no images of the class, its training failed, or its files are damaged.
        """
        settings, folder, name = self.settings, self.folder, self.name
        what = settings.model.called
        which = f", number {self.number + 1}" if self.number or settings.study.gan_fits else ""
        stage(f"{what} of {name}{which}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not (lock := self._lease()).acquire(wait=False):
            print(
                f"waiting for the {name} {what} that another job is fitting: {folder}", flush=True
            )
            lock.acquire()
        try:
            if not (reused := self.is_there()):
                print(f"fitting the {name} {what} of draw {settings.draw}: {folder}", flush=True)
                free = (*CHANGE_NO_GAN, *self.untold)
                with Run(self.config, may_differ=free, folder=folder, anew=True) as run:
                    run.record(data=self.splits.notes, synthetic=None)
                    record_threads(run)
                    self._fit(run)
            remedy = f"remove {folder}, the {what} is then fitted again"
            if (record := read_record(folder)) is None:
                raise GanAugError(f"{folder / RECORD}: is missing; {remedy}")
            metrics = read_json(folder / RESULT, remedy)
            sha256 = self._checked(metrics, remedy)
        finally:
            lock.release()
        try:
            self.facts = GANFacts(
                seconds=record.seconds,
                batches=metrics["batches"] if isinstance(settings.model, GanSettings) else None,
                diverged=metrics.get("diverged", False),
                chosen=metrics.get("best_batches"),
                checkpoint_sha256=sha256,
                reused=reused,
                folder=str(folder),
                sources=self.made[name],
            )
            self.score = 0.0 if self.facts.chosen is None else float(metrics["best_score"])
        except (KeyError, TypeError, ValueError) as error:
            reason = said(error)
            raise GanAugError(f"{folder}: its records are damaged ({reason}); {remedy}") from error
        return self

    def _lease(self) -> Lock:
        """Return the lock of whoever fits it, or reads what another may write anew."""
        return Lock(self.folder.with_suffix(".lease"), guards=self.folder)

    @abstractmethod
    def _fit(self, run: Run) -> None:
        """Fit it in its run folder."""

    @abstractmethod
    def _checked(self, metrics: Plain, remedy: str) -> str:
        """Return the hash that it is known by; `metrics` are those that its run ended with."""

    @abstractmethod
    def images(self, count: int, seed: int) -> Made:
        """Return images of the class, the first of which do not depend on their number."""


class _OfGAN(GANFit):
    """Its run leaves a checkpoint."""

    @property
    def _checkpoint(self) -> Path:
        """The file that holds the generator, as it travels."""
        return self.folder / "checkpoints" / NAME

    def _fit(self, run: Run) -> None:
        train(self.config, Prepared(self.splits), run, keep_chosen=True)

    def _checked(self, metrics: Plain, remedy: str) -> str:
        checkpoint = self._checkpoint
        if not checkpoint.is_file():
            raise GanAugError(f"{checkpoint}: is missing; {remedy}")
        described = read_description(checkpoint, str(checkpoint))
        hashes = (described.checkpoint_sha256, described.weights_sha256)
        if (metrics.get("checkpoint_sha256"), sha256_of(checkpoint)) != hashes:
            raise GanAugError(f"{checkpoint}: is not the file that its run wrote; {remedy}")
        return described.checkpoint_sha256

    def images(self, count: int, seed: int) -> Made:
        saved, splits = load_gan(self._checkpoint), self.splits
        made = images_of(saved.gan, saved.origin, self.name, count, seed, splits.train)
        head = manifest_head(saved.origin, saved.config, saved.checkpoint_sha256, seed)
        return made, head, discriminator_of(saved.gan, splits.classes.label(self.name))


class _OfGenerator(GANFit):
    """Its run leaves the images that it made, as many as have been asked for."""

    untold = ("trainer", "data.batch_size")

    @property
    def _wanted(self) -> dict[str, int]:
        """How many images of each class arms and metrics need."""
        wanted, quality = own_gans(self.settings.arms), self.settings.quality
        measured = quality.count if quality.use and not self.number else 0
        counts = {name: wanted.get((name, self.number), 0) for name in self.made}
        return {name: max(count, measured) for name, count in counts.items() if count}

    def is_there(self) -> bool:
        return super().is_there() and enough(self.folder, self.splits, self._wanted)

    def _fit(self, run: Run) -> None:
        fit_generator(self.config, Prepared(self.splits), run, self._wanted)

    def _checked(self, metrics: Plain, remedy: str) -> str:
        manifest = Manifest.of(self.folder / SET, "synthetic set")
        if metrics.get("checkpoint_sha256") != manifest.checkpoint_sha256:
            raise GanAugError(f"{self.folder / SET}: is not the set that its run wrote; {remedy}")
        return manifest.checkpoint_sha256

    def images(self, count: int, seed: int) -> Made:
        with self._lease():  # another job may be adding images, and then writes the set anew
            kept = read_set(self.folder / SET, self.splits, key="gans_dir")
        of_set = {"format", "count", "image_size", "channels", "files", "sources"}
        head = kept.manifest.model_dump(exclude=of_set)
        return kept.by_class[self.name].first(count), head, None


def fit_of(settings: SettledStudy, splits: Splits, name: str, number: int = 0) -> GANFit:
    """Return a fit of what makes the images of a class, to be found or done."""
    kind = _OfGAN if isinstance(settings.model, GanSettings) else _OfGenerator
    return kind(settings, splits, name, number)


def find_or_fit(settings: SettledStudy, splits: Splits, name: str, replicate: int = 0) -> GANFit:
    """Return the draw's GAN that makes a class; fit it unless some job has, or go on with it.

    Of `study.gan_fits` it is the one whose checkpoint is best by `study.gan_select`; its seconds
    are those of all. Another number of `replicate` is another GAN of the same settings and images.

    Raises:
        GanAugError: no images of the class, or its training failed.
    """
    fits = settings.study.gan_fits or 1
    fitted: list[GANFit] = []
    failed: list[Diverged] = []
    lost = 0.0
    for number in range(replicate * fits, (replicate + 1) * fits):
        started = time.monotonic()
        try:
            fitted.append(fit_of(settings, splits, name, number).fit_once())
        except Diverged as error:  # not the one to take; a draw is not left out for it
            warn(str(error))
            failed.append(error)
            lost += time.monotonic() - started
    if not fitted:
        raise failed[0]
    best = min(fitted, key=lambda one: one.score)
    of_all = [one.facts for one in fitted]
    seconds = round(lost + sum(facts.seconds for facts in of_all), 3)
    reused = all(facts.reused for facts in of_all)
    best.facts = best.facts.model_copy(update={"seconds": seconds, "reused": reused})
    return best
