"""Batches of images: which rows each holds, and what becomes of them.

A `Pool` holds the images. A `Plan` says which rows batch k holds and how they are combined.
`Batches` serves them to Lightning and counts what was shown. Another way to mix images is another
subclass of `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_aug.data.image_table import ImageTable
from gan_aug.data.pixels import to_float
from gan_aug.run.seeds import stream_seed

AT_ONCE = 256
"""Images of an evaluation batch."""
Batch = dict[str, Tensor]
"""`image` float (B, C, H, W) in [-1, 1], `label` int64 (B,), and what a plan adds."""


class Stream:
    """An endless stream of image positions: all shuffled, then all shuffled anew, and so on.

    What it gives is a function of the seed and the position in the stream alone.

    Args:
        n: how many images there are.
        seed: fixes the order.
    """

    def __init__(self, n: int, seed: int) -> None:
        self._n, self._seed = n, seed
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def rows(self, batch: int, size: int) -> Tensor:
        """Return the int64 (size,) positions of this batch, where all have the same size."""
        start = batch * size
        parts: list[Tensor] = []
        wanted = size
        while wanted:
            offset = start % self._n
            parts.append(self._pass(start // self._n)[offset : offset + wanted])
            start, wanted = start + len(parts[-1]), wanted - len(parts[-1])
        return torch.cat(parts)

    def _pass(self, number: int) -> Tensor:
        if self._order[0] != number:
            state = np.random.SeedSequence([self._seed, number]).generate_state(1, np.uint64)
            generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
            self._order = (number, torch.randperm(self._n, generator=generator))
        return self._order[1]


@dataclass(frozen=True)
class Pool:
    """Images that training batches are taken from; added images follow the real ones.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        n_real: how many are real; None: all.
        targets: float (N, K), the probabilities to learn in place of the labels, or None.
        weights: float (N,), of each image in the mean loss; None where `targets` is.
        augment: random changes of the real images, on the CPU, or None.
        augment_added: random changes of the added images, or None.
    """

    images: Tensor
    labels: Tensor
    n_real: int | None = None
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
        return torch.arange(len(self.real), len(self))

    def on(self, device: torch.device) -> Pool:
        """Return the pool in a device's memory.

        With random changes it stays on the CPU: they are then the same for every device.
        """
        if self.augment is not None or self.augment_added is not None:
            return self
        tensors = ("images", "labels", "targets", "weights")
        moved: dict[str, Any] = {
            name: tensor.to(device)
            for name in tensors
            if (tensor := getattr(self, name)) is not None
        }
        return replace(self, **moved)

    def batch(self, rows: Tensor) -> Batch:
        """Return these rows; `target` and `weight` too where the pool has them."""
        rows = rows.to(self.images.device)
        images = to_float(self.images.index_select(0, rows), torch.channels_last)
        added = rows >= len(self.real)
        for augment, chosen in ((self.augment, ~added), (self.augment_added, added)):
            if augment is not None and chosen.any():
                images[chosen] = augment(images[chosen])
        batch = {"image": images, "label": self.labels.index_select(0, rows)}
        if self.targets is not None and self.weights is not None:
            batch |= {
                "target": self.targets.index_select(0, rows),
                "weight": self.weights.index_select(0, rows),
            }
        return batch


class Plan:
    """Says which rows of a pool each batch holds, and how these are combined.

    Batch k is a function of the plan and of k alone, so a resumed run reads on where it stopped.
    """

    def rows(self, k: int) -> Tensor:
        """Return the int64 (B,) rows of batch k."""
        raise NotImplementedError

    def combine(self, batch: Batch, k: int) -> Batch:
        """Return what the model is given of the rows of batch k."""
        return batch


class Groups(Plan):
    """Each group of rows has an endless stream of its own and a fixed share of every batch.

    Args:
        groups: rows, and how many of them each batch holds.
        seeds: of the streams.
    """

    def __init__(self, groups: Sequence[tuple[Tensor, int]], seeds: Sequence[int]) -> None:
        self._parts = [
            (rows, size, Stream(len(rows), seed))
            for (rows, size), seed in zip(groups, seeds, strict=True)
            if size
        ]

    def rows(self, k: int) -> Tensor:
        """Return the rows of batch k, group by group."""
        return torch.cat([rows[stream.rows(k, size)] for rows, size, stream in self._parts])


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


def shuffled(n: int, batch_size: int, seed: int) -> Groups:
    """Return the plan that takes all of n images alike."""
    return Groups([(torch.arange(n), batch_size)], [seed])


def even(groups: Sequence[Tensor], batch_size: int, seed: int) -> Groups:
    """Return the plan that gives groups equal shares of a batch; first ones may get one more."""
    sized = zip(groups, even_shares(batch_size, len(groups)), strict=True)
    return Groups(list(sized), [seed, *(stream_seed(seed, i) for i in range(1, len(groups)))])


class Pairs(Plan):
    """Serves the halves of each batch as `source` and `target` too.

    Args:
        groups: the rows of the two classes.
        batch_size: of both; one less where it is odd.
        seed: fixes the order.
    """

    def __init__(self, groups: Sequence[Tensor], batch_size: int, seed: int) -> None:
        self._halves = even(groups, batch_size // 2 * 2, seed)

    def rows(self, k: int) -> Tensor:
        """Return as many rows of one class as of the other."""
        return self._halves.rows(k)

    def combine(self, batch: Batch, k: int) -> Batch:
        """Add `source` and `target`."""
        source, target = batch["image"].chunk(2)
        return batch | {"source": source, "target": target}


class Batches:
    """The endless training batches of a pool, by a plan.

    Args:
        pool: the images.
        plan: which of them each batch holds.
        per_epoch: batches that count as one epoch.
        position: tells k; the number of batches that the model says it has done.

    Attributes:
        shown: int64 (N,), how often each image was served by this object.
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
    """All images of a table once, in order.

    Attributes:
        table: as given.
    """

    def __init__(self, table: ImageTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return -(-len(self.table) // AT_ONCE)

    def __iter__(self) -> Iterator[Batch]:
        labels = torch.split(torch.tensor(self.table.labels), AT_ONCE)
        for image, label in zip(in_order(self.table.images), labels, strict=True):
            yield {"image": image, "label": label}
