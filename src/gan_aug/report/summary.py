"""All numbers of a report, from a study's metrics: what summary.json holds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from gan_aug.data.classes import Classes
from gan_aug.report.comparisons import LEVEL, Family, Key, Verdict, family, verdicts
from gan_aug.report.crossed import OverPatients
from gan_aug.report.metrics import LAST
from gan_aug.report.quality import GateRow, QualityRow, summarise_gate, summarise_quality
from gan_aug.report.records import DECLARATION, Declaration, GANFacts
from gan_aug.report.rules import StudyCheck, rules
from gan_aug.report.statistics import Comparison, draws_needed, visible_difference
from gan_aug.report.study import Condition, FinishedDraw, Study, Swept
from gan_aug.report.worth import Measure, measure_worth
from gan_aug.settings.design import Endpoint, Question

POINTS = (1, 3)
"""Differences of the primary endpoint, in points, that the power is computed for."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class ArmStatistics:
    """An arm over draws.

    Attributes:
        draws: how many.
        mean: over draws.
        sd: between draws; None with one.
        sd_between_repeats: of one draw; None with one repeat.
    """

    draws: int
    mean: float
    sd: float | None
    sd_between_repeats: float | None


@dataclass(frozen=True, kw_only=True)
class Pair(Comparison):
    """A comparison of two arms that are named."""

    arm: str
    reference: str


@dataclass(frozen=True)
class Block:
    """A metric on a split under one condition: of each arm, and of each pair that is compared."""

    condition: Swept
    arms: dict[str, ArmStatistics]
    comparisons: list[Pair]

    def pair(self, arm: str, reference: str | None) -> Pair | None:
        """Return one of the comparisons."""
        found = (c for c in self.comparisons if (c.arm, c.reference) == (arm, reference))
        return next(found, None)


@dataclass(frozen=True)
class Power:
    """What so many draws can show of an arm against `real`, on the primary endpoint.

    Attributes:
        condition: under which.
        arm: which.
        sd: of the differences.
        draws_needed: points to the draws that show such a difference, in one test; None: not a
            million do.
        draws_needed_holm: likewise, in the first step of Holm's correction over all comparisons on
            the primary endpoint.
        visible: the smallest difference that the draws at hand show; None with too few.
        limit: the smallest that any number of draws would show on these test patients; None where
            draws have patients of their own.
    """

    condition: Swept
    arm: str
    sd: float
    draws_needed: dict[str, int | None]
    draws_needed_holm: dict[str, int | None]
    visible: float | None
    limit: float | None


@dataclass(frozen=True)
class StepsOfArm:
    """At which steps, of all fits, validation chose an arm's weights under a condition."""

    condition: Swept
    arm: str
    mean: float
    fewest: int
    most: int


@dataclass(frozen=True)
class ChosenSteps:
    """What validation chose, and what the same fits give with the weights of their last step.

    Attributes:
        budget: the steps that every fit took.
        arms: for each condition and arm, of the ruler too.
        last: of each declared endpoint, in their order, a block for each condition.
    """

    budget: int
    arms: list[StepsOfArm]
    last: list[list[Block]]


@dataclass(frozen=True)
class GANCosts:
    """What the GANs of a condition took.

    Attributes:
        condition: under which.
        gans: how many; those that `study.gan_fits` fits for one count as one.
        seconds: mean of each.
        batches: mean that each was trained on.
        diverged: how many diverged after their weights had been chosen.
        chosen: mean after which the weights were taken, where that was chosen.
    """

    condition: Swept
    gans: int
    seconds: float
    batches: float
    diverged: int
    chosen: float | None


@dataclass(frozen=True)
class Costs:
    """Seconds: of each GAN, counted once, in all and by condition, and of each arm's fits."""

    gans: int
    gan_seconds_mean: float
    gan_seconds_total: float
    by_condition: list[GANCosts]
    fit_seconds_mean: dict[str, float]
    fits: int
    fit_seconds_total: float


@dataclass(frozen=True)
class Provenance:
    """What the numbers came from; lists hold every value that occurs."""

    fingerprint: str
    data: str
    images: list[dict[str, dict[str, int]] | None]
    versions: list[dict[str, str]]
    python: list[str]
    machine: list[str]
    git_commit: list[str]
    commands: list[str]


