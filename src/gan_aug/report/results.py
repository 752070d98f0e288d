"""Reading a study's folder: its finished draws, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import AT_VALIDATION, decisions, metric_names
from gan_aug.report.draw_result import LAST, DrawResult, FitResult, read_result
from gan_aug.report.verify import read_predictions, verify_draw
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import sha256_of
from gan_aug.run.find import find_runs
from gan_aug.run.record import status_of
from gan_aug.run.run_record import RECORD, DataNotes, RunRecord, read_record
from gan_aug.run.typed import Misfit
from gan_aug.settings.alike import first_difference
from gan_aug.settings.control import control_of
from gan_aug.settings.draw import DrawSettings, Swept, draw_settings
from gan_aug.settings.endpoints import Endpoint

AT_VALIDATION_THRESHOLD = "accuracy_at_validation_threshold"
Condition = tuple[Any, ...]
"""The swept settings' values."""
LOWER_IS_BETTER = {"calibration_error"}
LEFT_OUT = "left out"
"""The status of a draw that cannot be read, or whose files disagree."""


@dataclass(frozen=True)
class Job:
    """One finished draw under one condition.

    Attributes:
        folder: where it lies.
        record: its run.json.
        data: what it notes of the data set.
        settings: what its results depend on, as the record has them.
        result: its metrics.json.
    """

    folder: Path
    record: RunRecord
    data: DataNotes
    settings: DrawSettings
    result: DrawResult

    @property
    def condition(self) -> Condition:
        """The swept settings' values."""
        return tuple(self.result.condition.values())

    def arrays(self, arm: str, repeat: int) -> dict[str, NDArray[Any]]:
        """Return the probabilities and labels by split of one fit."""
        return read_predictions(self.folder, arm, repeat, self.result)


