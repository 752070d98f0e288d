"""One draw, all arms: what `python -m gan_aug.study` does once the data is ready."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Column, Table

from gan_aug.arms.base import own_gans, source_of
from gan_aug.arms.learner import Learning
from gan_aug.arms.unlabelled import needs_gan
from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ClassImages
from gan_aug.data.splits import Splits
from gan_aug.evaluation.evaluator import metrics_of
from gan_aug.metrics.classification import decisions, metric_names
from gan_aug.models.classifier import Classifier
from gan_aug.models.fit import make_trainer
from gan_aug.models.foreign import try_augment
from gan_aug.models.generators.fitted import build as build_generator
from gan_aug.pages.html import png_of, sheet
from gan_aug.report import records
from gan_aug.report.metrics import MeasuredFit, titles_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import replace_file, sha256_of, write_json_once
from gan_aug.runtime.find import find_runs
from gan_aug.runtime.record import Run
from gan_aug.runtime.run_record import RESULT
from gan_aug.runtime.terminal import console, quieten
from gan_aug.settings.base import building
from gan_aug.settings.design import ARM, CHOSEN_ON_VALIDATION, ruler_of
from gan_aug.settings.models import GanSettings, GeneratorSettings
from gan_aug.settings.study import SettledStudy
from gan_aug.study import external
from gan_aug.study.fits import DrawFits, learner_of
from gan_aug.study.gans import used_in_training
from gan_aug.study.groups import groups_to_keep
from gan_aug.study.images import DrawImages
from gan_aug.study.logs import DrawLogs
from gan_aug.study.quality import DrawQuality
from gan_aug.study.rules import check_rules, control_of
from gan_aug.study.settle import numbers_of
from gan_aug.training.watching import check_select

GRID_SIDE = 8
"""Images along each side of a picture."""


def run_draw(settings: SettledStudy, splits: Splits, run: Run) -> None:
    """Fit every arm `study.repeats` times and write metrics.json, fits/ and grids/.

    What an earlier attempt or another job of the study has done is taken from it.

    Raises:
        GanAugError: an arm cannot have the images it asks for, or a training failed.
    """
    quieten()
    study, images = settings.study, DrawImages(settings, splits, run.folder)
    external_facts = external.note_sets(run, external.external_sets(images))
    quality = DrawQuality(images)
    check_first(settings)
    declare(settings)

    fits = DrawFits(settings, splits, run.folder, run.facts.git_commit)
    logs = DrawLogs(run, settings, splits.classes)
    arms: dict[str, records.ArmFacts] = {}
    results: list[records.FitResult] = []
    measured: dict[str, list[MeasuredFit]] = {name: [] for name in settings.arms}
    for name, arm in settings.arms.items():
        of_arm = images.of_arm(arm)
        arms[name] = records.ArmFacts(
            title=arm.title,
            source=arm.added.source,
            added=splits.classes.counts(of_arm.labels),
            unlabelled=len(of_arm.unlabelled),
        )
        for repeat in range(study.repeats):
            fit, numbers = fits.find_or_fit(name, repeat, of_arm)
            logs.write_fit(fit, numbers)
            results.append(fit)
            measured[name].append(numbers)
        run.record()

    shown = {name: images.made(name) for name in splits.classes if name in images.gans}
    _write_grids(run.folder / "grids", splits, shown or quality.external)
    measured_quality, first = quality.measure(), study.endpoints[0]
    result = records.DrawResult(
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
        method=_method(settings, bool(external_facts)),
        classes=list(splits.classes.names),
        positive=splits.classes.positive,
        splits={name: splits.table(name).counts() for name in study.splits},
        arms=arms,
        gans={name: gan.facts for name, gan in (images.gans | images.other_gans).items()},
        external=external_facts,
        ruler=_ruler(settings, splits),
        fits=results,
        quality=measured_quality,
        checks=[],
        groups={
            split: {column: records.ImageGroups.of(one) for column, one in columns.items()}
            for split, columns in groups_to_keep(study, fits.tables).items()
        },
    )
    checks = check_rules(settings, splits, result, run.folder)
    result = result.model_copy(update={"checks": checks})
    path = run.folder / RESULT
    result.write(path)
    logs.write_draw(result)
    run.record(metrics_sha256=sha256_of(path))
    _print_table(settings, measured, splits.classes)
    print(f"results     {path}")


def _method(settings: SettledStudy, external_set: bool) -> records.Method:
    """Return what a report says of the data and the models."""
    data, model, arms = settings.data, settings.model, settings.arms.values()
    generator = model.called if isinstance(model, GeneratorSettings) else None
    if external_set and not any(arm.added.source == "gan" for arm in arms):
        generator = "generator"
    return records.Method(
        data=data.name,
        image_size=data.image_size,
        channels=data.channels,
        batch_size=data.batch_size,
        classifier=settings.classifier.name,
        gan=model.name,
        gan_batch_size=model.batch_size if isinstance(model, GanSettings) else None,
        generator=generator,
        gan_select=settings.study.gan_select,
    )


def _ruler(settings: SettledStudy, splits: Splits) -> records.RulerFacts | None:
    if (ruler := ruler_of(settings, list(splits.classes))) is None:
        return None
    sizes, varied = ruler
    own = splits.train.counts()[varied[0]]
    arms = {ARM.format(size): size for size in sizes}
    return records.RulerFacts(arms=arms, classes=varied, own=own)


def check_first(settings: SettledStudy) -> None:
    """Build once, and throw away, all that settings describe; refuse what cannot be built."""
    _check_endpoints(settings)
    make_trainer(settings.trainer, max_epochs=1, logger=False)
    with building("classifier"):
        classifier: Classifier = settings.classifier.module.build("classifier")
        classifier.make_optimizer()
    arms, network = settings.arms, classifier.network
    if any(arm.added.source == "gan" for arm in arms.values()):
        if isinstance(settings.model, GeneratorSettings):
            build_generator(settings.model)
            _say_not_used(settings)
        else:
            with building("model"):
                settings.model.module.build("model").configure_optimizers()
    if settings.quality.use and any(source_of(arm).generated(arm) for arm in arms.values()):
        _check_quality(settings)
    for name, arm in arms.items():
        for key, node in (("augment", arm.augment), ("added.augment", arm.added.augment)):
            try_augment(
                node, f"arms.{name}.{key}", settings.data.channels, settings.data.image_size
            )
        if (learner := Learning.of(arm).learner) is not None:
            key = f"arms.{name}.learner"
            for part, node in learner.changes().items():
                data = settings.data
                try_augment(node, f"{key}.{part}", data.channels, data.image_size)
            learner_of(learner, settings, key).check(network, key)


def _say_not_used(settings: SettledStudy) -> None:
    """Name the settings of GANs that are set, and do nothing."""
    keys = [key for key in ("gan_batches", "gan_curve_points") if getattr(settings.study, key)]
    if keys:
        named = ", ".join(f"study.{key}={getattr(settings.study, key)}" for key in keys)
        print(f"not used: {named} (model={settings.model.name} is no GAN)")


def _check_endpoints(settings: SettledStudy) -> None:
    classes = Classes(tuple(settings.data.classes), settings.data.positive)
    for i, one in enumerate(settings.study.endpoints):
        if one.metric not in metric_names(classes):
            raise GanAugError(
                f"study.endpoints[{i}].metric={one.metric}: this data set's classes have "
                f"{', '.join(metric_names(classes))}"
            )
        if one.at == CHOSEN_ON_VALIDATION and classes.positive is None:
            raise GanAugError(
                f"study.endpoints[{i}].at={one.at}: no class is the positive one, so there is no "
                "threshold; leave it out, or set data.positive"
            )


def _check_quality(settings: SettledStudy) -> None:
    quality, select = settings.quality, settings.study.gan_select
    metrics_of(quality)
    quality.extractor.build("quality.extractor")
    quality.classifier.module.build("quality.classifier")
    if select is not None:
        shown = quality.model_copy(update={"use": used_in_training(settings)})
        check_select(select, shown, "study.gan_select")


def stages_of(settings: SettledStudy) -> int:
    """Return in how many stages `run_draw` reports its progress: GANs, fits, quality."""
    arms, study = settings.arms.values(), settings.study
    own, unlabelled = own_gans(settings.arms), any(map(needs_gan, arms))
    fits = len(arms) * study.repeats + any(source_of(arm).predicts(arm) for arm in arms)
    measured = bool(settings.quality.use and (own or external.external_classes(settings)))
    return len(own) * (study.gan_fits or 1) + unlabelled + fits + measured


def declare(settings: SettledStudy) -> None:
    """Write down what a study declares before it has results; it is never written again.

    A study that has results and no declaration gets none afterwards.
    """
    folder, study = Path(settings.study_dir).expanduser(), settings.study
    path = folder / records.DECLARATION
    if path.exists() or any((run / RESULT).exists() for run in find_runs(folder).runs):
        return
    decided = study.takes_from_data  # some of its numbers
    content = records.Declaration(
        endpoints=study.endpoints,
        question=[study.question.arm, study.question.reference],
        comparisons=study.comparisons,
        declared=datetime.now(UTC).isoformat(timespec="seconds"),
        numbers=numbers_of(settings) if decided else None,
        arms=list(settings.arms) if decided else None,
    )
    write_json_once(path, content.plain())  # another draw may start at this moment


def _mean(fits: list[MeasuredFit], split: str, metric: str) -> float:
    return float(np.mean([fit.value(split, metric) for fit in fits]))


def _print_table(
    settings: SettledStudy, measured: dict[str, list[MeasuredFit]], classes: Classes
) -> None:
    split, repeats = settings.study.primary, settings.study.repeats
    decided = decisions(classes)[0].replace("_", " ")
    # Accuracy, what it is made of, and AUROC; of many classes there is no room for each one's.
    shown = [n for n in metric_names(classes)[:-2] if not n.startswith("sensitivity_")]
    title = f"draw {settings.draw}, {split} images, {decided}, mean of {repeats}"
    # Whole on 80 columns: names of arms may differ in their ends alone.
    first = Column("arm", min_width=min(22, max(map(len, measured))), overflow="fold")
    titles = [name.replace("_", "\n") for name in shown]
    table = Table(first, *titles, title=title, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for arm, fits in measured.items():
        table.add_row(arm, *(f"{_mean(fits, split, name):.4f}" for name in shown))
    console().print(table)


def _write_grids(folder: Path, splits: Splits, generated: Mapping[str, ClassImages]) -> None:
    """Draw the first real and the first generated images of each class that has some."""
    for name, made in generated.items():
        real = splits.train.of_class(name).images
        for kind, shown in (("real", real), ("synthetic", made.images)):
            png = png_of(sheet(np.asarray(shown[: GRID_SIDE**2]), GRID_SIDE))
            replace_file(folder / f"{kind}_{name}.png", partial(Path.write_bytes, data=png))
