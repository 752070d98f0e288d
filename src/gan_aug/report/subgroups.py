"""What the asked arm gives in each group of images that `study.subgroups` tells apart.

Nothing of it was declared, but for endpoints with a `group`: of many groups one is always lowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gan_aug.data.groups import FEWEST
from gan_aug.report.comparisons import Pair, compare_on
from gan_aug.report.crossed import OverPatients
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.records import Place
from gan_aug.report.statistics import correct
from gan_aug.report.study import Condition, FinishedDraw, Study, label_of

K = TypeVar("K", Place, str)
Span = tuple[int, int]
"""The fewest and the most images in a draw."""


@dataclass(frozen=True)
class GroupRow:
    """A metric on a group of a split's images under one condition, or on all of the split.

    A draw with fewer than `FEWEST` images of a class in the group has no number of it.
    """

    condition: Condition
    split: str
    column: str | None  # None: all images of the split
    name: str | None
    metric: str
    declared: bool  # before the first draw: p is corrected with the other declared endpoints
    images: dict[str, Span]  # of each class
    draws: int  # that have a number
    base: float | None  # mean over draws of the arm `Subgroups.base`; None: no draw has one
    asked: float | None  # of the asked arm
    comparisons: list[Pair]  # of the asked arm with those of `Subgroups.against`

    def pair(self, reference: str) -> Pair | None:
        """Return the comparison with an arm; None where no draw has one."""
        return next((one for one in self.comparisons if one.reference == reference), None)


@dataclass(frozen=True)
class Worst:
    """Of the groups of a column: which is worst off, by the metric of the primary endpoint."""

    condition: Condition
    split: str
    column: str
    lowest: str  # group in which the arm `Subgroups.base` does worst
    value: float  # its mean there
    loser: str | None  # group in which the asked arm loses most, or gains least; None: not known
    difference: float | None  # there, from its reference


@dataclass(frozen=True)
class Subgroups:
    """The groups of a study's images."""

    base: str  # `real`, or the reference of the question
    asked: str
    against: list[str]  # the reference of the question, and copies of real images where there are
    metrics: list[str]  # of the endpoints, the primary one's first
    fewest: int  # images of each class in a group that has a number
    rows: list[GroupRow]  # by split, metric and condition
    worst: list[Worst]
    unsaid: dict[str, dict[str, Span]]  # split, then column, to images of which it says nothing


def subgroups_of(study: Study, declared: Sequence[Pair], over: OverPatients) -> Subgroups | None:
    """Return what the asked arm gives in every group; None where the study tells none apart.

    `declared` are the pairs on all declared endpoints, corrected.
    """
    first = study.first
    if not first.groups:
        return None
    question = first.question
    against = [question.reference]
    if first.control is not None and first.control not in (question.arm, question.reference):
        against.append(first.control)
    base = "real" if "real" in study.arms else question.reference
    # Under another condition a draw has the same images.
    draws = list({job.result.draw: job for job in study.jobs}.values())
    spans = _spans(_counts(job) for job in draws)
    unsaid = _spans(
        {
            split: {column: groups.images.count(None) for column, groups in columns.items()}
            for split, columns in job.result.groups.items()
        }
        for job in draws
    )
    metrics = list(dict.fromkeys(one.name for one in study.endpoints))
    rows = list[GroupRow]()
    for split in first.groups:
        places = {place: of_class for place, of_class in spans.items() if place.split == split}
        for metric in metrics:
            pairs = _pairs(study, list(places), metric, against, declared, over)
            rows += [
                _row(study, condition, place, metric, of_class, base, pairs)
                for condition in study.conditions
                for place, of_class in places.items()
            ]
    worst = list(_worst(rows, metrics[0], question.reference))
    return Subgroups(base, question.arm, against, metrics, FEWEST, rows, worst, unsaid)


def _counts(job: FinishedDraw) -> dict[Place, dict[str, int]]:
    """Return how many images of each class a draw has, in all of a split and in each group."""
    result, predictions = job.result, job.predictions(job.result.fits[0])
    found = {Place(split): result.splits[split] for split in result.groups}
    for place, inside in result.members():
        found[place] = result.data_classes.counts(predictions[place.split].labels[inside])
    return found


def _spans(of_draws: Iterable[Mapping[K, Mapping[str, int]]]) -> dict[K, dict[str, Span]]:
    """Return the fewest and the most images over draws."""
    numbers: dict[K, dict[str, list[int]]] = {}
    for counts in of_draws:
        for key, of_key in counts.items():
            for name, n in of_key.items():
                numbers.setdefault(key, {}).setdefault(name, []).append(n)
    return {k: {name: (min(n), max(n)) for name, n in v.items()} for k, v in numbers.items()}


def _pairs(
    study: Study,
    places: Sequence[Place],
    metric: str,
    against: Sequence[str],
    declared: Sequence[Pair],
    over: OverPatients,
) -> list[Pair]:
    """Compare the asked arm in all groups of a split: Holm's correction is over these.

    What was declared is corrected as that, and all images of the split are no group.
    """
    to = [(study.first.question.arm, reference) for reference in against]
    pairs, explored = list[Pair](), list[Pair]()
    for place in places:
        where = (place.images, metric)
        if own := [one for one in declared if one.where == where]:
            pairs += [one for one in own if (one.arm, one.reference) in to]
        else:
            compared = compare_on(study, where, over, to)
            (pairs if place.column is None else explored).extend(compared)
    return pairs + correct(explored, [one.tests for one in explored])


def _row(
    study: Study,
    condition: Condition,
    place: Place,
    metric: str,
    of_class: dict[str, Span],
    base: str,
    pairs: Sequence[Pair],
) -> GroupRow:
    where = (place.images, metric)
    values, asked = study.by_draw(condition, *where), study.first.question.arm
    means = {arm: values[arm].drop_nulls().mean() for arm in (base, asked)}
    return GroupRow(
        condition=condition,
        **place._asdict(),
        metric=metric,
        declared=any(one.where == where for one in study.endpoints),
        images=of_class,
        draws=len(values[asked].drop_nulls()),
        base=_number(means[base]),
        asked=_number(means[asked]),
        comparisons=[one for one in pairs if (one.condition, one.where) == (condition, where)],
    )


def _number(mean: object) -> float | None:
    return mean if isinstance(mean, float) else None


def _worst(rows: Sequence[GroupRow], metric: str, reference: str) -> Iterator[Worst]:
    """Yield the worst groups of each column, of those that have numbers, if they are several."""
    sign = -1 if metric in LOWER_IS_BETTER else 1

    by_column: dict[tuple[str, str, str], list[GroupRow]] = {}
    for row in rows:
        if row.metric == metric and row.base is not None and row.column is not None:
            key = (label_of(row.condition), row.split, row.column)
            by_column.setdefault(key, []).append(row)
    for (_, split, column), several in by_column.items():
        if len(several) < 2:
            continue
        lowest = min(several, key=lambda row: sign * (row.base or 0.0))
        differences = {row.name: one.mean for row in several if (one := row.pair(reference))}
        loser = min(differences, key=lambda name: sign * differences[name], default=None)
        yield Worst(
            condition=several[0].condition,
            split=split,
            column=column,
            lowest=str(lowest.name),
            value=float(lowest.base or 0.0),
            loser=loser,
            difference=None if loser is None else differences[loser],
        )
