"""What was done to get a report's numbers, in a few sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gan_aug.report.study import FinishedDraw, Study
from gan_aug.report.summary import Costs

SPLITS = {
    "train": "for training",
    "validation": "for validation",
    "internal": "for the internal test",
    "test": "for the test",
}
_COLOURS = {"1": " in grey", "3": " in colour"}


def what_was_done(study: Study, costs: Costs) -> list[str]:
    """Return what was trained, on what, for how long and where; what no record tells is left out.

    Args:
        study: the study.
        costs: what it took.
    """
    parts = (_images(study), _classifier(study), _gans(study, costs), _chosen_by(study))
    return [" ".join(said) for part in parts if (said := list(part))] + [_where(study, costs)]


def _images(study: Study) -> Iterator[str]:
    parts = [
        f"{counts} {called}"
        for split, called in SPLITS.items()
        if (counts := _or(study, lambda job, split=split: _counts(job, split)))  # type: ignore[misc]
    ]
    draws = len({job.result.draw for job in study.jobs})
    said = f"{draws} draw{'' if draws == 1 else 's'} of the data set {study.first.method.data}"
    classes = " + ".join(study.classes.names)
    yield f"{said}, images in each ({classes}): {', '.join(parts)}." if parts else f"{said}."
    size = _or(study, lambda job: f"{job.result.method.image_size}x{job.result.method.image_size}")
    channels = _or(study, lambda job: job.result.method.channels)
    yield f"They are {size} pixels{_COLOURS.get(channels, '')}."


def _classifier(study: Study) -> Iterator[str]:
    steps = _or(study, lambda job: max(fit.steps for fit in job.result.fits))
    batch = _or(study, lambda job: job.result.method.batch_size)
    repeats = study.first.repeats
    yield (
        f"Classifier: {_or(study, lambda job: job.result.method.classifier)}, {repeats} "
        f"fit{'' if repeats == 1 else 's'} an arm and draw, {steps} steps of {batch} images each."
    )


def _gans(study: Study, costs: Costs) -> Iterator[str]:
    if not costs.gans:
        return
    name = _or(study, lambda job: job.result.method.gan, ", ")
    size = _or(study, lambda job: job.result.method.gan_batch_size)
    batches = sorted({gan.batches for job in study.jobs for gan in job.result.gans.values()})
    count = " to ".join(map(str, sorted({batches[0], batches[-1]})))
    yield f"GANs: {costs.gans} ({name}), {count} batches of {size} images each."


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
    if validation and decided:
        yield (
            f"Beside the training images, {validation} labelled validation images "
            f"choose {', '.join(decided)}."
        )
    fitted_on = _or(study, _reference_images)
    if fitted_on:
        yield (
            f"GAN images are measured with a reference classifier fitted on {fitted_on} labelled "
            "images."
        )


def _reference_images(job: FinishedDraw) -> str | None:
    quality = job.result.quality
    facts = None if quality is None else quality.reference_classifier
    return None if facts is None else " + ".join(map(str, facts.fitted_on.values()))


def _where(study: Study, costs: Costs) -> str:
    machine = _or(study, lambda job: job.record.machine, "; ")
    took = [f"a GAN {minutes(costs.gan_seconds_mean)}"] if costs.gans else []
    if costs.fits:
        took.append(f"a fit {minutes(costs.fit_seconds_total / costs.fits)}")
    return f"Machine: {machine or 'not recorded'}. It took: {', '.join(took)}."


def minutes(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _counts(job: FinishedDraw, split: str) -> str | None:
    """Return a split's images of each class as `50 + 50`; None where it has none or is unknown."""
    of, names = (job.data.used or {}).get(split), job.result.classes
    if not of or not any(of.values()) or not {*names} <= {*of}:
        return None
    return " + ".join(str(of[name]) for name in names)


def _or(study: Study, what: Callable[[FinishedDraw], object], between: str = " or ") -> str:
    """Return every value that occurs, in the order of the draws."""
    found = dict.fromkeys(str(one) for job in study.jobs if (one := what(job)) is not None)
    return between.join(found)
