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


class ArmBatches:
    """Batches of one size, whatever they are mixed from.

    With `added.mixup` a real image x and an added one x' become one, l x + (1 - l) x', and their
    targets likewise, with l from Beta(alpha, alpha) (Zhang et al. 2018, arXiv:1710.09412, equation
    1); batches then take as many added images as real ones. With `added.paired` half of a batch
    are real images and the other half translations, or copies, of just these.

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
        self._targets = nn.functional.one_hot(self._labels, len(added.classes)).float()
        if added.soft is not None:
            self._targets[self._n_real :] = torch.from_numpy(added.soft)
        self._seed = seed
        self._companions = self._pairs(added, arm) if arm.added.paired else None
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
        elif self._companions is not None:
            self._phases = [[], [(real, batch_size // 2)]]
        elif arm.added.mixup is not None and len(others):
            self._phases = [[], [(real, batch_size), (others, batch_size)]]
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

    def _pairs(self, added: AddedImages, arm: ArmSettings) -> list[Tensor]:
        """Return the positions of the added images that were made of each real one."""
        sources = np.full(len(added.labels), -1) if added.sources is None else added.sources
        found = [
            torch.from_numpy(np.flatnonzero(sources == i)) + self._n_real
            for i in range(self._n_real)
        ]
        if alone := sum(not len(of) for of in found):
            raise GanAugError(
                f"arm {arm.title!r}: added.paired=true, but {alone} of {self._n_real} real images "
                "have no added one that was made of them; raise added.count"
            )
        return found

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:  # Lightning asks for len(self) batches
            position = self._position()
            rows = self.rows(position)
            self._shown += torch.bincount(rows, minlength=len(self._shown))
            batch = self._batch(rows)
            alpha = self._settings.mixup
            if alpha is not None and len(self._labels) > self._n_real:
                batch = self._mixed(batch, alpha, position)
            yield batch

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
        found = torch.cat(
            [rows[stream.rows(batch, size)] for (rows, size), stream in parts if size]
        )
        if self._companions is None:
            return found
        # Of several translations another one each time that the image comes up again, or nearly so.
        made = [self._companions[int(row)] for row in found]
        of_pass = batch * len(found) // self._n_real
        return torch.cat([found, torch.stack([of[of_pass % len(of)] for of in made])])

    def _batch(self, rows: Tensor) -> dict[str, Tensor]:
        images, labels = to_float(self._images[rows], torch.channels_last), self._labels[rows]
        added = rows >= self._n_real
        for augment, chosen in ((self._augment, ~added), (self._augment_added, added)):
            if augment is not None and chosen.any():
                images[chosen] = augment(images[chosen])
        smoothing = added.float()[:, None] * self._settings.label_smoothing
        target = self._targets[rows] * (1 - smoothing) + smoothing / len(self._classes)
        weight = torch.where(added, float(self._settings.weight), 1.0)
        return {"image": images, "label": labels, "target": target, "weight": weight}

    def _mixed(self, batch: dict[str, Tensor], alpha: float, position: int) -> dict[str, Tensor]:
        """Mix the second half of a batch, in another order, into the first."""
        n = len(batch["label"]) // 2
        random = np.random.default_rng(stream_seed(self._seed, "mixup", position))
        share = torch.from_numpy(random.beta(alpha, alpha, n)).float()
        # Groups of a batch are in the order of the classes: of mixed classes too, then.
        partner = torch.from_numpy(random.permutation(n)) + n

        def mix(of: Tensor) -> Tensor:
            own = share.view(-1, *(1 for _ in of.shape[1:]))
            # In place: new grey images would not be channels_last, and convolutions twice as slow.
            return of[:n].mul_(own).add_((1 - own) * of[partner])

        mixed = {name: mix(batch[name]) for name in ("image", "target", "weight")}
        return mixed | {"label": batch["label"][:n]}
