"""What was done to get a report's numbers, in a few sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gan_aug.report.results import Job, Study
from gan_aug.report.summary import Costs

SPLITS = {
    "train": "for training",
    "validation": "for validation",
    "internal": "for the internal test",
    "test": "for the test",
}


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
        f"{' or '.join(found)} {called}"
        for split, called in SPLITS.items()
        if (found := _all(study, lambda job, split=split: _counts(job, split)))  # type: ignore[misc]
    ]
    draws = len({job.result.draw for job in study.jobs})
    said = f"{draws} draw{'' if draws == 1 else 's'} of the data set {study.settings.data.name}"
    classes = " + ".join(study.classes.names)
    yield f"{said}, images in each ({classes}): {', '.join(parts)}." if parts else f"{said}."
    size = _all(study, lambda job: _get(job, "data.image_size"))
    channels = _all(study, lambda job: _get(job, "data.channels"))
    if size:
        of = {"1": " in grey", "3": " in colour"}.get(" ".join(channels), "")
        yield f"They are {' or '.join(f'{one}x{one}' for one in size)} pixels{of}."


def _classifier(study: Study) -> Iterator[str]:
    name = _all(study, lambda job: _get(job, "classifier.name"))
    steps = _all(study, lambda job: str(max((fit.steps for fit in job.result.fits), default=0)))
    batch = _all(study, lambda job: _get(job, "data.batch_size"))
    repeats = study.settings.study.repeats
    yield (
        f"Classifier: {' or '.join(name) or 'not recorded'}, {repeats} "
        f"fit{'' if repeats == 1 else 's'} an arm and draw, {' or '.join(steps)} steps"
        f"{f' of {batch[0]} images' if len(batch) == 1 else ''} each."
    )


def _gans(study: Study, costs: Costs) -> Iterator[str]:
    if not costs.gans:
        return
    name = _all(study, lambda job: _get(job, "model.name"))
    batches = sorted({gan.batches for job in study.jobs for gan in job.result.gans.values()})
    size = _all(study, lambda job: _get(job, "model.batch_size") or _get(job, "data.batch_size"))
    count = " to ".join(map(str, sorted({batches[0], batches[-1]})))
    of = f" of {' or '.join(size)} images" if size else ""
    yield f"GANs: {costs.gans} ({', '.join(name) or 'not recorded'}), {count} batches{of} each."


def _chosen_by(study: Study) -> Iterator[str]:
    """Say what labelled images beside those for training decide."""
    chosen = any(fit.chosen is not None for job in study.jobs for fit in job.result.fits)
    select = _all(study, lambda job: _get(job, "study.gan_select"))
    validation = _all(study, lambda job: _counts(job, "validation"))
    decided = [
        *(["each fit's step"] if chosen else []),
        *(["each fit's threshold"] if study.classes.positive is not None else []),
        *([f"each GAN's weights (by {', '.join(select)})"] if select else []),
    ]
    if validation and decided:
        yield (
            f"Beside the training images, {' or '.join(validation)} labelled validation images "
            f"choose {', '.join(decided)}."
        )
    fitted_on = _all(study, _reference_images)
    if fitted_on:
        yield (
            f"GAN images are measured with a reference classifier fitted on "
            f"{' or '.join(fitted_on)} labelled images."
        )


def _reference_images(job: Job) -> str | None:
    quality = job.result.quality
    facts = None if quality is None else quality.reference_classifier
    return None if facts is None else " + ".join(map(str, facts.fitted_on.values()))


def _where(study: Study, costs: Costs) -> str:
    machine = _all(study, lambda job: job.record.machine)
    took = [f"a GAN {minutes(costs.gan_seconds_mean)}"] if costs.gans else []
    if costs.fits:
        took.append(f"a fit {minutes(costs.fit_seconds_total / costs.fits)}")
    return f"Machine: {'; '.join(machine) or 'not recorded'}. It took: {', '.join(took)}."


def minutes(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _counts(job: Job, split: str) -> str | None:
    """Return a split's images of each class as `50 + 50`; None where it has none or is unknown."""
    of, names = (job.data.used or {}).get(split), job.result.data_classes.names
    if not of or not any(of.values()) or not {*names} <= {*of}:
        return None
    return " + ".join(str(of[name]) for name in names)


def _get(job: Job, key: str) -> str | None:
    """Return one of a draw's settings as text; None where its record has none."""
    found: Any = job.record.config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return None if found is None else str(found)


def _all(study: Study, what: Callable[[Job], str | None]) -> list[str]:
    """Return every value that occurs, in the order of the draws."""
    return list(dict.fromkeys(one for job in study.jobs if (one := what(job))))
