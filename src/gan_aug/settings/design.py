"""The design of a study: the group `study` of conf/study.yaml, its endpoints and its ruler.

The ruler is arms of more and more real images, which tell what others are worth.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Predicate
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Plain, Settings
from gan_aug.settings.by_name import by_name, normal, values_by_class
from gan_aug.settings.values import (
    Auto,
    ByClass,
    ClassName,
    Count,
    Group,
    GroupColumns,
    Images,
    Names,
    Pairs,
    Positive,
    Sizes,
    SplitName,
    Wanted,
)

if TYPE_CHECKING:
    from gan_aug.settings.study import StudySettings

OF_DRAW = ("validation", "internal")
"""Splits that every draw has of its own; the others are the same in all."""
METRICS = (
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc", "auprc",
    "calibration_error",
)  # fmt: skip
"""What a classifier is measured by (`gan_aug.metrics.classification`), in the order of reports."""
AT_VALIDATION_THRESHOLD = "accuracy_at_validation_threshold"
ARM = "ruler_{}"
"""Names of the ruler's arms."""
CHOSEN_ON_VALIDATION = "validation"
"""What an endpoint's `at` says of the threshold that validation chooses."""
_EXAMPLE = "[{split: test, metric: accuracy, smallest_effect: 0.01}]"


def _metric(name: str) -> str:
    found = normal(name)  # may end with the name of a class
    if found not in METRICS and not found.startswith("sensitivity_"):
        raise ValueError
    return found


class Endpoint(Settings):
    """A metric on a split, declared before a study runs."""

    split: SplitName = Field(description="images that it is measured on")
    metric: Annotated[str, AfterValidator(_metric), Wanted(f"one of {', '.join(METRICS)}")] = Field(
        description="metric; sensitivity_CLASS where no class is the positive one"
    )
    at: Annotated[
        float | Literal["validation"] | None,
        Predicate(lambda at: at in (None, 0.5, CHOSEN_ON_VALIDATION)),
        Wanted("0.5 or, of the accuracy, validation"),
    ] = Field(default=None, description="threshold of the accuracy; null: 0.5")
    smallest_effect: Annotated[
        float | None, Field(gt=0, lt=1), Wanted("a share above 0 and below 1, or null")
    ] = Field(default=None, description="smallest difference that matters, as a share")
    group: Group = Field(default=None, description="measure it on this group of images alone")

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Endpoint:
        if self.at == CHOSEN_ON_VALIDATION and self.metric != "accuracy":
            raise GanAugError(
                f"study.endpoints: at={self.at} is of the accuracy, not of {self.metric}"
            )
        return self

    @property
    def name(self) -> str:
        """The metric's name in a report."""
        return AT_VALIDATION_THRESHOLD if self.at == CHOSEN_ON_VALIDATION else self.metric

    @property
    def images(self) -> str:
        """What it is measured on, as reports call it: `test`, or `test (sex=F)`."""
        if self.group is None:
            return self.split
        ((column, name),) = self.group.items()
        return images_of(self.split, column, name)

    @property
    def where(self) -> tuple[str, str]:
        """Its images and its metric, both as reports call them."""
        return self.images, self.name


def images_of(split: str, column: str, name: str) -> str:
    """Return what reports call the images of a group in a split: `test (sex=F)`."""
    return f"{split} ({column}={name})"


class Question(Settings):
    """The arm that a study asks about, and the one that it is compared with."""

    arm: str = Field(description="the arm that the study asks about")
    reference: str = Field(description="the arm that it is compared with")


class Steps(Settings):
    """A budget of optimizer steps, the same for every fit."""

    max: Positive = Field(description="optimizer steps of every fit")
    choose: Literal[None, "validation"] = Field(
        default=None, description="validation: weights of the lowest loss; null: the last"
    )

    @property
    def chosen(self) -> bool:
        """Whether validation chooses the step whose weights are taken."""
        return self.choose is not None


def _steps(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"max": value}
    if isinstance(value, dict) and set(value) != {"max", "choose"}:
        raise ValueError
    return value


_Setting = Annotated[
    str | int | float | bool | None,
    Wanted("text, a number, true, false or null: one cell of a table"),
]


