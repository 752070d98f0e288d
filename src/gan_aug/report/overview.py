"""The answer of several conditions side by side: a row for each."""

from __future__ import annotations

from dataclasses import dataclass

from gan_aug.report.answer import judged_on_primary
from gan_aug.report.summary import Summary
from gan_aug.report.verdicts import Verdict


@dataclass(frozen=True)
class Row:
    """What the asked arm gives under one condition, on the primary endpoint.

    Attributes:
        verdict: of it against its reference, with the difference.
        worth: in words, the further real images that it is worth; None without a ruler, and where
            the endpoint cannot tell.
        copies: likewise, of as many copies of real images.
        gate: class to the draws whose GAN passed the gate, and of how many; empty: not judged.
    """

    verdict: Verdict
    worth: str | None
    copies: str | None
    gate: dict[str, tuple[int, int]]


def overview(summary: Summary) -> list[Row]:
    """Return a row for each condition, in their order; none where there is only one."""
    endpoint, asked = summary.endpoints[0], summary.question
    blocks = summary.splits[summary.primary][endpoint.name]
    if len(blocks) < 2:
        return []
    rows = []
    for block in blocks:
        verdict = judged_on_primary(summary, block, asked.arm, asked.reference)
        rows.append(
            Row(
                verdict,
                _worth(summary, verdict, asked.arm),
                _worth(summary, verdict, summary.control),
                {
                    row.class_: (row.passed, row.draws)
                    for row in summary.gate
                    if row.condition == block.condition
                },
            )
        )
    return rows


def _worth(summary: Summary, verdict: Verdict, arm: str | None) -> str | None:
    where = (verdict.condition, verdict.endpoint.split, verdict.endpoint.name)
    for measure in summary.worth:
        if (measure.condition, measure.split, measure.metric) == where and measure.sensitivity.seen:
            found = measure.arms.get(arm or "")
            return found.worth if found is not None and found.rate.known else None
    return None
