"""What a draw of a study gave: its metrics.json, which `gan_aug.study` writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gan_aug.data.classes import Classes
from gan_aug.evaluation.measured import Quality
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import read_json, write_json
from gan_aug.run.renames import renamed_metrics
from gan_aug.run.typed import Misfit, Others, from_plain, to_plain
from gan_aug.settings.draw import Question, Swept

Measured = dict[str, dict[str, float]]
"""What `gan_aug.metrics.classification.measure` returns: decision to metrics."""


@dataclass(frozen=True)
class Shown:
    """Images that a fit was shown.

    Attributes:
        images: class to how many were shown at all.
        shown: class to how often any was.
    """

    images: dict[str, int]
    shown: dict[str, int]

    @property
    def total(self) -> int:
        """How often any image of any class was shown."""
        return sum(self.shown.values())


@dataclass(frozen=True)
class Used:
    """What a fit was trained on, counted batch by batch."""

    real: Shown
    added: Shown


LAST = "_last"
"""After a split's name: what is of the last step, where validation chose another's weights."""


@dataclass(frozen=True)
class MeasuredFit:
    """What a fit's weights give.

    Attributes:
        threshold: chosen on validation; None where no class is the positive one.
        splits: split to what was measured on it.
    """

    threshold: float | None
    splits: dict[str, Measured]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """One fit of the classifier.

    Attributes:
        arm: name.
        repeat: which of the arm's fits in this draw.
        steps: optimizer steps it took.
        chosen: the step that its weights are of, where validation chose it; None: the last.
        seconds: wall time.
        initial_weights: hash of the weights it started from.
        fingerprint: of the data.
        git_commit: of the code; None of an installed wheel.
        reused: whether another job of the study had done it before.
        curve: at each validation: step, train_loss, val_loss, val_auroc.
        used: what it was trained on.
        threshold: chosen on validation; None where no class is the positive one.
        others: split to what was measured on it, see `on`; and what other versions wrote.
        last: what the weights of the last step give, where validation chose others.
        npz_sha256: of the file with its predictions.
    """

    arm: str
    repeat: int
    steps: int
    chosen: int | None = None
    seconds: float
    initial_weights: str
    fingerprint: str | None = None
    git_commit: str | None
    reused: bool | None = None
    curve: list[dict[str, float]]
    used: Used | None = None
    threshold: float | None
    others: Others = field(default_factory=dict)
    last: MeasuredFit | None = None
    npz_sha256: str | None = None

    def on(self, split: str) -> Measured:
        """Return what was measured on a split, or on a split and `LAST`.

        Raises:
            KeyError: nothing was.
        """
        if self.last is not None and split.endswith(LAST):
            return self.last.splits[split.removesuffix(LAST)]
        measured: Measured = self.others[split]
        return measured


@dataclass(frozen=True)
class ArmFacts:
    """What an arm was: what it is called at length, and the images of each class it added."""

    title: str
    added: dict[str, int]
    others: Others = field(default_factory=dict)


@dataclass(frozen=True)
class GANFacts:
    """A GAN of a draw.

    Attributes:
        seconds: what its fit took.
        batches: what it was trained on.
        diverged: true where it diverged after its weights had been chosen.
        chosen: after how many its weights were taken, where that was chosen; None: after all.
        checkpoint_sha256: which GAN it is.
        reused: whether it had been fitted before.
        folder: its run folder.
        others: what other versions wrote.
    """

    seconds: float
    batches: int
    diverged: bool | None = field(default=None, kw_only=True)
    chosen: int | None = field(default=None, kw_only=True)
    checkpoint_sha256: str
    reused: bool
    folder: str
    others: Others = field(default_factory=dict)


@dataclass(frozen=True)
class RulerFacts:
    """The arms of more and more real images.

    Attributes:
        arms: name to real images of each varied class.
        classes: the varied ones.
        own: images of each varied class in the draw itself, which other arms have.
    """

    arms: dict[str, int]
    classes: list[str]
    own: int


@dataclass(frozen=True)
class RuleCheck:
    """Whether a rule of measurement was kept (see CONTRIBUTING.md), and what was found."""

    rule: int
    title: str
    passed: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class DrawResult:
    """All results of a draw.

    Attributes:
        headline: arm to its mean of the primary endpoint, for the table of a multirun.
        headline_of: that endpoint in words; None of an early version, whose was the accuracy.
        draw: which.
        condition: swept setting to its value.
        question: of the study.
        comparisons: further pairs of arms that the study names.
        primary: the split that conclusions are about.
        classes: names, in the order of their labels; None of an early version, see `data_classes`.
        positive: the positive class.
        splits: split to the number of images of each class.
        arms: by name.
        gans: class to the GAN of its images.
        fits: of all arms.
        quality: of the GANs' images, where it was measured.
        ruler: where the study has one.
        checks: of the rules that one draw can keep or break.
        others: what other versions wrote.
    """

    headline: dict[str, float] | None
    headline_of: str | None = None
    draw: int
    condition: Swept
    question: Question
    comparisons: list[list[str]]
    primary: str
    classes: list[str] | None
    positive: str | None
    splits: dict[str, dict[str, int]]
    arms: dict[str, ArmFacts]
    gans: dict[str, GANFacts]
    fits: list[FitResult]
    quality: Quality | None = None
    ruler: RulerFacts | None = None
    checks: list[RuleCheck]
    others: Others = field(default_factory=dict)

    @property
    def data_classes(self) -> Classes:
        """The classes; an early version had two, of which the second is the positive one.

        Raises:
            GanAugError: they are no classes.
        """
        if self.classes is not None:
            return Classes(tuple(self.classes), self.positive)
        names = tuple(next(iter(self.splits.values()), {}))
        return Classes(names, names[-1] if len(names) == 2 else None)

    def fits_of(self, arm: str) -> list[FitResult]:
        """Return the fits of an arm."""
        return [fit for fit in self.fits if fit.arm == arm]


def read_result(path: Path) -> DrawResult:
    """Read a draw's metrics.json; `gan_aug.report.verify` says whether it is right.

    Raises:
        GanAugError: it is damaged, or of no draw of a study.
    """
    try:
        found = from_plain(DrawResult, renamed_metrics(read_json(path, "run that draw again")))
    except Misfit as error:
        raise GanAugError(
            f"{path}: {error}; is it a draw of a study? If so, run that draw again"
        ) from error
    # They name files in fits/, and nothing outside it.
    for name in (*found.arms, *(fit.arm for fit in found.fits)):
        if set(name) & {"/", "\0"}:
            raise GanAugError(f"{path}: {name!r} names no arm; run that draw again")
    return found


def write_result(path: Path, result: DrawResult) -> None:
    """Write a draw's metrics.json."""
    write_json(path, to_plain(result))


def read_fit(path: Path, remedy: str) -> FitResult:
    """Read one fit, which is written when it is done.

    Args:
        path: the file.
        remedy: what is done where it is damaged.

    Raises:
        GanAugError: it is damaged.
    """
    try:
        return from_plain(FitResult, read_json(path, remedy))
    except Misfit as error:
        raise GanAugError(f"{path}: {error}; {remedy}") from error


def write_fit(path: Path, fit: FitResult) -> None:
    """Write one fit."""
    write_json(path, to_plain(fit))
