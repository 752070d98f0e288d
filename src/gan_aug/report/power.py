"""How many draws the smallest effect needs, before a study is run or while it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scipy import stats

from gan_aug.report.comparisons import LEVEL, Pair, family
from gan_aug.report.crossed import OverPatients
from gan_aug.report.phrases import effect as in_points
from gan_aug.report.phrases import leading
from gan_aug.report.read import read_study
from gan_aug.report.statistics import CONFIDENCE, Comparison, draws_needed, visible_difference
from gan_aug.report.study import Condition
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.find import find_runs, has_results
from gan_aug.settings.design import Endpoint, Question

FIRST = 5
"""Draws whose standard deviation (SD) is worth a look."""
_SDS = (0.5, 1.0, 2.0, 3.0)
"""In smallest effects, where no SD is known."""


Compared = tuple[Condition, tuple[str, str]]
"""A comparison: under which condition, and of which arms."""


def lines_on_power(
    folder: Path, endpoint: Endpoint, question: Question, planned: Sequence[Compared]
) -> Iterator[str]:
    """Yield lines on the draws that show the smallest effect of the primary endpoint.

    The SD of the paired differences is that of the finished draws in a study's folder, under each
    condition; its interval takes them for normal. Without two of them there is none. The report
    will correct over the comparisons of these draws and over those that are `planned`, once each.
    """
    effect, asked = endpoint.smallest_effect, f"{question.arm} less {question.reference}"
    if effect is None:
        yield ("draws needed: not known; study.endpoints[0] declares no smallest_effect, set it")
        return
    yield (
        f"draws needed to show {in_points(effect)} of {endpoint.images} {endpoint.name}, {asked} "
        "(paired t-test, two-sided 5 %, 80 % power):"
    )
    try:
        known, comparisons = _known(folder, endpoint, question, planned)
    except GanAugError as error:
        yield f"  not known, for the draws of this study cannot be read: {error}"
        return
    for pair in known:
        yield f"  {leading(pair.condition)}{_of_pair(pair, effect, comparisons)}"
    if not known:
        sds = ", ".join(f"{100 * effect * sd:g}" for sd in _SDS)
        said = "; ".join(
            title + ", ".join(f"{draws_needed(sd, 1.0, level)}" for sd in _SDS) + " draws"
            for title, level in _levels(comparisons).items()
        )
        yield "  nothing is known yet: no two draws of this study are finished"
        yield f"  if the standard deviation (SD) between draws is {sds} points: {said}"
        yield f"  run {FIRST} draws and plan again; their SD tells"


def _known(
    folder: Path, endpoint: Endpoint, question: Question, planned: Sequence[Compared]
) -> tuple[list[Pair], int]:
    """Return the asked arms under each condition with two draws or more; and all comparisons."""
    if not any(map(has_results, find_runs(folder).runs)):
        return [], len(planned)
    study = read_study(folder)
    every = family(study, [endpoint.where], OverPatients(study))
    asked = (question.arm, question.reference)
    pairs = [one for one in every.pairs if (one.arm, one.reference) == asked]
    more = [one for one in planned if one[0] not in study.conditions]
    return [one for one in pairs if one.sd is not None], every.planned + len(more)


def _levels(comparisons: int) -> dict[str, float]:
    """Return what is said before numbers of draws, and the level that they are for."""
    # Conditions may have fits in common, which the report counts once.
    corrected = f"corrected for up to {comparisons} comparisons: "
    return {"": LEVEL} | ({corrected: LEVEL / comparisons} if comparisons > 1 else {})


def _of_pair(pair: Comparison, effect: float, comparisons: int) -> str:
    assert pair.sd is not None
    if pair.alike:
        return (
            f"SD 0.00 points over {pair.draws} draws, all with the same difference: no number is "
            "known yet; run more and plan again"
        )
    freedom = pair.draws - 1
    tails = stats.chi2.ppf([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2], freedom)
    sds = [pair.sd, *(float(pair.sd * (freedom / tail) ** 0.5) for tail in tails)]
    sd, low, high = (f"{100 * one:.2f}" for one in sds)
    said = []
    for title, level in _levels(comparisons).items():
        number, least, most = (draws_needed(one, effect, level, pair.of_patients) for one in sds)
        if number is None and pair.of_patients is not None:
            limit = 100 * visible_difference(pair.of_patients, level)
            said.append(f"{title}no number: these test patients show {limit:.2f} points at best")
        else:
            said.append(f"{title}{_number(number)} draws ({_number(least)} to {_number(most)})")
    start = f"SD {sd} points (95 % interval {low} to {high}) over {pair.draws} draws"
    return f"{start}: {'; '.join(said)}"


def _number(draws: int | None) -> str:
    return "more than a million" if draws is None else str(draws)
