"""What was done to get a report's numbers, in a few sentences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from gan_aug.report.costs import Costs
from gan_aug.report.external import sentences
from gan_aug.report.records import maker_of
from gan_aug.report.study import FinishedDraw, Study

SPLITS = {
    "train": "for training",
    "validation": "for validation",
    "internal": "for the internal test",
    "test": "for the test",
}
_COLOURS = {"1": " in grey", "3": " in colour"}


def what_was_done(study: Study, costs: Costs) -> list[str]:
    """Return what was trained, on what, for how long and where, as far as records tell."""
    parts = (
        _images(study),
        sentences(study),
        _models(study, costs),
        _chosen_by(study),
        _where(study, costs),
    )
    return [sentence for part in parts for sentence in part]


def _images(study: Study) -> Iterator[str]:
    draws = len({job.result.draw for job in study.jobs})
    said = f"{draws} draw{'' if draws == 1 else 's'} of the data set {study.first.method.data}"
    external = {name: f"for the external test {name}" for name in study.external_tests}
    use = SPLITS | external
    counts = {split: _or(study, lambda job, s=split: _counts(job, s)) for split in use}  # type: ignore[misc]
    if named := ", ".join(f"{counts[split]} {use[split]}" for split in use if counts[split]):
        said += f", images in each ({' + '.join(study.classes.names)}): {named}"
    size = _or(study, lambda job: f"{job.result.method.image_size}x{job.result.method.image_size}")
    channels = _or(study, lambda job: job.result.method.channels)
    yield f"{said}. They are {size} pixels{_COLOURS.get(channels, '')}."


def _models(study: Study, costs: Costs) -> Iterator[str]:
    steps = _or(study, lambda job: max(fit.steps for fit in job.result.fits))
    batch = _or(study, lambda job: job.result.method.batch_size)
    repeats = study.first.repeats
    yield (
        f"Classifier: {_or(study, lambda job: job.result.method.classifier)}, {repeats} "
        f"fit{'' if repeats == 1 else 's'} an arm and draw, {steps} steps of {batch} images each."
    )
    if costs.gans:
        name = _or(study, lambda job: job.result.method.gan, ", ")
        size = _or(study, lambda job: job.result.method.gan_batch_size)
        gans = [gan for job in study.jobs for gan in job.result.gans.values()]
        said = f"{_maker(study)}s: {costs.gans} ({name})"
        if batches := [gan.batches for gan in gans if gan.batches is not None]:
            said += f", {span(batches)} batches of {size} images each"
        yield f"{said}."


def _chosen_by(study: Study) -> Iterator[str]:
    """Say what labelled images beside those for training decide."""
    chosen = any(fit.chosen is not None for job in study.jobs for fit in job.result.fits)
    select = _or(study, lambda job: job.result.method.gan_select, ", ")
    validation = _or(study, lambda job: _counts(job, "validation"))
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
    fitted_on = dict.fromkeys(
        " + ".join(map(str, one.fitted_on.values())) for one in facts if one is not None
    )
    if fitted_on:
        said.append(
            f"The {_maker(study)} images are measured with a reference classifier fitted on "
            f"{' or '.join(fitted_on)} labelled images."
        )
    if said:
        yield " ".join(said)


def _where(study: Study, costs: Costs) -> Iterator[str]:
    machine = _or(study, lambda job: job.record.machine, "; ")
    took = [f"a {_maker(study)} {minutes(costs.gan_seconds_mean)}"] if costs.gans else []
    if costs.fits:
        took.append(f"a fit {minutes(costs.fit_seconds_total / costs.fits)}")
    yield f"Machine: {machine or 'not recorded'}. It took: {', '.join(took)}."


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


def _maker(study: Study) -> str:
    return maker_of(job.result.method for job in study.jobs)


def _or(study: Study, what: Callable[[FinishedDraw], object], between: str = " or ") -> str:
    """Return every value that occurs, in the order of the draws."""
    values = dict.fromkeys(str(one) for job in study.jobs if (one := what(job)) is not None)
    return between.join(values)
