"""Reading a study's folder: its finished draws with their metrics, and what became of the others.

The folder may come from anyone: a draw whose files disagree is left out, with a line that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gan_aug.data.classes import Classes
from gan_aug.report.groups import by_group, last_of
from gan_aug.report.metrics import MeasuredFit, measure_fit, titles_of
from gan_aug.report.predictions import (
    Predicted,
    Predictions,
    PredictionTables,
    read_predictions,
)
from gan_aug.report.records import REMEDY, RESULT, DrawResult, FitResult
from gan_aug.run.errors import GanAugError, one_line
from gan_aug.run.files import sha256_of
from gan_aug.run.find import find_runs
from gan_aug.run.record import status_of
from gan_aug.run.run_record import RECORD, DataNotes, ExternalNotes, RunRecord, read_record
from gan_aug.settings.alike import first_difference
from gan_aug.settings.base import Plain
from gan_aug.settings.design import OF_DRAW, Endpoint
from gan_aug.settings.values import SPLITS

Condition = tuple[Any, ...]
"""The swept settings' values."""
Swept = Plain
"""A condition: the swept settings to their values."""
LEFT_OUT = "left out"
"""The status of a draw that cannot be read, or whose files disagree."""
STAND_INS = "groups of near duplicates"
"""What counts as a patient where not all are known."""


@dataclass(frozen=True)
class FinishedDraw:
    """One finished draw under one condition."""

    folder: Path
    record: RunRecord  # its run.json
    data: DataNotes  # what that notes of the data set
    result: DrawResult  # its metrics.json
    tables: PredictionTables  # of fits that have no file of their own in it, as in an archive

    @property
    def condition(self) -> Condition:
        """The swept settings' values."""
        return tuple(self.result.condition.values())

    def predictions(self, fit: FitResult) -> Predictions:
        """Read what a fit predicts.

        Raises:
            GanAugError: its predictions are missing or damaged, or are not of this draw.
        """
        path = self.folder / "fits" / f"{fit.name}.npz"
        predictions = None if path.exists() else self.tables.find(fit.predictions)
        if predictions is None:
            predictions = read_predictions(path, fit.predictions, REMEDY)
        for split in dict.fromkeys(["validation", *self.result.splits]):
            if (fault := self._fault(split, predictions.get(split))) is not None:
                raise GanAugError(f"{path}: {fault}; {REMEDY}")
        return predictions

    def with_groups(self, predictions: Predictions) -> Predictions:
        """Return what a fit of it predicts, with the groups of each split beside the split."""
        splits = {split: predictions[split] for split in self.result.splits}
        return splits | by_group(predictions, self.result)

    def _fault(self, split: str, one: Predicted | None) -> str | None:
        """Return how predictions of a split differ from what the draw says; None: they do not."""
        result = self.result
        classes, counts = result.data_classes, result.splits.get(split)
        if one is None or counts is None or (result.last_too and one.last_logits is None):
            return f"holds no predictions of {split}"
        n = one.labels.size
        shape = (n,) if len(classes) == 2 else (n, len(classes))
        logits = [array for array in (one.logits, one.last_logits) if array is not None]
        if any(
            array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all()
            for array in logits
        ):
            return f"its {split} arrays are no log-odds"
        if any(a.shape != (n,) or a.dtype.kind != "i" for a in (one.labels, one.patients)):
            return f"its {split} labels are no numbers"
        if classes.counts(one.labels) != counts or sum(counts.values()) != n:
            return f"its {split} labels are not {counts}"
        return None


