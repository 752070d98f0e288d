"""Reading a study's folder: its finished draws with their metrics, and what became of the others.

The folder may come from anyone: a draw whose files disagree is left out, with a line that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gan_aug.report.metrics import MeasuredFit, measure_fit
from gan_aug.report.predictions import PredictionTables
from gan_aug.report.records import DECLARATION, REMEDY, DrawResult
from gan_aug.report.study import LEFT_OUT, FinishedDraw, Study
from gan_aug.runtime.errors import GanAugError, one_line
from gan_aug.runtime.files import sha256_of
from gan_aug.runtime.find import find_runs
from gan_aug.runtime.record import status_of
from gan_aug.runtime.run_record import RECORD, RESULT, RunRecord, read_record
from gan_aug.settings.alike import first_difference
from gan_aug.settings.design import OF_DRAW


def read_study(folder: Path, progress: Callable[[int, int], object] = lambda *_: None) -> Study:
    """Read all jobs under a folder, also those that it links to.

    `progress` is told how many draws have been read, and of how many.

    Raises:
        GanAugError: no sound finished draw, jobs that do not belong together, an arm without any
            fit, or the folder of one draw of a study.
    """
    above = (one for one in folder.absolute().parents if (one / DECLARATION).is_file())
    if (folder / RECORD).is_file() and (study_dir := next(above, None)) is not None:
        raise GanAugError(f"study_dir={folder}: is one draw; name its study's folder, {study_dir}")
    runs, tables = find_runs(folder), PredictionTables(folder)
    study = Study(folder, [], [])
    for path, reason in runs.unread.items():
        _leave_out(study, path, f"{path}: cannot be read ({reason}); make it readable again")
    read: list[FinishedDraw] = []
    for i, path in enumerate(runs.runs):
        progress(i, len(runs.runs))
        try:
            record = read_record(path)
            if record is None:
                raise GanAugError(f"{path / RECORD}: cannot be read; restore it")
            if record.finished:
                job = _read_job(path, record, tables)
                _measure(job, study.measured)
                read.append(job)
            else:
                _leave_out(study, path, record.reason or "", status_of(path, record))
        except (GanAugError, OSError) as error:
            _leave_out(study, path, str(error))
    study.jobs.extend(_without_copies(study, read))
    if not study.jobs:
        reason = ""
        for one in study.unfinished[:1]:
            reason = f" ({one['reason'] or one['job'] + ' is ' + one['status']})"
        raise GanAugError(
            f"study_dir={folder}: holds no finished draw{reason}; run python -m gan_aug.study first"
        )
    for job in study.jobs:
        for differs in _differences(study.jobs[0], job, study.of(job.result.condition)[0]):
            raise GanAugError(f"{job.folder}: {differs}")
    for arm in study.first.arms:
        for jobs in map(study.of, study.conditions):
            if not any(job.result.fits_of(arm) for job in jobs):
                path = jobs[0].folder / RESULT
                raise GanAugError(f"{path}: no draw has a fit of {arm}; {REMEDY}")
    order = study.conditions.index
    study.jobs.sort(key=lambda job: (order(job.result.condition), job.result.draw))
    return study


def _leave_out(study: Study, path: Path, reason: str, status: str = LEFT_OUT) -> None:
    name = str(path.relative_to(study.folder))
    study.unfinished.append({"job": name, "status": status, "reason": reason})


def _read_job(folder: Path, record: RunRecord, tables: PredictionTables) -> FinishedDraw:
    if record.data is None:
        raise GanAugError(f"{folder / RECORD}: says nothing of the data; {REMEDY}")
    result = DrawResult.of(folder)
    path = folder / RESULT
    if record.metrics_sha256 != sha256_of(path):
        raise GanAugError(f"{path}: is not the file that its run wrote; {REMEDY}")
    return FinishedDraw(folder, record, record.data, result, tables)


def _measure(
    job: FinishedDraw, measured: dict[str, tuple[MeasuredFit, MeasuredFit | None]]
) -> None:
    """Measure a draw's fits, each once, however many arms and conditions share it."""
    images: dict[str, bytes] = {}
    classes, last_too = job.result.data_classes, job.result.last_too
    for fit in job.result.fits:
        predictions = job.predictions(fit)
        for split, one in predictions.items():
            labels = one.labels.tobytes()
            if images.setdefault(split, labels) != labels:
                raise GanAugError(
                    f"{job.folder / RESULT}: its fits have different {split} images; {REMEDY}"
                )
        if fit.predictions not in measured:
            try:
                every = job.with_groups(predictions)
                last = measure_fit(every, classes, last=True) if last_too else None
                measured[fit.predictions] = (measure_fit(every, classes), last)
            except Exception as error:  # torchmetrics raises almost anything
                raise GanAugError(
                    f"{job.folder}: {fit.name} cannot be measured ({one_line(error)}); {REMEDY}"
                ) from error


