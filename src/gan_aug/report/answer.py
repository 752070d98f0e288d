"""The sentence that answers the study's question, written from the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from gan_aug.report.results import AT_VALIDATION_THRESHOLD, LEFT_OUT
from gan_aug.report.statistics import Comparison
from gan_aug.report.summary import Block, Summary
from gan_aug.settings.draw import Swept

LEVEL = 0.05
BESIDE = {
    AT_VALIDATION_THRESHOLD: "at the one chosen on validation",
    "auroc": "in AUROC",
}
BESIDE_OF_MANY = {"balanced_accuracy": "in balanced accuracy", "auroc": "in AUROC"}
"""Where no class is the positive one."""


def sentences(summary: Summary, titles: dict[str, str]) -> list[str]:
    """Return one sentence for each condition, after a warning if a measurement rule was broken.

    Args:
        summary: from `gan_aug.report.analysis.summarise`.
        titles: the arms' names to what they are.
    """
    broken = [f"{r.rule} ({r.title})" for r in summary.rules if not r.passed]
    first = []
    if broken:
        first = [f"Careful: broken or incomplete rules of measurement: {'; '.join(broken)}."]
    left_out = [u["job"] for u in summary.unfinished if u["status"] == LEFT_OUT]
    if left_out:
        first.append(f"Careful: left out because their files disagree: {', '.join(left_out)}.")
    first += [f"Careful: {warning}" for warning in summary.warnings]
    first += list(_cannot_tell(summary))
    of_split = summary.splits[summary.primary]
    return first + [
        _sentence(summary, block, titles) + _beside(summary, of_split, i) + _worth(summary, block)
        for i, block in enumerate(of_split["accuracy"])
    ]


def _cannot_tell(summary: Summary) -> Iterator[str]:
    """Yield a sentence for each endpoint on which even real images are not seen."""
    for measure in summary.worth:
        seen = measure.sensitivity
        if not seen.seen and seen.interval is not None:
            yield (
                f"{_where(measure.condition)}This endpoint cannot tell: {measure.split} "
                f"{_metric(measure.metric)} is not shown to rise with more real images themselves "
                f"({points(seen.gain)} points a doubling, 95% interval {_to(seen.interval)}, from "
                f"{measure.sizes[0]} to {measure.sizes[-1]} of each class). No gain on it says "
                "nothing of other images."
            )


def _worth(summary: Summary, block: Block) -> str:
    """Return what the asked arm is worth in real images, on the endpoints that can tell."""
    arm = summary.question.arm
    parts = [
        f"{measure.arms[arm].worth} by {measure.split} {_metric(measure.metric)}"
        for measure in summary.worth
        if measure.condition == block.condition and measure.sensitivity.seen and arm in measure.arms
    ]
    if not parts:
        return ""
    classes = summary.worth[0].classes
    of = "of each class" if len(classes) > 1 else f"of {classes[0]}"
    return f" In further real images {of}, {arm} is worth {'; '.join(parts)}."


def _metric(name: str) -> str:
    return "AUROC" if name == "auroc" else name


def _where(condition: Swept) -> str:
    named = ", ".join(f"{k} = {'all' if v is None else v}" for k, v in condition.items())
    return f"With {named}: " if named else ""


def points(share: float) -> str:
    """Return a share as signed percentage points."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # not -0.0


def verdict(comparison: Comparison, lower_is_better: bool = False) -> str:
    """Return yes, worse or no: what corrected test and interval agree on."""
    p, interval = comparison.p_holm, comparison.interval
    if p is None or interval is None:
        return "unknown"
    up, down = ("worse", "yes") if lower_is_better else ("yes", "worse")
    if p < LEVEL and interval[0] > 0:
        return up
    if p < LEVEL and interval[1] < 0:
        return down
    return "no"


def _to(interval: tuple[float, float]) -> str:
    return " to ".join(map(points, interval))


def _beside(summary: Summary, of_split: dict[str, list[Block]], i: int) -> str:
    """Return the same difference where a shifted threshold cannot look like a gain (rule 7)."""
    asked = summary.question
    parts = []
    has_threshold = summary.positive is not None
    for metric, title in (BESIDE if has_threshold else BESIDE_OF_MANY).items():
        found = of_split[metric][i].pair(asked.arm, asked.reference)
        if found is not None and found.interval is not None:
            parts.append(f"{title} {points(found.mean)} ({_to(found.interval)})")
    what = "at a threshold of 0.5" if has_threshold else "by the most probable class"
    return f" That is {what}; {', '.join(parts)}." if parts else ""


def _sentence(summary: Summary, block: Block, titles: dict[str, str]) -> str:
    arm, reference = summary.question.arm, summary.question.reference
    against = block.pair(arm, reference)
    assert against is not None
    where = _where(block.condition)
    change = f"{points(against.mean)} points of {summary.primary} accuracy"
    subject = f"{arm} ({titles[arm]}) against {reference}"
    draws = f"{against.draws} draws" if against.draws > 1 else "1 draw"
    if against.p_holm is None or against.interval is None:
        return (
            f"{where}Not enough draws to answer: {subject} gave {change} over {draws}, "
            "which noise alone can give."
        )
    numbers = (
        f"{change} (95% interval {_to(against.interval)}, {draws}, "
        f"p = {against.p_holm:.2g} after Holm)"
    )
    answer = verdict(against)
    start = {"yes": "Yes, it helped", "worse": "It made it worse", "no": "No gain was shown"}
    text = f"{where}{start[answer]}: {subject} gave {numbers}"
    control = block.pair(arm, summary.control)
    if control is None and summary.adds != "gan":
        return f"{text}."
    if control is None:
        return f"{text}; no arm of this study adds as many copies of real images, used alike."
    if control.p_holm is None or control.interval is None:
        return f"{text}; too few draws have the copies of real images to compare with."
    copies = f"{points(control.mean)} ({_to(control.interval)})"
    if answer == "yes" and verdict(control) != "yes":
        shown = "but that is not shown to be more than as many copies of real images give"
        return f"{text}; {shown}: {copies}."
    if answer == "yes":
        return f"{text}, and more than as many copies of real images give: {copies}."
    return f"{text}; against as many copies of real images: {copies}."
