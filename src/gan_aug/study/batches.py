"""An arm's training batches: real and added images, mixed as the arm says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_aug.arms.base import ArmImages, Rows, mixing_of
from gan_aug.data.batches import Batch, Groups, Plan, Pool, even_shares
from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.report.records import Shown, Unlabelled, Used
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.arms import ArmSettings


@dataclass(frozen=True)
class AddedImages:
    """Images that join the real ones.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), positions in `classes`.
        classes: of the data set.
        soft: probabilities (N, K) to learn in place of the labels.
        sources: int64 (N,), positions among the arm's real images of those that they were
            translated or copied from; -1, or None for all: of none.
        unlabelled: uint8 (M, C, H, W), which the arm learns from without a label; None: from none.
    """

    images: NDArray[np.uint8]
    labels: Rows
    classes: Classes
    soft: NDArray[np.float32] | None = None
    sources: Rows | None = None
    unlabelled: NDArray[np.uint8] | None = None

    @property
    def all_labels(self) -> Rows:
        """Labels of the added images, and -1 for each unlabelled one."""
        n = 0 if self.unlabelled is None else len(self.unlabelled)
        return np.concatenate([self.labels, np.full(n, -1)])

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        return self.classes.counts(self.labels)


def pool_of(
    real: ImageTable,
    added: AddedImages,
    arm: ArmSettings,
    augment: nn.Module | None,
    augment_added: nn.Module | None,
) -> Pool:
    """Return an arm's images, with the probabilities to learn and the weight of each."""
    n_real, k, n = len(real), len(added.classes), len(real) + len(added.labels)
    labels = torch.from_numpy(np.concatenate([real.labels, added.all_labels]))
    targets = torch.zeros(len(labels), k)  # an unlabelled image has none
    targets[:n] = nn.functional.one_hot(labels[:n], k).float()
    if added.soft is not None:
        targets[n_real:n] = torch.from_numpy(added.soft)
    is_added = torch.arange(len(labels)) >= n_real
    unlabelled = real.images[:0] if added.unlabelled is None else added.unlabelled
    smoothing = is_added.float()[:, None] * arm.added.label_smoothing
    return Pool(
        images=torch.from_numpy(np.concatenate([real.images, added.images, unlabelled])),
        labels=labels,
        n_real=n_real,
        n_unlabelled=len(unlabelled),
        targets=targets * (1 - smoothing) + smoothing / k,
        weights=torch.where(is_added, float(arm.added.weight), 1.0),
        augment=augment,
        augment_added=augment_added,
    )


class ArmPlan(Plan):
    """Which images each batch of an arm holds, and how they are combined.

    Two arms with the same images and the same seed get the same batches in the same order.

    Raises:
        GanAugError: the arm asks for a mixture that its images cannot give.
    """

    def __init__(
        self,
        arm: ArmSettings,
        real: ImageTable,
        added: AddedImages,
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        self._mixing, self._seed, self._n_real = mixing_of(arm), seed, len(real)
        labels = np.concatenate([real.labels, added.all_labels])
        rows, ends = np.arange(len(labels)), [len(real), len(real) + len(added.labels)]
        sources = np.full(len(added.labels), -1) if added.sources is None else added.sources
        of_real, of_added, unlabelled = np.split(rows, ends)
        images = ArmImages(of_real, of_added, sources, unlabelled)
        parts = self._mixing.parts(images, batch_size, arm.title)
        by_class = labels if arm.balanced else None
        self._n_first = self._mixing.first_steps(steps)
        self._first = _groups(parts.first, by_class, seed, 0)
        self._groups = _groups(parts.groups, by_class, seed, 1)
        self._partners = [torch.from_numpy(rows) for rows in parts.partners or ()]

    def rows(self, k: int) -> Tensor:
        """Return the rows of batch k; where there are pairs, real images, then their partners."""
        if k < self._n_first:
            return self._first.rows(k)
        k -= self._n_first
        rows = self._groups.rows(k)
        if not self._partners:
            return rows
        # Of several translations another one each time that the image comes up again, or nearly so.
        number = k * len(rows) // self._n_real
        made = [self._partners[int(row)] for row in rows]
        return torch.cat([rows, torch.stack([of_row[number % len(of_row)] for of_row in made])])

    def combine(self, batch: Batch, k: int) -> Batch:
        """Return what the classifier is given of the rows of batch k."""
        purpose = self._mixing.key().rpartition(".")[2]
        seed = stream_seed(self._seed, purpose, k)
        return self._mixing.combine(batch, np.random.default_rng(seed))


def _groups(
    parts: Sequence[tuple[Rows, int]], labels: Rows | None, seed: int, phase: int
) -> Groups:
    """Return groups with streams of their own; where `labels` are given, one for each class."""
    groups: list[tuple[Tensor, int]] = []
    for rows, size in parts:
        of_rows = np.zeros(len(rows)) if labels is None else labels[rows]
        classes = [torch.from_numpy(rows[of_rows == label]) for label in np.unique(of_rows)]
        groups += zip(classes, even_shares(size, len(classes)), strict=True)
    return Groups(groups, [stream_seed(seed, phase, j) for j in range(len(groups))])


def used(shown: Tensor, pool: Pool, classes: Classes) -> Used:
    """Return what a fit was trained on, from how often each image of its pool was shown."""

    def tally(rows: Tensor) -> Shown:
        times = {name: shown[rows][pool.labels[rows] == i] for i, name in enumerate(classes)}
        return Shown(
            images={name: int((of_class > 0).sum()) for name, of_class in times.items()},
            shown={name: int(of_class.sum()) for name, of_class in times.items()},
        )

    of_unlabelled = shown[pool.unlabelled]
    unlabelled = Unlabelled(images=int((of_unlabelled > 0).sum()), shown=int(of_unlabelled.sum()))
    return Used(
        real=tally(pool.real),
        added=tally(pool.added),
        unlabelled=unlabelled if pool.n_unlabelled else None,
    )
