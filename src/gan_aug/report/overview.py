"""The answer of several conditions side by side: a row for each, on each declared endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from gan_aug.report.answer import asked_verdicts, measure_of, worth_of
from gan_aug.report.summary import Summary
from gan_aug.report.verdicts import Verdict


@dataclass(frozen=True)
class Row:
    """What the asked arm gives on a declared endpoint under one condition.

    Attributes:
        verdict: of it against its reference, with the difference.
        blind: whether more real images are not shown to move the endpoint either.
        worth: in words, the further real images that it is worth; None without a ruler, and where
            the endpoint cannot tell.
        copies: likewise, of as many copies of real images.
    """

    verdict: Verdict
    blind: bool
    worth: str | None
    copies: str | None


def overview(summary: Summary) -> list[Row]:
    """Return the rows, endpoints as they were declared; none where there is only one condition."""
    if len(summary.splits[summary.primary][summary.endpoints[0].name]) < 2:
        return []
    rows = []
    for verdict in asked_verdicts(summary):
        measure = measure_of(summary, verdict)
        rows.append(
            Row(
                verdict,
                measure is not None and not measure.sensitivity.seen,
                worth_of(summary, verdict, summary.question.arm),
                worth_of(summary, verdict, summary.control),
            )
        )
    return rows