class Design(Settings):
    """What all draws of a study share, as typed."""

    folder: str = Field(description="folder of this job, inside study_dir")
    condition: dict[str, _Setting] = Field(
        description="settings that differ between jobs, apart from the draw"
    )
    question: Question
    comparisons: Pairs = Field(description="further pairs of arms to compare")
    endpoints: Annotated[
        list[Endpoint],
        BeforeValidator(by_name),
        Field(min_length=1),
        Wanted(f"a list, as {_EXAMPLE}"),
    ] = Field(description="what the study declares; the first is primary")
    splits: Names = Field(description="parts of a draw that every fit is measured on")
    subgroups: GroupColumns | None = Field(
        description="columns of data.table whose groups are measured apart"
    )
    count: ByClass[Count | None] | Auto = Field(description="images of each class that arms add")
    unlabelled: Images | None = Field(
        description="further training images whose labels nothing reads"
    )
    ruler: ByClass[Sizes] | Auto | None = Field(
        description="numbers of real images that arms of their own have"
    )
    rare: ClassName | None = Field(
        default=None, description="the scarce class, which GAN images fill up"
    )
    repeats: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="fits of every arm, each from other initial weights"
    )
    steps: Annotated[
        Steps,
        BeforeValidator(_steps),
        Wanted("a whole number from 1, or {max: NUMBER, choose: validation}"),
    ] = Field(description="optimizer steps of the classifier in every arm")
    validate_every: Positive = Field(description="steps from one validation to the next")
    gan_batches: Positive | None = Field(description="batches that a GAN is trained on")
    gan_curve_points: Positive | None = Field(
        description="times that a GAN's quality is measured in training"
    )
    gan_select: str | None = Field(
        description="metric that chooses a GAN's weights; null: the last ones"
    )
    gan_fits: Annotated[int, Field(ge=1, le=100)] | None = Field(
        description="GANs to fit and choose from"
    )

    @model_validator(mode="after")
    def _endpoints_differ(self) -> Design:
        if self.endpoints[0].group is not None:
            raise GanAugError(
                "study.endpoints[0].group: the primary endpoint is of all images of a split; put "
                "this one after it"
            )
        named = [one.where for one in self.endpoints]
        if twice := [name for name in named if named.count(name) > 1]:
            raise GanAugError(
                f"study.endpoints: {' '.join(twice[0])} is there twice; leave one of them out"
            )
        return self

    @property
    def primary(self) -> str:
        """The split of the primary endpoint."""
        return self.endpoints[0].split

    @property
    def group_columns(self) -> list[str]:
        """The columns of data.table that tell groups apart, of declared endpoints too."""
        declared = (column for one in self.endpoints for column in one.group or ())
        return list(dict.fromkeys([*(self.subgroups or ()), *map(str, declared)]))

    @property
    def takes_from_data(self) -> bool:
        """Whether it has the key `rare`: the study is of data whose classes nobody named."""
        return "rare" in self.model_fields_set


class SettledDesign(Design):
    """What all draws of a study share, once the classes are known."""

    count: dict[str, int] = Field(description="images that arms add, of each class")
    rare: str | None = Field(default=None, description="the scarce class, which GAN images fill up")
    ruler: ByClass[Sizes] | None = Field(description="arms of so many real images")


def ruler_of(settings: StudySettings, classes: list[str]) -> tuple[list[int], list[str]] | None:
    """Return a study's ruler: numbers of real images, and the classes that have so many.

    Raises:
        GanAugError: it names no class of the data set, or more than one.
    """
    ruler: Any = settings.study.ruler
    if not isinstance(ruler, Mapping):
        return None if ruler is None else (list(ruler), classes)
    of_class = values_by_class(ruler, classes, "study.ruler")
    if len(of_class) != 1:
        raise GanAugError(
            f"study.ruler={ruler}: names {' and '.join(of_class) or 'nothing'}; write a list "
            f"for all classes, or {{CLASS: LIST}} with one of {', '.join(classes)}"
        )
    ((name, sizes),) = of_class.items()
    return list(sizes), [name]


def ruler_arms(
    settings: StudySettings,
    arms: Mapping[str, Any],
    counts: Mapping[str, int],
    subset: Mapping[str, int | None],
) -> Plain:
    """Return an arm for each number of the ruler: `real` with so many images of each class.

    The images are nested: those of a number are among those of a larger one. Up to the draw's own
    number they are the draw's, then real ones that it leaves over join them.

    Args:
        settings: of the study.
        arms: its other arms as plain containers.
        counts: the draw's training images of each class.
        subset: `data.subset` of each class.

    Raises:
        GanAugError: there is no arm `real`, one has the name of a ruler's arm, or the draw's
            classes have no common number of images to count from, or it goes no further.
    """
    ruler = ruler_of(settings, list(counts))
    if ruler is None:
        return {}
    sizes, varied = ruler
    if "real" not in arms:
        raise GanAugError("study.ruler: needs the arm real; add '+arm@arms.real=real'")
    own, *others = {counts[name] for name in varied}
    if others:
        have = ", ".join(f"{n} {name}" for name, n in counts.items())
        raise GanAugError(
            f"study.ruler={sizes}: counts from the draw's images of each class, and they differ "
            f"({have}); set data.subset=NUMBER, or study.ruler={{CLASS: {sizes}}}"
        )
    if all_left := [name for name in varied if subset[name] is None]:
        raise GanAugError(
            f"study.ruler={sizes}: counts from the draw's images of {all_left[0]}, and "
            "data.subset takes all there are, which differ from draw to draw; set "
            f"data.subset.{all_left[0]}=NUMBER"
        )
    if sizes[-1] <= own:
        raise GanAugError(
            f"study.ruler={sizes}: ends at the {own} images that a draw has; add larger numbers, "
            "which show whether the study could see what further images do"
        )
    if taken := [name for size in sizes if (name := ARM.format(size)) in arms]:
        raise GanAugError(f"arms.{taken[0]}: is the name of an arm of study.ruler; rename it")
    whose = f"the class {varied[0]}" if len(varied) == 1 else "each class"
    ruler_arms: Plain = {}
    for size in sizes:
        arm = ruler_arms[ARM.format(size)] = copy.deepcopy(arms["real"])
        further = {name: max(0, size - own) if name in varied else 0 for name in counts}
        arm["title"] = f"{size} real images of {whose}"
        arm["real"] = {name: min(size, own) if name in varied else None for name in counts}
        arm["added"]["count"] = further
        arm["added"]["source"] = "real" if any(further.values()) else "none"
    return ruler_arms
