"""One draw, all arms: what `python -m gan_aug.study` does once the data is ready."""

from __future__ import annotations

import io
from dataclasses import replace
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
from gan_aug.report.draw_result import (
    ArmFacts,
    DrawResult,
    FitResult,
    RulerFacts,
    read_fit,
    write_fit,
    write_result,
)
from gan_aug.report.results import titles_of, value_of
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import replace_file, sha256_of
from gan_aug.run.progress import stage
from gan_aug.run.quiet import quieten
from gan_aug.run.record import Run
from gan_aug.run.terminal import console
from gan_aug.settings.arms import SettledArm
from gan_aug.settings.commands import SettledStudy
from gan_aug.settings.draw import DrawSettings, draw_settings
from gan_aug.settings.ruler import ARM, ruler_of
from gan_aug.settings.whole import of_plain
from gan_aug.study.batches import AddedImages, used
from gan_aug.study.declaration import declare
from gan_aug.study.events import DrawEvents
from gan_aug.study.fitting import arm_data, fit_arm, measure
from gan_aug.study.images import DrawImages
from gan_aug.study.preflight import check_first
from gan_aug.study.quality import generated_classes, held_out_of, measure_gans
from gan_aug.study.rules import check_rules
from gan_aug.study.shared_fits import SharedFits

GRID_SIDE = 8
"""Images along each side of a picture."""


def run_draw(cfg: DictConfig, prepared: Prepared, run: Run) -> None:
    """Fit every arm `study.repeats` times and write metrics.json, fits/ and grids/.

    Fits that an earlier attempt finished are kept; those that a job of another condition has done
    are taken from it.

    Raises:
        GanAugError: an arm cannot have the images it asks for, or a training failed.
    """
    quieten()
    splits = prepared.splits
    held_out = held_out_of(cfg, splits)
    images = DrawImages(cfg, prepared, run.folder)
    check_first(cfg, images)
    declare(cfg)
    tables = {name: getattr(splits, name) for name in cfg.study.splits}
    shared = SharedFits(cfg, tables, splits.validation)
    settings = draw_settings(cfg)
    events = DrawEvents(run, settings, splits.classes)
    fits: list[FitResult] = []
    arms: dict[str, ArmFacts] = {}
    for name, arm in images.settings.arms.items():
        added = images.added(arm)
        arms[name] = ArmFacts(arm.title, added.counts())
        for repeat in range(settings.study.repeats):
            fit_on = (images.real(arm), added)
            fits.append(_one_fit(cfg, name, arm, repeat, splits, tables, fit_on, run, shared))
            events.write_fit(fits[-1])
        run.record()
    _write_grids(run.folder / "grids", splits, images)
    study, quality = settings.study, None
    if held_out is not None:
        quality = measure_gans(cfg, splits, held_out, images.gans)
    result = DrawResult(
        headline=_headline(settings, fits, splits.classes),
        headline_of=_primary_title(settings, splits.classes),
        draw=settings.draw,
        condition=study.condition,
        question=study.question,
        comparisons=study.comparisons,
        primary=study.primary,
        classes=list(splits.classes.names),
        positive=splits.classes.positive,
        splits={name: table.counts() for name, table in tables.items()},
        arms=arms,
        gans={name: gan.facts() for name, gan in (images.gans | images.other_gans).items()},
        ruler=_ruler(cfg, splits),
        fits=fits,
        quality=quality,
        checks=[],
    )
    result = replace(result, checks=check_rules(cfg, splits, result, run.folder))
    path = run.folder / "metrics.json"
    write_result(path, result)
    events.write_draw(result)
    run.record(metrics_sha256=sha256_of(path))
    _print_table(settings, result, splits.classes)
    print(f"results     {path}")


def _ruler(cfg: DictConfig, splits: Splits) -> RulerFacts | None:
    found = ruler_of(cfg, list(splits.classes))
    if found is None:
        return None
    sizes, varied = found
    own = splits.train.counts()[varied[0]]
    return RulerFacts({ARM.format(size): size for size in sizes}, varied, own)


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
    outcome = measure(fitted, data)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **outcome.arrays)  # type: ignore[arg-type]
    replace_file(path.with_suffix(".npz"), lambda p: p.write_bytes(buffer.getvalue()))
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
        threshold=outcome.measured.threshold,
        others=dict(outcome.measured.splits),
        last=outcome.last,
        npz_sha256=sha256_of(path.with_suffix(".npz")),
    )
    write_fit(path, result)
    shared.keep(key, path)
    settings, classes = draw_settings(cfg), splits.classes
    title, value = _primary_title(settings, classes), _primary(settings, result, classes)
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
        found = read_fit(path, "fitting again")
        if found.npz_sha256 != (sha256_of(arrays) if arrays.is_file() else None):
            raise GanAugError(f"{arrays}: is not the file that the fit wrote; fitting again")
    except GanAugError as error:
        warn(str(error))
        return None
    if found.fingerprint != fingerprint:
        raise GanAugError(
            f"{path}: was fitted on other data (fingerprint {found.fingerprint}) than there "
            f"is now ({fingerprint}); remove {path.parents[1]} to run this draw again"
        )
    return found


def _mean(fits: list[FitResult], arm: str, split: str, how: str, metric: str) -> float:
    return float(np.mean([fit.on(split)[how][metric] for fit in fits if fit.arm == arm]))


def _headline(settings: DrawSettings, fits: list[FitResult], classes: Classes) -> dict[str, float]:
    """Return each arm's mean of the primary endpoint, for the multirun's table."""
    values: dict[str, list[float]] = {arm: [] for arm in settings.arms}
    for fit in fits:
        values[fit.arm].append(_primary(settings, fit, classes))
    return {arm: float(np.mean(of_arm)) for arm, of_arm in values.items()}


def _primary(settings: DrawSettings, fit: FitResult, classes: Classes) -> float:
    first = settings.study.endpoints[0]
    return value_of(fit, first.split, first.name, classes)


def _primary_title(settings: DrawSettings, classes: Classes) -> str:
    first = settings.study.endpoints[0]
    return f"{first.split} {titles_of(classes)[first.name]}"


def _print_table(settings: DrawSettings, result: DrawResult, classes: Classes) -> None:
    split, how = result.primary, decisions(classes)[0]
    decided, repeats = how.replace("_", " "), settings.study.repeats
    table = Table(title=f"draw {result.draw}, {split} images, {decided}, mean of {repeats}")
    # The first are accuracy and what it is made of, then AUROC.
    shown = metric_names(classes)[:-2]
    for title in ("arm", *shown):
        table.add_column(title)
    for arm in result.arms:
        values = (_mean(result.fits, arm, split, how, name) for name in shown)
        table.add_row(arm, *(f"{value:.4f}" for value in values))
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
