"""What the behaviours of arms have in common, and how an arm's are found.

A behaviour is a class in a file of this folder. It says which settings it has and what it checks
before anything is trained. An `AddedFrom` also gives the images that an arm adds; a `Mixing` says
how they join the real ones in a batch. No file here loads torch when it is imported: settings are
read, and refused, without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import Images, ImageTable
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import Generated
from gan_aug.run.errors import GanAugError
from gan_aug.settings.base import Settings

if TYPE_CHECKING:
    from gan_aug.data.batches import Batch
    from gan_aug.settings.arms import ArmSettings, SettledArm
    from gan_aug.settings.study import SettledStudy, StudySettings

Rows = NDArray[np.int64]
B = TypeVar("B", bound="Behaviour")


class Draw(Protocol):
    """What a draw offers to its arms (`gan_aug.study.images`)."""

    settings: SettledStudy
    splits: Splits
    folder: Path

    def random(self, *purpose: str) -> np.random.Generator:
        """Return random numbers for a purpose, the same for all arms of the draw."""

    def real(self, arm: SettledArm) -> ImageTable:
        """Return an arm's real images."""

    def made(self, name: str, replicate: int) -> Generated:
        """Return all images of a class that the draw's GAN, or a replicate of it, makes."""

    def fit_gan(self, splits: Splits, name: str) -> Path:
        """Fit the study's GAN on other images than the draw's; return its checkpoint."""

    def own_gan(self) -> Any:
        """Return the study's GAN, untrained."""

    def probabilities(self, images: Images) -> NDArray[np.float32]:
        """Return (N, K) probabilities by a classifier of the draw's real images alone."""

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, made once for all arms."""


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

    def check(self, where: str, arm: ArmSettings, settings: StudySettings) -> None:
        """Check an arm's settings, before the data is read.

        Args:
            where: `arms.NAME`, for messages.
            arm: the arm's settings.
            settings: of the study.

        Raises:
            GanAugError: naming the setting and what to do.
        """

    def check_settled(self, where: str, arm: SettledArm, settings: SettledStudy) -> None:
        """Check an arm's settings once classes and counts are known; as `check`."""

    def check_draw(self, where: str, arm: SettledArm, draw: Draw) -> None:
        """Check that a draw has the images that an arm asks for, before anything is fitted."""


@dataclass(frozen=True)
class Taken:
    """Images of one class that an arm adds.

    Attributes:
        images: uint8 (N, C, H, W).
        rows: int64 (N,), which of the arm's real images each was made of; -1: of none.
    """

    images: Images
    rows: Rows

    @classmethod
    def of_none(cls, images: Images) -> Taken:
        """Return images that were made of no real one."""
        return cls(images, np.full(len(images), -1))


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

    @property
    def predicts(self) -> bool:
        """Whether it asks a classifier of the draw's real images about the images that it adds."""
        return False

    def fits_gan(self, arm: ArmSettings) -> bool:
        """Whether a GAN is fitted for it."""
        return False

    @property
    def filters(self) -> bool:
        """Whether it leaves out some of the images that are there."""
        return False

    def of_own_gans(self, arm: SettledArm) -> dict[tuple[str, int], int]:
        """Return how many images it needs, by class and replicate, of the draw's own GANs."""
        return {}

    def translated(self, name: str, settings: SettledStudy) -> list[str]:
        """Return the classes of the real images that its images of a class are made of."""
        return []

    def take(self, arm: SettledArm, draw: Draw, name: str, count: int) -> Taken:
        """Return `count` images of a class.

        Raises:
            GanAugError: there are not as many.
        """
        raise NotImplementedError


class Nothing(AddedFrom):
    """No images: the arm trains on real ones alone."""

    name = "none"


@dataclass(frozen=True)
class Parts:
    """What an arm's batches are made of: positions among its real and then its added images.

    Attributes:
        groups: positions that have a shuffled stream of their own, and their number in each batch.
        first: likewise, of the first batches.
        n_first: how many batches are first ones.
        partners: for each real image the positions of the added ones made of it; one of these
            stands beside it in a batch.
    """

    groups: Sequence[tuple[Rows, int]]
    first: Sequence[tuple[Rows, int]] = ()
    n_first: int = 0
    partners: Sequence[Rows] | None = None