@dataclass(frozen=True)
class Study:
    """All jobs of a study.

    Attributes:
        folder: the study's.
        jobs: finished ones, by condition and draw.
        unfinished: folder, status and reason of the others, and of those left out as damaged.
    """

    folder: Path
    jobs: list[Job]
    unfinished: list[dict[str, str]]

    @property
    def first(self) -> DrawResult:
        """What all jobs share: question, comparisons, arms' titles, primary split, splits."""
        return self.jobs[0].result

    @property
    def settings(self) -> DrawSettings:
        """What all jobs share, likewise."""
        return self.jobs[0].settings

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.jobs[0].record.name)

    @property
    def primary(self) -> str:
        """The split of the primary endpoint."""
        return self.endpoints[0].split

    @property
    def endpoints(self) -> list[Endpoint]:
        """What the study is about; the first is the primary one."""
        return self.settings.study.endpoints

    @property
    def title(self) -> str:
        """The primary endpoint in words."""
        return self.title_of(self.endpoints[0])

    def title_of(self, endpoint: Endpoint) -> str:
        """Return an endpoint in words: `test accuracy at 0.5`."""
        return f"{endpoint.split} {self.metrics[endpoint.name]}"

    def main_by_draw(self, condition: Condition) -> pd.DataFrame:
        """Return the primary endpoint as `by_draw` does."""
        first = self.endpoints[0]
        return self.by_draw(condition, first.split, first.name)

    @property
    def control(self) -> str | None:
        """The arm that uses copies of real images just as the asked arm uses GAN images."""
        return control_of(self.settings)

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
        found = {job.condition for job in self.jobs}
        return sorted(found, key=lambda c: [(v is None, str(type(v)), v or 0) for v in c])

    def label(self, condition: Condition) -> str:
        """Return a condition in words; empty where nothing is swept."""
        values = ("all" if value is None else value for value in condition)
        return ", ".join(f"{k}={v}" for k, v in zip(self.keys, values, strict=True))

    def named(self, condition: Condition) -> Swept:
        """Return a condition as swept setting to its value."""
        return dict(zip(self.keys, condition, strict=True))

    def of(self, condition: Condition) -> list[Job]:
        """Return the jobs of one condition."""
        return [job for job in self.jobs if job.condition == condition]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each condition, draw, arm and repeat; a column for each split and metric.

        Where validation chose the steps there are more, for each split with `LAST` after its name.
        """
        rows = []
        for job in self.jobs:
            for fit in job.result.fits:
                row = job.result.condition | {
                    "draw": job.result.draw,
                    "arm": fit.arm,
                    "repeat": fit.repeat,
                    "steps": fit.steps,
                    "threshold": fit.threshold,
                }
                splits = list(job.result.splits)
                if fit.last is not None:
                    row["chosen_steps"] = fit.chosen
                    splits += [split + LAST for split in splits]
                for split in splits:
                    for metric in self.metrics:
                        row[f"{split}_{metric}"] = value_of(fit, split, metric, self.classes)
                rows.append(row)
        return pd.DataFrame(rows)

    def rows(self, condition: Condition) -> pd.DataFrame:
        """Return the part of the table that belongs to one condition."""
        table = self.table
        chosen = np.ones(len(table), bool)
        for key, value in zip(self.keys, condition, strict=True):
            chosen &= (table[key].isna() if value is None else table[key] == value).to_numpy()
        return table[chosen]

    def by_draw(self, condition: Condition, split: str, metric: str) -> pd.DataFrame:
        """Return the mean over repeats: a row for each draw, a column for each arm."""
        rows = self.rows(condition)
        return rows.pivot_table(index="draw", columns="arm", values=f"{split}_{metric}")


def value_of(fit: FitResult, split: str, metric: str, classes: Classes) -> float:
    """Return one metric of a fit on a split."""
    measured = fit.on(split)
    if metric == AT_VALIDATION_THRESHOLD:
        return float(measured[AT_VALIDATION]["accuracy"])
    return float(measured[decisions(classes)[0]][metric])


def titles_of(classes: Classes) -> dict[str, str]:
    """Return what is reported of every split, with its title."""
    found = {name: _title(name, classes) for name in metric_names(classes)}
    if classes.positive is None:
        return found
    (first, title), *others = found.items()
    also = (AT_VALIDATION_THRESHOLD, "accuracy at the validation threshold")
    return dict([(first, f"{title} at 0.5"), also, *others])


def _title(metric: str, classes: Classes) -> str:
    averaged = " (mean over classes, each against the rest)" if classes.positive is None else ""
    if metric in ("auroc", "auprc"):
        return metric.upper() + averaged
    of_class = metric.removeprefix("sensitivity_")
    if of_class != metric:
        return f"sensitivity, {of_class}"
    return metric.replace("_", " ")


def read_study(folder: Path, progress: Callable[[int, int], object] = lambda *_: None) -> Study:
    """Read all jobs under a folder, also those that it links to.

    Args:
        folder: the study's.
        progress: is told how many draws have been read, and of how many.

    Raises:
        GanAugError: no such folder, no sound finished draw, or jobs that do not belong together.
    """
    if not folder.is_dir():
        raise GanAugError(f"study_dir={folder}: no such folder; name one of gan_aug.study")
    jobs: list[Job] = []
    found = find_runs(folder)
    unfinished = [
        _left_out(folder, path, f"{path}: cannot be read ({reason}); make it readable again")
        for path, reason in found.unread.items()
    ]
    for i, path in enumerate(found.runs):
        progress(i, len(found.runs))
        try:
            record = read_record(path)
            if record is None:
                raise GanAugError(f"{path / RECORD}: cannot be read; restore it")
            if record.finished:
                jobs.append(_read_job(path, record))
            else:
                name, status = str(path.relative_to(folder)), status_of(path, record)
                unfinished.append({"job": name, "status": status, "reason": record.reason or ""})
        except (GanAugError, OSError) as error:
            unfinished.append(_left_out(folder, path, str(error)))
    jobs = _without_copies(folder, jobs, unfinished)
    if not jobs:
        reason = f" ({unfinished[0]['reason']})" if unfinished else ""
        raise GanAugError(
            f"study_dir={folder}: holds no finished draw{reason}; run python -m gan_aug.study first"
        )
    first: dict[Condition, Job] = {}
    for job in jobs:
        _check_same(jobs[0], job, first.setdefault(job.condition, job))
    study = Study(folder, jobs, unfinished)
    order = {condition: i for i, condition in enumerate(study.conditions)}
    jobs.sort(key=lambda job: (order[job.condition], job.result.draw))
    return study


def _left_out(folder: Path, path: Path, reason: str) -> dict[str, str]:
    return {"job": str(path.relative_to(folder)), "status": LEFT_OUT, "reason": reason}


def _without_copies(folder: Path, jobs: list[Job], unfinished: list[dict[str, str]]) -> list[Job]:
    """Return the jobs without those that hold another one's results, which are listed instead."""
    # The one that lies where it was run comes first, and is kept.
    ordered = sorted(jobs, key=lambda job: not _at_home(folder, job))
    draws: dict[Any, Job] = {}
    predictions: dict[str, Job] = {}
    kept = []
    for job in ordered:
        name = str(job.folder.relative_to(folder))
        other = draws.get((job.condition, job.result.draw))
        what = f"is draw {job.result.draw} once more"
        names = sorted(f"{fit.arm}_{fit.repeat}.npz" for fit in job.result.fits)
        hashes = [sha256_of(job.folder / "fits" / name) for name in names]
        if other is None:
            # Under another condition the same draw may have the same fits, of `real` say.
            of_draw = job.result.draw
            found = (predictions[h] for h in hashes if h in predictions)
            other = next((j for j in found if j.result.draw != of_draw), None)
            what = "has predictions of another draw"
        if other is not None:
            where = other.folder.relative_to(folder)
            reason = f"{name}: {what}, as {where} has it; remove one of the two"
            unfinished.append(_left_out(folder, job.folder, reason))
            continue
        draws[job.condition, job.result.draw] = job
        predictions |= dict.fromkeys(hashes, job)
        kept.append(job)
    return [job for job in jobs if job in kept]


def _at_home(folder: Path, job: Job) -> bool:
    return str(job.folder.relative_to(folder)) == str(job.settings.study.folder)


def _read_job(folder: Path, record: RunRecord) -> Job:
    if record.data is None:
        raise GanAugError(f"{folder / RECORD}: says nothing of the data; run that draw again")
    result = read_result(folder / "metrics.json")
    try:
        settings = draw_settings(record.config)
    except Misfit as error:
        raise GanAugError(f"{folder / RECORD}: config.{error}; run that draw again") from error
    verify_draw(folder, record, settings, result)
    return Job(folder, record, record.data, settings, result)


def _check_same(one: Job, other: Job, alike: Job) -> None:
    """Check that a job belongs to the study of `one` and has the settings of `alike`."""
    prints = [job.data.fingerprint for job in (one, other)]
    if prints[0] != prints[1]:
        raise GanAugError(
            f"{other.folder}: was run on other data (fingerprint {prints[1]}) than {one.folder} "
            f"({prints[0]}); a study is about one data set"
        )
    if one.result.data_classes != other.result.data_classes:
        raise GanAugError(f"{other.folder}: has other classes than {one.folder}")
    if list(one.result.arms) != list(other.result.arms):
        raise GanAugError(f"{other.folder}: has other arms than {one.folder}")
    if (found := first_difference(alike.record.config, other.record.config)) is not None:
        key, before, after = found
        raise GanAugError(
            f"{other.folder}: was run with {key}={after}, {alike.folder} with {before}; a report "
            "needs draws with the same settings"
        )
