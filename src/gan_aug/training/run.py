"""Train a GAN or a classifier and write what its run folder promises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from rich.table import Table
from torch.nn import functional as F

from gan_aug.data.datamodule import DataModule, Serving, draw_data
from gan_aug.data.image_table import ImageTable
from gan_aug.data.origin import Origin
from gan_aug.data.prepare import Prepared
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import write_set
from gan_aug.metrics.classification import (
    choose_threshold,
    decisions,
    measure,
    metric_names,
    to_probabilities,
)
from gan_aug.models.classifier import Classifier, logits
from gan_aug.models.fit import fit
from gan_aug.models.gans.base import GAN
from gan_aug.models.restore import NAME, SavedGAN, read_checkpoint, write_shared
from gan_aug.models.resumable import ResumableModule
from gan_aug.models.synthesis import images_by_class, manifest_head, origin_of
from gan_aug.pages.confusion import confusion_figure
from gan_aug.runtime.errors import Diverged, GanAugError, warn
from gan_aug.runtime.files import replace_file, sha256_of, write_json
from gan_aug.runtime.progress import reporting, stage
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RESULT
from gan_aug.runtime.terminal import console, quieten
from gan_aug.settings.class_facts import classes_made, gan_facts
from gan_aug.settings.commands import SettledTrain
from gan_aug.settings.models import GanSettings, GeneratorSettings
from gan_aug.settings.values import SPLITS
from gan_aug.training.callbacks import Checkpoints, MetricsCSV, ReportProgress
from gan_aug.training.generator import SET, fit_generator
from gan_aug.training.loggers import close_all
from gan_aug.training.plugins import Fitting, build_all
from gan_aug.training.resume import best_score, find_start
from gan_aug.training.tensorboard import LAST, At, session, write_events
from gan_aug.training.watching import QualityCurves, SampleGrids


def train(settings: SettledTrain, prepared: Prepared, run: Run, keep_chosen: bool = False) -> None:
    """Train from scratch or from the run folder's last checkpoint, then write the results.

    With `keep_chosen` a GAN that diverges is no error where `quality.select` had chosen a
    checkpoint.

    Raises:
        GanAugError: training failed in a way the user can act on.
    """
    quieten()
    if isinstance(settings.model, GeneratorSettings):
        _make_set(settings, prepared, run)
        return
    # Deterministic mode would also fill all new memory, which nothing here reads before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    module: ResumableModule = settings.model.module.build("model.module")
    serving = serving_of(settings, prepared.splits)
    data = draw_data(prepared, settings.data.batch_size, settings.seed, serving)
    origin = origin_of(run.config, prepared, serving.real(prepared.splits.train))
    start = find_start(run.folder / "checkpoints", module, origin)
    fitting = Fitting.of_run(run, origin, start.done)
    loggers = build_all(settings.logger, "logger", fitting)
    for log in loggers:
        if isinstance(log, MetricsCSV) and (lost := start.rows - log.rows) > 0:
            run.record(metrics_csv_rows_lost=lost)
            warn(
                f"{run.folder / 'metrics.csv'}: was damaged, {lost} rows up to batch {start.done} "
                "are gone; TensorBoard's files may still have them"
            )
    callbacks = build_all(settings.callbacks, "callbacks", fitting)
    saved = [callback for callback in callbacks if isinstance(callback, Checkpoints)]
    if not saved:
        raise GanAugError(
            "callbacks.checkpoint: is missing; a run without checkpoints leaves nothing"
        )
    callbacks += [ReportProgress(), *_watching(settings, prepared.splits, origin)]
    diverged, of_class = False, settings.data.train_class
    gan = f"GAN of {of_class}" if of_class else "GAN"
    with reporting(run.folder, stages=1):
        stage(gan if settings.model.kind == "gan" else "classifier")
        try:
            fit(
                module,
                data,
                settings.trainer,
                start.checkpoint,
                logger=loggers,
                callbacks=callbacks,
                default_root_dir=str(run.folder),
            )
        except Diverged as error:
            select = settings.quality.select
            if not keep_chosen or select is None or saved[0].best_score is None:
                raise
            warn(f"{error}; the checkpoint that was best by {select} before is taken")
            diverged = True
    trained = module.batches_done  # before another checkpoint is loaded
    if isinstance(module, GAN):
        _finish_gan(settings, module, run, origin, prepared.splits.train, diverged)
    elif isinstance(module, Classifier):
        _finish_classifier(module, data, run, loggers)
    print(f"tensorboard tensorboard --logdir {run.folder}")
    close_all(loggers)
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):  # a row of its tab HParams, when resumed too
            now, shown = time.time(), {**fitting.settings, "batches": trained}
            rows = session(shown, now - run.facts.seconds)
            write_events(run.folder / f"{LAST}hparams", [At(row, 0, now) for row in rows])


def _make_set(settings: SettledTrain, prepared: Prepared, run: Run) -> None:
    """Fit a generator that is no GAN for the set that it makes; nothing else of it is kept."""
    made = classes_made(settings.model, settings.data.train_class, prepared.splits.classes.names)
    count = settings.generate.count
    fit_generator(settings, prepared, run, dict.fromkeys(made, count))
    print(f"synthetic   {run.folder / SET} ({count} images per class)")


def serving_of(settings: SettledTrain, splits: Splits) -> Serving:
    """Return which images the batches of a model hold.

    Raises:
        GanAugError: a setting that does not fit the model, or nothing that it could translate.
    """
    model, counts = settings.model, splits.train.counts()
    if not isinstance(model, GanSettings):
        return Serving()
    made = classes_made(model, settings.data.train_class, splits.classes.names)
    for name, sources in made.items():
        if sources and not any(counts[source] for source in sources):
            raise GanAugError(
                f"data.subset.{sources[0]}: model={model.name} makes {name} images from images of "
                f"{' or '.join(sources)}, and there are none"
            )
    return Serving(list(made), model.balanced, gan_facts(model).fitted_on == "two")


def _watching(settings: SettledTrain, splits: Splits, origin: Origin) -> list[Callback]:
    """Return what looks at a GAN while it trains: samples, and quality where it is asked for."""
    model, quality, epochs = settings.model, settings.quality, settings.trainer.max_epochs
    if not isinstance(model, GanSettings):
        return []
    watching: list[Callback] = [SampleGrids(model.sample_every_n_epochs, splits.train, origin)]
    every = quality.every_n_epochs
    never = every is not None and epochs is not None and every > epochs and quality.select is None
    if every is not None and not never:
        watching.append(QualityCurves(every, quality, splits, origin))
    return watching


def _finish_gan(
    settings: SettledTrain, module: GAN, run: Run, origin: Origin, train: ImageTable, diverged: bool
) -> None:
    """Write synthetic/ and metrics.json."""
    folder, checkpoint = run.folder / "synthetic", run.folder / "checkpoints" / "last.ckpt"
    generate = settings.generate
    best: dict[str, float | bool | None] = {}
    if settings.quality.select is not None:
        checkpoint = checkpoint.with_name("best.ckpt")
        content = read_checkpoint(checkpoint)
        module.load_state_dict(content["state_dict"])
        best = {
            "best_batches": int(content["batches_done"]),
            "best_score": best_score(content),
            "diverged": diverged,
        }
    sha256, shared = sha256_of(checkpoint), checkpoint.with_name(NAME)
    write_shared(shared, SavedGAN(module, origin, run.config, sha256))
    if not folder.exists():  # it appears only when complete, so an earlier attempt's is whole
        images = images_by_class(module, origin, generate.count, generate.seed, train)
        write_set(folder, images, manifest_head(origin, run.config, sha256, generate.seed))
    shown = ("loss/d", "loss/g", "score/D(x)", "stability/spread_of_fakes_to_reals")
    headline = {name: module.latest[name] for name in shown if name in module.latest}
    metrics = {
        "headline": headline,
        "batches": module.batches_done,
        **best,
        "last_logged": module.latest,
        "checkpoint_sha256": sha256,
    }
    write_json(run.folder / RESULT, metrics)
    print(f"samples     {run.folder / 'samples'}")
    print(f"synthetic   {folder} ({generate.count} images per class)")
    print(f"checkpoint  {checkpoint}")
    print(f"to share    {shared} and the .json beside it")


def _finish_classifier(
    module: Classifier, data: DataModule, run: Run, loggers: Sequence[Any]
) -> None:
    """Read the tests' images, once, with the best checkpoint and the threshold of validation."""
    trained, classes = module.batches_done, module.classes
    best = run.folder / "checkpoints" / "best.ckpt"
    content = read_checkpoint(best)
    module.load_state_dict(content["state_dict"])
    module.cpu().eval()
    threshold, measured = None, {}
    for split in data.measured_on:  # validation first
        batches = data.evaluation(split)
        labels = torch.from_numpy(batches.table.labels)
        predicted = logits(module, (batch["image"] for batch in batches))
        probabilities = to_probabilities(predicted)
        if split == "validation":
            loss = F.cross_entropy(predicted, labels).item()
            threshold = choose_threshold(probabilities, labels, classes)
        measured[split] = measure(probabilities, labels, classes, threshold)
    test = measured["test"]
    external = {name: one for name, one in measured.items() if name not in SPLITS}
    figure = confusion_figure(test, classes)
    replace_file(
        run.folder / "confusion_matrix.png",
        lambda path: figure.savefig(path, format="png", bbox_inches="tight"),
    )
    usual = test[decisions(classes)[0]]
    # One past the training's last batch: a run resumed after this point drops and rewrites it.
    step = trained + 1
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure("test/confusion_matrix", figure, step)
        logger.log_metrics({f"test/{name}": usual[name] for name in metric_names(classes)}, step)
        for name, one in external.items():  # called tests: none of them may choose anything
            values = one[decisions(classes)[0]]
            logged = {f"test_{name}/{metric}": values[metric] for metric in metric_names(classes)}
            logger.log_metrics(logged, step)
    best_batches = int(content["batches_done"])
    results = {
        "headline": {f"test_{name}": usual[name] for name in metric_names(classes)[:-2]},
        "trained_batches": trained,
        "best_batches": best_batches,
        "threshold": threshold,
        "validation": measured["validation"] | {"loss": loss},
        "test": test,
    }
    if external:
        results["external"] = external
    write_json(run.folder / RESULT, results)
    for split, of_split in {"test": test, **external}.items():
        table = Table("metric", title=f"{split} images")
        for name in of_split:
            table.add_column(name.replace("_", " "), justify="right")
        for metric in usual:
            cells = [of_split[name][metric] for name in of_split]
            table.add_row(metric, *(str(v) if isinstance(v, int) else f"{v:.4f}" for v in cells))
        console().print(table)
    print(f"trained     {trained} batches, best after {best_batches}")
    print(f"results     {run.folder / 'metrics.json'}")
    print(f"checkpoint  {best}")
