"""What the behaviours of arms have in common, and how an arm's are found.

A behaviour is a class in a file of this folder. It says which settings it has and what it checks
before anything is trained. An `AddedFrom` also gives the images that an arm adds; a `Mixing` says
how they join the real ones in a batch. No file here loads torch when it is imported: settings are
read, and refused, without it.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.image_table import ClassImages, Images, ImageTable
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.base import Plain, Settings

if TYPE_CHECKING:
    from gan_aug.data.batches import Batch
    from gan_aug.settings.arms import ArmSettings, SettledArm
    from gan_aug.settings.study import SettledStudy, StudySettings

Rows = NDArray[np.int64]


class Draw(ABC):
    """What a draw offers to its arms: `gan_aug.study.images` makes them.

    Attributes:
        folder: the job's; synthetic sets are written into it.
    """

    def __init__(self, settings: SettledStudy, splits: Splits, folder: Path) -> None:
        self.settings, self.splits, self.folder = settings, splits, folder
        self._kept: dict[Hashable, Any] = {}

    def random(self, *purpose: str) -> np.random.Generator:
        """Return random numbers for a purpose, the same for all arms of the draw."""
        return np.random.default_rng(stream_seed(*purpose, self.settings.seed, self.settings.draw))

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, made once for all arms."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def real(self, arm: SettledArm) -> ImageTable:
        """Return an arm's real images: all of the draw's, or the first so many of each class."""
        train = self.splits.train
        if arm.real is None:
            return train
        rows = []
        for label, name in enumerate(self.splits.classes):
            of_class = np.flatnonzero(train.labels == label)
            rows.append(self.random("first", name).permutation(of_class)[: arm.real[name]])
        # In the draw's order: as many images as it has are just its own.
        return train.take(np.sort(np.concatenate(rows)))

    @abstractmethod
    def made(self, name: str, replicate: int = 0) -> ClassImages:
        """Return all images of a class that the draw's GAN, or a replicate of it, makes."""

    @abstractmethod
    def made_of(
        self, splits: Splits, name: str, count: int, seed: int
    ) -> tuple[ClassImages, Plain]:
        """Return images by the study's GAN, fitted on other images than the draw's.

        Returns:
            Images, and what a manifest says of their generator.
        """

    @abstractmethod
    def probabilities(self, images: Images) -> NDArray[np.float32]:
        """Return (N, K) probabilities by a classifier of the draw's real images alone."""


@dataclass(frozen=True)
class Typed:
    """An arm of a study, before the data is read."""

    name: str
    settings: StudySettings

    @property
    def arm(self) -> ArmSettings:
        """Its settings."""
        return self.settings.arms[self.name]

    @property
    def key(self) -> str:
        """What messages call it."""
        return f"arms.{self.name}"


@dataclass(frozen=True)
class Settled(Typed):
    """An arm of a study, once classes, counts and the draw's images are known."""

    settings: SettledStudy
    splits: Splits

    @property
    def arm(self) -> SettledArm:
        """Its settings."""
        return self.settings.arms[self.name]


class Behaviour(Settings):
    """A behaviour of an arm; its fields are settings of conf/arm.

    Attributes:
        of_arm: whether its settings stand in the arm itself, not in `added`.
    """

    of_arm: ClassVar[bool] = False

    @classmethod
    def of(cls, arm: ArmSettings) -> Self:
        """Take its settings out of an arm's, which have been checked."""
        return cls.model_validate(arm if cls.of_arm else arm.added, from_attributes=True)

    def check(self, typed: Typed) -> None:
        """Check an arm's settings.

        Raises:
            GanAugError: naming the setting and what to do.
        """

    def check_settled(self, settled: Settled) -> None:
        """Check an arm once more is known; as `check`."""


