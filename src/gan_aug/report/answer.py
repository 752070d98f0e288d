"""What a report says first, written from the numbers: the question, its answer, what limits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gan_aug.report.comparisons import (
    BETTER,
    CANNOT_TELL,
    EQUIVALENT,
    INCONCLUSIVE,
    LEVEL,
    TOO_FEW,
    WORSE,
    Verdict,
    equivalence_interval,
)
from gan_aug.report.crossed import fixed
from gan_aug.report.limits import careful, limits
from gan_aug.report.phrases import (
    capital,
    difference,
    effect,
    endpoint_named,
    ends_of,
    leading,
    p_value,
    points,
    titled,
    trailing,
    with_interval,
)
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.summary import Answer, Summary
from gan_aug.report.worth import Measure, measure_on
from gan_aug.settings.design import AT_VALIDATION_THRESHOLD

SHOWN = (BETTER, WORSE)
BESIDE = ("accuracy", AT_VALIDATION_THRESHOLD, "balanced_accuracy", "auroc")
"""Where a shifted threshold can look like a gain (rule 7), the others stand beside."""
COPIES = "duplicate"
"""What arms are better than comes last: asked are `real` and the study's own pairs."""


def answer_of(summary: Summary, titles: Mapping[str, str], done: list[str]) -> Answer:
    """Return what a report says first.

    `titles` are the arms' names to what they are, `done` what was done, from `gan_aug.report.done`.
    """
    return Answer(
        careful=list(careful(summary)),
        question=_question(summary, titles),
        verdicts=[_verdict_in_words(summary, one) for one in asked_verdicts(summary)],
        shown=list(_also_shown(summary)),
        limits=list(limits(summary)),
        done=done,
        exploratory=list(_exploratory(summary)),
    )


def asked_verdicts(summary: Summary) -> list[Verdict]:
    """Return those on the asked arm: endpoints as they were declared, conditions in their order."""
    asked = (summary.question.arm, summary.question.reference)
    return [one for one in summary.verdicts if (one.arm, one.reference) == asked]


def measure_of(summary: Summary, verdict: Verdict) -> Measure | None:
    """Return the ruler on a verdict's endpoint and condition; None where none was laid on it."""
    return measure_on(summary.worth, verdict.condition, verdict.where)


def worth_of(summary: Summary, verdict: Verdict, arm: str | None) -> str | None:
    """Return what an arm is worth on a verdict's endpoint; None where the endpoint cannot tell."""
    measure = measure_of(summary, verdict)
    if measure is None or not measure.sensitivity.seen:
        return None
    worth = measure.arms.get(arm or "")
    return worth.worth if worth is not None and worth.rate.known else None


def blind(summary: Summary, verdict: Verdict) -> bool:
    """Tell whether more real images are not shown to move a verdict's endpoint either."""
    measure = measure_of(summary, verdict)
    return measure is not None and not measure.sensitivity.seen


def _question(summary: Summary, titles: Mapping[str, str]) -> str:
    arm, reference = summary.question.arm, summary.question.reference
    beside = f" ({titles[reference]})" if reference in titles else ""
    named = ", ".join(endpoint_named(summary, one) for one in summary.endpoints)
    when = "Declared before the first draw" if summary.declared else "Not declared beforehand"
    least = {e for one in summary.endpoints if (e := one.smallest_effect) is not None}
    effects = " or ".join(map(effect, sorted(least)))
    matters = f" The smallest difference that matters: {effects}." if least else ""
    return f"Is {arm} ({titles[arm]}) better than {reference}{beside}? {when}: {named}.{matters}"


def _verdict_in_words(summary: Summary, one: Verdict) -> str:
    """Return what is said of the asked arm on an endpoint under a condition."""
    where = f"{endpoint_named(summary, one.endpoint)}{trailing(one.condition)}"
    start = f"{where}: {_called(summary, one)}"
    parts = (_copies(summary, one), _worth(summary, one))
    numbers = f"{_numbers(summary, one)}{_meaning(summary, one)}"
    return " ".join([f"{capital(start)}, {numbers}.", *filter(None, parts)])


def _called(summary: Summary, one: Verdict) -> str:
    """Return a verdict in words, and in the same sentence whether real images are seen at all."""
    if one.word == CANNOT_TELL:
        pair = f"neither {one.arm} in place of {one.reference} nor more real images"
        return f"cannot tell, {pair} are shown to move it"
    said = {
        BETTER: f"{one.arm} is better than {one.reference}",
        WORSE: f"{one.arm} is worse than {one.reference}",
        EQUIVALENT: f"{one.arm} is equivalent to {one.reference}",
        INCONCLUSIVE: f"no difference between {one.arm} and {one.reference} is shown",
        TOO_FEW: f"too few draws to answer ({LEAST_DRAWS} are the fewest)",
    }[one.word]
    of_whom = _on_these(summary, one) if one.word in (*SHOWN, EQUIVALENT) else ""
    return f"{said}{of_whom}{_although(summary, one)}"


def _although(summary: Summary, one: Verdict) -> str:
    """Return that an endpoint on which a difference is shown is not shown to see real images."""
    if one.word in SHOWN and blind(summary, one):
        return ", although more real images are not shown to move this endpoint"
    return ""


def _on_these(summary: Summary, one: Verdict) -> str:
    """Return of whom alone something is shown, where it is not shown of other patients too."""
    of_them, split = one.patients is None, one.endpoint.split
    units = f"{one.endpoint.images} {summary.units[split]}"
    return f" on these {units}" if of_them and fixed(split) else ""


