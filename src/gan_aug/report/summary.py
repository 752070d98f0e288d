"""All numbers of a report, from a study's metrics: what summary.json holds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from gan_aug.data.classes import Classes
from gan_aug.report.comparisons import LEVEL, Family, Pair, Verdict, Where, family, verdicts
from gan_aug.report.crossed import OverPatients
from gan_aug.report.done import Costs, costs_of
from gan_aug.report.external import ExternalRow, summarise_external
from gan_aug.report.metrics import last_of
from gan_aug.report.quality import GateRow, QualityRow, summarise_gate, summarise_quality
from gan_aug.report.records import DECLARATION, Declaration
from gan_aug.report.rules import StudyCheck, rules
from gan_aug.report.statistics import EQUAL, draws_needed, visible_difference
from gan_aug.report.study import Condition, FinishedDraw, Study, each
from gan_aug.report.subgroups import Subgroups, subgroups_of
from gan_aug.report.worth import Measure, measure_worth
from gan_aug.settings.base import Plain
from gan_aug.settings.design import Endpoint, Question

POINTS = (1, 3)
"""Differences of the primary endpoint, in points, that the power is computed for."""


@dataclass(frozen=True)
class ArmStatistics:
    """An arm over draws."""

    draws: int
    mean: float
    sd: float | None  # between draws; None with one
    sd_between_repeats: float | None  # of one draw; None with one repeat


@dataclass(frozen=True)
class Block:
    """A metric on a split under one condition: of each arm, and of each pair that is compared."""

    condition: Condition
    arms: dict[str, ArmStatistics]
    comparisons: list[Pair]

    def pair(self, arm: str, reference: str) -> Pair | None:
        """Return one of the comparisons."""
        pairs = (c for c in self.comparisons if (c.arm, c.reference) == (arm, reference))
        return next(pairs, None)


@dataclass(frozen=True)
class Power:
    """What so many draws can show of an arm against `real`, on the primary endpoint."""

    condition: Condition
    arm: str
    sd: float  # of the differences
    # Points to the draws that show such a difference, in one test; None: not a million do, or it is
    # not known, as all draws have the same difference.
    draws_needed: dict[str, int | None]
    # Likewise in the first step of Holm's correction over all comparisons on this endpoint.
    draws_needed_holm: dict[str, int | None]
    # The smallest difference that the draws at hand show; None with too few, or not known.
    visible: float | None
    # The smallest that any number of draws would show on these test patients; None where draws have
    # patients of their own.
    limit: float | None

    @property
    def alike(self) -> bool:
        """Whether all draws have the same difference, as `Comparison.alike`."""
        return self.sd < EQUAL


@dataclass(frozen=True)
class StepsOfArm:
    """At which steps, of all fits, validation chose an arm's weights under a condition."""

    condition: Condition
    arm: str
    mean: float
    fewest: int
    most: int


@dataclass(frozen=True)
class ChosenSteps:
    """What validation chose, and what the same fits give with the weights of their last step."""

    budget: int  # the steps that every fit took
    arms: list[StepsOfArm]  # for each condition and arm, of the ruler too
    last: list[list[Block]]  # of each declared endpoint, in their order, a block a condition


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
    """What a report says first, in sentences."""

    careful: list[str]  # what all else must be read with: broken rules, draws left out
    question: str  # what was asked, and of what endpoints
    verdicts: list[str]  # on the asked arm, on each endpoint in its order, under each condition
    shown: list[str]  # all other declared results that are significant
    limits: list[str]  # of these
    done: list[str]  # what was done to get them
    exploratory: list[str]  # numbers of endpoints that were not declared


