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
    equivalence_p,
)
from gan_aug.report.crossed import fixed
from gan_aug.report.done import span
from gan_aug.report.external import careful_of, limits_of
from gan_aug.report.metrics import titles_of
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import LEFT_OUT, STAND_INS, Swept
from gan_aug.report.summary import Answer, Summary
from gan_aug.report.worth import Measure, measure_on
from gan_aug.settings.design import AT_VALIDATION_THRESHOLD, Endpoint

SHOWN = (BETTER, WORSE)
BESIDE = ("accuracy", AT_VALIDATION_THRESHOLD, "balanced_accuracy", "auroc")
"""Where a shifted threshold can look like a gain (rule 7), the others stand beside."""
COPIES = "duplicate"
"""What arms are better than comes last: asked are `real` and the study's own pairs."""
GENERATED = ("gan", "folder")
"""Where added images are from that a generator made."""
MOST_GATES = 6
"""Conditions whose gate has a sentence of its own."""


def answer_of(summary: Summary, titles: Mapping[str, str], done: list[str]) -> Answer:
    """Return what a report says first.

    `titles` are the arms' names to what they are, `done` what was done, from `gan_aug.report.done`.
    """
    return Answer(
        careful=list(_careful(summary)),
        question=_question(summary, titles),
        verdicts=[_verdict_in_words(summary, one) for one in asked_verdicts(summary)],
        shown=list(_also_shown(summary)),
        limits=list(_limits(summary)),
        done=done,
        exploratory=list(_exploratory(summary)),
    )


def asked_verdicts(summary: Summary) -> list[Verdict]:
    """Return those on the asked arm: endpoints as they were declared, conditions in their order."""
    asked = (summary.question.arm, summary.question.reference)
    return [one for one in summary.verdicts if (one.arm, one.reference) == asked]


def measure_of(summary: Summary, verdict: Verdict) -> Measure | None:
    """Return the ruler on a verdict's endpoint and condition; None where none was laid on it."""
    return measure_on(summary.worth, verdict.condition, *verdict.where)


def worth_of(summary: Summary, verdict: Verdict, arm: str | None) -> str | None:
    """Return what an arm is worth on a verdict's endpoint; None where the endpoint cannot tell."""
    measure = measure_of(summary, verdict)
    if measure is None or not measure.sensitivity.seen:
        return None
    worth = measure.arms.get(arm or "")
    return worth.worth if worth is not None and worth.rate.known else None


def _careful(summary: Summary) -> Iterator[str]:
    yield from (f"Careful: {said}" for one in summary.external for said in careful_of(one))
    broken = [f"{r.rule} ({r.title})" for r in summary.rules if not r.passed]
    if broken:
        yield f"Careful: broken or incomplete rules of measurement: {'; '.join(broken)}."
    left_out = [u["job"] for u in summary.unfinished if u["status"] == LEFT_OUT]
    if left_out:
        why = "as they cannot be read or their files disagree"
        yield f"Careful: left out, {why}: {', '.join(left_out)}."
    yield from (f"Careful: {warning}" for warning in summary.warnings)
    if summary.declaration is not None:
        yield (
            "Careful: endpoints or question were changed after the first draw; declared were "
            f"{summary.declaration}."
        )


def _question(summary: Summary, titles: Mapping[str, str]) -> str:
    arm, reference = summary.question.arm, summary.question.reference
    beside = f" ({titles[reference]})" if reference in titles else ""
    named = ", ".join(_endpoint(summary, one) for one in summary.endpoints)
    when = "Declared before the first draw" if summary.declared else "Not declared beforehand"
    least = {e for one in summary.endpoints if (e := one.smallest_effect) is not None}
    effects = " or ".join(map(_effect, sorted(least)))
    matters = f" The smallest difference that matters: {effects}." if least else ""
    return f"Is {arm} ({titles[arm]}) better than {reference}{beside}? {when}: {named}.{matters}"


def _verdict_in_words(summary: Summary, one: Verdict) -> str:
    """Return what is said of the asked arm on an endpoint under a condition."""
    start = f"{_endpoint(summary, one.endpoint)}{_under(one.condition)}: {_called(summary, one)}"
    parts = (_copies(summary, one), _worth(summary, one))
    numbers = f"{_numbers(summary, one)}{_meaning(summary, one)}"
    return " ".join([f"{_capital(start)}, {numbers}.", *filter(None, parts)])


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
        TOO_FEW: "too few draws to answer",
    }[one.word]
    of_whom = _on_these(summary, one) if one.word in (*SHOWN, EQUIVALENT) else ""
    return f"{said}{of_whom}{_although(summary, one)}"


