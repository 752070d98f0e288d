"""What a study's jobs would do, printed before any of them starts (`plan=true`).

Each job is settled and checked as by its own command. Nothing is written to the study's folder.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, cast

from gan_aug.arms.base import mixing_of, own_gans, source_of
from gan_aug.arms.check import check_arms
from gan_aug.arms.unlabelled import NAME, needs_gan, of_one_class, unlabelled_of
from gan_aug.data.batches import per_epoch
from gan_aug.data.held_out import reference_classifier_images
from gan_aug.data.prepare import load
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits
from gan_aug.evaluation.reference_classifier import reference_path
from gan_aug.jobs.compose import Composer
from gan_aug.jobs.launching import slots_of
from gan_aug.report.comparisons import to_compare
from gan_aug.report.power import lines_on_power
from gan_aug.runtime.errors import warn
from gan_aug.runtime.hardware import take_threads
from gan_aug.runtime.record import Run
from gan_aug.runtime.terminal import printable, quieten
from gan_aug.settings.alike import may_be_redone, may_differ
from gan_aug.settings.data import DataSettings
from gan_aug.settings.models import GanSettings
from gan_aug.settings.study import SettledStudy, StudySettings
from gan_aug.study.draw import GRID_SIDE, check_first
from gan_aug.study.fits import DrawFits
from gan_aug.study.gans import fit_of
from gan_aug.study.images import DrawImages, with_last_weights
from gan_aug.study.other_draws import check_finished
from gan_aug.study.planned import ANY, Planned, PlannedJob, Work
from gan_aug.study.quality import DrawQuality
from gan_aug.study.rules import control_of
from gan_aug.study.settle import settle_draw
from gan_aug.study.timing import time_arm, time_gan, time_reference

_OF_A_DRAW = {"draw", "subset", "development_per_class", "val_per_class", "internal_per_class"}
"""Settings of the data that say what is cut from it, not what it is."""
_LEFT = re.compile(r"(?<=: only )\d+|(?<= N = )\d+")
"""Numbers of `cut_held_out`, which differ from draw to draw; the plan's table has their range."""
_PER_FIT, _PER_PREDICTION, _PNG = 22_000, 8, 0.7
"""Bytes of a fit's records and of a prediction; and of a PNG, as a share of its pixels'."""


def plan_multirun(
    composer: Composer, batch: Sequence[Sequence[str]], launcher: Mapping[str, Any]
) -> None:
    """Print what the jobs of a multirun would do; `launcher` are its settings. See `plan_jobs`."""
    missing, at_once = composer.missing(batch, 0), None
    if "array_parallelism" in launcher:  # a cluster
        take_threads(launcher["cpus_per_task"])
    else:
        slots = slots_of(composer.master, launcher.get("jobs", 1), launcher.get("threads"))
        take_threads(int(slots[0]["OMP_NUM_THREADS"]))
        at_once = len(slots)
    every = [composer.settings(job) for job in missing or [composer.job(0, batch[0])]]
    jobs = cast("list[StudySettings]", every)
    plan_jobs(jobs[0], jobs[: len(missing)], at_once, len(batch) - len(missing))


def plan_jobs(
    study: StudySettings, jobs: Sequence[StudySettings], at_once: int | None, finished: int = 0
) -> None:
    """Print what jobs of a study would do, how long it takes, and how many draws it needs.

    `study` is any job, `jobs` are those that are not done, `finished` the number of the others.
    `at_once` of them run side by side; None: a cluster decides.

    Raises:
        GanAugError: a job cannot run, for the reason that its own command would give.
    """
    quieten()
    plan = planned(jobs, finished)
    plan.show(study.study_dir, at_once)
    folder, design = Path(study.study_dir).expanduser(), study.study
    for line in lines_on_power(folder, design.endpoints[0], design.question, plan.compared):
        print(printable(line))


def planned(jobs: Sequence[StudySettings], finished: int = 0) -> Planned:
    """Return what jobs have to do; see `plan_jobs`. Nothing is timed yet."""
    plan, sources, said = Planned(finished), dict[str, Source](), set[str]()

    def read(data: DataSettings) -> Source:
        key = json.dumps(data.model_dump(mode="json", exclude=_OF_A_DRAW), sort_keys=True)
        if key not in sources:
            sources[key] = load(data)
        return sources[key]

    for settings in jobs:
        folder = Path(settings.study_dir).expanduser() / settings.study.folder
        run = Run(settings, may_differ(settings), may_be_redone(settings), folder=folder)
        run.look()
        if run.finished:
            check_finished(folder, settings)
            plan.finished += 1
            continue
        check_arms(settings)
        read(settings.data)  # which shows how far it is
        with _each_line_once(said):
            settled, splits = settle_draw(settings, read, run)
            images = DrawImages(settled, splits, folder)
            for warning in splits.notes["warnings"]:
                warn(warning)
            quality = DrawQuality(images)
            check_first(settled)
        design = settled.study
        arms = [name for name in settled.arms if name in settings.arms]  # none of the ruler
        pairs = to_compare(arms, design.question, design.comparisons, control_of(settled))
        compared = [(design.condition, pair) for pair in pairs]
        plan.compared += [one for one in compared if one not in plan.compared]
        job = PlannedJob(settled)
        plan.jobs.append(job)
        _add_gans(plan, job, splits)
        _add_fits(plan, job, images)
        _count_images(plan, settled, splits)
        if quality.held_out is not None:
            n, there = settled.quality.count, quality.held_out.reference.counts()
            unseen = {name: (min(n, there[name]), there[name]) for name in quality.classes}
            plan.count("unseen, to measure with", unseen)
            _add_reference(plan, job, splits)
    return plan


