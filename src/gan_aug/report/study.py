"""A study in memory: its finished draws with their metrics, as `gan_aug.report.read` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from gan_aug.data.classes import Classes
from gan_aug.data.groups import FEWEST
from gan_aug.report.metrics import MeasuredFit, last_of, titles_of
from gan_aug.report.predictions import (
    Predicted,
    Predictions,
    PredictionTables,
    read_predictions,
)
from gan_aug.report.records import REMEDY, DrawResult, FitResult, Method, maker_of
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.run_record import DataNotes, ExternalNotes, RunRecord
from gan_aug.settings.base import Plain
from gan_aug.settings.design import Endpoint
from gan_aug.settings.values import SPLITS

T = TypeVar("T")
Condition = Plain
"""The swept settings to their values."""
LEFT_OUT = "left out"
"""The status of a draw that cannot be read, or whose files disagree."""
STAND_INS = "images or groups of near duplicates"
"""What counts as a patient where not all are known."""


def each(values: Iterable[T]) -> list[T]:
    """Return every value that occurs, once; equal ones need not be hashable."""
    found: list[T] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def label_of(condition: Condition) -> str:
    """Return a condition: `per_class=50, model=dcgan`; empty where nothing is swept."""
    return ", ".join(f"{k}={'all' if v is None else v}" for k, v in condition.items())


@dataclass(frozen=True)
class FinishedDraw:
    """One finished draw under one condition."""

    folder: Path
    record: RunRecord  # its run.json
    data: DataNotes  # what that notes of the data set
    result: DrawResult  # its metrics.json
    tables: PredictionTables  # of fits that have no file of their own in it, as in an archive

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
        """Return what a fit predicts of each split, and of groups with `FEWEST` of each class."""
        found = {split: predictions[split] for split in self.result.splits}
        for place, inside in self.result.members():
            one = predictions[place.split].take(inside)
            if np.bincount(one.labels, minlength=len(self.result.classes)).min() >= FEWEST:
                found[place.images] = one
        return found

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
    def draws(self) -> list[int]:
        """The draws, under whichever condition."""
        return sorted({job.result.draw for job in self.jobs})

    @property
    def fits(self) -> list[FitResult]:
        """All fits of all jobs."""
        return [fit for job in self.jobs for fit in job.result.fits]

    @property
    def methods(self) -> list[Method]:
        """What was done in each job."""
        return [job.result.method for job in self.jobs]

    @property
    def maker(self) -> str:
        """What made the images."""
        return maker_of(self.methods)

    @property
    def titles(self) -> dict[str, str]:
        """What all arms are, in words; of the ruler too."""
        return {arm: facts.title for arm, facts in self.first.arms.items()}

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
        """Every condition once, their values in ascending order, null last."""
        found = each(job.result.condition for job in self.jobs)
        return sorted(found, key=lambda c: [(v is None, str(type(v)), v or 0) for v in c.values()])

    def of(self, condition: Condition) -> list[FinishedDraw]:
        """Return the jobs of one condition."""
        return [job for job in self.jobs if job.result.condition == condition]

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
        wanted = [job.result.condition == condition for job in self.jobs for _ in job.result.fits]
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
