"""An arm's training batches: real and added images, mixed as the arm says.

Each way to mix them is a `Plan` (`gan_aug.data.batches`): which rows batch k holds, and how they
are combined. `Mixing` parts a batch into groups, as every arm does it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_aug.data.batches import Batch, Groups, Plan, Pool
from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.report.draw_result import Shown, Used
from gan_aug.run.errors import GanAugError
from gan_aug.run.seeds import stream_seed
from gan_aug.settings.draw import ArmSettings


@dataclass(frozen=True)
class AddedImages:
    """Images that join the real ones.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), positions in `classes`.
        classes: of the data set.
        soft: probabilities (N, K) to learn in place of the labels.
        sources: int64 (N,), positions among the arm's real images of those that they were
            translated or copied from; -1: of none.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: Classes
    soft: NDArray[np.float32] | None = None
    sources: NDArray[np.int64] | None = None

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)}


def pool_of(
    real: ImageTable,
    added: AddedImages,
    arm: ArmSettings,
    augment: nn.Module | None,
    augment_added: nn.Module | None,
) -> Pool:
    """Return an arm's images, with the probabilities to learn and the weight of each.

    Args:
        real: the arm's real images.
        added: those that it adds.
        arm: its settings.
        augment: random changes of the real images.
        augment_added: random changes of the added images.
    """
    n_real, k = len(real), len(added.classes)
    labels = torch.from_numpy(np.concatenate([real.labels, added.labels]))
    targets = nn.functional.one_hot(labels, k).float()
    if added.soft is not None:
        targets[n_real:] = torch.from_numpy(added.soft)
    is_added = torch.arange(len(labels)) >= n_real
    smoothing = is_added.float()[:, None] * arm.added.label_smoothing
    return Pool(
        images=torch.from_numpy(np.concatenate([real.images, added.images])),
        labels=labels,
        n_real=n_real,
        targets=targets * (1 - smoothing) + smoothing / k,
        weights=torch.where(is_added, float(arm.added.weight), 1.0),
        augment=augment,
        augment_added=augment_added,
    )


@dataclass(frozen=True)
class Mixing:
    """What an arm's plan is made from.

    Attributes:
        pool: real and added images.
        batch_size: images in a batch.
        steps: how many batches there are.
        seed: fixes the order.
        balanced: whether each class has an equal share of every group.
        title: of the arm, for errors.
    """

    pool: Pool
    batch_size: int
    steps: int
    seed: int
    balanced: bool
    title: str

    def groups(self, *parts: tuple[Tensor, int], phase: int = 1) -> Groups:
        """Return the plan in which each group of rows has so many places in every batch.

        Args:
            parts: rows and their places.
            phase: 0 for what comes before the arm's main phase: its streams have other seeds.
        """
        if self.balanced:
            parts = tuple(part for rows, size in parts for part in self._by_class(rows, size))
        return Groups(parts, [stream_seed(self.seed, phase, j) for j in range(len(parts))])

    def _by_class(self, rows: Tensor, size: int) -> list[tuple[Tensor, int]]:
        labels = self.pool.labels[rows]
        classes = [rows[labels == label] for label in sorted(set(labels.tolist()))]
        share, left = divmod(size, len(classes))
        return [(of_class, share + (i < left)) for i, of_class in enumerate(classes)]


class Mixup(Plan):
    """A real image x and an added one x' become one, l x + (1 - l) x', their targets likewise.

    l is from Beta(alpha, alpha) (Zhang et al. 2018, arXiv:1710.09412, equation 1). A batch takes as
    many added images as real ones.
    """

    def __init__(self, mixing: Mixing, alpha: float) -> None:
        size, pool = mixing.batch_size, mixing.pool
        self._both = mixing.groups((pool.real, size), (pool.added, size))
        self._seed, self._alpha = mixing.seed, alpha

    def rows(self, k: int) -> Tensor:
        """Return the real images, then as many added ones."""
        return self._both.rows(k)

    def combine(self, batch: Batch, k: int) -> Batch:
        """Mix the second half of a batch, in another order, into the first."""
        n = len(batch["label"]) // 2
        random = np.random.default_rng(stream_seed(self._seed, "mixup", k))
        share = torch.from_numpy(random.beta(self._alpha, self._alpha, n)).float()
        # Groups of a batch are in the order of the classes: of mixed classes too, then.
        partner = torch.from_numpy(random.permutation(n)) + n

        def mix(both: Tensor) -> Tensor:
            own = share.view(-1, *(1 for _ in both.shape[1:])).to(both.device)
            # In place: new grey images would not be channels_last, and convolutions twice as slow.
            return both[:n].mul_(own).add_((1 - own) * both[partner.to(both.device)])

        mixed = {name: mix(batch[name]) for name in ("image", "target", "weight")}
        return mixed | {"label": batch["label"][:n]}


