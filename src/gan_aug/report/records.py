"""What a draw of a study leaves beside its predictions: metrics.json, and fits/*.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gan_aug.data.classes import Classes
from gan_aug.data.external_set import ExternalFacts
from gan_aug.data.groups import MOST_GROUPS, Groups
from gan_aug.evaluation.measured import Quality
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.run_record import RESULT
from gan_aug.runtime.stored_model import Part, Stored
from gan_aug.settings.base import Plain
from gan_aug.settings.design import Endpoint, Question, images_of
from gan_aug.settings.values import MOST_COLUMNS

DECLARATION = "declaration.json"
"""In a study's folder."""
REMEDY = "run that draw again"


class Shown(Part):
    """Images that a fit was shown, by class."""

    images: dict[str, int]  # how many were shown at all
    shown: dict[str, int]  # how often any was

    @property
    def total(self) -> int:
        """How often any image of any class was shown."""
        return sum(self.shown.values())


class Unlabelled(Part):
    """Images without labels that a fit was shown."""

    images: int  # how many were shown at all
    shown: int  # how often any was


class Used(Part):
    """What a fit was trained on, counted batch by batch."""

    real: Shown
    added: Shown
    unlabelled: Unlabelled | None = None  # None: of an arm that learns from labels alone


class FitResult(Stored):
    """One fit of the classifier; its predictions lie beside it (`gan_aug.report.predictions`)."""

    WHAT: ClassVar[str] = "fit of a study"

    arm: str
    repeat: int  # which of the arm's fits in this draw
    steps: int  # of the optimizer
    chosen: int | None  # step that its weights are of, where validation chose it; None: the last
    seconds: float  # wall time
    initial_weights: str  # hash of the weights it started from
    fingerprint: str  # of the data
    external_tests: dict[str, str] = Field(default_factory=dict)  # to their fingerprints
    git_commit: str | None  # of the code; None of an installed wheel
    reused: bool = False  # whether another job of the study had done it before
    curve: list[dict[str, float]]  # at each validation: step, train_loss, val_loss, val_auroc
    used: Used
    predictions: str  # hash of what it predicts

    @property
    def name(self) -> str:
        """The name of its files in fits/, without the ending."""
        return f"{self.arm}_{self.repeat}"


class ArmFacts(Part):
    """An arm: what it is called at length, where its added images come from, how many by class."""

    title: str
    source: str
    added: dict[str, int]
    unlabelled: int = 0  # images that it learns from without a label


class GANFacts(Part):
    """A GAN of a draw, or another generator that stands where a GAN does."""

    seconds: float  # that its fit took
    batches: int | None  # that it was trained on; None of a generator that is no GAN
    diverged: bool  # after its weights had been chosen
    chosen: int | None  # batches after which its weights were taken, where chosen; None: after all
    checkpoint_sha256: str
    reused: bool  # whether it had been fitted before
    folder: str  # of its run
    sources: list[str]  # classes whose images it translates


class RulerFacts(Part):
    """The arms of more and more real images."""

    arms: dict[str, int]  # name to real images of each varied class
    classes: list[str]  # the varied ones
    own: int  # images of each varied class in the draw itself, which other arms have

    @property
    def sizes(self) -> dict[str, int]:
        """Arms of growing numbers of real images: `real` is that of the arms' own number."""
        others = {arm: n for arm, n in self.arms.items() if n != self.own}
        return dict(sorted(({"real": self.own} | others).items(), key=lambda item: item[1]))

    @property
    def further(self) -> dict[str, int]:
        """Those of the arms' own number of real images, or more."""
        return {arm: n for arm, n in self.sizes.items() if n >= self.own}


class ImageGroups(Part):
    """What a column of a table says of the images of a split, in the order of predictions.

    What it says is kept, and neither patient nor file: these have numbers of the split's own.
    """

    names: list[str]  # of its groups
    images: list[int | None]  # of each image its group's place in `names`; None: nothing is said

    @classmethod
    def of(cls, groups: Groups) -> Self:
        """Return what is kept of a column."""
        images = [None if code < 0 else code for code in groups.of_images.tolist()]
        return cls(names=list(groups.names), images=images)


class Place(NamedTuple):
    """A group of a split's images; without column and name, all of them.

    Wherever numbers are looked up, what it is called (`test (sex=F)`) stands in a split's place.
    """

    split: str
    column: str | None = None
    name: str | None = None

    @property
    def images(self) -> str:
        """What reports call them."""
        if self.column is None or self.name is None:
            return self.split
        return images_of(self.split, self.column, self.name)


class RuleCheck(Part):
    """Whether a rule of measurement was kept (docs/method/rules.md), and what the check saw."""

    rule: int
    title: str
    passed: bool
    detail: str