def _add_gans(plan: Planned, job: PlannedJob, splits: Splits) -> None:
    settings, each = job.settings, job.settings.study.gan_fits or 1
    numbers = [(name, r * each + k) for name, r in own_gans(settings.arms) for k in range(each)]
    fits = [fit_of(settings, splits, *one) for one in numbers]
    if any(map(needs_gan, settings.arms.values())):
        bare = of_one_class(splits, unlabelled_of(settings, splits))
        fits.append(fit_of(with_last_weights(settings), bare, NAME))
    for fit in {one.folder: one for one in fits}.values():  # one may make several classes
        if fit.folder in plan.coming or fit.is_there():
            job.gans_there += 1
            continue
        plan.coming.add(fit.folder)
        model, config, counts = settings.model, fit.config, fit.splits.train.counts()
        title, time = model.called, None
        if isinstance(model, GanSettings):
            title, time = f"GAN {model.name}", partial(time_gan, config, fit.splits)
        n_images = sum(counts[name] for name in fit.made)
        batches = (config.trainer.max_epochs or 0) * per_epoch(n_images, config.data.batch_size)
        what = [model, config.trainer.precision, config.data.image_size, config.data.channels]
        job.gans.append(Work(plan.kind(title, time, what), batches))


def _add_fits(plan: Planned, job: PlannedJob, images: DrawImages) -> None:
    settings, study, splits = job.settings, job.settings.study, images.splits
    fits = DrawFits(settings, splits, images.folder)
    kept = sum(map(len, fits.tables.values())) * (2 if study.steps.chosen else 1)
    predicted = kept + study.steps.max // study.validate_every * len(splits.validation)
    data, to_do = settings.data, list[str]()
    for name, arm in settings.arms.items():
        # Which images a GAN makes, or a classifier picks, nobody knows before.
        known = arm.added.source != "gan" and not source_of(arm).predicts(arm)
        of_arm = images.of_arm(arm) if known else None
        for repeat in range(study.repeats):
            shared = fits.shared(name, repeat, of_arm) if of_arm is not None else None
            there = shared is not None and (shared in plan.coming or shared.exists())
            if there or fits.own(name, repeat).exists():
                job.fits_there += 1
            else:
                to_do.append(name)
            if shared is not None:
                plan.coming.add(shared)
    if any(source_of(arm).predicts(arm) for arm in settings.arms.values()):
        to_do.append("real")  # to judge added images
    for name in to_do:
        mixing = mixing_of(arm := settings.arms[name])
        added_augment = arm.augment if arm.added.source == "none" else arm.added.augment
        what = [settings.classifier, settings.trainer, data.batch_size, data.image_size]
        what += [data.channels, arm.augment, added_augment]
        what += [type(mixing).__name__, mixing.of_arm and mixing]
        time = partial(time_arm, settings, name, splits)
        kind = plan.kind(f"classifier, arms like {name}", time, what)
        job.fits.append(Work(kind, study.steps.max, predicted))
    made = own_gans(settings.arms)
    shown = 4 * GRID_SIDE**2 * len(made)  # real and made, as files and in TensorBoard
    pixels = (sum(made.values()) + shown) * data.channels * data.image_size**2
    job.size = len(settings.arms) * study.repeats * (_PER_FIT + kept * _PER_PREDICTION)
    job.size += int(pixels * _PNG)


def _add_reference(plan: Planned, job: PlannedJob, splits: Splits) -> None:
    quality, table = job.settings.quality, reference_classifier_images(splits)
    path = reference_path(quality, splits)
    if path not in plan.coming and not path.exists():
        plan.coming.add(path)
        time = partial(time_reference, quality, table)
        kind = plan.kind("reference classifier", time, [str(path)])
        job.others.append(Work(kind, quality.reference_steps))


def _count_images(plan: Planned, settings: SettledStudy, splits: Splits) -> None:
    train, unused = splits.train.counts(), splits.unused.counts()
    plan.count("training", {n: (k, k + unused[n]) for n, k in train.items()})
    every = [arm.added for arm in settings.arms.values()]
    added = [one for one in every if one.source == "real" and not one.unlabelled]
    more = {n: max((one.count[n] for one in added), default=0) for n in unused}
    plan.count("further, for arms", {n: (k, unused[n]) for n, k in more.items()})
    if unlabelled := settings.study.unlabelled:
        plan.count("unlabelled", {ANY: (unlabelled, sum(unused.values()))})
    for name in settings.study.splits:
        plan.count(name, {n: (k, k) for n, k in splits.table(name).counts().items()})


@contextmanager
def _each_line_once(said: set[str]) -> Iterator[None]:
    """Print no line that another job has led to before, whatever number of images is left."""
    streams, kept = (sys.stdout, sys.stderr), (io.StringIO(), io.StringIO())
    try:
        with redirect_stdout(kept[0]), redirect_stderr(kept[1]):
            yield
    finally:
        for stream, text in zip(streams, kept, strict=True):
            for line in text.getvalue().splitlines():
                key = _LEFT.sub("N", line)
                if key not in said:
                    print(line, file=stream, flush=True)
                    said.add(key)
