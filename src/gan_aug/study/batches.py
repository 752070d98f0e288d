"""An arm's training batches: real and added images, mixed as the arm says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_aug.data.classes import Classes
from gan_aug.data.datamodule import Stream
from gan_aug.data.pixels import to_float
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
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: Classes

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)}


class ArmBatches:
    """Batches of one size, whatever they are mixed from.

    Batch k is a function of the arm, the seed and k. Two arms with the same images and the same
    seed get the same batches in the same order.

    Args:
        images: real, uint8 (N, C, H, W).
        labels: real, int64 (N,).
        added: images that the arm adds.
        arm: the arm's settings.
        augment: random changes of the real images, or None.
        augment_added: random changes of the added images, or None.
        batch_size: images in a batch.
        steps: how many batches there are.
        seed: fixes the order.
        position: tells k.

    Raises:
        GanAugError: the arm asks for a mixture that its images cannot give.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        added: AddedImages,
        arm: ArmSettings,
        augment: nn.Module | None,
        augment_added: nn.Module | None,
        batch_size: int,
        steps: int,
        seed: int,
        position: Callable[[], int],
    ) -> None:
        self._images = torch.from_numpy(np.concatenate([images, added.images]))
        self._labels = torch.from_numpy(np.concatenate([labels, added.labels]))
        self._n_real, self._classes = len(labels), added.classes
        self._shown = torch.zeros(len(self._labels), dtype=torch.int64)
        self._settings = arm.added
        self._augment, self._augment_added = augment, augment_added
        self._steps, self._position = steps, position
        self._first = round(arm.pretrain * steps)
        real = torch.arange(self._n_real)
        others = torch.arange(self._n_real, len(self._labels))
        ratio = arm.added.ratio
        if self._first:
            if len(set(added.labels.tolist())) < len(added.classes):
                raise GanAugError(
                    f"arm {arm.title!r}: pretrain={arm.pretrain} needs added images of each "
                    f"class, it has {added.counts()}; raise added.count"
                )
            self._phases = [[(others, batch_size)], [(real, batch_size)]]
        elif ratio is not None and len(others):
            size = round(ratio * batch_size)
            self._phases = [[], [(real, batch_size - size), (others, size)]]
        else:
            self._phases = [[], [(torch.cat([real, others]), batch_size)]]
        if arm.balanced:
            self._phases = [[g for part in p for g in self._by_class(*part)] for p in self._phases]
        self._streams = [
            [Stream(len(rows), stream_seed(seed, i, j)) for j, (rows, _) in enumerate(phase)]
            for i, phase in enumerate(self._phases)
        ]

    def _by_class(self, rows: Tensor, size: int) -> list[tuple[Tensor, int]]:
        """Part a group of images into its classes, each with an equal share of the batch."""
        groups = [rows[self._labels[rows] == k] for k in range(len(self._classes))]
        groups = [group for group in groups if len(group)]
        share, left = divmod(size, len(groups))
        return [(group, share + (i < left)) for i, group in enumerate(groups)]

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:  # Lightning asks for len(self) batches
            rows = self.rows(self._position())
            self._shown += torch.bincount(rows, minlength=len(self._shown))
            yield self._batch(rows)

    def used(self) -> Used:
        """Return what has been trained on so far, counted batch by batch."""
        real, added = slice(None, self._n_real), slice(self._n_real, None)
        return Used(self._tally(real), self._tally(added))

    def _tally(self, part: slice) -> Shown:
        shown, labels = self._shown[part], self._labels[part]
        of_class = {name: shown[labels == i] for i, name in enumerate(self._classes)}
        return Shown(
            images={name: int((times > 0).sum()) for name, times in of_class.items()},
            shown={name: int(times.sum()) for name, times in of_class.items()},
        )

    def rows(self, batch: int) -> Tensor:
        """Return the int64 image positions of a batch; added images follow the real ones."""
        second = batch >= self._first
        if second:
            batch -= self._first
        parts = zip(self._phases[second], self._streams[second], strict=True)
        return torch.cat([rows[stream.rows(batch, size)] for (rows, size), stream in parts if size])

    def _batch(self, rows: Tensor) -> dict[str, Tensor]:
        images, labels = to_float(self._images[rows], torch.channels_last), self._labels[rows]
        added = rows >= self._n_real
        for augment, chosen in ((self._augment, ~added), (self._augment_added, added)):
            if augment is not None and chosen.any():
                images[chosen] = augment(images[chosen])
        smoothing = added.float() * self._settings.label_smoothing
        k = len(self._classes)
        target = nn.functional.one_hot(labels, k).float()
        target = target * (1 - smoothing[:, None]) + smoothing[:, None] / k
        weight = torch.where(added, float(self._settings.weight), 1.0)
        return {"image": images, "label": labels, "target": target, "weight": weight}
