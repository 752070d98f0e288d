"""The shared DataModule: batch order, epoch length, what joins training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import BINARY

from gan_aug.data.datamodule import Batches, DataModule, Serving, to_float
from gan_aug.data.prepare import Prepared
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import make_splits
from gan_aug.data.synthetic import SyntheticSet
from gan_aug.run.errors import GanAugError


def stream(n: int, batch_size: int, seed: int = 0) -> Batches:
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None]
    return Batches(images, torch.zeros(n, dtype=torch.int64), batch_size, 3, seed, lambda: 0)


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (12, 4), (3, 8), (7, 7)])
def test_every_pass_holds_every_image_once(n: int, batch_size: int) -> None:
    batches = stream(n, batch_size)
    order = torch.cat([batches.rows(k) for k in range(5 * n)])
    passes = order[: 5 * n * batch_size // n * n].reshape(-1, n)
    assert all(sorted(p.tolist()) == list(range(n)) for p in passes)
    assert len({tuple(p.tolist()) for p in passes[:20]}) > 1


def test_a_batch_is_a_function_of_its_number() -> None:
    forwards = [stream(10, 4).rows(k).tolist() for k in range(30)]
    one = stream(10, 4)
    backwards = [one.rows(k).tolist() for k in reversed(range(30))]
    assert forwards == backwards[::-1]
    assert forwards != [stream(10, 4, seed=1).rows(k).tolist() for k in range(30)]


def test_pixel_range() -> None:
    floats = to_float(torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None])
    assert floats.flatten().tolist() == [-1.0, 1.0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    source = Phantom(60, 10, 0).load(16, 1, tmp_path_factory.mktemp("cache"))
    return Prepared(make_splits(source, 0, {"normal": 30, "pneumonia": 20}, 0, 6), None)


class FakeTrainer:
    """What train_dataloader asks of a trainer."""

    class strategy:
        root_device = torch.device("cpu")

    class lightning_module:
        batches_done = 0


def served(module: DataModule) -> Batches:
    module.trainer = FakeTrainer()  # type: ignore[assignment]
    return module.train_dataloader()


def test_more_images_never_mean_more_steps(prepared: Prepared) -> None:
    images = np.full((40, 1, 16, 16), 7, np.uint8)
    synthetic = SyntheticSet(images, np.ones(40, np.int64), BINARY, {})
    real = served(DataModule(prepared, 8, 0))
    mixed = served(DataModule(Prepared(prepared.splits, synthetic), 8, 0))
    assert len(real) == len(mixed) == 50 // 8
    rows = torch.cat([mixed.rows(k) for k in range(90 * 8 // 8)])
    assert rows.max() == 89
    assert len(DataModule(prepared, 8, 0).splits.test) == 20


def test_one_class_only(prepared: Prepared) -> None:
    module = DataModule(prepared, 8, 0, Serving(["pneumonia"]))
    assert module.real_table.counts() == {"normal": 0, "pneumonia": 20}
    batch = next(iter(served(module)))
    assert batch["label"].tolist() == [1] * 8
    assert batch["image"].shape == (8, 1, 16, 16)


def test_a_class_without_images(prepared: Prepared, tmp_path: Path) -> None:
    source = Phantom(20, 5, 0).load(16, 1, tmp_path)
    splits = make_splits(source, 0, {"normal": 5, "pneumonia": 0}, 0, 3)
    with pytest.raises(GanAugError, match=r"data\.subset\.pneumonia"):
        DataModule(Prepared(splits, None), 8, 0, Serving(["pneumonia"]))


def test_the_test_images_are_read_once(prepared: Prepared) -> None:
    module = DataModule(prepared, 8, 0)
    labels = torch.cat([batch["label"] for batch in module.test_dataloader()])
    assert labels.tolist() == prepared.splits.test.labels.tolist()
    with pytest.raises(RuntimeError, match="read once"):
        module.test_dataloader()
