"""An arm's training batches: real and added images, mixed as the arm says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gan_aug.arms.base import ArmImages, Rows, mixing_of
from gan_aug.data.batches import Batch, FixedShares, Plan, Pool, even_shares
from gan_aug.data.classes import Classes
from gan_aug.report.records import Shown, Unlabelled, Used
from gan_aug.runtime.seeds import stream_seed
from gan_aug.settings.arms import ArmSettings


def pool_of(
    images: ArmImages, arm: ArmSettings, augment: nn.Module | None, augment_added: nn.Module | None
) -> Pool:
    """Return an arm's images, with the probabilities to learn and the weight of each."""
    real, k, labels = images.real, len(images.real.classes), torch.from_numpy(images.all_labels)
    n_real, n = len(real), len(real) + len(images.added)
    targets = torch.zeros(len(labels), k)  # an unlabelled image has none
    targets[:n] = nn.functional.one_hot(labels[:n], k).float()
    if images.soft is not None:
        targets[n_real:n] = torch.from_numpy(images.soft)
    is_added = torch.arange(len(labels)) >= n_real
    smoothing = is_added.float()[:, None] * arm.added.label_smoothing
    return Pool(
        images=torch.from_numpy(np.concatenate([real.images, images.added, images.unlabelled])),
        labels=labels,
        n_real=n_real,
        n_unlabelled=len(images.unlabelled),
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
        self, arm: ArmSettings, images: ArmImages, batch_size: int, steps: int, seed: int
    ) -> None:
        self._mixing, self._seed, self._n_real = mixing_of(arm), seed, len(images.real)
        parts = self._mixing.parts(images, batch_size, arm.title)
        by_class = images.all_labels if arm.balanced else None
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
) -> FixedShares:
    """Return groups with streams of their own; where `labels` are given, one for each class."""
    groups: list[tuple[Tensor, int]] = []
    for rows, size in parts:
        of_rows = np.zeros(len(rows)) if labels is None else labels[rows]
        classes = [torch.from_numpy(rows[of_rows == label]) for label in np.unique(of_rows)]
        groups += zip(classes, even_shares(size, len(classes)), strict=True)
    return FixedShares(groups, [stream_seed(seed, phase, j) for j in range(len(groups))])


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