@dataclass(frozen=True)
class Answer:
    """What a report says first, in sentences.

    Attributes:
        careful: what all else must be read with: broken rules, draws left out.
        question: what was asked, and of what endpoints.
        verdicts: on the asked arm, on each declared endpoint in its order and under each condition.
        shown: all other declared results that are significant.
        limits: what limits these.
        done: what was done to get them.
        exploratory: numbers of endpoints that were not declared.
    """

    careful: list[str]
    question: str
    verdicts: list[str]
    shown: list[str]
    limits: list[str]
    done: list[str]
    exploratory: list[str]


@dataclass(frozen=True)
class Summary:
    """All numbers of a report.

    Attributes:
        study: its name.
        question: the asked arm and what it is compared with.
        adds: where the asked arm's added images are from.
        shown_added: arm to the share of added images among those it was shown.
        control: the arm that uses copies of real images as the asked one uses GAN images.
        primary: the split that conclusions are about.
        classes: names, in the order of their labels.
        positive: the positive class.
        draws: which there are.
        splits: split to metric to a block for each condition.
        power: for each condition and arm.
        steps: where validation chose them.
        endpoints: what the study is about; the first is primary.
        title: the primary one in words.
        verdicts: of every pair of arms on every endpoint.
        corrected_over: how many comparisons Holm's corrections are over, of differences and of
            equivalence each: "primary" on the primary endpoint, "secondary" on all others together.
        declared: whether it was written down before the first draw.
        declaration: what was declared before the first draw, where it has been changed since.
        worth: for each condition, split and metric that is looked up on the study's ruler.
        quality: for each condition, class and value.
        gate: for each condition and class.
        rules: of measurement.
        costs: in seconds.
        provenance: of the numbers.
        unfinished: folder, status and reason of draws that are not in it.
        warnings: of the data.
        answer: what the report says first; None before it is written.
    """

    study: str
    question: Question
    endpoints: list[Endpoint]
    title: str
    verdicts: list[Verdict]
    corrected_over: dict[str, int]
    declared: bool
    declaration: str | None
    adds: str
    shown_added: dict[str, float]
    control: str | None
    primary: str
    classes: list[str]
    positive: str | None
    draws: list[int]
    splits: dict[str, dict[str, list[Block]]]
    power: list[Power]
    steps: ChosenSteps | None
    worth: list[Measure]
    quality: list[QualityRow]
    gate: list[GateRow]
    rules: list[StudyCheck]
    costs: Costs
    provenance: Provenance
    unfinished: list[dict[str, str]]
    warnings: list[str]
    answer: Answer | None = None

    @property
    def data_classes(self) -> Classes:
        """The classes."""
        return Classes(tuple(self.classes), self.positive)


def plain(summary: Summary) -> dict[str, Any]:
    """Return plain containers, as summary.json holds them."""
    found: dict[str, Any] = TypeAdapter(Summary).dump_python(summary, mode="json", by_alias=True)
    return found


def splits_to_report(study: Study) -> list[str]:
    """Return the endpoints' splits and, beside them, the in-distribution test."""
    declared = [one.split for one in study.endpoints]
    others = ["internal"] if "internal" in study.first.splits else []
    return list(dict.fromkeys([*declared, *others]))


def declared_families(study: Study, over: OverPatients) -> tuple[Family, Family]:
    """Return the comparisons on the primary endpoint, and those on all secondary ones."""
    first, *others = ((one.split, one.name) for one in study.endpoints)
    return family(study, [first], over), family(study, others, over)


def arm_statistics(
    study: Study, split: str, metric: str
) -> dict[tuple[Condition, str], ArmStatistics]:
    """Return mean and sd over draws, and the sd between repeats of a draw, of every arm."""
    found: dict[tuple[Condition, str], ArmStatistics] = {}
    for condition in study.conditions:
        values = study.by_draw(condition, split, metric)
        repeats = study.rows(condition)
        for arm in study.arms:
            of_arm = values[arm].drop_nulls().to_numpy()
            of_repeats = repeats.filter(pl.col("arm") == arm).group_by("draw", maintain_order=True)
            within = of_repeats.agg(pl.col(f"{split}_{metric}").var())[f"{split}_{metric}"]
            variance = within.drop_nulls().to_numpy()
            found[condition, arm] = ArmStatistics(
                draws=len(of_arm),
                mean=float(of_arm.mean()),
                sd=float(of_arm.std(ddof=1)) if len(of_arm) > 1 else None,
                sd_between_repeats=float(np.sqrt(variance.mean())) if len(variance) else None,
            )
    return found


