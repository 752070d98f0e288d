"""The one LightningDataModule, for GANs and classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gan_aug.data.image_table import ImageTable
from gan_aug.data.pixels import to_float
from gan_aug.data.prepare import Prepared
from gan_aug.run.errors import GanAugError
from gan_aug.run.seeds import stream_seed

EVALUATION_BATCH = 256


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
class Serving:
    """Which real images training batches hold.

    Attributes:
        classes: those to train on; None: all.
        balanced: as many images of each class in every batch, in the order of the classes (one more
            of the first ones where the batch cannot be parted evenly).
        paired: of two classes the same number in every batch, as `source` and `target` too.
    """

    classes: Sequence[str] | None = None
    balanced: bool = False
    paired: bool = False


class Batches:
    """Training batches from endless streams.

    Batch k is a function of the seed and k alone, and k is the number of batches the model says it
    has done. So a resumed run reads on where it stopped, mid-epoch too.

    Args:
        images: uint8 (N, C, H, W), on the device that trains.
        labels: int64 (N,), on the same device.
        batch_size: images a batch; never fewer.
        per_epoch: batches that count as one epoch.
        seed: fixes the order.
        position: tells k.
        groups: rows that have a stream of their own, and an equal share of every batch; None: all
            rows are one group.
        paired: give the halves of a batch as `source` and `target` too; of two groups.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        per_epoch: int,
        seed: int,
        position: Callable[[], int],
        groups: Sequence[Tensor] | None = None,
        paired: bool = False,
    ) -> None:
        self._images, self._labels = images, labels
        self._per_epoch, self._position, self._paired = per_epoch, position, paired
        self._groups = groups or [torch.arange(len(labels))]
        share, left = divmod(batch_size, len(self._groups))
        # In pairs none is left over: source and target are as many.
        self._sizes = [share + (not paired and i < left) for i in range(len(self._groups))]
        seeds = [seed, *(stream_seed(seed, i) for i in range(1, len(self._groups)))]
        self._streams = [Stream(len(g), s) for g, s in zip(self._groups, seeds, strict=True)]

    def __len__(self) -> int:
        return self._per_epoch

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:  # Lightning asks for len(self) batches an epoch
            rows = self.rows(self._position()).to(self._images.device)
            batch = {
                "image": to_float(self._images.index_select(0, rows), torch.channels_last),
                "label": self._labels.index_select(0, rows),
            }
            if self._paired:
                source, target = batch["image"].chunk(2)
                batch |= {"source": source, "target": target}
            yield batch

    def rows(self, batch: int) -> Tensor:
        """Return the int64 (batch_size,) image positions of this batch, group by group."""
        parts = zip(self._groups, self._streams, self._sizes, strict=True)
        return torch.cat([group[stream.rows(batch, size)] for group, stream, size in parts])


class EvaluationBatches:
    """All images of a table once, in order."""

    def __init__(self, table: ImageTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return -(-len(self._table) // EVALUATION_BATCH)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for i in range(len(self)):
            part = self._table.take(slice(i * EVALUATION_BATCH, (i + 1) * EVALUATION_BATCH))
            yield {
                "image": to_float(torch.tensor(part.images), torch.channels_last),
                "label": torch.tensor(part.labels),
            }


class DataModule(LightningDataModule):
    """Serves a draw: real and synthetic training images, validation and test images.

    An epoch is one pass over the real training images (whole batches, at least one), whatever the
    number of synthetic images: more images never means more steps.

    Args:
        prepared: the images.
        batch_size: images in a training batch.
        seed: fixes the batch order.
        serving: which real images a training batch holds.

    Raises:
        GanAugError: nothing to train on.
    """

    def __init__(
        self, prepared: Prepared, batch_size: int, seed: int, serving: Serving | None = None
    ) -> None:
        super().__init__()
        self.splits, self.synthetic = prepared.splits, prepared.synthetic
        self.batch_size, self.seed = batch_size, seed
        self._serving = serving or Serving()
        self.real_table = self.splits.train
        if (classes := self._serving.classes) is not None:
            for name in classes:
                if not self.real_table.counts()[name]:
                    raise GanAugError(f"data.subset.{name}: no {name} training images to train on")
            self.real_table = self.real_table.of_classes(classes)
        parts = len(classes or self.splits.classes)
        if self._serving.balanced and batch_size < parts:
            raise GanAugError(
                f"data.batch_size={batch_size}: as many images of each of {parts} classes in every "
                f"batch are {parts} or more"
            )
        images, labels = [self.real_table.images], [self.real_table.labels]
        if prepared.synthetic is not None:
            images.append(prepared.synthetic.images)
            labels.append(prepared.synthetic.labels)
        self._images = torch.from_numpy(np.concatenate(images))
        self._labels = torch.from_numpy(np.concatenate(labels))
        self._test_reads = 0

    def train_dataloader(self) -> Batches:
        """Return the endless stream of training batches, on the training device."""
        trainer = self.trainer
        assert trainer is not None
        device = trainer.strategy.root_device
        return Batches(
            self._images.to(device),
            self._labels.to(device),
            self.batch_size,
            max(1, len(self.real_table) // self.batch_size),
            self.seed,
            lambda: int(trainer.lightning_module.batches_done),  # type: ignore[arg-type]
            self._groups(),
            self._serving.paired,
        )

    def _groups(self) -> list[Tensor] | None:
        """Return the rows of each class where they are apart, in the order of `Serving.classes`."""
        if not (self._serving.balanced or self._serving.paired):
            return None
        classes = self.real_table.classes
        labels = [classes.label(name) for name in self._serving.classes or classes]
        return [torch.nonzero(self._labels == label).flatten() for label in labels]

    def val_dataloader(self) -> EvaluationBatches:
        """Return the validation images."""
        return EvaluationBatches(self.splits.validation)

    def test_dataloader(self) -> EvaluationBatches:
        """Return the test images, once.

        Raises:
            RuntimeError: they have been read before (measurement rule 5).
        """
        self._test_reads += 1
        if self._test_reads > 1:
            raise RuntimeError("the test images are read once, at the end")
        return EvaluationBatches(self.splits.test)