class Method(Part):
    """What was done, for a report's readers: names of data set and models, numbers of a batch."""

    data: str
    image_size: int  # pixels along a side
    channels: int
    batch_size: int  # of the classifier
    classifier: str
    gan: str | None
    gan_batch_size: int | None
    gan_select: str | None  # what GANs' weights were chosen by; None: they were not
    generator: str | None = None  # class of a generator that is no GAN, or `generator` where no
    # arm has images but those of an external set; None: it is a GAN


def maker_of(methods: Iterable[Method]) -> str:
    """Return what made the images: GAN, a generator's class, or `generator` of several kinds."""
    made_by = {method.generator or "GAN" for method in methods}
    return made_by.pop() if len(made_by) == 1 else "generator"


class Declaration(Stored):
    """What a study declared before its first draw."""

    WHAT: ClassVar[str] = "declaration of a study"

    endpoints: list[Endpoint]  # the first is the primary one
    question: list[str]  # the asked arm, and the one that it is compared with
    comparisons: list[list[str]]  # further pairs
    declared: str  # ISO 8601, UTC
    numbers: Plain | None = None  # settings that the data may have decided, by key
    arms: list[str] | None = None  # names; None where all are the study's own


class DrawResult(Stored):
    """All results of a draw but its predictions."""

    WHAT: ClassVar[str] = "draw of a study"

    headline: dict[str, float]  # arm to its mean primary endpoint, for the table of a multirun
    headline_of: str  # that endpoint in words
    draw: int
    folder: str  # where the draw was run, in its study's folder
    condition: Plain  # swept setting to its value
    question: Question
    comparisons: list[list[str]]  # further pairs of arms that the study names
    endpoints: list[Endpoint] = Field(min_length=1)  # the first is the primary one
    control: str | None  # arm that uses copies of real images as the asked one uses generated ones
    repeats: int  # fits of each arm
    method: Method
    classes: list[str]  # in the order of their labels
    positive: str | None
    splits: dict[str, dict[str, int]]  # split to the number of images of each class
    arms: dict[str, ArmFacts]
    gans: dict[str, GANFacts]  # by the class of their images
    external: list[ExternalFacts] = Field(default_factory=list)  # sets of other generators' images
    fits: list[FitResult]
    quality: Quality | None  # of the GANs' images, else of an external set, where it was measured
    ruler: RulerFacts | None
    checks: list[RuleCheck]  # of the rules that one draw can keep or break
    # By split, then column; none where the study tells no groups apart.
    groups: dict[str, dict[str, ImageGroups]] = Field(default_factory=dict)

    @property
    def data_classes(self) -> Classes:
        """The classes; a GanAugError where these are none."""
        return Classes(tuple(self.classes), self.positive)

    @property
    def last_too(self) -> bool:
        """Whether the last step was measured beside the step that validation chose."""
        return any(fit.chosen is not None for fit in self.fits)

    def fits_of(self, arm: str) -> list[FitResult]:
        """Return the fits of an arm."""
        return [fit for fit in self.fits if fit.arm == arm]

    def members(self) -> Iterator[tuple[Place, NDArray[np.bool_]]]:
        """Yield each group of each split with the images that are in it, bool (N,)."""
        for split, columns in self.groups.items():
            for column, groups in columns.items():
                codes = np.array([-1 if one is None else one for one in groups.images], np.int64)
                for code, name in enumerate(groups.names):
                    yield Place(split, column, name), codes == code

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read the result of the draw in a folder, which may come from anyone.

        Raises:
            GanAugError: it is damaged, contradicts itself, or is of no draw of a study.
        """
        path = folder / RESULT
        result = cls.read(path, f"is it a draw of a study? If so, {REMEDY}")
        for fault in result._faults():
            raise GanAugError(f"{path}: {fault}; {REMEDY}")
        return result

    def _faults(self) -> Iterator[str]:
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
        pairs = ((self.question.arm, self.question.reference), *self.comparisons)
        for name in (arm for pair in pairs for arm in pair):
            if name not in self.arms:
                yield f"asks about {name}, which is no arm of it"
        for one in self.endpoints:
            if one.split not in self.splits:
                yield f"has an endpoint on {one.split}, which is no split of it"
        yield from self._faults_of_groups()

    def _faults_of_groups(self) -> Iterator[str]:
        for split, columns in self.groups.items():
            n = sum(self.splits.get(split, {}).values())
            if len(columns) > MOST_COLUMNS:
                yield f"has groups of more than {MOST_COLUMNS} columns"
            for column, groups in columns.items():
                codes = {code for code in groups.images if code is not None}
                names = range(len(groups.names))
                if len(names) > MOST_GROUPS or len({*groups.names}) < len(names):
                    yield f"has no {MOST_GROUPS} different groups of {column} at the most"
                if len(groups.images) != n or not codes <= {*names}:
                    yield f"does not say of each of {n} {split} images its group of {column}"
        for one in self.endpoints:
            for column, name in (one.group or {}).items():
                groups_there = self.groups.get(one.split, {}).get(column)
                if groups_there is None or name not in groups_there.names:
                    yield f"has an endpoint on {one.images}, and no such group"
