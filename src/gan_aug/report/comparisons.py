"""The comparisons of a study: which there are, which are corrected together, and what they show.

A comparison has one p, of one family. Those on the primary endpoint are a family, those on all
secondary endpoints another; of what was not declared each split and metric is one, to explore.
The words claim no more than the tests do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gan_aug.report.crossed import OverPatients
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.statistics import (
    Comparison,
    Hypothesis,
    compare,
    correct,
    draws_needed,
    holm_once,
    hypothesis,
    visible_difference,
)
from gan_aug.report.study import Condition, Study, Swept
from gan_aug.report.worth import Measure
from gan_aug.settings.design import Endpoint

LEVEL = 0.05
BETTER, WORSE, EQUIVALENT = "better", "worse", "equivalent"
INCONCLUSIVE, CANNOT_TELL, TOO_FEW = "inconclusive", "cannot tell", "too few draws"
Where = tuple[str, str]
"""Split and metric."""


@dataclass(frozen=True)
class Key:
    """What is compared: two arms on a metric of a split, under a condition."""

    split: str
    metric: str
    condition: Condition
    arm: str
    reference: str


@dataclass(frozen=True)
class Family:
    """Comparisons that are corrected together.

    Attributes:
        found: the comparisons, with `p_holm`.
        names: of what each tests; one that stands twice counts once.
    """

    found: dict[Key, Comparison]
    names: dict[Key, tuple[Where, Hypothesis]]

    @property
    def size(self) -> int:
        """How many are tested, and so corrected over: those that have draws enough."""
        return len({self.names[key] for key, one in self.found.items() if one.p is not None})

    @property
    def planned(self) -> int:
        """How many are tested where all have draws enough; at least 1."""
        return max(1, len({*self.names.values()}))


def to_compare(study: Study) -> list[tuple[str, str]]:
    """Return the pairs: every arm with `real` and with `duplicate`, and those the study names."""
    return list(dict.fromkeys(_pairs(study)))


def _pairs(study: Study) -> Iterator[tuple[str, str]]:
    for reference in ("real", "duplicate"):
        if reference in study.arms:
            for arm in study.arms:
                if arm not in (reference, "real"):
                    yield arm, reference
    asked = study.first.question
    yield asked.arm, asked.reference
    for arm, reference in study.first.comparisons:
        yield arm, reference
    control = study.first.control
    if control is not None and control != asked.arm:
        yield asked.arm, control


def family(study: Study, places: Sequence[Where], over: OverPatients) -> Family:
    """Compare all pairs under all conditions on some metrics; Holm's correction is over them all.

    What conditions share, a fit of `real` and `classic` say, is one hypothesis and counts once.

    Args:
        study: the study.
        places: the metrics, each on its split.
        over: its predictions, for intervals over patients.
    """
    found: dict[Key, Comparison] = {}
    names: dict[Key, tuple[Where, Hypothesis]] = {}
    for split, metric in places:
        for condition in study.conditions:
            values = study.by_draw(condition, split, metric)
            for arm, reference in to_compare(study):
                if not {arm, reference} <= {*values.columns}:
                    continue
                both = values.select("draw", arm, reference).drop_nulls()
                if not len(both):
                    continue
                means = over.means(
                    condition, split, metric, (arm, reference), both["draw"].to_list()
                )
                key = Key(split, metric, condition, arm, reference)
                found[key] = compare(
                    both[arm].to_numpy(),
                    both[reference].to_numpy(),
                    metric not in LOWER_IS_BETTER,
                    means.error(np.array([1.0, -1.0])) if means else None,
                )
                names[key] = ((split, metric), hypothesis(arm, reference, both))
    corrected = correct([*found.values()], [*names.values()])
    return Family(dict(zip(found, corrected, strict=True)), names)


@dataclass(frozen=True, kw_only=True)
class Verdict(Comparison):
    """An arm against another on a declared endpoint.

    Attributes:
        condition: under which.
        label: the condition in words.
        endpoint: which.
        arm: which.
        reference: what it is compared with.
        p_equivalent: of two one-sided tests that the difference is within the smallest effect
            (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657), after Holm; None where there is
            none declared, or too few draws.
        word: better, worse, equivalent, inconclusive, cannot tell, or too few draws.
        corrected_over: how many comparisons Holm's correction of `p_holm` is over.
        settles: draws, in all, of a new study that would settle an inconclusive one: they show the
            smallest effect with 80% power in the first step of Holm's correction; more than these.
            None of an inconclusive one: not a million would, see `limit`.
        limit: the smallest difference that any number of draws would show so, of an inconclusive
            one: these test patients allow no better. None where draws have patients of their own.
    """

    condition: Swept
    label: str
    endpoint: Endpoint
    arm: str
    reference: str
    p_equivalent: float | None
    word: str
    corrected_over: int
    settles: int | None
    limit: float | None


def verdicts(
    study: Study, primary: Family, secondary: Family, worth: list[Measure]
) -> list[Verdict]:
    """Judge every pair of arms on every endpoint.

    There are two families in a study. The primary endpoint is tested first and alone, the secondary
    ones are corrected together; either is over all arms, references and conditions. Differences
    and equivalence are corrected apart, each over as many.

    Args:
        study: the study.
        primary: comparisons on the primary endpoint.
        secondary: on all others.
        worth: the ruler's measures.
    """
    first, *others = study.endpoints
    return [*_judge(study, [first], primary, worth), *_judge(study, others, secondary, worth)]


def _judge(
    study: Study, endpoints: list[Endpoint], family: Family, worth: list[Measure]
) -> list[Verdict]:
    declared: dict[tuple[str, str], Endpoint] = {(one.split, one.name): one for one in endpoints}
    least = {key: declared[key.split, key.metric].smallest_effect for key in family.found}
    asked = {
        key: p
        for key, one in family.found.items()
        if (p := equivalence_p(one, least[key])) is not None
    }
    equivalent = dict(
        zip(asked, holm_once([*asked.values()], [family.names[k] for k in asked]), strict=True)
    )
    level = LEVEL / family.planned
    judged = []
    for key, one in family.found.items():
        named = study.named(key.condition)
        sees = _sees(worth, named, key.split, key.metric)
        word = _word(one, equivalent.get(key), sees, key.metric in LOWER_IS_BETTER)
        settles = limit = None
        smallest = least[key]
        if word == INCONCLUSIVE and smallest and one.sd:
            settles = draws_needed(one.sd, smallest, level, one.of_patients)
            if settles is not None:
                # Where so many would do on average, these did not.
                settles = max(settles, one.draws + 1)
            if one.of_patients is not None:
                limit = visible_difference(one.of_patients, level)
        judged.append(
            Verdict(
                **vars(one),
                condition=named,
                label=study.label(key.condition),
                endpoint=declared[key.split, key.metric],
                arm=key.arm,
                reference=key.reference,
                p_equivalent=equivalent.get(key),
                word=word,
                corrected_over=family.size,
                settles=settles,
                limit=limit,
            )
        )
    return judged


def equivalence_interval(found: Comparison) -> tuple[float, float] | None:
    """Return the 90% interval, which two one-sided tests at 5% are about; None without an sd."""
    if not found.errors:
        return None
    half = max(error.half(1 - 2 * LEVEL) for error in found.errors)
    return found.mean - half, found.mean + half


def equivalence_p(found: Comparison, smallest: float | None) -> float | None:
    """Return the larger p of two one-sided t-tests: the difference is below it, and above -it."""
    if found.p is None or smallest is None:
        return None
    return max(error.beyond(smallest - abs(found.mean)) for error in found.errors)


def shown_difference(found: Comparison, lower_is_better: bool) -> str | None:
    """Return better or worse, where the corrected test shows a difference."""
    if found.p_holm is None or found.p_holm >= LEVEL:
        return None
    return WORSE if (found.mean > 0) == lower_is_better else BETTER


def _sees(worth: list[Measure], condition: Swept, split: str, metric: str) -> bool | None:
    """Return whether the endpoint sees real images; None: no ruler was laid on it."""
    where = (condition, split, metric)
    found = [m for m in worth if (m.condition, m.split, m.metric) == where]
    return found[0].sensitivity.seen if found else None


def _word(
    one: Comparison, p_equivalent: float | None, sees: bool | None, lower_is_better: bool
) -> str:
    if one.p_holm is None:
        return TOO_FEW
    if (shown := shown_difference(one, lower_is_better)) is not None:
        return shown
    if sees is False:
        return CANNOT_TELL
    if p_equivalent is not None and p_equivalent < LEVEL:
        return EQUIVALENT
    return INCONCLUSIVE
