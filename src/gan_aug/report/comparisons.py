"""Which arms of a study are compared, and the comparisons that are corrected together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gan_aug.report.crossed import OverPatients
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.statistics import Comparison, Hypothesis, compare, correct, hypothesis
from gan_aug.report.study import Condition, Study

Measured = tuple[str, str]
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
    names: dict[Key, tuple[Measured, Hypothesis]]

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


def family(study: Study, measured: Sequence[Measured], over: OverPatients | None) -> Family:
    """Compare all pairs under all conditions on some metrics; Holm's correction is over them all.

    What conditions share, a fit of `real` and `classic` say, is one hypothesis and counts once.

    Args:
        study: the study.
        measured: the metrics.
        over: its predictions, for intervals over patients; None where they were not kept.
    """
    found: dict[Key, Comparison] = {}
    names: dict[Key, tuple[Measured, Hypothesis]] = {}
    for split, metric in measured:
        for condition in study.conditions:
            values = study.by_draw(condition, split, metric)
            for arm, reference in to_compare(study):
                if not {arm, reference} <= {*values.columns}:
                    continue
                both = values.select("draw", arm, reference).drop_nulls()
                if not len(both):
                    continue
                means = over and over.means(
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