@dataclass(frozen=True)
class Summary:
    """All numbers of a report."""

    study: str
    question: Question
    endpoints: list[Endpoint]  # what the study is about; the first is primary
    title: str  # the primary one in words
    verdicts: list[Verdict]  # of every pair of arms on every endpoint
    # How many comparisons Holm's corrections are over, of differences and of equivalence each:
    # "primary" on the primary endpoint, "secondary" on all others together.
    corrected_over: dict[str, int]
    declared: bool  # before the first draw
    declaration: str | None  # what was declared then, where it has been changed since
    adds: str  # where the asked arm's added images are from
    maker: str  # what made them: GAN, or a generator's class
    shown_added: dict[str, float]  # arm to the share of added images among those it was shown
    control: str | None  # arm that uses copies of real images as the asked one uses GAN images
    further_real: list[str]  # arms that add further real images with their labels
    primary: str  # the split that conclusions are about
    units: dict[str, str]  # split to "patients", or to what stands for them
    classes: list[str]  # in the order of their labels
    positive: str | None
    draws: list[int]
    # Split, or declared group of one, to metric to a block for each condition.
    splits: dict[str, dict[str, list[Block]]]
    power: list[Power]
    steps: ChosenSteps | None  # where validation chose them
    worth: list[Measure]  # for each condition, split and metric that is looked up on the ruler
    external: list[ExternalRow]  # sets of images of generators that gan_aug did not fit
    quality: list[QualityRow]
    gate: list[GateRow]
    rules: list[StudyCheck]  # of measurement
    costs: Costs
    provenance: Provenance
    unfinished: list[dict[str, str]]  # job, status and reason of draws that are not in it
    warnings: list[str]  # of the data
    subgroups: Subgroups | None  # None where the study tells no groups of images apart

    @property
    def data_classes(self) -> Classes:
        """The classes."""
        return Classes(tuple(self.classes), self.positive)


def plain(summary: Summary, answer: Answer) -> Plain:
    """Return plain containers, as summary.json holds them."""
    content: Plain = TypeAdapter(Summary).dump_python(summary, mode="json", by_alias=True)
    return content | {"answer": asdict(answer)}


def summarise(study: Study) -> Summary:
    """Return all numbers of the report; the answer is written from them."""
    asked, over = study.first.question, OverPatients(study)
    # Beside the endpoints' splits, the test that is like the training images, and external ones.
    like_training = {"internal"} & study.first.splits.keys()
    splits = each([*(one.split for one in study.endpoints), *like_training, *study.side_by_side])
    of_groups: dict[str, list[str]] = {}  # declared ones, to the metrics that were
    for one in study.endpoints:
        if one.group is not None:
            of_groups.setdefault(one.images, []).append(one.name)
    worth = measure_worth(study, [*splits, *of_groups], over)
    families = declared_families(study, over)
    declared = [pair for one in families for pair in one.pairs]
    return Summary(
        study=str(study.jobs[0].record.name),
        question=asked,
        endpoints=study.endpoints,
        title=study.title,
        verdicts=verdicts(study, families, worth),
        corrected_over={"primary": families[0].size, "secondary": families[1].size},
        declared=(study.folder / DECLARATION).exists(),
        declaration=_changed_declaration(study),
        adds=study.first.arms[asked.arm].source,
        maker=study.maker,
        shown_added={arm: _shown_added(study, arm) for arm in study.arms},
        control=study.first.control,
        further_real=[arm for arm in study.first.arms if _adds_real(study.jobs[0], arm)],
        primary=study.primary,
        units=study.units,
        classes=list(study.classes.names),
        positive=study.classes.positive,
        draws=study.draws,
        splits={
            images: {
                metric: blocks(study, (images, metric), declared, over)
                for metric in of_groups.get(images, study.metrics)
            }
            for images in (*splits, *of_groups)
        },
        power=power(study, families[0]),
        steps=_chosen_steps(study, over),
        worth=worth,
        external=summarise_external(study),
        quality=summarise_quality(study),
        gate=summarise_gate(study),
        rules=rules(study),
        costs=costs_of(study),
        provenance=_provenance(study),
        unfinished=study.unfinished,
        warnings=sorted({w for job in study.jobs for w in job.data.warnings or []}),
        subgroups=subgroups_of(study, declared, over),
    )


def declared_families(study: Study, over: OverPatients) -> tuple[Family, Family]:
    """Return the comparisons on the primary endpoint, and those on all secondary ones."""
    first, *others = (one.where for one in study.endpoints)
    return family(study, [first], over), family(study, others, over)


def _changed_declaration(study: Study) -> str | None:
    """Return what a study declared before its first draw, where that is not what it says now."""
    path, first = study.folder / DECLARATION, study.first
    if not path.exists():
        return None
    then = Declaration.read(path, "restore it, or remove it and say so in what you publish")
    asked = [first.question.arm, first.question.reference]
    now = (first.endpoints, asked, first.comparisons)
    if (then.endpoints, then.question, then.comparisons) == now:
        return None
    endpoints = [one.model_dump(exclude_none=True) for one in then.endpoints]
    return (
        f"{endpoints} of {then.question}, with the comparisons {then.comparisons}, on "
        f"{then.declared}"
    )


