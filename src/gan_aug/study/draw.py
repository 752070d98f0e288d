"""One draw, all arms: what `python -m gan_aug.study` does once the data is ready."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from gan_aug.arms.base import source_of
from gan_aug.arms.check import predicts
from gan_aug.data.classes import Classes
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.pages.html import png_of, sheet
from gan_aug.report.metrics import MeasuredFit, titles_of
from gan_aug.report.records import RESULT, ArmFacts, DrawResult, FitResult, Method, RulerFacts
from gan_aug.run.files import replace_file, sha256_of
from gan_aug.run.record import Run
from gan_aug.run.terminal import console, quieten
from gan_aug.settings.ruler import ARM, ruler_of
from gan_aug.settings.study import SettledStudy
from gan_aug.study.declaration import declare
from gan_aug.study.events import DrawEvents
from gan_aug.study.fits import DrawFits
from gan_aug.study.images import DrawImages
from gan_aug.study.preflight import check_first
from gan_aug.study.quality import generated_classes, held_out_of, measure_gans
from gan_aug.study.rules import check_rules, control_of

GRID_SIDE = 8
"""Images along each side of a picture."""


def run_draw(settings: SettledStudy, prepared: Prepared, run: Run) -> None:
    """Fit every arm `study.repeats` times and write metrics.json, fits/ and grids/.

    What an earlier attempt or another job of the study has done is taken from it.

    Raises:
        GanAugError: an arm cannot have the images it asks for, or a training failed.
    """
    quieten()
    study, splits = settings.study, prepared.splits
    held_out = held_out_of(settings, splits)
    images = DrawImages(settings, prepared, run.folder)
    check_first(settings, images)
    declare(settings)

    fits = DrawFits(settings, splits, run)
    events = DrawEvents(run, settings, splits.classes)
    arms: dict[str, ArmFacts] = {}
    results: list[FitResult] = []
    measured: dict[str, list[MeasuredFit]] = {name: [] for name in settings.arms}
    for name, arm in settings.arms.items():
        real, added = images.real(arm), images.added(arm)
        arms[name] = ArmFacts(title=arm.title, source=arm.added.source, added=added.counts())
        for repeat in range(study.repeats):
            fit, numbers = fits.find_or_fit(name, repeat, real, added)
            events.write_fit(fit, numbers)
            results.append(fit)
            measured[name].append(numbers)
        run.record()

    _write_grids(run.folder / "grids", splits, images)
    quality = None
    if held_out is not None:
        quality = measure_gans(settings, splits, held_out, images.gans)
    first = study.endpoints[0]
    result = DrawResult(
        headline={arm: _mean(of_arm, first.split, first.name) for arm, of_arm in measured.items()},
        headline_of=f"{first.split} {titles_of(splits.classes)[first.name]}",
        draw=settings.draw,
        folder=study.folder,
        condition=study.condition,
        question=study.question,
        comparisons=study.comparisons,
        endpoints=study.endpoints,
        control=control_of(settings),
        repeats=study.repeats,
        method=_method(settings),
        classes=list(splits.classes.names),
        positive=splits.classes.positive,
        splits={name: getattr(splits, name).counts() for name in study.splits},
        arms=arms,
        gans={name: gan.facts for name, gan in (images.gans | images.other_gans).items()},
        ruler=_ruler(settings, splits),
        fits=results,
        quality=quality,
        checks=[],
    )
    checks = check_rules(settings, splits, result, run.folder)
    result = result.model_copy(update={"checks": checks})
    path = run.folder / RESULT
    result.write(path)
    events.write_draw(result)
    run.record(metrics_sha256=sha256_of(path))
    _print_table(settings, measured, splits.classes)
    print(f"results     {path}")


def stages_of(settings: SettledStudy) -> int:
    """Return in how many stages `run_draw` reports its progress: GANs, fits, quality."""
    arms, study = settings.arms.values(), settings.study
    own = {gan for arm in arms for gan in source_of(arm).of_own_gans(arm)}
    other = any(
        source_of(arm).fits_gan(arm) and not source_of(arm).of_own_gans(arm) for arm in arms
    )
    fits = len(arms) * study.repeats + any(map(predicts, arms))
    measured = bool(settings.quality.use and generated_classes(settings))
    return len(own) * (study.gan_fits or 1) + other + fits + measured


def _method(settings: SettledStudy) -> Method:
    return Method(
        data=settings.data.name,
        image_size=settings.data.image_size,
        channels=settings.data.channels,
        batch_size=settings.data.batch_size,
        classifier=settings.classifier.name,
        gan=settings.model.name,
        gan_batch_size=settings.model.batch_size,
        gan_select=settings.study.gan_select,
    )


def _ruler(settings: SettledStudy, splits: Splits) -> RulerFacts | None:
    ruler = ruler_of(settings, list(splits.classes))
    if ruler is None:
        return None
    sizes, varied = ruler
    own = splits.train.counts()[varied[0]]
    return RulerFacts(arms={ARM.format(size): size for size in sizes}, classes=varied, own=own)


def _mean(fits: list[MeasuredFit], split: str, metric: str) -> float:
    return float(np.mean([fit.value(split, metric) for fit in fits]))


def _print_table(
    settings: SettledStudy, measured: dict[str, list[MeasuredFit]], classes: Classes
) -> None:
    split, repeats = settings.study.primary, settings.study.repeats
    decided = decisions(classes)[0].replace("_", " ")
    table = Table(title=f"draw {settings.draw}, {split} images, {decided}, mean of {repeats}")
    # The first are accuracy and what it is made of, then AUROC.
    shown = metric_names(classes)[:-2]
    for title in ("arm", *shown):
        table.add_column(title)
    for arm, fits in measured.items():
        table.add_row(arm, *(f"{_mean(fits, split, name):.4f}" for name in shown))
    console().print(table)


def _write_grids(folder: Path, splits: Splits, images: DrawImages) -> None:
    """Draw the first real and the first generated images of each class that has a GAN."""
    for name in (name for name in splits.classes if name in images.gans):
        real = splits.train.of_class(name).images
        for kind, shown in (("real", real), ("synthetic", images.made(name).images)):
            png = png_of(sheet(np.asarray(shown[: GRID_SIDE**2]), GRID_SIDE))
            replace_file(folder / f"{kind}_{name}.png", partial(Path.write_bytes, data=png))
