"""What is to be measured or explained: a GAN's checkpoint or a set of images, and its draw."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gan_aug.data.external_set import ExternalSet, read_external
from gan_aug.data.held_out import FEWEST, HeldOut, cut_held_out
from gan_aug.data.image_table import ClassImages, ImageTable
from gan_aug.data.origin import DRAW_FILE, MANIFEST, ExportedDraw, Manifest, Origin
from gan_aug.data.prepare import cut, load, prepare
from gan_aug.data.settle import named, with_other_classes
from gan_aug.data.splits import Splits
from gan_aug.data.stored import data_of_file
from gan_aug.data.synthetic import read_set
from gan_aug.models.restore import SUFFIX, SavedGAN, chosen_by, load_gan, read_config
from gan_aug.models.synthesis import images_by_class
from gan_aug.runtime.arguments import typed_settings
from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.hardware import use_threads
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RESULT
from gan_aug.settings.commands import EvaluateSettings, GenerateSettings, SubjectSettings
from gan_aug.settings.data import DataSettings
from gan_aug.settings.values import Seen
from gan_aug.settings.whole import Whole

S = TypeVar("S", bound=SubjectSettings | GenerateSettings)
T = TypeVar("T", bound=Whole)


@dataclass(frozen=True)
class Subject:
    """Generated images by class, and what their generator saw."""

    generated: dict[str, ClassImages]
    splits: Splits
    saved: SavedGAN | None
    """The GAN that made them; None: of a set nothing else is known."""
    chosen: bool
    """Whether validation images may have chosen the generator's weights."""
    data: DataSettings
    """The settings that the draw was cut with."""
    external: ExternalSet | None = None
    """The set that the images are of, where gan_aug did not fit its generator."""

    def held_out(self, count: int, needed: Collection[str]) -> HeldOut:
        """Cut the real images to measure with; see `gan_aug.data.held_out.cut_held_out`."""
        return cut_held_out(self.splits, count, needed, validation=not self.chosen)


def with_subject(
    settings: SubjectSettings, kind: type[T], work: Callable[[T, Subject, Run], None]
) -> None:
    """Do a command's work on what its settings name, in a run folder of its own.

    The settings become of another `kind` once the data has settled them.

    Raises:
        GanAugError: see `with_data` and `load_subject`.
    """
    settings = with_data(settings, typed_settings())
    with Run(settings, anew=True) as run:  # the file may be another under the same name
        subject = load_subject(settings)
        settled = settings.changed(kind, named(subject.data, subject.splits))
        run.settled(settled)
        run.record(data=subject.splits.notes)
        use_threads(run)
        work(settled, subject, run)


def with_data(settings: S, typed: Collection[str]) -> S:
    """Fill in `data` from the checkpoint or the set's file; what the command line says of it wins.

    An external set whose generator did not see a draw may have no such file: all is typed then.
    `typed` is from `gan_aug.runtime.arguments.typed_settings`.

    Raises:
        GanAugError: no checkpoint, or no synthetic set, of gan_aug; or settings that its data set
            does not have.
    """
    if settings.checkpoint is not None:
        path = Path(settings.checkpoint).expanduser()
        file, own = f"checkpoint={settings.checkpoint}", path.suffix != SUFFIX
        where, stored = f"{file}: data", read_config(path)["data"]
    elif isinstance(settings, EvaluateSettings) and (of := settings.external).dir is not None:
        folder = Path(of.dir).expanduser()
        if of.seen != "draw" and not os.path.lexists(folder / DRAW_FILE):
            return settings
        file, own = f"external.dir={folder}", False
        where = f"{folder / DRAW_FILE}: data_settings"
        stored = ExportedDraw.of(folder, "external.dir").data_settings
    else:
        folder = _synthetic_folder(settings)
        file, own = f"synthetic.dir={folder}", False
        where = f"{folder / MANIFEST}: data_settings"
        stored = Manifest.of(folder, "synthetic.dir").data_settings
    data = data_of_file(stored, where, own, settings.plain()["data"], typed, file)
    return settings.changed(type(settings), {"data": data})