@dataclass(frozen=True)
class ArmImages:
    """The images that an arm trains on, as a mixing sees them: positions and classes.

    Attributes:
        labels: int64 (N,), of the real and then of the added images.
        n_real: how many are real.
        classes: of the data set.
        sources: int64 (N - n_real,), which real image each added one was made of; -1: of none.
    """

    labels: Rows
    n_real: int
    classes: Classes
    sources: Rows | None = None

    @property
    def real(self) -> Rows:
        """Positions of the real images."""
        return np.arange(self.n_real)

    @property
    def added(self) -> Rows:
        """Positions of the added images."""
        return np.arange(self.n_real, len(self.labels))

    def added_counts(self) -> dict[str, int]:
        """Return how many added images each class has."""
        return self.classes.counts(self.labels[self.n_real :])


class Mixing(Behaviour):
    """How added images join the real ones; `Shuffled` is what an arm does that names none.

    Its first field is the setting that turns it on.

    Attributes:
        alone: why no other mixing, and nothing of `excludes`, may be set beside it.
        excludes: further settings of the arm that have no place beside it.
    """

    alone: ClassVar[str] = ""
    excludes: ClassVar[tuple[str, ...]] = ()

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
        return self.value is not None and bool(self.value)

    def first_steps(self, steps: int) -> int:
        """Return how many of all steps come before real images are trained on."""
        return 0

    def shown(self, batch_size: int) -> int:
        """Return how many images, real and added, one batch is made of."""
        return batch_size

    @property
    def added_share(self) -> float | None:
        """Which share of all images shown is added, where the setting says so."""
        return None

    def parts(self, images: ArmImages, batch_size: int, steps: int, title: str) -> Parts:
        """Return what batches are made of.

        Args:
            images: of the arm.
            batch_size: images in a batch.
            steps: how many batches there are.
            title: the arm's, for messages.

        Raises:
            GanAugError: its images cannot be mixed so.
        """
        raise NotImplementedError

    def combine(self, batch: Batch, random: np.random.Generator) -> Batch:
        """Return a batch as it is trained on.

        Args:
            batch: `image`, `label`, `target` and `weight` of `shown` images.
            random: depends on the place of the batch alone.
        """
        return batch


class Shuffled(Mixing):
    """All images, real and added, shuffled together: more added ones are a larger share."""

    @property
    def value(self) -> Any:
        """No setting turns it on."""
        return None

    def parts(self, images: ArmImages, batch_size: int, steps: int, title: str) -> Parts:
        """Return one group of all images."""
        return Parts([(np.arange(len(images.labels)), batch_size)])


@cache
def behaviours() -> tuple[type[Behaviour], ...]:
    """Return the behaviours of the files in this folder, in their order."""
    kinds: list[type[Behaviour]] = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = importlib.import_module(f"gan_aug.arms.{path.stem}")
        kinds += [
            one
            for one in vars(module).values()
            if isinstance(one, type)
            and issubclass(one, Behaviour)
            and one.__module__ == module.__name__
        ]
    return tuple(one for one in kinds if one not in (Behaviour, AddedFrom, Mixing))


def _kinds(kind: type[B]) -> list[type[B]]:
    return [one for one in behaviours() if issubclass(one, kind)]


def source_of(arm: ArmSettings) -> AddedFrom:
    """Return where an arm's added images come from."""
    return next(one for one in _kinds(AddedFrom) if one.chosen(arm)).of(arm)


def source_names() -> list[str]:
    """Return what `added.source` may be."""
    return [one.name for one in _kinds(AddedFrom) if "name" in vars(one)]


def mixing_of(arm: ArmSettings) -> Mixing:
    """Return how an arm's added images join the real ones."""
    return next((one for kind in _kinds(Mixing) if (one := kind.of(arm)).on), Shuffled())


def check_mixing(where: str, arm: ArmSettings) -> None:
    """Check that an arm's added images join the real ones in one way.

    Raises:
        GanAugError: there are two, or a setting has no place beside one.
    """
    on = {kind.key(): one for kind in _kinds(Mixing) if (one := kind.of(arm)).on}
    set_too = [*on, *(["balanced"] if arm.balanced else [])]
    for key, one in on.items():
        if not one.alone:
            continue
        for other in set_too:
            if other != key and (other in on or other in one.excludes):
                raise GanAugError(
                    f"{where}.{key}={one.value}: {one.alone}, so {other} has no place; leave one "
                    "of the two out"
                )