def _without_copies(study: Study, jobs: list[FinishedDraw]) -> list[FinishedDraw]:
    """Return the jobs without those that hold another one's results, which are listed instead."""
    kept: list[FinishedDraw] = []
    predictions: dict[str, FinishedDraw] = {}
    # The one that lies where it was run comes first, and is kept.
    for job in sorted(jobs, key=lambda job: job.folder != study.folder / job.result.folder):
        name, draw = job.folder.relative_to(study.folder), job.result.draw
        own = (job.result.condition, draw)
        hashes = [fit.predictions for fit in job.result.fits]
        same = (one for one in kept if (one.result.condition, one.result.draw) == own)
        other, what = next(same, None), f"is draw {draw} once more"
        if other is None:
            # Under another condition the same draw may have the same fits, of `real` say.
            sharing = (predictions[one] for one in hashes if one in predictions)
            other = next((one for one in sharing if one.result.draw != draw), None)
            what = "has predictions of another draw"
        if other is not None:
            where = other.folder.relative_to(study.folder)
            reason = f"{name}: {what}, as {where} has it; remove one of the two"
            _leave_out(study, job.folder, reason)
            continue
        kept.append(job)
        predictions |= dict.fromkeys(hashes, job)
    return [job for job in jobs if job in kept]


def _differences(one: FinishedDraw, other: FinishedDraw, alike: FinishedDraw) -> Iterator[str]:
    """Yield why a job is none of the study of `one`, or has not the settings of `alike`."""
    first, result = one.result, other.result
    if other.data.fingerprint != one.data.fingerprint:
        yield (
            f"was run on other data (fingerprint {other.data.fingerprint}) than {one.folder} "
            f"({one.data.fingerprint}); a study is about one data set"
        )
    own, theirs = ({n: e.fingerprint for n, e in j.data.external.items()} for j in (one, other))
    if own != theirs:
        yield (
            f"was measured on other external tests ({theirs}) than {one.folder} ({own}); a report "
            "needs draws with the same ones"
        )
    if result.data_classes != first.data_classes:
        yield f"has other classes than {one.folder}"
    if list(result.arms) != list(first.arms):
        yield f"has other arms than {one.folder}"
    if list(result.condition) != list(first.condition):
        yield f"sweeps other settings than {one.folder}"
    if (differs := first_difference(alike.record.config, other.record.config)) is not None:
        key, before, after = differs
        yield (
            f"was run with {key}={after}, {alike.folder} with {before}; a report needs draws with "
            "the same settings"
        )
    for split in first.splits:
        if split not in OF_DRAW and first.groups.get(split) != result.groups.get(split):
            yield (
                f"has other groups of the {split} images than {one.folder}; was data.table "
                "changed? Run the draws of all conditions with the same one"
            )
    for key in ("endpoints", "question", "comparisons"):
        if getattr(first, key) != getattr(result, key):
            yield (
                f"has other study.{key} than {one.folder}; run the draws of all conditions with "
                "the same ones, their fits are kept"
            )