def _numbers(summary: Summary, one: Verdict) -> str:
    draws = f"{one.draws} draws" if one.draws > 1 else "1 draw"
    if one.interval is None or one.p_holm is None:
        return f"{points(one.mean)} points over {draws}, which noise alone can give"
    over = ""
    if one.over_draws is not None:
        units = summary.units[one.endpoint.split]
        over = f" over draws and {units}, {ends_of(one.over_draws)} over draws alone"
    return difference(one, f"{over}; {draws}; {p_value(one)}")


def _meaning(summary: Summary, one: Verdict) -> str:
    """Return what a verdict means beside the numbers."""
    least = one.endpoint.smallest_effect
    if least is None:
        return ""
    if one.word in SHOWN:
        small = one.p_equivalent is not None and one.p_equivalent < LEVEL
        return f", which is shown to be less than {effect(least)}" if small else ""
    if one.word == EQUIVALENT:
        interval = equivalence_interval(one)
        by = "" if interval is None else f" (90% interval {ends_of(interval)})"
        return f", which is within {effect(least)}{by}"
    if one.word == INCONCLUSIVE:
        if one.settles is None and one.limit is not None and one.limit > least:
            return (
                f"; these {one.patients} {one.endpoint.images} {summary.units[one.endpoint.split]} "
                f"show no less than {points(one.limit)[1:]} points, however many draws"
            )
        if one.alike:
            return (
                f"; how many draws would show {effect(least)} is not known, as these do not differ"
            )
        draws = one.settles or "more than a million"
        return f"; a new study of {draws} draws would show {effect(least)}"
    return ""


def _copies(summary: Summary, one: Verdict) -> str:
    """Return the asked arm against as many copies of real images, used alike."""
    if summary.control is None or one.word == TOO_FEW:
        return ""
    wanted = (one.condition, one.endpoint, one.arm, summary.control)
    of_copies = (
        v for v in summary.verdicts if (v.condition, v.endpoint, v.arm, v.reference) == wanted
    )
    control = next(of_copies, None)
    if control is None or control.interval is None or control.p_holm is None:
        return "Too few draws have copies of real images to compare with."
    copies, numbers = f"as many copies of real images ({summary.control})", difference(control)
    if control.word == one.word == BETTER:
        return f"It is better than {copies} too: {numbers}."
    if one.word == BETTER:
        return f"But it is not shown to be better than {copies}: {numbers}."
    shown = control.word in (*SHOWN, EQUIVALENT)
    return f"Against {copies}: {numbers}, {control.word if shown else 'no difference is shown'}."


def _worth(summary: Summary, one: Verdict) -> str:
    """Return what the asked arm is worth in real images, on an endpoint that sees these."""
    worth, measure = worth_of(summary, one, one.arm), measure_of(summary, one)
    if worth is None or measure is None:
        return ""
    copies = worth_of(summary, one, summary.control)
    beside = "" if copies is None else f"; as many copies: {copies}"
    return f"In further real images of {measure.varied}, {one.arm} is worth {worth}{beside}."


def _also_shown(summary: Summary) -> Iterator[str]:
    """Yield every other declared result that is significant, one sentence for each pair of arms."""
    asked = asked_verdicts(summary)
    groups: dict[tuple[int, bool, str], list[Verdict]] = {}
    for one in summary.verdicts:
        if one.word in SHOWN and one not in asked:
            although = _although(summary, one)
            said = (
                f"{one.arm} is {one.word} than {one.reference}{_on_these(summary, one)}{although}"
            )
            rank = summary.endpoints.index(one.endpoint)
            groups.setdefault((rank, one.reference == COPIES, said), []).append(one)
    for (rank, _, said), group in sorted(groups.items(), key=lambda group: group[0][:2]):
        numbers = (f"{leading(v.condition)}{difference(v, f', {p_value(v)}')}" for v in group)
        start = f"{endpoint_named(summary, summary.endpoints[rank])}: {said}"
        yield f"{capital(start)}: {'; '.join(numbers)}."


def _exploratory(summary: Summary) -> Iterator[str]:
    """Yield the asked difference by metrics, and worth by endpoints, that were not declared."""
    declared = {one.where for one in summary.endpoints}
    arm, reference = summary.question.arm, summary.question.reference
    of_split = summary.splits[summary.primary]
    for i, block in enumerate(of_split[summary.endpoints[0].name]):
        under, parts = trailing(block.condition), []
        for metric in BESIDE:
            pair = of_split[metric][i].pair(arm, reference) if metric in of_split else None
            if (summary.primary, metric) not in declared and pair and pair.interval is not None:
                numbers = with_interval(pair.mean, pair.interval)
                parts.append(f"{titled(summary, summary.primary, metric)} {numbers}")
        if parts:
            yield f"Not declared{under}: {arm} less {reference}, in points: {', '.join(parts)}."
        worths = [
            f"{one.arms[arm].worth} by {titled(summary, one.split, one.metric)}"
            for one in summary.worth
            if one.condition == block.condition
            and (one.split, one.metric) not in declared
            and one.sensitivity.seen
            and arm in one.arms
            and one.arms[arm].rate.known
        ]
        if worths:
            yield (
                f"Not declared{under}: in further real images of {summary.worth[0].varied}, {arm} "
                f"would be worth {', '.join(worths)}."
            )
