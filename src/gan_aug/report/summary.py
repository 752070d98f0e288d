"""The numbers of a report, as summary.json has them."""

from __future__ import annotations

from dataclasses import dataclass

from gan_aug.data.classes import Classes
from gan_aug.report.quality import GateRow, QualityRow
from gan_aug.report.rules import StudyCheck
from gan_aug.report.statistics import Comparison
from gan_aug.report.study import Swept
from gan_aug.report.verdicts import Verdict
from gan_aug.report.worth import Measure
from gan_aug.settings.design import Endpoint, Question


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
    """What so many draws can show of an arm against `real`, in the usual accuracy.

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
    """At which steps validation chose the weights of an arm's fits.

    Attributes:
        condition: under which.
        arm: which, of the ruler too.
        mean: over all fits.
        fewest: of a fit.
        most: of a fit.
    """

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
        arms: for each condition and arm.
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
    versions: list[dict[str, str] | None]
    python: list[str | None]
    machine: list[str | None]
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
        shown_added: arm to the share of added images among those it was shown; None: not counted.
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
        declared: whether it was written down before the first draw; early versions did not.
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
    shown_added: dict[str, float | None]
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
