"""What a study says of its endpoints, in words that claim no more than the tests do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from gan_aug.report.results import LOWER_IS_BETTER, Condition, Study
from gan_aug.report.statistics import (
    Comparison,
    Hypothesis,
    compare,
    correct,
    draws_needed,
    holm_once,
    hypothesis,
)
from gan_aug.report.worth import Measure
from gan_aug.settings.draw import Swept
from gan_aug.settings.endpoints import Endpoint

LEVEL = 0.05
REFERENCES = ("real", "duplicate")
BETTER, WORSE, EQUIVALENT = "better", "worse", "equivalent"
INCONCLUSIVE, CANNOT_TELL, TOO_FEW = "inconclusive", "cannot tell", "too few draws"


@dataclass(frozen=True, kw_only=True)
class Verdict(Comparison):
    """An arm against another on a declared endpoint.

    Attributes:
        condition: under which.
        label: the condition in words.
        endpoint: which.
        arm: which.
        reference: what it is compared with.
        p_equivalent: of two one-sided tests that the difference is within the smallest effect
            (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657), after Holm; None where there is
            none declared, or too few draws.
        word: better, worse, equivalent, inconclusive, cannot tell, or too few draws.
        settles: draws, in all, of a new study that would settle an inconclusive one: they show the
            smallest effect with 80% power in the first step of Holm's correction; more than these.
    """

    condition: Swept
    label: str
    endpoint: Endpoint
    arm: str
    reference: str
    p_equivalent: float | None
    word: str
    settles: int | None


def verdicts(study: Study, pairs: list[tuple[str, str]], worth: list[Measure]) -> list[Verdict]:
    """Judge every pair of arms on every endpoint.

    Holm's correction is over all conditions and pairs of a family (see `family_of`); a pair whose
    fits conditions have in common counts once. The primary endpoint is tested first and alone, the
    secondary ones are corrected together.

    Args:
        study: the study.
        pairs: arms and what each is compared with.
        worth: its ruler's measures.
    """
    families: dict[str, list[tuple[str, str]]] = {}
    for pair in pairs:
        families.setdefault(family_of(pair[1]), []).append(pair)
    first, *others = study.endpoints
    return [
        verdict
        for endpoints in ([first], others)
        for family in families.values()
        for verdict in _family(study, endpoints, family, worth)
    ]


def family_of(reference: str) -> str:
    """Return which comparisons are corrected together: by reference, or as named by the study."""
    return reference if reference in REFERENCES else "named"


def _family(
    study: Study, endpoints: list[Endpoint], pairs: list[tuple[str, str]], worth: list[Measure]
) -> list[Verdict]:
    found = [
        one
        for endpoint in endpoints
        for condition in study.conditions
        for one in _of_condition(study, endpoint, condition, pairs)
    ]
    names = [(one.endpoint, *name) for one, name in found]
    tests = correct([_comparison(one) for one, _ in found], names)
    asked = {i: p for i, (one, _) in enumerate(found) if (p := one.p_equivalent) is not None}
    equivalent = dict(
        zip(asked, holm_once([*asked.values()], [names[i] for i in asked]), strict=True)
    )
    judged = []
    for i, ((one, _), test) in enumerate(zip(found, tests, strict=True)):
        corrected = replace(one, p_holm=test.p_holm, p_equivalent=equivalent.get(i))
        word = _word(corrected, _sees(corrected, worth))
        settles = None
        if word == INCONCLUSIVE and one.endpoint.smallest_effect and one.sd:
            level = LEVEL / len({*names})
            settles = draws_needed(one.sd, one.endpoint.smallest_effect, level)
            if settles is not None:
                # Where so many would do on average, these did not.
                settles = max(settles, one.draws + 1)
        judged.append(replace(corrected, word=word, settles=settles))
    return judged


def _of_condition(
    study: Study, endpoint: Endpoint, condition: Condition, pairs: list[tuple[str, str]]
) -> Iterator[tuple[Verdict, Hypothesis]]:
    values = study.by_draw(condition, endpoint.split, endpoint.name)
    up = endpoint.name not in LOWER_IS_BETTER
    for arm, reference in pairs:
        if not {arm, reference} <= {*values.columns}:
            continue
        both = values[[arm, reference]].dropna()
        if not len(both):
            continue
        found = compare(both[arm].to_numpy(float), both[reference].to_numpy(float), up)
        verdict = Verdict(
            **vars(found),
            condition=study.named(condition),
            label=study.label(condition),
            endpoint=endpoint,
            arm=arm,
            reference=reference,
            p_equivalent=equivalence_p(found, endpoint.smallest_effect),
            word="",
            settles=None,
        )
        yield verdict, hypothesis(arm, reference, both)


def equivalence_interval(found: Comparison) -> tuple[float, float] | None:
    """Return the 90% interval, which two one-sided tests at 5% are about; None without an sd."""
    if found.sd is None:
        return None
    half = float(stats.t.ppf(0.95, found.draws - 1) * found.sd / np.sqrt(found.draws))
    return found.mean - half, found.mean + half


def equivalence_p(found: Comparison, smallest: float | None) -> float | None:
    """Return the larger p of two one-sided t-tests: the difference is below it, and above -it."""
    if found.p is None or found.sd is None or smallest is None:
        return None
    room = smallest - abs(found.mean)
    if found.sd < 1e-12:
        return 0.0 if room > 0 else 1.0
    return float(stats.t.sf(room / (found.sd / np.sqrt(found.draws)), found.draws - 1))


def _comparison(one: Verdict) -> Comparison:
    return Comparison(**{name: getattr(one, name) for name in Comparison.__dataclass_fields__})


def shown_difference(found: Comparison, lower_is_better: bool) -> str | None:
    """Return better or worse, where the corrected test shows a difference."""
    if found.p_holm is None or found.p_holm >= LEVEL:
        return None
    return WORSE if (found.mean > 0) == lower_is_better else BETTER


def _sees(one: Verdict, worth: list[Measure]) -> bool | None:
    """Return whether the endpoint sees real images; None: no ruler was laid on it."""
    where = (one.condition, one.endpoint.split, one.endpoint.name)
    found = [m for m in worth if (m.condition, m.split, m.metric) == where]
    return found[0].sensitivity.seen if found else None


def _word(one: Verdict, sees: bool | None) -> str:
    if one.p_holm is None:
        return TOO_FEW
    if (shown := shown_difference(one, one.endpoint.name in LOWER_IS_BETTER)) is not None:
        return shown
    if sees is False:
        return CANNOT_TELL
    if one.p_equivalent is not None and one.p_equivalent < LEVEL:
        return EQUIVALENT
    return INCONCLUSIVE