def _although(summary: Summary, one: Verdict) -> str:
    """Return that an endpoint on which a difference is shown is not shown to see real images."""
    measure = measure_of(summary, one)
    if one.word not in SHOWN or measure is None or measure.sensitivity.seen:
        return ""
    return ", although more real images are not shown to move this endpoint"


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
        over = f" over draws and {units}, {_to(one.over_draws)} over draws alone"
    return _difference(one, f"{over}; {draws}; {_p(one)}")


def _difference(one: Verdict, beside: str = "") -> str:
    """Return a difference that has an interval, with that and what is told beside it."""
    ends = "" if one.interval is None else _to(one.interval)
    return f"{points(one.mean)} points (95% interval {ends}{beside})"


def _p(one: Verdict) -> str:
    p = 1.0 if one.p_holm is None else one.p_holm
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _meaning(summary: Summary, one: Verdict) -> str:
    """Return what a verdict means beside the numbers."""
    least = one.endpoint.smallest_effect
    if least is None:
        return ""
    if one.word in SHOWN:
        small = one.p_equivalent is not None and one.p_equivalent < LEVEL
        return f", which is shown to be less than {_effect(least)}" if small else ""
    if one.word == EQUIVALENT:
        interval = equivalence_interval(one)
        by = "" if interval is None else f" (90% interval {_to(interval)})"
        return f", which is within {_effect(least)}{by}"
    if one.word == INCONCLUSIVE:
        if one.settles is None and one.limit is not None and one.limit > least:
            return (
                f"; these {one.patients} {one.endpoint.images} {summary.units[one.endpoint.split]} "
                f"show no less than {points(one.limit)[1:]} points, however many draws"
            )
        draws = one.settles or "more than a million"
        return f"; a new study of {draws} draws would show {_effect(least)}"
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
    copies, numbers = f"as many copies of real images ({summary.control})", _difference(control)
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
        numbers = (f"{_before(v.condition)}{_difference(v, f', {_p(v)}')}" for v in group)
        start = f"{_endpoint(summary, summary.endpoints[rank])}: {said}"
        yield f"{_capital(start)}: {'; '.join(numbers)}."


def _limits(summary: Summary) -> Iterator[str]:
    over = summary.corrected_over
    parts = [
        f"{size} comparison{'' if size == 1 else 's'} on the {which}"
        for size, which in (
            (over["primary"], "primary endpoint"),
            (over["secondary"], "secondary endpoints"),
        )
        if size
    ]
    if parts:
        yield (
            f"p is after Holm's correction over {', and over '.join(parts)}; equivalence is "
            "corrected apart, over as many."
        )
    yield from (said for one in summary.external for said in limits_of(one))
    yield from _patients(summary)
    yield from _blind(summary)
    yield from _says_little(summary)
    yield from _gate(summary)
    if not summary.worth:
        yield (
            "No ruler: whether more real images would move these endpoints is not known, and so "
            "what a null means."
        )
    if summary.control is None and summary.adds in GENERATED:
        yield "No arm of this study adds as many copies of real images, used alike."


def _patients(summary: Summary) -> Iterator[str]:
    for images, split in {one.images: one.split for one in summary.endpoints}.items():
        of_images = [one for one in summary.verdicts if one.endpoint.images == images]
        known = {one.patients for one in of_images if one.patients is not None}
        units = summary.units[split]
        if not fixed(split):
            yield f"Each draw has {images} {units} of its own: intervals are over draws."
        elif known:
            yield (
                f"All draws have the same {span(known)} {images} {units}: intervals and p are "
                f"over draws and {units}."
            )
        elif len(summary.draws) >= LEAST_DRAWS:
            yield (
                f"All draws have the same {images} images, and who is on them is not kept: what is "
                f"shown is shown of these {units} alone."
            )
    if any(summary.units[one.split] == STAND_INS for one in summary.endpoints):
        yield f"Not every image tells its patient: {STAND_INS} stand for patients."


