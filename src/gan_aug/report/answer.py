"""The sentence that answers the study's question, written from the numbers."""

from __future__ import annotations

from typing import Any

from gan_aug.report.results import AT_VALIDATION_THRESHOLD, LEFT_OUT

LEVEL = 0.05
BESIDE = {
    AT_VALIDATION_THRESHOLD: "at the one chosen on validation",
    "auroc": "in AUROC",
}
BESIDE_OF_MANY = {"balanced_accuracy": "in balanced accuracy", "auroc": "in AUROC"}
"""Where no class is the positive one."""


def sentences(summary: dict[str, Any], titles: dict[str, str]) -> list[str]:
    """Return one sentence for each condition, after a warning if a measurement rule was broken.

    Args:
        summary: from `gan_aug.report.analysis.summarise`.
        titles: the arms' names to what they are.
    """
    broken = [f"{r['rule']} ({r['title']})" for r in summary["rules"] if not r["passed"]]
    first = []
    if broken:
        first = [f"Careful: broken or incomplete rules of measurement: {'; '.join(broken)}."]
    left_out = [u["job"] for u in summary["unfinished"] if u["status"] == LEFT_OUT]
    if left_out:
        first.append(f"Careful: left out because their files disagree: {', '.join(left_out)}.")
    first += [f"Careful: {warning}" for warning in summary["warnings"]]
    of_split = summary["splits"][summary["primary"]]
    return first + [
        f"{_sentence(summary, block, titles)}{_beside(summary, of_split, i)}"
        for i, block in enumerate(of_split["accuracy"])
    ]


def points(share: float) -> str:
    """Return a share as signed percentage points."""
    return f"{100 * share:+.1f}"


def verdict(comparison: dict[str, Any], lower_is_better: bool = False) -> str:
    """Return yes, worse or no: what corrected test and interval agree on."""
    if comparison["p_holm"] is None:
        return "unknown"
    up, down = ("worse", "yes") if lower_is_better else ("yes", "worse")
    if comparison["p_holm"] < LEVEL and comparison["low"] > 0:
        return up
    if comparison["p_holm"] < LEVEL and comparison["high"] < 0:
        return down
    return "no"


def _beside(summary: dict[str, Any], of_split: dict[str, Any], i: int) -> str:
    """Return the same difference where a shifted threshold cannot look like a gain (rule 7)."""
    asked = tuple(summary["question"].values())
    parts = []
    has_threshold = summary["positive"] is not None
    for metric, title in (BESIDE if has_threshold else BESIDE_OF_MANY).items():
        found = of_split[metric][i]["comparisons"]
        (c,) = [c for c in found if (c["arm"], c["reference"]) == asked]
        if c["low"] is not None:
            parts.append(f"{title} {points(c['mean'])} ({points(c['low'])} to {points(c['high'])})")
    what = "at a threshold of 0.5" if has_threshold else "by the most probable class"
    return f" That is {what}; {', '.join(parts)}." if parts else ""


def _sentence(summary: dict[str, Any], block: dict[str, Any], titles: dict[str, str]) -> str:
    arm, reference = summary["question"].values()
    found = {(c["arm"], c["reference"]): c for c in block["comparisons"]}
    against = found[arm, reference]
    where = ", ".join(f"{k} = {'all' if v is None else v}" for k, v in block["condition"].items())
    where = f"With {where}: " if where else ""
    change = f"{points(against['mean'])} points of {summary['primary']} accuracy"
    subject = f"{arm} ({titles[arm]}) against {reference}"
    draws = f"{against['draws']} draws" if against["draws"] > 1 else "1 draw"
    if against["p_holm"] is None:
        return (
            f"{where}Not enough draws to answer: {subject} gave {change} over {draws}, "
            "which noise alone can give."
        )
    numbers = (
        f"{change} (95% interval {points(against['low'])} to {points(against['high'])}, {draws}, "
        f"p = {against['p_holm']:.2g} after Holm)"
    )
    answer = verdict(against)
    start = {"yes": "Yes, it helped", "worse": "It made it worse", "no": "No gain was shown"}
    text = f"{where}{start[answer]}: {subject} gave {numbers}"
    control = found.get((arm, summary["control"]))
    if control is None and summary["adds"] != "gan":
        return f"{text}."
    if control is None:
        return f"{text}; no arm of this study adds as many copies of real images, used alike."
    if control["p_holm"] is None:
        return f"{text}; too few draws have the copies of real images to compare with."
    copies = f"{points(control['mean'])} ({points(control['low'])} to {points(control['high'])})"
    if answer == "yes" and verdict(control) != "yes":
        shown = "but that is not shown to be more than as many copies of real images give"
        return f"{text}; {shown}: {copies}."
    if answer == "yes":
        return f"{text}, and more than as many copies of real images give: {copies}."
    return f"{text}; against as many copies of real images: {copies}."
