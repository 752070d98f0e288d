"""Fit a GAN or a classifier and write what its run folder promises."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from hydra.utils import instantiate
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from gan_aug.data.datamodule import DataModule, Serving, draw_data
from gan_aug.data.image_table import ImageTable
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import write_set
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.models.classifier import Classifier
from gan_aug.models.fit import fit as fit_module
from gan_aug.models.gans.base import GAN
from gan_aug.models.restore import read_checkpoint
from gan_aug.models.resumable import ResumableModule
from gan_aug.models.shared_gan import NAME, write_shared
from gan_aug.models.synthesis import images_by_class, manifest_head, origin_of
from gan_aug.models.weights_file import Damaged, check_finite, check_fits, shapes_of
from gan_aug.pages.confusion import confusion_figure
from gan_aug.run.building import build
from gan_aug.run.errors import Diverged, GanAugError, warn
from gan_aug.run.files import keep_again, replace_file, sha256_of, write_json
from gan_aug.run.progress import reporting, stage
from gan_aug.run.quiet import quieten
from gan_aug.run.record import Run
from gan_aug.run.run_record import read_record
from gan_aug.run.terminal import console
from gan_aug.settings.class_facts import gan_facts
from gan_aug.settings.gan_classes import classes_made
from gan_aug.training.callbacks import Checkpoints, ReportProgress
from gan_aug.training.csv_logger import MetricsCSV
from gan_aug.training.event_files import LAST, At, session, write_events
from gan_aug.training.hparams import settings_of
from gan_aug.training.plugins import Fitting, build_all
from gan_aug.training.sample_grids import SampleGrids


def fit(cfg: DictConfig, prepared: Prepared, run: Run, keep_chosen: bool = False) -> None:
    """Train from scratch or from the run folder's last checkpoint, then write the results.

    Args:
        cfg: the run's configuration.
        prepared: the images.
        run: the run folder.
        keep_chosen: a GAN that diverges is no error where `quality.select` had chosen a checkpoint.

    Raises:
        GanAugError: training failed in a way the user can act on.
    """
    quieten()
    # Deterministic mode would also fill all new memory, which nothing here reads before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    module: ResumableModule = build(
        "model.module", lambda: instantiate(cfg.model.module, _convert_="all")
    )
    serving = serving_of(cfg, prepared.splits)
    data = draw_data(prepared, cfg.data.batch_size, cfg.seed, serving)
    origin = origin_of(run.config, prepared, serving.real(prepared.splits.train))
    folder = run.folder / "checkpoints"
    start, done, rows = _starting_point(folder, module, origin)
    fitting = Fitting(run, origin, done)
    loggers = build_all(cfg.logger, "logger", fitting)
    _check_rows(loggers, rows, fitting)
    callbacks = build_all(cfg.callbacks, "callbacks", fitting)
    if not any(isinstance(callback, Checkpoints) for callback in callbacks):
        raise GanAugError(
            "callbacks.checkpoint: is missing; a run without checkpoints leaves nothing"
        )
    callbacks += [ReportProgress(), *_looks(cfg, prepared.splits, origin)]
    with reporting(run.folder, stages=1):
        stage(_stage_name(cfg))
        diverged = False
        try:
            trainer = fit_module(
                module,
                data,
                cfg.trainer,
                start,
                logger=loggers,
                callbacks=callbacks,
                default_root_dir=str(run.folder),
            )
        except Diverged as error:
            chosen = any(isinstance(c, Checkpoints) and c.best_score is not None for c in callbacks)
            if not (keep_chosen and _selects(cfg) and chosen):
                raise
            warn(f"{error}; the checkpoint that was best by {cfg.quality.select} before is taken")
            diverged = True
    trained = module.batches_done  # before another checkpoint is loaded
    if isinstance(module, GAN):
        _finish_gan(cfg, module, run, origin, prepared.splits.train, diverged)
    elif isinstance(module, Classifier):
        _finish_classifier(trainer, module, data, run)
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, TensorBoardLogger):
            _write_settings(run, trained)


def _write_settings(run: Run, batches: int) -> None:
    """Write the run's row of TensorBoard's tab HParams; a resumed run has one too."""
    record = read_record(run.folder)
    assert record is not None
    settings = settings_of(run.config, record.overrides) | {"batches": batches}
    now = time.time()
    rows = session(settings, now - (record.seconds or 0.0))
    write_events(run.folder / f"{LAST}hparams", [At(row, 0, now) for row in rows])


def _stage_name(cfg: DictConfig) -> str:
    if cfg.model.kind != "gan":
        return "classifier"
    return f"GAN of {cfg.data.train_class}" if cfg.data.train_class else "GAN"


def _check_rows(loggers: list[Any], rows: int, fitting: Fitting) -> None:
    """Say so where metrics.csv lacks rows that it had at the last checkpoint."""
    path = fitting.run.folder / "metrics.csv"
    for csv in loggers:
        if isinstance(csv, MetricsCSV) and csv.rows < rows:
            lost = rows - csv.rows
            fitting.run.record(metrics_csv_rows_lost=lost)
            warn(
                f"{path}: was damaged, {lost} rows up to batch {fitting.done} are gone; "
                "TensorBoard's files may still have them"
            )


def serving_of(cfg: DictConfig, splits: Splits) -> Serving:
    """Return which images the batches of a model hold.

    Raises:
        GanAugError: a setting that does not fit the model, or nothing that it could translate.
    """
    model = cfg.model
    if model.kind != "gan":
        return Serving()
    made = classes_made(model, cfg.data.train_class, splits.classes.names)
    counts = splits.train.counts()
    for name, sources in made.items():
        if sources and not any(counts[source] for source in sources):
            raise GanAugError(
                f"data.subset.{sources[0]}: model={model.name} makes {name} images from images of "
                f"{' or '.join(sources)}, and there are none"
            )
    return Serving(list(made), model.balanced, gan_facts(model).fitted_on == "two")


def _looks(cfg: DictConfig, splits: Splits, origin: dict[str, Any]) -> list[Callback]:
    """Return what looks at a GAN while it trains: samples, and quality where it is asked for."""
    if cfg.model.kind != "gan":
        return []
    found: list[Callback] = [SampleGrids(cfg.model.sample_every_n_epochs, splits.train, origin)]
    every = OmegaConf.select(cfg, "quality.every_n_epochs")
    if every is None or (every > cfg.trainer.max_epochs and cfg.quality.select is None):
        return found
    from gan_aug.training.quality_curves import QualityCurves

    return [*found, QualityCurves(cfg.quality, splits, origin)]


def _starting_point(
    folder: Path, module: ResumableModule, origin: dict[str, Any]
) -> tuple[Path | None, int, int]:
    """Return the newest sound checkpoint to go on from, its batches, and its rows of metrics.csv.

    A damaged last.ckpt is set aside as damaged.ckpt, and the one before it is taken.

    Raises:
        GanAugError: no checkpoint is sound, best.ckpt is not, or they are of other images.
    """
    reasons = []
    last = folder / "last.ckpt"
    for path in (last, folder / "previous.ckpt"):
        if not path.exists():
            continue
        try:
            content = read_checkpoint(path, "checkpoint")
            check_fits(module.state_dict(), shapes_of(content["state_dict"]), str(path))
            check_finite(content["state_dict"], str(path))
            _check_state(content, path)
        except Damaged as error:
            reasons.append(f"{path}: {error.what}")
            continue
        if content["gan_aug"]["origin"] != origin:
            raise GanAugError(
                f"{path}: was fitted on other images: the data set or the synthetic set has "
                "changed since; restore the images, or start again in another hydra.run.dir"
            )
        if reasons:
            last.replace(folder / "damaged.ckpt")
            warn(f"{reasons[0]}; going on from {path}")
        if path != last:
            keep_again(path, last)
        _check_best(folder / "best.ckpt", content)
        return last, int(content["batches_done"]), int(content.get("metrics_rows", 0))
    if reasons:
        raise GanAugError(f"{reasons[0]}; remove {folder.parent} to start again")
    return None, 0, 0


def _check_state(content: dict[str, Any], path: Path) -> None:
    """Check that a checkpoint holds all that Lightning restores."""
    needed = {"batches_done", "latest", "optimizer_states", "loops", "callbacks", "epoch"}
    if missing := needed - content.keys():
        raise Damaged(str(path), f"lacks {min(missing)}")


def _check_best(path: Path, content: dict[str, Any]) -> None:
    """Check best.ckpt now: it is read only at the end, when all the time is spent."""
    state = content["callbacks"].get(Checkpoints.__qualname__)
    if isinstance(state, dict) and state.get("best_score") is not None:
        try:
            read_checkpoint(path)
        except GanAugError as error:
            what = error.what if isinstance(error, Damaged) else "is missing"
            raise GanAugError(f"{path}: {what}; remove {path.parents[1]} to start again") from error


def _selects(cfg: DictConfig) -> bool:
    """Return whether a GAN's checkpoint is chosen."""
    return OmegaConf.select(cfg, "quality.select") is not None