def load_subject(settings: SubjectSettings) -> Subject:
    """Load or generate the images, and cut the draw that the generator was fitted on.

    Raises:
        GanAugError: the data is not what the generator was fitted on, or there are too few images.
    """
    external = settings.external if isinstance(settings, EvaluateSettings) else None
    if external is not None and external.dir is not None:
        return _of_external(Path(external.dir), external.seen, settings)
    data, splits = settings.data, prepare(settings.data).splits
    # Training images of the classes that the GAN was not fitted on, where there are none.
    if (subset := with_other_classes(splits)) is not None:
        own = splits.train.counts()
        listed = ", ".join(f"{n} of {name}" for name, n in subset.items() if n != own[name])
        print(f"training images for the metrics that fit a classifier: {listed}")
        data = data.model_copy(update={"subset": subset})
        splits = prepare(data).splits
    count = settings.quality.count
    if settings.checkpoint is not None:
        saved = load_gan(Path(settings.checkpoint).expanduser())
        _check_draw(f"checkpoint={settings.checkpoint}", saved.origin, splits)
        made = images_by_class(saved.gan, saved.origin, count, settings.seed, splits.train)
        return Subject(made, splits, saved, chosen_by(saved.config) is not None, data)
    folder = _synthetic_folder(settings)
    kept = read_set(folder, splits, key="synthetic.dir")
    _check_draw(f"synthetic.dir={folder}", kept.manifest, splits)
    remedy = "generate more, or measure the checkpoint, which makes any number"
    generated = _enough(f"synthetic.dir={folder}", kept.by_class, count, remedy)
    return Subject(generated, splits, None, kept.manifest.chosen_by is not None, data)


def _enough(
    where: str, by_class: Mapping[str, ClassImages], count: int, remedy: str
) -> dict[str, ClassImages]:
    """Return the images to measure of each class that a set has; refuse too few."""
    there = {name: images for name, images in by_class.items() if len(images)}
    for name, images in there.items():
        if len(images) < FEWEST:
            raise GanAugError(
                f"{where}: has only {len(images)} {name} images, {FEWEST} are the fewest; {remedy}"
            )
        if len(images) < count:
            warn(f"quality.count={count}: {where} has only {len(images)} {name} images")
    return {name: images.first(count) for name, images in there.items()}


def _of_external(folder: Path, seen: Seen | None, settings: SubjectSettings) -> Subject:
    """Read an external set, and say what it is compared with."""
    assert seen is not None  # the settings are refused without it
    data = _with_a_draw(settings.data)
    splits = prepare(data).splits
    kept = read_external(folder, seen, splits, data, "external.dir")
    where, count = f"external.dir={folder}", settings.quality.count
    generated = _enough(where, kept.by_class, count, "bring more")
    train = f"the {len(splits.train)} training images of draw {splits.draw}"
    if seen == "unknown":
        warn(
            "external.seen=unknown: that the generator saw the real images which it is compared "
            f"with cannot be excluded; copies are looked for among {train} alone"
        )
    else:
        which = "which it saw" if seen == "draw" else "of which it saw none, as declared"
        print(f"external.seen={seen}: copies are looked for among {train}, {which}")
    for said in kept.warnings(RESULT):
        warn(said)
    return Subject(generated, splits, None, seen == "unknown", data, kept)


def _with_a_draw(data: DataSettings) -> DataSettings:
    """Return settings that name a draw, for a set that is of none: a third of the images."""
    data = data.model_copy(update={"draw": data.draw or 0})
    if data.subset is not None:
        return data
    counts = cut(data, load(data)).train.counts()
    subset = {name: max(1, n // 3) for name, n in counts.items()}
    listed = ", ".join(f"{name}: {n}" for name, n in subset.items())
    print(f"data.subset={{{listed}}}: a third of the training images, to look for copies among")
    return data.model_copy(update={"subset": subset})


def _synthetic_folder(settings: Whole) -> Path:
    assert isinstance(settings, EvaluateSettings)
    assert settings.synthetic.dir is not None
    return Path(settings.synthetic.dir).expanduser()


def training_images(
    settings: GenerateSettings, origin: Origin, typed: Collection[str]
) -> ImageTable | None:
    """Return the draw's training images, for a checkpoint's GAN that translates some of them.

    None for one that needs none: then no data is read.

    Raises:
        GanAugError: the data is not what the GAN was fitted on.
    """
    if not any(origin.makes.values()):
        return None
    splits = prepare(with_data(settings, typed).data).splits
    _check_draw(f"checkpoint={settings.checkpoint}", origin, splits)
    return splits.train


def _check_draw(where: str, origin: Origin, splits: Splits) -> None:
    if origin.data_fingerprint != splits.fingerprint:
        raise GanAugError(
            f"{where}: was fitted on data {origin.data_fingerprint}, data.root holds "
            f"{splits.fingerprint}; name the data set it was fitted on"
        )
    seen = {*origin.seen_hashes, *origin.source_hashes}
    if foreign := seen - set(splits.train.hashes.tolist()):
        raise GanAugError(
            f"{where}: its generator saw {len(foreign)} images that are not training images of its "
            "draw with these data settings; leave the data settings as they were"
        )
