"""The sentence that answers the study's question, written from the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from gan_aug.report.over_patients import FIXED
from gan_aug.report.results import AT_VALIDATION_THRESHOLD, LEFT_OUT, LOWER_IS_BETTER
from gan_aug.report.summary import Block, Pair, Summary
from gan_aug.report.verdicts import (
    BETTER,
    CANNOT_TELL,
    EQUIVALENT,
    INCONCLUSIVE,
    LEVEL,
    WORSE,
    Verdict,
    equivalence_interval,
    equivalence_p,
    shown_difference,
)
from gan_aug.report.worth import Measure
from gan_aug.settings.draw import Swept
from gan_aug.settings.endpoints import Endpoint

BESIDE = {
    "accuracy": "accuracy at 0.5",
    AT_VALIDATION_THRESHOLD: "accuracy at the validation threshold",
    "auroc": "AUROC",
}
BESIDE_OF_MANY = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
}
"""Where no class is the positive one."""
STARTS = {
    BETTER: "Yes, it helped",
    WORSE: "It made it worse",
    EQUIVALENT: "No difference that matters",
    INCONCLUSIVE: "No gain was shown",
    CANNOT_TELL: "This study cannot tell",
}


def sentences(summary: Summary, titles: dict[str, str]) -> list[str]:
    """Return one sentence for each condition, the last ones, after all that they must be read with.

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
        why = "as they cannot be read or their files disagree"
        first.append(f"Careful: left out, {why}: {', '.join(left_out)}.")
    first += [f"Careful: {warning}" for warning in summary.warnings]
    if summary.declaration is not None:
        first.append(
            "Careful: endpoints or question were changed after the first draw; declared were "
            f"{summary.declaration}."
        )
    first += [*_cannot_tell(summary), *_says_little(summary)]
    of_split = summary.splits[summary.primary]
    return first + [
        _sentence(summary, block, titles)
        + _beside(summary, of_split, i)
        + _worth(summary, block)
        + _gate(summary, block)
        for i, block in enumerate(of_split[summary.endpoints[0].name])
    ]


def _cannot_tell(summary: Summary) -> Iterator[str]:
    """Yield a sentence for each endpoint on which even real images are not seen."""
    for endpoint, measures in _by_endpoint(summary):
        unseen = [
            f"{_named(one.condition)}{points(one.sensitivity.gain)} points a doubling, "
            f"95% interval {_to(interval)}, from {one.sensitivity.start} to {one.sizes[-1]} "
            f"{_of(one)}"
            for one in measures
            if not one.sensitivity.seen and (interval := one.sensitivity.interval) is not None
        ]
        if unseen:
            under = f" under {len(unseen)} of {len(measures)} conditions"
            yield (
                f"This endpoint cannot tell{under if len(measures) > 1 else ''}: {endpoint.split} "
                f"{_metric(endpoint.name)} is not shown to rise with more real images themselves "
                f"({'; '.join(unseen)}). Whether other images move it or not says nothing of them."
            )


def _says_little(summary: Summary) -> Iterator[str]:
    """Yield a sentence where even the ruler's end is equivalent to the arms' own real images."""
    for endpoint, measures in _by_endpoint(summary):
        least = endpoint.smallest_effect
        if least is None:
            continue
        called = [
            one.condition
            for one in summary.verdicts
            if one.endpoint == endpoint and one.word == EQUIVALENT
        ]
        little = [
            f"{one.sizes[-1]} real images {_of(one)} are equivalent to {one.own} within "
            f"{_effect(least)} too ({_named(one.condition)}{points(one.most.mean)}, "
            f"90% interval {_to(interval)})"
            for one in measures
            if one.condition in called
            and (p := equivalence_p(one.most, least)) is not None
            and p < LEVEL
            and (interval := equivalence_interval(one.most)) is not None
        ]
        if little:
            yield (
                f"Equivalent says little on {endpoint.split} {_metric(endpoint.name)}: "
                f"{'; '.join(little)}."
            )


def _by_endpoint(summary: Summary) -> Iterator[tuple[Endpoint, list[Measure]]]:
    for endpoint in summary.endpoints:
        where = (endpoint.split, endpoint.name)
        yield endpoint, [one for one in summary.worth if (one.split, one.metric) == where]


def _worth(summary: Summary, block: Block) -> str:
    """Return what the asked arm is worth in real images, on the endpoints that can tell."""
    arm = summary.question.arm
    parts = []
    for measure in summary.worth:
        if measure.condition != block.condition or not measure.sensitivity.seen:
            continue
        known = {name: one for name, one in measure.arms.items() if one.rate.known}
        if arm in known:
            copies = ""
            if summary.control in known:
                copies = f" (as many copies: {known[summary.control].worth})"
            named = f"{measure.split} {_metric(measure.metric)}"
            parts.append(f"{known[arm].worth} by {named}{copies}")
    if not parts:
        return ""
    of = _of(summary.worth[0])
    return f" In further real images {of}, {arm} is worth {'; '.join(parts)}."


def _gate(summary: Summary, block: Block) -> str:
    """Return how many GANs were not good: what they give says little of better ones."""
    missed = [
        f"that of {row.class_} in {row.draws - row.passed} of {row.draws} draws"
        for row in summary.gate
        if row.condition == block.condition and row.passed < row.draws
    ]
    if not missed:
        return ""
    return f" GANs whose images are not as varied as real ones (the gate): {', '.join(missed)}."


def _of(measure: Measure) -> str:
    return "of each class" if len(measure.classes) > 1 else f"of {measure.classes[0]}"