def summarise(study: Study) -> Summary:
    """Return all numbers of the report; the answer is written from them."""
    asked = study.first.question
    warnings = {w for job in study.jobs for w in job.data.warnings or []}
    over = OverPatients(study)
    worth = measure_worth(study, splits_to_report(study), over)
    primary, secondary = declared_families(study, over)
    declared = primary.found | secondary.found
    return Summary(
        study=study.name,
        question=asked,
        endpoints=study.endpoints,
        title=study.title,
        verdicts=verdicts(study, primary, secondary, worth),
        corrected_over={"primary": primary.size, "secondary": secondary.size},
        declared=(study.folder / DECLARATION).exists(),
        declaration=changed_declaration(study),
        adds=study.first.arms[asked.arm].source,
        shown_added={arm: _shown_added(study, arm) for arm in study.arms},
        control=study.first.control,
        primary=study.primary,
        classes=list(study.classes.names),
        positive=study.classes.positive,
        draws=sorted({job.result.draw for job in study.jobs}),
        splits={
            split: {
                metric: blocks(study, split, metric, declared, over) for metric in study.metrics
            }
            for split in splits_to_report(study)
        },
        power=power(study, primary),
        steps=chosen_steps(study, over),
        worth=worth,
        quality=summarise_quality(study),
        gate=summarise_gate(study),
        rules=rules(study),
        costs=costs(study),
        provenance=provenance(study),
        unfinished=study.unfinished,
        warnings=sorted(warnings),
    )


def changed_declaration(study: Study) -> str | None:
    """Return what a study declared before its first draw, where that is not what it says now."""
    path, first = study.folder / DECLARATION, study.first
    if not path.exists():
        return None
    found = Declaration.read(path, "restore it, or remove it and say so in what you publish")
    asked = [first.question.arm, first.question.reference]
    now = (first.endpoints, asked, first.comparisons)
    if (found.endpoints, found.question, found.comparisons) == now:
        return None
    endpoints = [one.model_dump(exclude_none=True) for one in found.endpoints]
    return (
        f"{endpoints} of {found.question}, with the comparisons {found.comparisons}, on "
        f"{found.declared}"
    )


def blocks(
    study: Study,
    split: str,
    metric: str,
    declared: Mapping[Key, Comparison],
    over: OverPatients,
) -> list[Block]:
    """Return a metric on a split, a block for each condition.

    Args:
        study: the study.
        split: which.
        metric: which.
        declared: comparisons on the declared endpoints, which are corrected as declared; those on
            any other metric are corrected over all pairs and conditions on that metric.
        over: the study's predictions, for intervals over patients.
    """
    arms = arm_statistics(study, split, metric)
    found = {k: one for k, one in declared.items() if (k.split, k.metric) == (split, metric)}
    found = found or family(study, [(split, metric)], over).found
    return [
        Block(
            study.named(condition),
            {arm: arms[condition, arm] for arm in study.arms},
            [
                Pair(arm=key.arm, reference=key.reference, **vars(one))
                for key, one in found.items()
                if key.condition == condition
            ],
        )
        for condition in study.conditions
    ]


def _shown_added(study: Study, arm: str) -> float:
    """Return the share of added images among those that an arm was shown."""
    used = [fit.used for job in study.jobs for fit in job.result.fits_of(arm)]
    added = sum(one.added.total for one in used)
    return added / (added + sum(one.real.total for one in used))


