"""The comparisons of a study: which there are, which are corrected together, and what they show.

A comparison has one p, of one family. Those on the primary endpoint are a family, those on all
secondary endpoints another; of what was not declared each split and metric is one, to explore.
The words claim no more than the tests do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from gan_aug.report.crossed import OverPatients
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.statistics import (
    Comparison,
    compare,
    correct,
    draws_needed,
    holm_once,
    hypothesis,
    visible_difference,
)
from gan_aug.report.study import Condition, Study, label_of
from gan_aug.report.worth import Measure, measure_on
from gan_aug.settings.design import Endpoint, Question

LEVEL = 0.05
BETTER, WORSE, EQUIVALENT = "better", "worse", "equivalent"
INCONCLUSIVE, CANNOT_TELL, TOO_FEW = "inconclusive", "cannot tell", "too few draws"

Where = tuple[str, str]
"""Split, or a group of it, and metric."""


@dataclass(frozen=True, kw_only=True)
class Pair(Comparison):
    """Two arms that are compared, on a metric of a split under a condition.

    summary.json has pairs by condition, split and metric, which it does not repeat in each.
    """

    arm: str
    reference: str
    condition: Annotated[Condition, Field(exclude=True)]
    where: Annotated[Where, Field(exclude=True)]
    tests: Annotated[Hashable, Field(exclude=True)]  # equal ones count once in a correction


@dataclass(frozen=True)
class Family:
    """Pairs that are corrected together."""

    pairs: list[Pair]

    @property
    def size(self) -> int:
        """How many are tested, and so corrected over: those that have draws enough."""
        return len({one.tests for one in self.pairs if one.p is not None})

    @property
    def planned(self) -> int:
        """How many are tested where all have draws enough; at least 1."""
        return max(1, len({one.tests for one in self.pairs}))


def to_compare(
    arms: Sequence[str], asked: Question, named: Sequence[Sequence[str]], control: str | None
) -> list[tuple[str, str]]:
    """Return the pairs: every arm with `real` and with `duplicate`, and those the study names."""
    pairs: list[tuple[str, str]] = [
        (arm, reference)
        for reference in ("real", "duplicate")
        if reference in arms
        for arm in arms
        if arm not in (reference, "real")
    ]
    pairs += [(asked.arm, asked.reference), *((a, r) for a, r in named)]
    if control is not None and control != asked.arm:
        pairs.append((asked.arm, control))
    return list(dict.fromkeys(pairs))


def family(study: Study, places: Sequence[Where], over: OverPatients) -> Family:
    """Compare all pairs under all conditions on some metrics; Holm's correction is over them all.

    What conditions share, a fit of `real` and `classic` say, is one hypothesis and counts once.
    """
    first = study.first
    to = to_compare(study.arms, first.question, first.comparisons, first.control)
    pairs = [pair for where in places for pair in compare_on(study, where, over, to)]
    return Family(correct(pairs, [one.tests for one in pairs]))


def compare_on(
    study: Study, where: Where, over: OverPatients, to: Sequence[tuple[str, str]]
) -> Iterator[Pair]:
    """Yield pairs of arms on a metric under every condition that has draws of both."""
    for condition in study.conditions:
        values = study.by_draw(condition, *where)
        for arms in to:
            both = values.select("draw", *arms).drop_nulls()
            if not len(both):
                continue
            means = over.means(condition, *where, arms, both["draw"].to_list())
            arm, reference = arms
            compared = compare(
                both[arm].to_numpy(),
                both[reference].to_numpy(),
                where[1] not in LOWER_IS_BETTER,
                means.error(np.array([1.0, -1.0])) if means else None,
            )
            yield Pair(
                **vars(compared),
                arm=arm,
                reference=reference,
                condition=condition,
                where=where,
                tests=(where, hypothesis(arm, reference, both)),
            )


@dataclass(frozen=True, kw_only=True)
class Verdict(Pair):
    """A pair on a declared endpoint."""

    condition: Condition
    label: str  # the condition in words
    endpoint: Endpoint
    # Of two one-sided tests that the difference is within the smallest effect (Schuirmann 1987,
    # J. Pharmacokinet. Biopharm. 15:657), after Holm; None without such an effect, or few draws.
    p_equivalent: float | None
    word: str  # better, worse, equivalent, inconclusive, cannot tell, or too few draws
    corrected_over: int  # comparisons that Holm's correction of `p_holm` is over
    # Of an inconclusive one the draws, in all and more than these, of a new study that would show
    # the smallest effect with 80% power in the first step of Holm's correction; None: not a million
    # would, see `limit`, or it is not known, as all draws have the same difference.
    settles: int | None
    # Of an inconclusive one the smallest difference that any number of draws would show so: these
    # test patients allow no better. None where draws have patients of their own.
    limit: float | None


def verdicts(study: Study, families: Sequence[Family], worth: list[Measure]) -> list[Verdict]:
    """Judge every pair of arms on every endpoint.

    There are two families in a study, those of `declared_families`. The primary endpoint is tested
    first and alone, the secondary ones are corrected together; either is over all arms, references
    and conditions. Differences and equivalence are corrected apart, each over as many.
    """
    declared: dict[Where, Endpoint] = {one.where: one for one in study.endpoints}
    judged = []
    for family in families:
        endpoints = [declared[one.where] for one in family.pairs]
        equivalent = holm_once(
            [
                equivalence_p(one, endpoint.smallest_effect)
                for one, endpoint in zip(family.pairs, endpoints, strict=True)
            ],
            [one.tests for one in family.pairs],
        )
        level = LEVEL / family.planned
        for one, endpoint, p in zip(family.pairs, endpoints, equivalent, strict=True):
            measure = measure_on(worth, one.condition, one.where)
            word = _word(one, p, measure is None or measure.sensitivity.seen)
            settles = limit = None
            if word == INCONCLUSIVE and endpoint.smallest_effect and one.sd is not None:
                if not one.alike:
                    settles = draws_needed(one.sd, endpoint.smallest_effect, level, one.of_patients)
                if settles is not None:
                    # Where so many would do on average, these did not.
                    settles = max(settles, one.draws + 1)
                if one.of_patients is not None:
                    limit = visible_difference(one.of_patients, level)
            judged.append(
                Verdict(
                    **vars(one),
                    label=label_of(one.condition),
                    endpoint=endpoint,
                    p_equivalent=p,
                    word=word,
                    corrected_over=family.size,
                    settles=settles,
                    limit=limit,
                )
            )
    return judged


def equivalence_interval(one: Comparison) -> tuple[float, float] | None:
    """Return the 90% interval, which two one-sided tests at 5% are about; None without an sd."""
    if not one.errors:
        return None
    half = max(error.half(1 - 2 * LEVEL) for error in one.errors)
    return one.mean - half, one.mean + half


def equivalence_p(one: Comparison, smallest: float | None) -> float | None:
    """Return the larger p of two one-sided t-tests: the difference is below it, and above -it."""
    if one.p is None or smallest is None:
        return None
    return max(error.beyond(smallest - abs(one.mean)) for error in one.errors)


def shown_difference(one: Comparison, lower_is_better: bool) -> str | None:
    """Return better or worse, where the corrected test shows a difference."""
    if one.p_holm is None or one.p_holm >= LEVEL:
        return None
    return WORSE if (one.mean > 0) == lower_is_better else BETTER


def _word(one: Pair, p_equivalent: float | None, may_tell: bool) -> str:
    if one.p_holm is None:
        return TOO_FEW
    if (shown := shown_difference(one, one.where[1] in LOWER_IS_BETTER)) is not None:
        return shown
    if not may_tell:
        return CANNOT_TELL
    return EQUIVALENT if p_equivalent is not None and p_equivalent < LEVEL else INCONCLUSIVE