@dataclass(frozen=True)
class Study:
    """All jobs of a study."""

    folder: Path
    jobs: list[FinishedDraw]  # finished ones, by condition and draw
    unfinished: list[dict[str, str]]  # job, status and reason of the others, and of damaged ones
    # Hash of a fit's predictions to its metrics, and to those of its last step.
    measured: dict[str, tuple[MeasuredFit, MeasuredFit | None]] = field(default_factory=dict)

    @property
    def first(self) -> DrawResult:
        """What all jobs share: question, endpoints, comparisons, arms, splits ..."""
        return self.jobs[0].result

    @property
    def endpoints(self) -> list[Endpoint]:
        """What the study is about; the first is the primary one."""
        return self.first.endpoints

    @property
    def side_by_side(self) -> list[str]:
        """The internal, the data set's own and the external tests; none without external ones."""
        of_all = [s for s in self.first.splits if all(s in job.result.splits for job in self.jobs)]
        external = [name for name in of_all if name not in SPLITS]
        own = [name for name in ("internal", "test") if name in of_all]
        return [*own, *external] if external else []

    @property
    def external_tests(self) -> dict[str, ExternalNotes]:
        """What the records say of the external tests that all draws were measured on, by name."""
        said = self.jobs[0].data.external
        return {name: said[name] for name in self.side_by_side if name in said}

    @property
    def units(self) -> dict[str, str]:
        """Of each split: patients, or what stands for them where not all are known."""
        data = self.jobs[0].data
        known = {s: data.external.get(s, data).patients_known for s in self.first.splits}
        return {split: "patients" if yes else STAND_INS for split, yes in known.items()}

    @property
    def primary(self) -> str:
        """The split of the primary endpoint."""
        return self.endpoints[0].split

    @property
    def title(self) -> str:
        """The primary endpoint in words."""
        return self.title_of(self.endpoints[0])

    def title_of(self, endpoint: Endpoint) -> str:
        """Return an endpoint in words: `test accuracy at 0.5`."""
        return f"{endpoint.images} {self.metrics[endpoint.name]}"

    @cached_property
    def classes(self) -> Classes:
        """The data set's classes."""
        return self.first.data_classes

    @cached_property
    def metrics(self) -> dict[str, str]:
        """What is reported of every split, with its title."""
        return titles_of(self.classes)

    @property
    def keys(self) -> list[str]:
        """The names of the swept settings."""
        return list(self.first.condition)

    @property
    def arms(self) -> list[str]:
        """The arms' names, without those of the ruler."""
        ruler = self.first.ruler
        return [arm for arm in self.first.arms if ruler is None or arm not in ruler.arms]

    @cached_property
    def conditions(self) -> list[Condition]:
        """The swept settings' values, in ascending order, null last."""
        conditions = {job.condition for job in self.jobs}
        return sorted(conditions, key=lambda c: [(v is None, str(type(v)), v or 0) for v in c])

    def label(self, condition: Condition) -> str:
        """Return a condition in words; empty where nothing is swept."""
        values = ("all" if value is None else value for value in condition)
        return ", ".join(f"{k}={v}" for k, v in zip(self.keys, values, strict=True))

    def named(self, condition: Condition) -> Swept:
        """Return a condition as swept setting to its value."""
        return dict(zip(self.keys, condition, strict=True))

    def of(self, condition: Condition) -> list[FinishedDraw]:
        """Return the jobs of one condition."""
        return [job for job in self.jobs if job.condition == condition]

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row for each condition, draw, arm and repeat; a column for each split and metric.

        Each group of images has a column for each metric of an endpoint. Where validation chose the
        steps there are more, of the last step's weights: see `last_of`.
        """
        rows = []
        for job in self.jobs:
            for fit in job.result.fits:
                measured, last = self.measured[fit.predictions]
                row = job.result.condition | {
                    "draw": job.result.draw,
                    "arm": fit.arm,
                    "repeat": fit.repeat,
                    "steps": fit.steps,
                    "threshold": measured.threshold,
                }
                if last is not None:
                    row["chosen_steps"] = fit.chosen
                for weights, called in ((measured, str), (last, last_of)):
                    if weights is not None:
                        row |= {
                            f"{called(images)}_{metric}": weights.value(images, metric)
                            for images, metrics in self._columns(job, weights)
                            for metric in metrics
                        }
                rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None, strict=False)

    def _columns(self, job: FinishedDraw, weights: MeasuredFit) -> Iterator[tuple[str, list[str]]]:
        """Yield a draw's splits with all metrics, and the groups in them with the endpoints'."""
        splits = job.result.splits
        yield from ((split, list(self.metrics)) for split in splits)
        of_groups = list(dict.fromkeys(one.name for one in self.endpoints))
        yield from ((images, of_groups) for images in weights.splits if images not in splits)

    def rows(self, condition: Condition) -> pl.DataFrame:
        """Return the part of the table that belongs to one condition."""
        # A column of a setting that is `auto` here and 50 there holds text: compare no columns.
        wanted = [job.condition == condition for job in self.jobs for _ in job.result.fits]
        return self.table.filter(pl.Series(wanted, dtype=pl.Boolean))

    def by_draw(self, condition: Condition, split: str, metric: str) -> pl.DataFrame:
        """Return the mean over repeats: a row for each draw, a column for each arm."""
        rows, column = self.rows(condition), f"{split}_{metric}"
        if column not in rows.columns:  # of a group that is too small in every draw
            rows = rows.with_columns(pl.lit(None, pl.Float64).alias(column))
        table = rows.pivot("arm", index="draw", values=column, aggregate_function="mean")
        return table.sort("draw")

    def main_by_draw(self, condition: Condition) -> pl.DataFrame:
        """Return the primary endpoint as `by_draw` does."""
        return self.by_draw(condition, self.primary, self.endpoints[0].name)


def read_study(folder: Path, progress: Callable[[int, int], object] = lambda *_: None) -> Study:
    """Read all jobs under a folder, also those that it links to.

    `progress` is told how many draws have been read, and of how many.

    Raises:
        GanAugError: no such folder, no sound finished draw, jobs that do not belong together, or
            an arm without any fit.
    """
    if not folder.is_dir():
        raise GanAugError(f"study_dir={folder}: no such folder; name one of gan_aug.study")
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
        reason = f" ({study.unfinished[0]['reason']})" if study.unfinished else ""
        raise GanAugError(
            f"study_dir={folder}: holds no finished draw{reason}; run python -m gan_aug.study first"
        )
    first: dict[Condition, FinishedDraw] = {}
    for job in study.jobs:
        _check_same(study.jobs[0], job, first.setdefault(job.condition, job))
    for arm in study.first.arms:
        for condition, job in first.items():
            if not any(one.result.fits_of(arm) for one in study.of(condition)):
                raise GanAugError(f"{job.folder / RESULT}: no draw has a fit of {arm}; {REMEDY}")
    order = {condition: i for i, condition in enumerate(study.conditions)}
    study.jobs.sort(key=lambda job: (order[job.condition], job.result.draw))
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
    draws: dict[Any, FinishedDraw] = {}
    predictions: dict[str, FinishedDraw] = {}
    # The one that lies where it was run comes first, and is kept.
    for job in sorted(jobs, key=lambda job: job.folder != study.folder / job.result.folder):
        name, draw = job.folder.relative_to(study.folder), job.result.draw
        hashes = [fit.predictions for fit in job.result.fits]
        other, what = draws.get((job.condition, draw)), f"is draw {draw} once more"
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
        draws[job.condition, draw] = job
        predictions |= dict.fromkeys(hashes, job)
    return [job for job in jobs if job in draws.values()]


def _check_same(one: FinishedDraw, other: FinishedDraw, alike: FinishedDraw) -> None:
    """Check that a job belongs to the study of `one` and has the settings of `alike`."""
    prints = [job.data.fingerprint for job in (one, other)]
    if prints[0] != prints[1]:
        raise GanAugError(
            f"{other.folder}: was run on other data (fingerprint {prints[1]}) than {one.folder} "
            f"({prints[0]}); a study is about one data set"
        )
    external = [{n: e.fingerprint for n, e in job.data.external.items()} for job in (one, other)]
    if external[0] != external[1]:
        raise GanAugError(
            f"{other.folder}: was measured on other external tests ({external[1]}) than "
            f"{one.folder} ({external[0]}); a report needs draws with the same ones"
        )
    if one.result.data_classes != other.result.data_classes:
        raise GanAugError(f"{other.folder}: has other classes than {one.folder}")
    if list(one.result.arms) != list(other.result.arms):
        raise GanAugError(f"{other.folder}: has other arms than {one.folder}")
    if list(one.result.condition) != list(other.result.condition):
        raise GanAugError(f"{other.folder}: sweeps other settings than {one.folder}")
    if (differs := first_difference(alike.record.config, other.record.config)) is not None:
        key, before, after = differs
        raise GanAugError(
            f"{other.folder}: was run with {key}={after}, {alike.folder} with {before}; a report "
            "needs draws with the same settings"
        )
    for split in one.result.splits:
        of_split = (one.result.groups.get(split), other.result.groups.get(split))
        if split not in OF_DRAW and of_split[0] != of_split[1]:
            raise GanAugError(
                f"{other.folder}: has other groups of the {split} images than {one.folder}; was "
                "data.table changed? Run the draws of all conditions with the same one"
            )
    for key in ("endpoints", "question", "comparisons"):
        if getattr(one.result, key) != getattr(other.result, key):
            raise GanAugError(
                f"{other.folder}: has other study.{key} than {one.folder}; run the draws of all "
                "conditions with the same ones, their fits are kept"
            )
