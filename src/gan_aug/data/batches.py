"""Batches of images: which rows each holds, and what becomes of them.

A `Pool` holds the images. A `Plan` says which rows batch k holds and how they are combined.
`Batches` serves them to Lightning and counts what was shown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_aug.data.image_table import ImageTable
from gan_aug.runtime.seeds import stream_seed

AT_ONCE = 256
"""Images of an evaluation batch."""
Batch = dict[str, Tensor]
"""`image` float (B, C, H, W) in [-1, 1], `label` int64 (B,), and what a plan adds."""


def to_float(images: Tensor, memory_format: torch.memory_format = torch.preserve_format) -> Tensor:
    """Scale uint8 images (N, C, H, W) to float32 in [-1, 1]."""
    return images.to(torch.float32, memory_format=memory_format).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Scale float images in [-1, 1], clipped, to uint8 (N, C, H, W)."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Pool:
    """Images, uint8 (N, C, H, W), that batches are taken from: real, added, unlabelled ones.

    Attributes:
        labels: int64 (N,); -1 of an unlabelled image.
        n_real: how many are real and labelled; None: all.
        n_unlabelled: how many, the last, have no label; no augmentation here changes them.
        targets: float (N, K), the probabilities to learn in place of the labels, or None.
        weights: float (N,), of each image in the mean loss; None where `targets` is.
        augment: random changes of the real images, on the CPU, or None.
        augment_added: random changes of the added images, or None.
    """

    images: Tensor
    labels: Tensor
    n_real: int | None = None
    n_unlabelled: int = 0
    targets: Tensor | None = None
    weights: Tensor | None = None
    augment: nn.Module | None = None
    augment_added: nn.Module | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def real(self) -> Tensor:
        """Rows of the real images."""
        return torch.arange(len(self) if self.n_real is None else self.n_real)

    @property
    def added(self) -> Tensor:
        """Rows of the added images."""
        return torch.arange(len(self.real), len(self) - self.n_unlabelled)

    @property
    def unlabelled(self) -> Tensor:
        """Rows of the unlabelled images."""
        return torch.arange(len(self) - self.n_unlabelled, len(self))

    def on(self, device: torch.device) -> Pool:
        """Return the pool in a device's memory.

        With random changes it stays on the CPU: they are then the same for every device.
        """
        if self.augment is not None or self.augment_added is not None:
            return self
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            targets=None if self.targets is None else self.targets.to(device),
            weights=None if self.weights is None else self.weights.to(device),
        )

    def batch(self, rows: Tensor) -> Batch:
        """Return these rows; `target` and `weight` too where the pool has them."""
        rows = rows.to(self.images.device)
        images = to_float(self.images.index_select(0, rows), torch.channels_last)
        real = rows < len(self.real)
        added = ~real & (rows < len(self) - self.n_unlabelled)
        for augment, chosen in ((self.augment, real), (self.augment_added, added)):
            if augment is not None and chosen.any():
                images[chosen] = augment(images[chosen])
        batch = {"image": images, "label": self.labels.index_select(0, rows)}
        for name, column in (("target", self.targets), ("weight", self.weights)):
            if column is not None:
                batch[name] = column.index_select(0, rows)
        return batch


class Plan(ABC):
    """Says which rows of a pool each batch holds, and how these are combined.

    Batch k is a function of the plan and of k alone, so a resumed run reads on where it stopped.
    """

    @abstractmethod
    def rows(self, k: int) -> Tensor:
        """Return the int64 (B,) rows of batch k."""

    def combine(self, batch: Batch, k: int) -> Batch:
        """Return what the model is given of the rows of batch k."""
        return batch


class FixedShares(Plan):
    """Each group of rows has a fixed share of every batch, from a stream of its own.

    A stream is all rows shuffled, then all shuffled anew, and so on; what it gives is a function of
    its seed and of the position in it alone.
    """

    def __init__(self, groups: Sequence[tuple[Tensor, int]], seeds: Sequence[int]) -> None:
        self._groups = [
            (rows, size, seed) for (rows, size), seed in zip(groups, seeds, strict=True) if size
        ]

    def rows(self, k: int) -> Tensor:
        """Return the rows of batch k, group by group."""
        parts = []
        for rows, size, seed in self._groups:
            start, end = k * size, (k + 1) * size
            while start < end:
                number, offset = divmod(start, len(rows))
                order = _order(len(rows), seed, number)
                parts.append(rows[order[offset : offset + end - start]])
                start += len(parts[-1])
        return torch.cat(parts)


@lru_cache(maxsize=32)
def _order(n: int, seed: int, number: int) -> Tensor:
    """Return the order in which a stream of n goes through all of them for the number-th time."""
    state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return torch.randperm(n, generator=torch.Generator().manual_seed(int(state[0] >> np.uint64(1))))


def even_shares(n: int, parts: int) -> list[int]:
    """Return n as so many parts, as even as can be: first ones may be one more."""
    share, left = divmod(n, parts)
    return [share + (i < left) for i in range(parts)]


def per_epoch(n: int, batch_size: int) -> int:
    """Return how many whole batches go through n images once; one at the least."""
    return max(1, n // batch_size)


def epochs_of(batches: int, n: int, batch_size: int) -> int:
    """Return how many epochs of n images so many batches are, a begun one counted whole."""
    return -(-batches // per_epoch(n, batch_size))


def shuffled(n: int, batch_size: int, seed: int) -> FixedShares:
    """Return the plan that takes all of n images alike."""
    return FixedShares([(torch.arange(n), batch_size)], [seed])


class Even(FixedShares):
    """Gives groups of rows equal shares of a batch; first ones may get one more."""

    def __init__(self, groups: Sequence[Tensor], batch_size: int, seed: int) -> None:
        sized = list(zip(groups, even_shares(batch_size, len(groups)), strict=True))
        super().__init__(sized, [seed, *(stream_seed(seed, i) for i in range(1, len(groups)))])


class Pairs(Even):
    """Serves the halves of each batch, rows of two classes, as `source` and `target` too.

    A batch holds one image less where its size is odd.
    """

    def __init__(self, groups: Sequence[Tensor], batch_size: int, seed: int) -> None:
        super().__init__(groups, batch_size // 2 * 2, seed)

    def combine(self, batch: Batch, k: int) -> Batch:
        """Add `source` and `target`."""
        source, target = batch["image"].chunk(2)
        return batch | {"source": source, "target": target}


class Batches:
    """The endless training batches of a pool, by a plan.

    `per_epoch` of them count as one epoch; `position` tells k: how many the model says it has done.
    `shown`, int64 (N,), is how often each image was served by this object.
    """

    def __init__(self, pool: Pool, plan: Plan, per_epoch: int, position: Callable[[], int]) -> None:
        self._pool, self._plan = pool, plan
        self._per_epoch, self._position = per_epoch, position
        self.shown = torch.zeros(len(pool), dtype=torch.int64)

    def __len__(self) -> int:
        return self._per_epoch

    def __iter__(self) -> Iterator[Batch]:
        while True:  # Lightning asks for len(self) batches an epoch
            k = self._position()
            rows = self._plan.rows(k)
            self.shown += torch.bincount(rows, minlength=len(self.shown))
            yield self._plan.combine(self._pool.batch(rows), k)


def in_order(images: NDArray[np.uint8]) -> Iterator[Tensor]:
    """Yield all of uint8 images (N, C, H, W) in order, as float (B, C, H, W) in [-1, 1]."""
    for i in range(0, len(images), AT_ONCE):
        yield to_float(torch.tensor(images[i : i + AT_ONCE]), torch.channels_last)


class EvaluationBatches:
    """All images of a table once, in order."""

    def __init__(self, table: ImageTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return -(-len(self.table) // AT_ONCE)

    def __iter__(self) -> Iterator[Batch]:
        labels = torch.split(torch.tensor(self.table.labels), AT_ONCE)
        for image, label in zip(in_order(self.table.images), labels, strict=True):
            yield {"image": image, "label": label}