def power(study: Study, primary: Family) -> list[Power]:
    """Return what so many draws can show of each arm, with 80% power at 5%.

    Args:
        study: the study.
        primary: the comparisons on the primary endpoint.
    """
    found = []
    first_step = LEVEL / primary.planned
    for key, c in primary.found.items():
        if key.reference == "real" and c.sd is not None:
            sd, fixed = c.sd, c.of_patients
            once, corrected = (
                {str(p): draws_needed(sd, p / 100, level, fixed) for p in POINTS}
                for level in (LEVEL, first_step)
            )
            found.append(
                Power(
                    condition=study.named(key.condition),
                    arm=key.arm,
                    sd=sd,
                    draws_needed=once,
                    draws_needed_holm=corrected,
                    visible=None if c.p is None else max(map(visible_difference, c.errors)),
                    limit=None if fixed is None else visible_difference(fixed),
                )
            )
    return found


def chosen_steps(study: Study, over: OverPatients) -> ChosenSteps | None:
    """Return what validation chose; None where it did not, in every fit."""
    fits = [fit for job in study.jobs for fit in job.result.fits]
    if any(fit.chosen is None for fit in fits):
        return None
    arms = []
    for condition in study.conditions:
        for arm in study.first.arms:
            of_arm = [fit for job in study.of(condition) for fit in job.result.fits_of(arm)]
            chosen = [fit.chosen for fit in of_arm if fit.chosen is not None]
            mean, named = float(np.mean(chosen)), study.named(condition)
            arms.append(StepsOfArm(named, arm, mean, min(chosen), max(chosen)))
    return ChosenSteps(
        budget=max(fit.steps for fit in fits),
        arms=arms,
        last=[blocks(study, one.split + LAST, one.name, {}, over) for one in study.endpoints],
    )


def costs(study: Study) -> Costs:
    """Return seconds: of each GAN (counted once), and of each arm's fits."""
    gans = [gan.seconds for gan in _gans(study.jobs).values()]
    fits = [fit for job in study.jobs for fit in job.result.fits]
    done = [fit for fit in fits if not fit.reused]
    there = {fit.predictions for fit in done}
    # Of one that another job did and that is not in the report, too: the time was spent.
    lost = {fit.predictions: fit for fit in fits if fit.predictions not in there}
    done += lost.values()
    return Costs(
        gans=len(gans),
        gan_seconds_mean=float(np.mean(gans)) if gans else 0.0,
        gan_seconds_total=float(sum(gans)),
        by_condition=list(_gan_costs(study)),
        fit_seconds_mean={
            arm: float(np.mean([fit.seconds for fit in fits if fit.arm == arm]))
            for arm in study.arms
        },
        fits=len(done),
        fit_seconds_total=float(sum(fit.seconds for fit in done)),
    )


def _gans(jobs: list[FinishedDraw]) -> dict[str, GANFacts]:
    return {gan.checkpoint_sha256: gan for job in jobs for gan in job.result.gans.values()}


def _gan_costs(study: Study) -> Iterator[GANCosts]:
    for condition in study.conditions:
        if gans := list(_gans(study.of(condition)).values()):
            chosen = [gan.chosen for gan in gans if gan.chosen is not None]
            yield GANCosts(
                condition=study.named(condition),
                gans=len(gans),
                seconds=float(np.mean([gan.seconds for gan in gans])),
                batches=float(np.mean([gan.batches for gan in gans])),
                diverged=sum(bool(gan.diverged) for gan in gans),
                chosen=float(np.mean(chosen)) if chosen else None,
            )


def provenance(study: Study) -> Provenance:
    """Return what the numbers came from; lists hold every value that occurs."""

    def all_of(what: Callable[[FinishedDraw], Value]) -> list[Value]:
        found: list[Value] = []
        for value in map(what, study.jobs):
            if value not in found:
                found.append(value)
        return found

    run_by = {job.record.git_commit for job in study.jobs}
    fitted_by = {fit.git_commit for job in study.jobs for fit in job.result.fits}
    return Provenance(
        fingerprint=study.jobs[0].data.fingerprint,
        data=study.first.method.data,
        images=all_of(lambda job: job.data.used),
        versions=all_of(lambda job: job.record.versions),
        python=all_of(lambda job: job.record.python),
        machine=all_of(lambda job: job.record.machine),
        git_commit=sorted(commit for commit in run_by | fitted_by if commit is not None),
        commands=sorted({shlex.join(job.record.command) for job in study.jobs}),
    )