class Paired(Plan):
    """Half of a batch are real images, the other half translations, or copies, of just these.

    Raises:
        GanAugError: a real image has none.
    """

    def __init__(self, mixing: Mixing, sources: NDArray[np.int64] | None) -> None:
        real, added = mixing.pool.real, mixing.pool.added
        self._n_real = len(real)
        found = np.full(len(added), -1) if sources is None else sources
        self._made_of = [
            torch.from_numpy(np.flatnonzero(found == i)) + len(real) for i in range(len(real))
        ]
        if alone := sum(not len(made) for made in self._made_of):
            raise GanAugError(
                f"arm {mixing.title!r}: added.paired=true, but {alone} of {len(real)} real images "
                "have no added one that was made of them; raise added.count"
            )
        self._real = mixing.groups((real, mixing.batch_size // 2))

    def rows(self, k: int) -> Tensor:
        """Return real images, then what was made of each."""
        real = self._real.rows(k)
        made = [self._made_of[int(row)] for row in real]
        # Of several translations another one each time that the image comes up again, or nearly so.
        of_pass = k * len(real) // self._n_real
        return torch.cat([real, torch.stack([rows[of_pass % len(rows)] for rows in made])])


class Pretrained(Plan):
    """The first steps are taken on the added images alone, the others on the real ones alone.

    Raises:
        GanAugError: a class has no added images.
    """

    def __init__(self, mixing: Mixing, share: float, added: AddedImages) -> None:
        if not all(added.counts().values()):
            raise GanAugError(
                f"arm {mixing.title!r}: pretrain={share} needs added images of each class, it has "
                f"{added.counts()}; raise added.count"
            )
        pool, size = mixing.pool, mixing.batch_size
        self._first = round(share * mixing.steps)
        self._before = mixing.groups((pool.added, size), phase=0)
        self._after = mixing.groups((pool.real, size))

    def rows(self, k: int) -> Tensor:
        """Return added images in the first steps, real ones afterwards."""
        return self._before.rows(k) if k < self._first else self._after.rows(k - self._first)


def plan_of(arm: ArmSettings, mixing: Mixing, added: AddedImages) -> Plan:
    """Return how an arm's batches are mixed.

    Two arms with the same images and the same seed get the same batches in the same order.

    Raises:
        GanAugError: the arm asks for a mixture that its images cannot give.
    """
    pool, size, ratio = mixing.pool, mixing.batch_size, arm.added.ratio
    if round(arm.pretrain * mixing.steps):
        return Pretrained(mixing, arm.pretrain, added)
    if arm.added.paired:
        return Paired(mixing, added.sources)
    if arm.added.mixup is not None and len(pool.added):
        return Mixup(mixing, arm.added.mixup)
    if ratio is not None and len(pool.added):
        n = round(ratio * size)
        return mixing.groups((pool.real, size - n), (pool.added, n))
    return mixing.groups((torch.cat([pool.real, pool.added]), size))


def used(shown: Tensor, pool: Pool, classes: Classes) -> Used:
    """Return what a fit was trained on.

    Args:
        shown: how often each image of the pool was.
        pool: the images.
        classes: of the data set.
    """
    real, added = (
        _tally(shown[rows], pool.labels[rows], classes) for rows in (pool.real, pool.added)
    )
    return Used(real, added)


def _tally(times: Tensor, labels: Tensor, classes: Classes) -> Shown:
    of_class = {name: times[labels == i] for i, name in enumerate(classes)}
    return Shown(
        images={name: int((shown > 0).sum()) for name, shown in of_class.items()},
        shown={name: int(shown.sum()) for name, shown in of_class.items()},
    )
