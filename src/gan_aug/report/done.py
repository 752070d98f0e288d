"""What was done to get a report's numbers, in a few sentences, and what it took."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gan_aug.report.external import ExternalRow, origin_of
from gan_aug.report.records import GANFacts
from gan_aug.report.study import Condition, FinishedDraw, Study

SPLITS = {
    "train": "for training",
    "validation": "for validation",
    "internal": "for the internal test",
    "test": "for the test",
}
_COLOURS = {"1": " in grey", "3": " in colour"}


@dataclass(frozen=True)
class GANCosts:
    """What the GANs of a condition took."""

    condition: Condition
    gans: int  # those that `study.gan_fits` fits for one count as one
    seconds: float  # mean of each
    batches: float | None  # mean that each was trained on; None of generators that are no GANs
    diverged: int  # how many diverged after their weights had been chosen
    chosen: float | None  # mean after which the weights were taken, where that was chosen


@dataclass(frozen=True)
class Costs:
    """Seconds: of each GAN, counted once, in all and by condition, and of each arm's fits."""

    gans: int
    gan_seconds_mean: float
    gan_seconds_total: float
    by_condition: list[GANCosts]
    fit_seconds_mean: dict[str, float]
    fits: int
    fit_seconds_total: float


def costs_of(study: Study) -> Costs:
    """Return what the GANs and fits of a study took, each counted once."""
    by_condition = []
    for condition in study.conditions:
        if of_condition := _gans(study.of(condition)):
            chosen = [gan.chosen for gan in of_condition if gan.chosen is not None]
            batches = [gan.batches for gan in of_condition if gan.batches is not None]
            by_condition.append(
                GANCosts(
                    condition=condition,
                    gans=len(of_condition),
                    seconds=float(np.mean([gan.seconds for gan in of_condition])),
                    batches=float(np.mean(batches)) if batches else None,
                    diverged=sum(gan.diverged for gan in of_condition),
                    chosen=float(np.mean(chosen)) if chosen else None,
                )
            )
    gans = [gan.seconds for gan in _gans(study.jobs)]
    done = [fit for fit in study.fits if not fit.reused]
    there = {fit.predictions for fit in done}
    # Of one that another job did and that is not in the report, too: the time was spent.
    done += {fit.predictions: fit for fit in study.fits if fit.predictions not in there}.values()
    return Costs(
        gans=len(gans),
        gan_seconds_mean=float(np.mean(gans)) if gans else 0.0,
        gan_seconds_total=float(sum(gans)),
        by_condition=by_condition,
        fit_seconds_mean={
            arm: float(np.mean([fit.seconds for fit in study.fits if fit.arm == arm]))
            for arm in study.arms
        },
        fits=len(done),
        fit_seconds_total=float(sum(fit.seconds for fit in done)),
    )


def _gans(jobs: list[FinishedDraw]) -> list[GANFacts]:
    """Return the GANs of some draws, each once."""
    gans = (gan for job in jobs for gan in job.result.gans.values())
    return list({gan.checkpoint_sha256: gan for gan in gans}.values())


def what_was_done(study: Study, external: list[ExternalRow], costs: Costs) -> list[str]:
    """Return what was trained, on what, for how long and where, as far as records tell."""
    return [
        _images(study),
        *map(origin_of, external),
        *_models(study, costs),
        *_chosen_by(study),
        _where(study, costs),
    ]


def _images(study: Study) -> str:
    draws = len(study.draws)
    said = f"{draws} draw{'' if draws == 1 else 's'} of the data set {study.first.method.data}"
    external = {name: f"for the external test {name}" for name in study.external_tests}
    use = SPLITS | external
    counts = {split: _or(_counts(job, split) for job in study.jobs) for split in use}
    if named := ", ".join(f"{counts[split]} {use[split]}" for split in use if counts[split]):
        said += f", images in each ({' + '.join(study.classes.names)}): {named}"
    size = _or(f"{one.image_size}x{one.image_size}" for one in study.methods)
    channels = _or(one.channels for one in study.methods)
    return f"{said}. They are {size} pixels{_COLOURS.get(channels, '')}."


def _models(study: Study, costs: Costs) -> Iterator[str]:
    steps = _or(max(fit.steps for fit in job.result.fits) for job in study.jobs)
    batch = _or(one.batch_size for one in study.methods)
    repeats = study.first.repeats
    yield (
        f"Classifier: {_or(one.classifier for one in study.methods)}, {repeats} "
        f"fit{'' if repeats == 1 else 's'} an arm and draw, {steps} steps of {batch} images each."
    )
    if costs.gans:
        name = _or((one.gan for one in study.methods), ", ")
        size = _or(one.gan_batch_size for one in study.methods)
        gans = [gan for job in study.jobs for gan in job.result.gans.values()]
        said = f"{study.maker}s: {costs.gans} ({name})"
        if batches := [gan.batches for gan in gans if gan.batches is not None]:
            said += f", {span(batches)} batches of {size} images each"
        yield f"{said}."


def _chosen_by(study: Study) -> Iterator[str]:
    """Say what labelled images beside those for training decide."""
    chosen = any(fit.chosen is not None for fit in study.fits)
    select = _or((one.gan_select for one in study.methods), ", ")
    validation = _or(_counts(job, "validation") for job in study.jobs)
    decided = [
        *(["each fit's step"] if chosen else []),
        *(["each fit's threshold"] if study.classes.positive is not None else []),
        *([f"each GAN's weights (by {select})"] if select else []),
    ]
    said = []
    if validation and decided:
        said.append(
            f"Beside the training images, {validation} labelled validation images "
            f"choose {', '.join(decided)}."
        )
    qualities = (job.result.quality for job in study.jobs)
    facts = (one.reference_classifier for one in qualities if one is not None)
    fitted_on = _or(
        " + ".join(map(str, one.fitted_on.values())) for one in facts if one is not None
    )
    if fitted_on:
        said.append(
            f"The {study.maker} images are measured with a reference classifier fitted on "
            f"{fitted_on} labelled images."
        )
    if said:
        yield " ".join(said)


def _where(study: Study, costs: Costs) -> str:
    machine = _or((job.record.machine for job in study.jobs), "; ")
    took = [f"a {study.maker} {minutes(costs.gan_seconds_mean)}"] if costs.gans else []
    if costs.fits:
        took.append(f"a fit {minutes(costs.fit_seconds_total / costs.fits)}")
    return f"Machine: {machine or 'not recorded'}. It took: {', '.join(took)}."


def minutes(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def span(numbers: Collection[int]) -> str:
    """Return `3 to 7`; `3` where all are equal."""
    return " to ".join(map(str, sorted({min(numbers), max(numbers)})))


def _counts(job: FinishedDraw, split: str) -> str | None:
    """Return a split's images of each class as `50 + 50`; None where it has none or is unknown."""
    of_split, names = (job.data.used or {}).get(split), job.result.classes
    if not of_split or not any(of_split.values()) or not {*names} <= {*of_split}:
        return None
    return " + ".join(str(of_split[name]) for name in names)


def _or(values: Iterable[object], between: str = " or ") -> str:
    """Return every value that occurs, in the order of the draws."""
    return between.join(dict.fromkeys(str(one) for one in values if one is not None))
