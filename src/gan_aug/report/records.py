"""What a draw of a study leaves beside its predictions: metrics.json, and fits/*.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from gan_aug.data.classes import Classes
from gan_aug.evaluation.measured import Quality
from gan_aug.run.errors import GanAugError
from gan_aug.run.stored_model import Part, Stored
from gan_aug.settings.design import Endpoint, Question

RESULT = "metrics.json"
"""In a draw's folder."""
DECLARATION = "declaration.json"
"""In a study's folder."""
REMEDY = "run that draw again"


class Shown(Part):
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


class Used(Part):
    """What a fit was trained on, counted batch by batch."""

    real: Shown
    added: Shown


class FitResult(Stored):
    """One fit of the classifier; its predictions lie beside it (`gan_aug.report.predictions`).

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
        predictions: hash of what it predicts.
    """

    WHAT: ClassVar[str] = "fit of a study"

    arm: str
    repeat: int
    steps: int
    chosen: int | None
    seconds: float
    initial_weights: str
    fingerprint: str
    git_commit: str | None
    reused: bool = False
    curve: list[dict[str, float]]
    used: Used
    predictions: str

    @property
    def name(self) -> str:
        """The name of its files in fits/, without the ending."""
        return f"{self.arm}_{self.repeat}"


class ArmFacts(Part):
    """An arm.

    Attributes:
        title: what it is called at length.
        source: where its added images come from.
        added: class to how many it added.
    """

    title: str
    source: str
    added: dict[str, int]


class GANFacts(Part):
    """A GAN of a draw.

    Attributes:
        seconds: what its fit took.
        batches: what it was trained on.
        diverged: whether it diverged after its weights had been chosen.
        chosen: after how many its weights were taken, where that was chosen; None: after all.
        checkpoint_sha256: which GAN it is.
        reused: whether it had been fitted before.
        folder: its run folder.
        sources: classes whose images it translates.
    """

    seconds: float
    batches: int
    diverged: bool
    chosen: int | None
    checkpoint_sha256: str
    reused: bool
    folder: str
    sources: list[str]


class RulerFacts(Part):
    """The arms of more and more real images.

    Attributes:
        arms: name to real images of each varied class.
        classes: the varied ones.
        own: images of each varied class in the draw itself, which other arms have.
    """

    arms: dict[str, int]
    classes: list[str]
    own: int


class RuleCheck(Part):
    """Whether a rule of measurement was kept (see CONTRIBUTING.md), and what was found."""

    rule: int
    title: str
    passed: bool
    detail: str


class Method(Part):
    """What was done, for a report's readers.

    Attributes:
        data: the data set's name.
        image_size: pixels along a side.
        channels: of an image.
        batch_size: images in a classifier's batch.
        classifier: its name.
        gan: the name of the GANs' model.
        gan_batch_size: images in a batch of theirs.
        gan_select: what their weights were chosen by; None: they were not.
    """

    data: str
    image_size: int
    channels: int
    batch_size: int
    classifier: str
    gan: str | None
    gan_batch_size: int | None
    gan_select: str | None


class Declaration(Stored):
    """What a study declared before its first draw.

    Attributes:
        endpoints: the first is the primary one.
        question: the asked arm, and the one that it is compared with.
        comparisons: further pairs.
        declared: ISO 8601, UTC.
        numbers: settings that the data may have decided, by key.
        arms: names; None where all are the study's own.
    """

    WHAT: ClassVar[str] = "declaration of a study"

    endpoints: list[Endpoint]
    question: list[str]
    comparisons: list[list[str]]
    declared: str
    numbers: dict[str, Any] | None = None
    arms: list[str] | None = None


class DrawResult(Stored):
    """All results of a draw but its predictions.

    Attributes:
        headline: arm to its mean of the primary endpoint, for the table of a multirun.
        headline_of: that endpoint in words.
        draw: which.
        folder: where the draw was run, in its study's folder.
        condition: swept setting to its value.
        question: of the study.
        comparisons: further pairs of arms that the study names.
        endpoints: what the study is about; the first is the primary one.
        control: the arm that uses copies of real images as the asked one uses GAN images.
        repeats: fits of each arm.
        method: what was done.
        classes: names, in the order of their labels.
        positive: the positive class.
        splits: split to the number of images of each class.
        arms: by name.
        gans: class to the GAN of its images.
        fits: of all arms.
        quality: of the GANs' images, where it was measured.
        ruler: where the study has one.
        checks: of the rules that one draw can keep or break.
    """

    WHAT: ClassVar[str] = "draw of a study"

    headline: dict[str, float]
    headline_of: str
    draw: int
    folder: str
    condition: dict[str, Any]
    question: Question
    comparisons: list[list[str]]
    endpoints: list[Endpoint] = Field(min_length=1)
    control: str | None
    repeats: int
    method: Method
    classes: list[str]
    positive: str | None
    splits: dict[str, dict[str, int]]
    arms: dict[str, ArmFacts]
    gans: dict[str, GANFacts]
    fits: list[FitResult]
    quality: Quality | None
    ruler: RulerFacts | None
    checks: list[RuleCheck]

    @property
    def data_classes(self) -> Classes:
        """The classes.

        Raises:
            GanAugError: they are no classes.
        """
        return Classes(tuple(self.classes), self.positive)

    @property
    def last_too(self) -> bool:
        """Whether the last step was measured beside the step that validation chose."""
        return any(fit.chosen is not None for fit in self.fits)

    def fits_of(self, arm: str) -> list[FitResult]:
        """Return the fits of an arm."""
        return [fit for fit in self.fits if fit.arm == arm]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read the result of the draw in a folder, which may come from anyone.

        Raises:
            GanAugError: it is damaged, contradicts itself, or is of no draw of a study.
        """
        path = folder / RESULT
        found = cls.read(path, f"is it a draw of a study? If so, {REMEDY}")
        for fault in found._faults():
            raise GanAugError(f"{path}: {fault}; {REMEDY}")
        return found

    def _faults(self) -> Any:
        """Yield how it contradicts itself."""
        # Arms name files in fits/, and nothing outside it.
        for name in (*self.arms, *(fit.arm for fit in self.fits)):
            if set(name) & {"/", "\\", "\0"}:
                yield f"{name!r} names no arm"
        seen = set()
        for fit in self.fits:
            if fit.arm not in self.arms:
                yield f"has fits of {fit.arm}, which is no arm of it"
            if fit.name in seen:
                yield f"counts the fit {fit.name} twice"
            seen.add(fit.name)
        for name in (self.question.arm, *(arm for pair in self.comparisons for arm in pair)):
            if name not in self.arms:
                yield f"asks about {name}, which is no arm of it"
        for one in self.endpoints:
            if one.split not in self.splits:
                yield f"has an endpoint on {one.split}, which is no split of it"
