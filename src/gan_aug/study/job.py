"""One draw, all arms: what `python -m gan_aug.study` does once the data is ready."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.table import Table

from gan_aug.arms.base import source_of
from gan_aug.arms.check import predicts
from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.pages.html import png_of, sheet
from gan_aug.report.metrics import MeasuredFit, measure_fit, titles_of
from gan_aug.report.predictions import hash_of, read_predictions, write_predictions
from gan_aug.report.records import (
    RESULT,
    ArmFacts,
    DrawResult,
    FitResult,
    Method,
    RulerFacts,
)
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import replace_file, sha256_of
from gan_aug.run.progress import stage
from gan_aug.run.quiet import quieten
from gan_aug.run.record import Run
from gan_aug.run.terminal import console
from gan_aug.settings.arms import SettledArm
from gan_aug.settings.class_facts import gan_facts
from gan_aug.settings.commands import SettledStudy
from gan_aug.settings.control import control_of
from gan_aug.settings.design import Endpoint, Question
from gan_aug.settings.draw import DrawSettings, draw_settings
from gan_aug.settings.gan_classes import classes_made
from gan_aug.settings.ruler import ARM, ruler_of
from gan_aug.settings.whole import of_plain
from gan_aug.study.batches import AddedImages, used
from gan_aug.study.declaration import declare
from gan_aug.study.events import DrawEvents
from gan_aug.study.fitting import arm_data, fit_arm, predict
from gan_aug.study.images import DrawImages
from gan_aug.study.preflight import check_first
from gan_aug.study.quality import generated_classes, held_out_of, measure_gans
from gan_aug.study.rules import check_rules
from gan_aug.study.shared_fits import SharedFits

GRID_SIDE = 8
"""Images along each side of a picture."""


def run_draw(settled: SettledStudy, prepared: Prepared, run: Run) -> None:
    """Fit every arm `study.repeats` times and write metrics.json, fits/ and grids/.

    Fits that an earlier attempt finished are kept; those that a job of another condition has done
    are taken from it.

    Raises:
        GanAugError: an arm cannot have the images it asks for, or a training failed.
    """
    quieten()
    cfg, splits = settled.tree, prepared.splits
    held_out = held_out_of(cfg, splits)
    images = DrawImages(cfg, prepared, run.folder)
    check_first(cfg, images)
    declare(settled)
    tables = {name: getattr(splits, name) for name in cfg.study.splits}
    shared = SharedFits(cfg, tables, splits.validation)
    settings = draw_settings(cfg)
    events = DrawEvents(run, settings, splits.classes)
    fits: list[FitResult] = []
    measured: dict[str, list[MeasuredFit]] = {name: [] for name in settings.arms}
    arms: dict[str, ArmFacts] = {}
    for name, arm in images.settings.arms.items():
        added = images.added(arm)
        arms[name] = ArmFacts(title=arm.title, source=arm.added.source, added=added.counts())
        for repeat in range(settings.study.repeats):
            fit_on = (images.real(arm), added)
            fit = _one_fit(cfg, name, arm, repeat, splits, tables, fit_on, run, shared)
            fits.append(fit)
            path = run.folder / "fits" / f"{fit.name}.npz"
            predictions = read_predictions(path, fit.predictions, "repeat the command")
            measured[name].append(measure_fit(predictions, splits.classes))
            events.write_fit(fit, measured[name][-1])
        run.record()
    _write_grids(run.folder / "grids", splits, images)
    study, quality = settings.study, None
    if held_out is not None:
        quality = measure_gans(cfg, splits, held_out, images.gans)
    result = DrawResult(
        headline={name: _mean(of, *_primary(settings)) for name, of in measured.items()},
        headline_of=_primary_title(settings, splits.classes),
        draw=settings.draw,
        folder=str(study.folder),
        condition=study.condition,
        question=Question(**vars(study.question)),
        comparisons=study.comparisons,
        endpoints=[Endpoint(**vars(one)) for one in study.endpoints],
        control=control_of(settings),
        repeats=study.repeats,
        method=_method(cfg),
        classes=list(splits.classes.names),
        positive=splits.classes.positive,
        splits={name: table.counts() for name, table in tables.items()},
        arms=arms,
        gans={
            name: gan.facts(_sources(cfg, name, splits.classes))
            for name, gan in (images.gans | images.other_gans).items()
        },
        ruler=_ruler(settled, splits),
        fits=fits,
        quality=quality,
        checks=[],
    )
    result = result.model_copy(update={"checks": check_rules(cfg, splits, result, run.folder)})
    path = run.folder / RESULT
    result.write(path)
    events.write_draw(result)
    run.record(metrics_sha256=sha256_of(path))
    _print_table(settings, measured, splits.classes)
    print(f"results     {path}")


def _ruler(settings: SettledStudy, splits: Splits) -> RulerFacts | None:
    found = ruler_of(settings, list(splits.classes))
    if found is None:
        return None
    sizes, varied = found
    own = splits.train.counts()[varied[0]]
    arms = {ARM.format(size): size for size in sizes}
    return RulerFacts(arms=arms, classes=varied, own=own)


def _method(cfg: DictConfig) -> Method:
    model = cfg.get("model")
    return Method(
        data=cfg.data.name,
        image_size=cfg.data.image_size,
        channels=cfg.data.channels,
        batch_size=cfg.data.batch_size,
        classifier=cfg.classifier.name,
        gan=None if model is None else model.name,
        gan_batch_size=None if model is None else model.get("batch_size") or cfg.data.batch_size,
        gan_select=cfg.study.get("gan_select"),
    )


def _sources(cfg: DictConfig, name: str, classes: Classes) -> list[str]:
    """Return the classes whose images a GAN translates into a class."""
    if name not in classes:
        return []
    of_one = name if gan_facts(cfg.model).fitted_on == "one" else None
    return list(classes_made(cfg.model, of_one, classes.names).get(name) or [])


def stages_of(cfg: DictConfig, splits: Splits) -> int:
    """Return in how many stages `run_draw` reports its progress: GANs, fits, quality."""
    arms = of_plain(cfg, SettledStudy).arms.values()
    own = {gan for arm in arms for gan in source_of(arm).of_own_gans(arm)}
    other = any(source_of(arm).fits_gan(arm) and arm.added.unlabelled for arm in arms)
    fits = len(cfg.arms) * int(cfg.study.repeats) + any(map(predicts, arms))
    measured = bool(cfg.quality.use and generated_classes(cfg, splits))
    return len(own) * int(cfg.study.gan_fits or 1) + other + fits + measured


def _one_fit(
    cfg: DictConfig,
    name: str,
    arm: SettledArm,
    repeat: int,
    splits: Splits,
    tables: dict[str, ImageTable],
    images: tuple[ImageTable, AddedImages],
    run: Run,
    shared: SharedFits,
) -> FitResult:
    stage(f"{name}, fit {repeat + 1} of {cfg.study.repeats}")
    path = run.folder / "fits" / f"{name}_{repeat}.json"
    if (found := _finished_fit(path, splits.fingerprint)) is not None:
        return found
    real, added = images
    key = shared.key(arm, repeat, real, added)
    if (found := shared.take(key, name, splits.fingerprint, path)) is not None:
        print(f"  {name} {repeat}: has been done before", flush=True)
        return found
    data = arm_data(cfg, arm, real, added, repeat, splits.validation, tables)
    fitted = fit_arm(cfg, arm, data, repeat)
    predictions = predict(fitted, data)
    write_predictions(path.with_suffix(".npz"), predictions)
    result = FitResult(
        arm=name,
        repeat=repeat,
        steps=fitted.steps,
        chosen=fitted.chosen,
        seconds=fitted.seconds,
        initial_weights=fitted.initial_weights,
        fingerprint=splits.fingerprint,
        git_commit=run.commit,
        curve=fitted.curve,
        used=used(data.shown, data.pool, splits.classes),
        predictions=hash_of(predictions),
    )
    result.write(path)
    shared.keep(key, path)
    settings, classes = draw_settings(cfg), splits.classes
    title = _primary_title(settings, classes)
    value = measure_fit(predictions, classes).value(*_primary(settings))
    print(f"  {name} {repeat}: {title} {value:.4f}, {fitted.seconds:.1f} s", flush=True)
    return result


def _finished_fit(path: Path, fingerprint: str) -> FitResult | None:
    """Return a fit that an earlier attempt finished; None where there is none, or a damaged one.

    Raises:
        GanAugError: it is of other data.
    """
    arrays = path.with_suffix(".npz")
    if not path.exists():  # the JSON is written last, so the arrays beside it are whole
        return None
    try:
        found = FitResult.read(path, "fitting again")
        read_predictions(arrays, found.predictions, "fitting again")
    except GanAugError as error:
        warn(str(error))
        return None
    if found.fingerprint != fingerprint:
        raise GanAugError(
            f"{path}: was fitted on other data (fingerprint {found.fingerprint}) than there "
            f"is now ({fingerprint}); remove {path.parents[1]} to run this draw again"
        )
    return found


def _mean(fits: list[MeasuredFit], split: str, metric: str) -> float:
    return float(np.mean([fit.value(split, metric) for fit in fits]))


def _primary(settings: DrawSettings) -> tuple[str, str]:
    first = settings.study.endpoints[0]
    return first.split, first.name


def _primary_title(settings: DrawSettings, classes: Classes) -> str:
    split, metric = _primary(settings)
    return f"{split} {titles_of(classes)[metric]}"


def _print_table(
    settings: DrawSettings, measured: dict[str, list[MeasuredFit]], classes: Classes
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
    for name in splits.classes:
        if name in images.gans:
            real = np.asarray(splits.train.of_class(name).images[: GRID_SIDE**2])
            _write_grid(folder / f"real_{name}.png", real)
            _write_grid(folder / f"synthetic_{name}.png", images.made(name).images)


def _write_grid(path: Path, images: NDArray[np.uint8]) -> None:
    png = png_of(sheet(images[: GRID_SIDE**2], GRID_SIDE))
    replace_file(path, lambda p: p.write_bytes(png))