def _metric(name: str) -> str:
    return name.upper() if name in ("auroc", "auprc") else name.replace("_", " ")


def _where(condition: Swept) -> str:
    return f"With {_named(condition)}" if condition else ""


def _named(condition: Swept) -> str:
    named = ", ".join(f"{k} = {'all' if v is None else v}" for k, v in condition.items())
    return f"{named}: " if named else ""


def points(share: float) -> str:
    """Return a share as signed percentage points.

    The end of an interval keeps its sign, however small: "-0.00 to +0.43" holds 0.
    """
    return f"{100 * share + 0.0:+.2f}"  # no -0.0 becomes -0.00


def _to(interval: tuple[float, float]) -> str:
    return " to ".join(map(points, interval))


def _beside(summary: Summary, of_split: dict[str, list[Block]], i: int) -> str:
    """Return the same difference where a shifted threshold cannot look like a gain (rule 7)."""
    asked, main = summary.question, summary.endpoints[0].name
    parts = []
    for metric, title in (BESIDE if summary.positive is not None else BESIDE_OF_MANY).items():
        found = of_split[metric][i].pair(asked.arm, asked.reference)
        if metric != main and found is not None and found.interval is not None:
            parts.append(f"{title} {points(found.mean)} ({_to(found.interval)})")
    return f" Beside it, not tested: {', '.join(parts)}." if parts else ""


def _sentence(summary: Summary, block: Block, titles: dict[str, str]) -> str:
    arm, reference = summary.question.arm, summary.question.reference
    against = block.pair(arm, reference)
    assert against is not None
    where = _where(block.condition)
    change = f"{points(against.mean)} points of {summary.title}"
    subject = f"{arm} ({titles[arm]}) against {reference}"
    draws = f"{against.draws} draws" if against.draws > 1 else "1 draw"
    if against.p_holm is None or against.interval is None:
        return (
            f"{where}Not enough draws to answer: {subject} gave {change} over {draws}, "
            "which noise alone can give."
        )
    numbers = (
        f"{change} (95% interval {_to(against.interval)}, {draws}, "
        f"p = {against.p_holm:.2g} after Holm{_these_patients(against)})"
    )
    judged = judged_on_primary(summary, block, arm, reference)
    start = STARTS[judged.word]
    if judged.word in (BETTER, WORSE, EQUIVALENT) and not _of_others(against, judged):
        start += f" on these {summary.primary} patients"
    ruled = any(m.condition == block.condition for m in summary.worth)
    text = f"{where}{start}: {subject} gave {numbers}{_meaning(judged, ruled)}"
    control = block.pair(arm, summary.control)
    if control is None and summary.adds != "gan":
        return f"{text}."
    if control is None:
        return f"{text}; no arm of this study adds as many copies of real images, used alike."
    if control.p_holm is None or control.interval is None:
        return f"{text}; too few draws have the copies of real images to compare with."
    copies = f"{points(control.mean)} ({_to(control.interval)}{_these_patients(control)})"
    lower_is_better = summary.endpoints[0].name in LOWER_IS_BETTER
    if judged.word == BETTER and shown_difference(control, lower_is_better) != BETTER:
        shown = "but that is not shown to be more than as many copies of real images give"
        return f"{text}; {shown}: {copies}."
    if judged.word == BETTER:
        on_these = "" if _of_others(control, judged) else f" on these {summary.primary} patients"
        return f"{text}, and more than as many copies of real images give{on_these}: {copies}."
    return f"{text}; against as many copies of real images: {copies}."


def _these_patients(pair: Pair) -> str:
    if pair.over_draws is None:
        return ""
    return f"; for these very patients {_to(pair.over_draws)}"


def judged_on_primary(summary: Summary, block: Block, arm: str, reference: str) -> Verdict:
    """Return the verdict on two arms under a block's condition, on the primary endpoint."""
    wanted = (block.condition, summary.endpoints[0], arm, reference)
    (found,) = (
        one
        for one in summary.verdicts
        if (one.condition, one.endpoint, one.arm, one.reference) == wanted
    )
    return found


def _of_others(pair: Pair, judged: Verdict) -> bool:
    """Tell whether what is said of a pair is shown of other patients than a fixed test's too."""
    return pair.patients is not None or judged.endpoint.split not in FIXED


def _meaning(judged: Verdict, ruled: bool) -> str:
    """Return what a verdict means beside the numbers."""
    least = judged.endpoint.smallest_effect
    if least is None:
        return ""
    small = judged.p_equivalent is not None and judged.p_equivalent < LEVEL
    if judged.word in (BETTER, WORSE):
        return f", which is shown to be less than {_effect(least)}" if small else ""
    if judged.word == EQUIVALENT:
        interval = equivalence_interval(judged)
        by = "" if interval is None else f" (90% interval {_to(interval)})"
        sees = (
            "" if ruled else "; without a ruler, whether more real images would differ is not known"
        )
        return f", which is equivalent within {_effect(least)}{by}{sees}"
    if judged.word == INCONCLUSIVE:
        if judged.settles is None and judged.limit is not None and judged.limit > least:
            return (
                f", which is inconclusive: these {judged.patients} test patients show no less than "
                f"{points(judged.limit)[1:]} points, however many draws"
            )
        draws = judged.settles or "more than a million"
        return f", which is inconclusive: a study of {draws} draws would show {_effect(least)}"
    return ""


def _effect(share: float) -> str:
    number = f"{100 * share:g}"
    return f"{number} point{'' if number == '1' else 's'}"
