"""One draw, all arms: what `python -m gan_aug.study` does once the data is ready."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.pages.html import png_of, sheet
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import read_json, replace_file, sha256_of, write_json
from gan_aug.run.quiet import quieten
from gan_aug.run.record import Run
from gan_aug.study.added import AddedByArm
from gan_aug.study.batches import AddedImages
from gan_aug.study.events import DrawEvents
from gan_aug.study.fitting import fit_arm, measure
from gan_aug.study.preflight import check_first
from gan_aug.study.quality import held_out_of, measure_gans
from gan_aug.study.rules import check_rules

GRID_SIDE = 8
"""Images along each side of a picture."""


def run_draw(cfg: DictConfig, prepared: Prepared, run: Run) -> None:
    """Fit every arm `study.repeats` times and write metrics.json, fits/ and grids/.

    Fits that an earlier attempt finished are kept.

    Raises:
        GanAugError: an arm cannot have the images it asks for, or a training failed.
    """
    quieten()
    splits = prepared.splits
    held_out = held_out_of(cfg, splits)
    added_by_arm = AddedByArm(cfg, prepared, run.folder)
    check_first(cfg, added_by_arm)
    tables = {name: getattr(splits, name) for name in cfg.study.splits}
    events = DrawEvents(run, splits.classes)
    fits: list[dict[str, Any]] = []
    counts: dict[str, dict[str, int]] = {}
    for name, arm in cfg.arms.items():
        added = added_by_arm.of(arm)
        counts[str(name)] = added.counts()
        for repeat in range(cfg.study.repeats):
            fits.append(_one_fit(cfg, str(name), repeat, splits, tables, added, run))
            events.write_fit(str(name), repeat)
        run.record()
    _write_grids(run.folder / "grids", splits, added_by_arm)
    metrics = {
        "headline": _headline(cfg, fits, splits.classes),
        "draw": cfg.draw,
        "condition": OmegaConf.to_container(cfg.study.condition, resolve=True),
        "question": OmegaConf.to_container(cfg.study.question, resolve=True),
        "comparisons": OmegaConf.to_container(cfg.study.comparisons, resolve=True),
        "primary": cfg.study.primary,
        "classes": list(splits.classes.names),
        "positive": splits.classes.positive,
        "splits": {name: table.counts() for name, table in tables.items()},
        "arms": {
            str(name): {"title": arm.title, "added": counts[str(name)]}
            for name, arm in cfg.arms.items()
        },
        "gans": {
            name: {
                "seconds": gan.seconds,
                "batches": gan.batches,
                "checkpoint_sha256": gan.sha256,
                "reused": gan.reused,
                "folder": str(gan.folder),
            }
            for name, gan in added_by_arm.gans.items()
        },
        "fits": fits,
    }
    if held_out is not None:
        metrics["quality"] = measure_gans(cfg, splits, held_out, added_by_arm.gans)
    metrics["checks"] = check_rules(cfg, splits, metrics, run.folder)
    write_json(run.folder / "metrics.json", metrics)
    events.write_draw()
    run.record(metrics_sha256=sha256_of(run.folder / "metrics.json"))
    _print_table(cfg, metrics, splits.classes)
    print(f"results     {run.folder / 'metrics.json'}")


def _one_fit(
    cfg: DictConfig,
    name: str,
    repeat: int,
    splits: Splits,
    tables: dict[str, ImageTable],
    added: AddedImages,
    run: Run,
) -> dict[str, Any]:
    path = run.folder / "fits" / f"{name}_{repeat}.json"
    if (found := _finished_fit(path, splits.fingerprint)) is not None:
        return found
    fitted = fit_arm(cfg, cfg.arms[name], splits.train, splits.validation, added, repeat)
    metrics, arrays = measure(fitted, tables)
    result = {
        "arm": name,
        "repeat": repeat,
        "steps": fitted.steps,
        "seconds": fitted.seconds,
        "initial_weights": fitted.initial_weights,
        "fingerprint": splits.fingerprint,
        "git_commit": run.commit,
        "curve": fitted.curve,
        "used": fitted.used,
        **metrics,
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    replace_file(path.with_suffix(".npz"), lambda p: p.write_bytes(buffer.getvalue()))
    result["npz_sha256"] = sha256_of(path.with_suffix(".npz"))
    write_json(path, result)
    usual = metrics[cfg.study.primary][decisions(splits.classes)[0]]
    print(
        f"  {name} {repeat}: {cfg.study.primary} accuracy {usual['accuracy']:.4f}, "
        f"{fitted.seconds:.1f} s",
        flush=True,
    )
    return result


def _finished_fit(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return a fit that an earlier attempt finished; None where there is none, or a damaged one.

    Raises:
        GanAugError: it is of other data.
    """
    arrays = path.with_suffix(".npz")
    if not path.exists():  # the JSON is written last, so the arrays beside it are whole
        return None
    try:
        found = read_json(path, "fitting again")
        if found.get("npz_sha256") != (sha256_of(arrays) if arrays.is_file() else None):
            raise GanAugError(f"{arrays}: is not the file that the fit wrote; fitting again")
    except GanAugError as error:
        warn(str(error))
        return None
    if found["fingerprint"] != fingerprint:
        raise GanAugError(
            f"{path}: was fitted on other data (fingerprint {found['fingerprint']}) than there "
            f"is now ({fingerprint}); remove {path.parents[1]} to run this draw again"
        )
    return found


def _mean(fits: list[dict[str, Any]], arm: str, split: str, how: str, metric: str) -> float:
    return float(np.mean([f[split][how][metric] for f in fits if f["arm"] == arm]))


def _headline(cfg: DictConfig, fits: list[dict[str, Any]], classes: Classes) -> dict[str, float]:
    """Return an arm's mean accuracy each, for the multirun's table."""
    split, how = cfg.study.primary, decisions(classes)[0]
    return {f"{arm}": _mean(fits, str(arm), split, how, "accuracy") for arm in cfg.arms}


def _print_table(cfg: DictConfig, metrics: dict[str, Any], classes: Classes) -> None:
    split, how = metrics["primary"], decisions(classes)[0]
    decided = how.replace("_", " ")
    table = Table(title=f"draw {cfg.draw}, {split} images, {decided}, mean of {cfg.study.repeats}")
    # The first are accuracy and what it is made of, then AUROC.
    shown = metric_names(classes)[:-2]
    for title in ("arm", *shown):
        table.add_column(title)
    for arm in metrics["arms"]:
        values = (_mean(metrics["fits"], arm, split, how, name) for name in shown)
        table.add_row(arm, *(f"{value:.4f}" for value in values))
    Console().print(table)


def _write_grids(folder: Path, splits: Splits, added_by_arm: AddedByArm) -> None:
    """Draw the first real and the first generated images of each class that has a GAN."""
    for name in splits.classes:
        if name in added_by_arm.gans:
            real = np.asarray(splits.train.of_class(name).images[: GRID_SIDE**2])
            _write_grid(folder / f"real_{name}.png", real)
            _write_grid(folder / f"synthetic_{name}.png", added_by_arm.generated(name))


def _write_grid(path: Path, images: NDArray[np.uint8]) -> None:
    png = png_of(sheet(images[: GRID_SIDE**2], GRID_SIDE))
    replace_file(path, lambda p: p.write_bytes(png))