def _blind(summary: Summary) -> Iterator[str]:
    """Yield a sentence for each endpoint on which even real images are not seen."""
    for endpoint, measures in _by_endpoint(summary):
        unseen = [
            f"{_before(one.condition)}{points(one.sensitivity.gain)} points a doubling "
            f"(95% interval {_to(interval)}, from {one.sensitivity.start} to {one.sizes[-1]} "
            f"of {one.varied})"
            for one in measures
            if not one.sensitivity.seen and (interval := one.sensitivity.interval) is not None
        ]
        if unseen:
            under = f" under {len(unseen)} of {len(measures)} conditions"
            yield (
                "More real images themselves are not shown to move "
                f"{_title(summary, *endpoint.where)}"
                f"{under if len(measures) > 1 else ''}: {'; '.join(unseen)}. "
                "A null on it says nothing of other images."
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
            f"{one.sizes[-1]} real images of {one.varied} are equivalent to {one.own} within "
            f"{_effect(least)} too ({_before(one.condition)}{points(one.most.mean)}, "
            f"90% interval {_to(interval)})"
            for one in measures
            if one.condition in called
            and (p := equivalence_p(one.most, least)) is not None
            and p < LEVEL
            and (interval := equivalence_interval(one.most)) is not None
        ]
        if little:
            title = _title(summary, *endpoint.where)
            yield f"Equivalent says little on {title}: {'; '.join(little)}."


def _gate(summary: Summary) -> Iterator[str]:
    """Yield how many GANs pass, beside how often real images do: what they give says no more."""
    by_condition: dict[str, list[str]] = {}
    for row in summary.gate:
        real = "not measured" if row.real is None else f"{100 * row.real:.0f} % of the time"
        passed = f"{row.class_} in {row.passed} of {row.draws} draws (real images: {real})"
        by_condition.setdefault(_under(row.condition), []).append(passed)
    if len(by_condition) > MOST_GATES:
        passes, sets = (sum(getattr(row, n) for row in summary.gate) for n in ("passed", "draws"))
        shares = [round(100 * row.real) for row in summary.gate if row.real is not None]
        yield (
            f"{passes} of {sets} sets of {summary.maker} images pass the gate, as varied as real "
            f"ones; of real images in their place: "
            f"{f'{span(shares)} %' if shares else 'not measured'}."
        )
        return
    for condition, classes in by_condition.items():
        said = f"The {summary.maker} images pass the gate (as varied as unseen real ones)"
        yield f"{said}{condition}: {', '.join(classes)}."


def _exploratory(summary: Summary) -> Iterator[str]:
    """Yield the asked difference by metrics, and worth by endpoints, that were not declared."""
    declared = {one.where for one in summary.endpoints}
    arm, reference = summary.question.arm, summary.question.reference
    of_split = summary.splits[summary.primary]
    for i, block in enumerate(of_split[summary.endpoints[0].name]):
        under, parts = _under(block.condition), []
        for metric in BESIDE:
            pair = of_split[metric][i].pair(arm, reference) if metric in of_split else None
            if (summary.primary, metric) not in declared and pair and pair.interval is not None:
                numbers = f"{points(pair.mean)} ({_to(pair.interval)})"
                parts.append(f"{_title(summary, summary.primary, metric)} {numbers}")
        if parts:
            yield f"Not declared{under}: {arm} less {reference}, in points: {', '.join(parts)}."
        worths = [
            f"{one.arms[arm].worth} by {_title(summary, one.split, one.metric)}"
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


def _by_endpoint(summary: Summary) -> Iterator[tuple[Endpoint, list[Measure]]]:
    for endpoint in summary.endpoints:
        where = endpoint.where
        yield endpoint, [one for one in summary.worth if (one.split, one.metric) == where]


def _endpoint(summary: Summary, endpoint: Endpoint) -> str:
    """Return an endpoint with its rank: `test AUROC (primary)`."""
    rank = "primary" if endpoint == summary.endpoints[0] else "secondary"
    return f"{_title(summary, *endpoint.where)} ({rank})"


def _title(summary: Summary, split: str, metric: str) -> str:
    return f"{split} {titles_of(summary.data_classes)[metric]}"


def _named(condition: Swept) -> str:
    return ", ".join(f"{k} = {'all' if v is None else v}" for k, v in condition.items())


def _before(condition: Swept) -> str:
    return f"{_named(condition)}: " if condition else ""


def _under(condition: Swept) -> str:
    return f", with {_named(condition)}" if condition else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def points(share: float) -> str:
    """Return a share as signed percentage points.

    The end of an interval keeps its sign, however small: "-0.00 to +0.43" holds 0.
    """
    return f"{100 * share + 0.0:+.2f}"  # no -0.0 becomes -0.00


def _to(interval: tuple[float, float]) -> str:
    return " to ".join(map(points, interval))


def _effect(share: float) -> str:
    number = f"{100 * share:g}"
    return f"{number} point{'' if number == '1' else 's'}"