class AddedFrom(Behaviour):
    """Where an arm's added images come from.

    Attributes:
        name: what `added.source` calls it.
    """

    name: ClassVar[str]

    @classmethod
    def chosen(cls, arm: ArmSettings) -> bool:
        """Whether an arm adds images of this kind."""
        return arm.added.source == cls.name and not arm.added.unlabelled

    def predicts(self, arm: ArmSettings) -> bool:
        """Whether a classifier of the draw's real images is asked about the images that it adds."""
        return arm.added.labels is not None and arm.added.source != "none"

    def generated(self, arm: ArmSettings) -> bool:
        """Whether its images are generated ones, whose control is copies of real images."""
        return arm.added.source == "gan"

    def of_own_gans(self, arm: SettledArm) -> dict[tuple[str, int], int]:
        """Return how many images it needs, by class and replicate, of the draw's own GANs."""
        return {}

    def translated(self, name: str, settings: SettledStudy) -> list[str]:
        """Return the classes of the real images that its images of a class are made of."""
        return []

    @abstractmethod
    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return `count` images of a class; raise GanAugError where there are not as many.

        What they were made of is among the arm's real images.
        """


class Nothing(AddedFrom):
    """No images: the arm trains on real ones alone."""

    name = "none"

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> ClassImages:
        """Return no image, whatever is asked for."""
        return ClassImages(draw.splits.train.images[:0])


@dataclass(frozen=True)
class ArmImages:
    """All that an arm trains on. Their rows: real images first, then added, then unlabelled ones.

    Attributes:
        real: of the draw, with their labels.
        added: uint8 (N, C, H, W), which join them.
        labels: int64 (N,), of the added ones.
        sources: int64 (N,), which real image each added one was made of; -1: of none.
        unlabelled: uint8 (M, C, H, W), which the arm learns from without a label.
        soft: (N, K) probabilities to learn in place of the added ones' labels; None: the labels.
    """

    real: ImageTable
    added: Images
    labels: Rows
    sources: Rows
    unlabelled: Images
    soft: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, real: ImageTable, added: Mapping[str, ClassImages]) -> ArmImages:
        """Let images of some classes join real ones."""
        none, no_rows, parts = np.asarray(real.images[:0]), np.zeros(0, np.int64), added.values()
        labels = [np.full(len(one), real.classes.label(name)) for name, one in added.items()]
        return cls(
            real=real,
            added=np.concatenate([none, *(np.asarray(one.images) for one in parts)]),
            labels=np.concatenate([no_rows, *labels]),
            sources=np.concatenate([no_rows, *(one.rows_in(real) for one in parts)]),
            unlabelled=none,
        )

    @property
    def rows(self) -> tuple[Rows, Rows, Rows]:
        """Those of the real, of the added and of the unlabelled images."""
        ends = [len(self.real), len(self.real) + len(self.added)]
        real, added, unlabelled = np.split(np.arange(len(self.all_labels)), ends)
        return real, added, unlabelled

    @property
    def all_labels(self) -> Rows:
        """The label of each row; -1: it has none."""
        unlabelled = np.full(len(self.unlabelled), -1)
        return np.concatenate([self.real.labels, self.labels, unlabelled])


@dataclass(frozen=True)
class Parts:
    """What an arm's batches are made of: rows of its images.

    Attributes:
        groups: rows that have a shuffled stream of their own, and their number in each batch.
            Those of unlabelled images, if any, are the last.
        first: likewise, of the first batches (`Mixing.first_steps`).
        partners: for each real image the rows of the added ones made of it; one of these stands
            beside it in a batch.
    """

    groups: Sequence[tuple[Rows, int]]
    first: Sequence[tuple[Rows, int]] = ()
    partners: Sequence[Rows] | None = None


class Mixing(Behaviour):
    """How added images join the real ones; this class: all shuffled together.

    Its first field is the setting that turns it on, by another value than its default.

    Attributes:
        alone: why nothing else that mixes may be set beside it.
    """

    alone: ClassVar[str] = ""

    @classmethod
    def key(cls) -> str:
        """Return the setting that turns it on, as the arm has it."""
        return ("" if cls.of_arm else "added.") + next(iter(cls.model_fields), "")

    @property
    def value(self) -> Any:
        """What the setting that turns it on is set to."""
        return getattr(self, self.key().removeprefix("added."))

    @property
    def on(self) -> bool:
        """Whether an arm has it."""
        return bool(self.value != next(iter(type(self).model_fields.values())).default)

    def refused(self, typed: Typed, reason: str) -> GanAugError:
        """Return the line for a value of this setting that an arm cannot have."""
        return GanAugError(f"{typed.key}.{self.key()}={self.value}: {reason}")

    def excludes(self, typed: Typed, key: str) -> GanAugError:
        """Return the line for another setting that has no place beside this one."""
        reason = f"{self.alone}, so {key} has no place; leave one of the two out"
        return self.refused(typed, reason)

    def first_steps(self, steps: int) -> int:
        """Return how many of all steps come before real images are trained on."""
        return 0

    def shown(self, batch_size: int) -> int:
        """Return how many images, real and added, one batch is made of."""
        return batch_size

    @property
    def unlabelled(self) -> int:
        """How many unlabelled images come on top of these in each batch."""
        return 0

    @property
    def added_share(self) -> float | None:
        """Which share of all images shown is added, where the setting says so."""
        return None

    def parts(self, images: ArmImages, batch_size: int, title: str) -> Parts:
        """Return what the batches are made of; raise GanAugError where that cannot be."""
        real, added, _ = images.rows
        return Parts([(np.concatenate([real, added]), batch_size)])

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Return a batch as it is trained on.

        It has `image`, `label`, `target` and `weight` of `shown` images; the random numbers depend
        on its place alone.
        """
        return batch


@cache
def behaviours() -> tuple[type[Behaviour], ...]:
    """Return the behaviours of the files in this folder, in their order."""
    modules = [
        importlib.import_module(f"gan_aug.arms.{path.stem}")
        for path in sorted(Path(__file__).parent.glob("*.py"))
    ]
    return tuple(
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Behaviour)
        if kind.__module__ == module.__name__ and kind not in (Behaviour, Mixing)
        if not inspect.isabstract(kind)
    )


def _sources() -> list[type[AddedFrom]]:
    return [kind for kind in behaviours() if issubclass(kind, AddedFrom)]


def source_of(arm: ArmSettings) -> AddedFrom:
    """Return where an arm's added images come from."""
    return next(kind for kind in _sources() if kind.chosen(arm)).of(arm)


def own_gans(arms: Mapping[str, SettledArm]) -> dict[tuple[str, int], int]:
    """Return a draw's own GANs, by class and replicate, and the most images that an arm needs."""
    most: dict[tuple[str, int], int] = {}
    for arm in arms.values():
        for gan, count in source_of(arm).of_own_gans(arm).items():
            most[gan] = max(count, most.get(gan, 0))
    return dict(sorted(most.items()))


def source_names() -> list[str]:
    """Return what `added.source` may be."""
    return [kind.name for kind in _sources() if "name" in vars(kind)]


def mixings_of(arm: ArmSettings) -> list[Mixing]:
    """Return all mixings that an arm sets; at most one is sound."""
    return [
        mixing for kind in behaviours() if issubclass(kind, Mixing) if (mixing := kind.of(arm)).on
    ]


def mixing_of(arm: ArmSettings) -> Mixing:
    """Return how an arm's added images join the real ones."""
    return next(iter(mixings_of(arm)), Mixing())