def _finish_gan(
    cfg: DictConfig,
    module: GAN,
    run: Run,
    origin: dict[str, Any],
    train: ImageTable,
    diverged: bool,
) -> None:
    """Write synthetic/ and metrics.json."""
    folder, checkpoint = run.folder / "synthetic", run.folder / "checkpoints" / "last.ckpt"
    best: dict[str, float | bool] = {}
    if _selects(cfg):
        checkpoint = checkpoint.with_name("best.ckpt")
        content = read_checkpoint(checkpoint)
        module.load_state_dict(content["state_dict"])
        best = {
            "best_batches": int(content["batches_done"]),
            "best_score": float(content["callbacks"][Checkpoints.__qualname__]["best_score"]),
            "diverged": diverged,
        }
    sha256, shared = sha256_of(checkpoint), checkpoint.with_name(NAME)
    write_shared(shared, module, origin, run.config, sha256)
    if not folder.exists():  # it appears only when complete, so an earlier attempt's is whole
        images = images_by_class(module, origin, cfg.generate.count, cfg.generate.seed, train)
        write_set(folder, images, manifest_head(origin, run.config, checkpoint, cfg.generate.seed))
    shown = ("loss/d", "loss/g", "score/D(x)", "stability/spread_of_fakes_to_reals")
    headline = {name: module.latest[name] for name in shown if name in module.latest}
    metrics = {
        "headline": headline,
        "batches": module.batches_done,
        **best,
        "last_logged": module.latest,
        "checkpoint_sha256": sha256,
    }
    write_json(run.folder / "metrics.json", metrics)
    print(f"samples     {run.folder / 'samples'}")
    print(f"synthetic   {folder} ({cfg.generate.count} images per class)")
    print(f"checkpoint  {checkpoint}")
    print(f"to share    {shared} and the .json beside it")
    print(f"tensorboard tensorboard --logdir {run.folder}")