def blocks(study: Study, where: Where, declared: Sequence[Pair], over: OverPatients) -> list[Block]:
    """Return a metric on a split, a block for each condition.

    Comparisons on the declared endpoints are corrected as declared; those on any other metric over
    all pairs and conditions on that metric.
    """
    pairs = [pair for pair in declared if pair.where == where]
    pairs = pairs or family(study, [where], over).pairs
    every = []
    for condition in study.conditions:
        arms = {}
        values, rows = study.by_draw(condition, *where), study.rows(condition)
        for arm in study.arms:
            of_draws = values[arm].drop_nulls().to_numpy()
            if not len(of_draws):  # of a group that is too small in every draw
                continue
            of_repeats = rows.filter(pl.col("arm") == arm).group_by("draw", maintain_order=True)
            column = pl.col("_".join(where))
            variance = of_repeats.agg(column.var())[:, 1].drop_nulls().to_numpy()
            arms[arm] = ArmStatistics(
                draws=len(of_draws),
                mean=float(of_draws.mean()),
                sd=float(of_draws.std(ddof=1)) if len(of_draws) > 1 else None,
                sd_between_repeats=float(np.sqrt(variance.mean())) if len(variance) else None,
            )
        every.append(
            Block(condition, arms, [pair for pair in pairs if pair.condition == condition])
        )
    return every


def _shown_added(study: Study, arm: str) -> float:
    """Return the share of added images among those that an arm was shown."""
    used = [fit.used for fit in study.fits if fit.arm == arm]
    added = sum(one.added.total for one in used)
    return added / (added + sum(one.real.total for one in used))


def _adds_real(draw: FinishedDraw, arm: str) -> bool:
    """Tell whether an arm adds further real images with their labels, not predicted ones."""
    node: Any = draw.record.config
    for key in ("arms", arm, "added", "unlabelled"):
        node = node.get(key) if isinstance(node, dict) else None
    return draw.result.arms[arm].source == "real" and not node


def power(study: Study, primary: Family) -> list[Power]:
    """Return what so many draws can show of each arm on the primary endpoint, 80% power at 5%."""
    rows = []
    for one in primary.pairs:
        if one.reference == "real" and one.sd is not None:
            sd, fixed = one.sd, one.of_patients
            once, corrected = (
                {
                    str(p): None if one.alike else draws_needed(sd, p / 100, level, fixed)
                    for p in POINTS
                }
                for level in (LEVEL, LEVEL / primary.planned)
            )
            few = one.p is None or one.alike
            visible = None if few else max(map(visible_difference, one.errors))
            limit = None if fixed is None else visible_difference(fixed)
            rows.append(Power(one.condition, one.arm, sd, once, corrected, visible, limit))
    return rows


def _chosen_steps(study: Study, over: OverPatients) -> ChosenSteps | None:
    """Return what validation chose; None where it did not, in every fit."""
    if any(fit.chosen is None for fit in study.fits):
        return None
    arms = []
    for condition in study.conditions:
        for arm in study.first.arms:
            of_arm = [fit for job in study.of(condition) for fit in job.result.fits_of(arm)]
            chosen = [fit.chosen for fit in of_arm if fit.chosen is not None]
            mean = float(np.mean(chosen))
            arms.append(StepsOfArm(condition, arm, mean, min(chosen), max(chosen)))
    places = [(last_of(one.images), one.name) for one in study.endpoints]
    last = [blocks(study, where, [], over) for where in places]
    return ChosenSteps(max(fit.steps for fit in study.fits), arms, last)


def _provenance(study: Study) -> Provenance:
    records = [job.record for job in study.jobs]
    commits = {one.git_commit for one in records}
    commits |= {fit.git_commit for fit in study.fits}
    return Provenance(
        fingerprint=study.jobs[0].data.fingerprint,
        data=study.first.method.data,
        images=each(job.data.used for job in study.jobs),
        versions=each(one.versions for one in records),
        python=each(one.python for one in records),
        machine=each(one.machine for one in records),
        git_commit=sorted(commit for commit in commits if commit is not None),
        commands=sorted({shlex.join(one.command) for one in records}),
    )
