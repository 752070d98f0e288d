"""What limits a report's answer, written from the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from gan_aug.report.comparisons import EQUIVALENT, LEVEL, equivalence_interval, equivalence_p
from gan_aug.report.crossed import fixed
from gan_aug.report.done import span
from gan_aug.report.external import careful_of, limits_of
from gan_aug.report.phrases import effect, ends_of, leading, points, titled, trailing
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import LEFT_OUT, STAND_INS
from gan_aug.report.summary import Summary
from gan_aug.report.worth import measures_on

GENERATED = ("gan", "folder")
"""Where added images are from that a generator made."""
_COPY = 0.1
"""Share of the distance from unseen real images to training images, below which one is a copy."""
MOST_GATES = 6
"""Conditions whose gate has a sentence of its own."""


def careful(summary: Summary) -> Iterator[str]:
    """Yield what all else must be read with: broken rules, draws left out."""
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


def limits(summary: Summary) -> Iterator[str]:
    """Yield what limits the answer: corrections, patients, blind endpoints, the gate."""
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
    yield from _copies(summary)
    if not summary.worth and summary.further_real:
        arms = " and ".join(summary.further_real)
        yield f"No ruler: what more real images do to these endpoints is told by {arms} alone."
    elif not summary.worth:
        yield (
            "No ruler: whether more real images would move these endpoints is not known, and so "
            "what a null means."
        )
    if summary.control is None and summary.adds in GENERATED:
        yield "No arm of this study adds as many copies of real images, used alike."


def _patients(summary: Summary) -> Iterator[str]:
    splits = {one.images: one.split for one in summary.endpoints}
    if len(summary.draws) < LEAST_DRAWS:  # there is neither interval nor p
        splits = {}
    for images, split in splits.items():
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
        else:
            yield (
                f"All draws have the same {images} images, and who is on them is not kept: what is "
                f"shown is shown of these {units} alone."
            )
    if any(summary.units[one.split] == STAND_INS for one in summary.endpoints):
        yield f"Not every image tells its patient: {STAND_INS} stand for patients."


def _blind(summary: Summary) -> Iterator[str]:
    """Yield a sentence for each endpoint on which even real images are not seen."""
    for endpoint in summary.endpoints:
        measures = measures_on(summary.worth, endpoint.where)
        unseen = [
            f"{leading(one.condition)}{points(one.sensitivity.gain)} points a doubling "
            f"(95% interval {ends_of(interval)}, from {one.sensitivity.start} to {one.sizes[-1]} "
            f"of {one.varied})"
            for one in measures
            if not one.sensitivity.seen and (interval := one.sensitivity.interval) is not None
        ]
        if unseen:
            under = f" under {len(unseen)} of {len(measures)} conditions"
            yield (
                "More real images themselves are not shown to move "
                f"{titled(summary, *endpoint.where)}"
                f"{under if len(measures) > 1 else ''}: {'; '.join(unseen)}. "
                "A null on it says nothing of other images."
            )


def _says_little(summary: Summary) -> Iterator[str]:
    """Yield a sentence where even the ruler's end is equivalent to the arms' own real images."""
    for endpoint in summary.endpoints:
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
            f"{effect(least)} too ({leading(one.condition)}{points(one.most.mean)}, "
            f"90% interval {ends_of(interval)})"
            for one in measures_on(summary.worth, endpoint.where)
            if one.condition in called
            and (p := equivalence_p(one.most, least)) is not None
            and p < LEVEL
            and (interval := equivalence_interval(one.most)) is not None
        ]
        if little:
            title = titled(summary, *endpoint.where)
            yield f"Equivalent says little on {title}: {'; '.join(little)}."


def _gate(summary: Summary) -> Iterator[str]:
    """Yield how many GANs pass, beside how often real images do: what they give says no more."""
    by_condition: dict[str, list[str]] = {}
    for row in summary.gate:
        real = "not measured" if row.real is None else f"{100 * row.real:.0f} % of the time"
        passed = f"{row.class_} in {row.passed} of {row.draws} draws (real images: {real})"
        by_condition.setdefault(trailing(row.condition), []).append(passed)
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


def _copies(summary: Summary) -> Iterator[str]:
    """Yield which generated images are training images: the gate asks for variety alone."""
    for row in summary.quality:
        if row.value != "nearest_pixel" or row.baseline is None:
            continue
        if row.generated < _COPY * row.baseline:
            where = f"{trailing(row.condition)}," if row.condition else ""
            yield (
                f"The {summary.maker} images of {row.class_}{where} are copies "
                "of training images, or nearly: half of them differ from one by "
                f"{row.generated:.1f} of 255 grey levels at most, half of unseen real images by "
                f"{row.baseline:.1f}."
            )