def _finish_classifier(trainer: pl.Trainer, module: Classifier, data: DataModule, run: Run) -> None:
    """Read the test images, once, with the best checkpoint and the threshold of validation."""
    trained = module.batches_done
    best = run.folder / "checkpoints" / "best.ckpt"
    trainer.validate(module, datamodule=data, ckpt_path=best, verbose=False, weights_only=True)
    trainer.test(module, datamodule=data, ckpt_path=best, verbose=False, weights_only=True)
    test: Any = module.results["test"]
    # One past the training's last batch: a run resumed after this point drops and rewrites it.
    step = trained + 1
    classes = module.classes
    figure = confusion_figure(test, classes)
    replace_file(
        run.folder / "confusion_matrix.png",
        lambda path: figure.savefig(path, format="png", bbox_inches="tight"),
    )
    usual = test[decisions(classes)[0]]
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure("test/confusion_matrix", figure, step)
        logger.log_metrics({f"test/{name}": usual[name] for name in metric_names(classes)}, step)
    headline = {f"test_{name}": usual[name] for name in metric_names(classes)[:-2]}
    write_json(
        run.folder / "metrics.json",
        {"headline": headline, "trained_batches": trained} | module.results,
    )
    console().print(_table(test))
    print(f"trained     {trained} batches, best after {module.results['best_batches']}")
    print(f"results     {run.folder / 'metrics.json'}")
    print(f"checkpoint  {best}")
    print(f"tensorboard tensorboard --logdir {run.folder}")


def _table(test: dict[str, dict[str, float]]) -> Table:
    table = Table(title="test images")
    table.add_column("metric")
    for name in test:
        table.add_column(name.replace("_", " "), justify="right")
    for metric in next(iter(test.values())):
        values = [test[name][metric] for name in test]
        table.add_row(metric, *(str(v) if isinstance(v, int) else f"{v:.4f}" for v in values))
    return table
