"""The shared DataModule: batch order, epoch length, what joins training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_aug.data.batches import Even, FixedShares, Pool, shuffled, to_float
from gan_aug.data.datamodule import DataModule, Serving, draw_data
from gan_aug.data.image_table import ClassImages
from gan_aug.data.prepare import Prepared
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import make_splits
from gan_aug.data.synthetic import SyntheticSet
from gan_aug.runtime.errors import GanAugError


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (12, 4), (3, 8), (7, 7)])
def test_one_group_has_the_stream_that_a_seed_always_gave(n: int, batch_size: int) -> None:
    """Written out: passes are permutations seeded by the seed and their number; k may be any."""
    order: list[int] = []
    for number in range(20 * batch_size // n + 1):
        state = np.random.SeedSequence([7, number]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        order += torch.randperm(n, generator=generator).tolist()
    for plan in (shuffled(n, batch_size, 7), Even([torch.arange(n)], batch_size, 7)):
        for k in reversed(range(20)):
            assert plan.rows(k).tolist() == order[k * batch_size : (k + 1) * batch_size]


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


def served(data: DataModule, n: int = 60) -> list[dict[str, torch.Tensor]]:
    """Return the first n training batches."""
    data.trainer = FakeTrainer()  # type: ignore[assignment]
    batches = iter(data.train_dataloader())
    found = []
    for FakeTrainer.lightning_module.batches_done in range(n):
        found.append(next(batches))
    return found


def rows_of(data: DataModule, n: int = 60) -> torch.Tensor:
    return torch.stack([data._plan.rows(k) for k in range(n)])


def test_more_images_never_mean_more_steps(prepared: Prepared) -> None:
    images = np.full((40, 1, 16, 16), 7, np.uint8)
    synthetic = SyntheticSet(
        {"normal": ClassImages(images[:0]), "pneumonia": ClassImages(images)}, {}
    )
    real = draw_data(prepared, 8, 0)
    mixed = draw_data(Prepared(prepared.splits, synthetic), 8, 0)
    assert real.per_epoch == mixed.per_epoch == 50 // 8
    assert rows_of(mixed, 90).max() == 89
    assert (len(mixed.pool.real), len(mixed.pool.added)) == (50, 40)


def test_one_class_only(prepared: Prepared) -> None:
    data = draw_data(prepared, 8, 0, Serving(["pneumonia"]))
    assert len(data.pool) == 20
    (batch,) = served(data, 1)
    assert batch["label"].tolist() == [1] * 8
    assert batch["image"].shape == (8, 1, 16, 16)


def test_what_was_shown_is_counted(prepared: Prepared) -> None:
    data = draw_data(prepared, 8, 0)
    assert data.shown.tolist() == [0] * 50
    served(data, 25)
    assert data.shown.tolist() == [4] * 50


def by_pass(rows: torch.Tensor, size: int) -> list[list[int]]:
    """Return the whole passes of a stream of rows, each sorted."""
    return [sorted(part.tolist()) for part in rows[: len(rows) // size * size].reshape(-1, size)]


@pytest.mark.parametrize("batch_size", [8, 9])
def test_balanced_batches_hold_as_many_of_each_class(prepared: Prepared, batch_size: int) -> None:
    data = draw_data(prepared, batch_size, 0, Serving(balanced=True))
    first = batch_size - batch_size // 2
    expected = [0] * first + [1] * (batch_size // 2)
    (batch,) = served(data, 1)
    assert batch["label"].tolist() == expected
    assert batch.keys() == {"image", "label"}
    labels = torch.from_numpy(prepared.splits.train.labels)
    rows = rows_of(data)
    assert labels[rows].tolist() == [expected] * 60
    # Each class has passes of its own: 30 normal images, 20 of pneumonia.
    normal, pneumonia = (torch.nonzero(labels == k).flatten().tolist() for k in (0, 1))
    assert by_pass(rows[:, :first].flatten(), 30) == [normal] * (60 * first // 30)
    assert by_pass(rows[:, first:].flatten(), 20) == [pneumonia] * (60 * (batch_size // 2) // 20)
    assert data.per_epoch == 50 // batch_size


def test_what_cannot_be_parted_evenly_goes_to_the_first_classes() -> None:
    labels = torch.arange(3).repeat_interleave(4)
    groups = [torch.nonzero(labels == k).flatten() for k in range(3)]
    plan = Even(groups, 8, 0)
    rows = torch.stack([plan.rows(k) for k in range(12)])
    assert labels[rows].tolist() == [[0, 0, 0, 1, 1, 1, 2, 2]] * 12
    for columns, group in ((slice(0, 3), 0), (slice(3, 6), 1), (slice(6, 8), 2)):
        passes = by_pass(rows[:, columns].flatten(), 4)
        assert passes == [groups[group].tolist()] * len(passes)
    # Classes of one size do not walk in step.
    places = [rows[:, 0] - groups[0][0], rows[:, 3] - groups[1][0]]
    assert not torch.equal(*places)


def test_a_balanced_batch_has_room_for_each_class(tmp_path: Path) -> None:
    source = Phantom(60, 5, 0, "subtype").load(16, 1, tmp_path)
    prepared = Prepared(make_splits(source, 0, dict.fromkeys(source.train.classes, 4), 0, 3), None)
    with pytest.raises(GanAugError, match=r"data\.batch_size=2: .* each of 3 classes"):
        draw_data(prepared, 2, 0, Serving(balanced=True))
    draw_data(prepared, 2, 0)
    draw_data(prepared, 2, 0, Serving(["virus", "normal"], balanced=True))


@pytest.mark.parametrize("classes", [["normal", "pneumonia"], ["pneumonia", "normal"]])
def test_pairs_are_the_halves_of_a_batch(prepared: Prepared, classes: list[str]) -> None:
    (batch,) = served(draw_data(prepared, 9, 0, Serving(classes, paired=True)), 1)
    labels = [prepared.splits.classes.label(name) for name in classes]
    assert batch["label"].tolist() == [labels[0]] * 4 + [labels[1]] * 4  # none is left over
    assert torch.equal(batch["image"], torch.cat([batch["source"], batch["target"]]))
    assert len(batch["source"]) == len(batch["target"]) == 4
    train = prepared.splits.train
    for key, label in zip(("source", "target"), labels, strict=True):
        known = to_float(torch.from_numpy(train.images[train.labels == label]))
        for image in batch[key]:
            assert (known == image).flatten(1).all(dim=1).any()


def test_a_class_without_images(prepared: Prepared, tmp_path: Path) -> None:
    source = Phantom(20, 5, 0).load(16, 1, tmp_path)
    splits = make_splits(source, 0, {"normal": 5, "pneumonia": 0}, 0, 3)
    with pytest.raises(GanAugError, match=r"data\.subset\.pneumonia"):
        draw_data(Prepared(splits, None), 8, 0, Serving(["pneumonia"]))


def test_a_group_may_have_no_place(prepared: Prepared) -> None:
    plan = FixedShares([(torch.arange(0), 0), (torch.arange(5, 8), 3)], [0, 1])
    assert sorted(plan.rows(0).tolist()) == [5, 6, 7]


def test_random_changes_are_drawn_on_the_cpu() -> None:
    pool = Pool(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    assert pool.on(torch.device("meta")).images.device.type == "meta"
    augmented = replace(pool, augment=torch.nn.Identity())
    assert augmented.on(torch.device("meta")).images.device.type == "cpu"


@pytest.mark.parametrize("split", ["test", "internal", "nih"])
def test_a_test_is_read_once_at_the_end(prepared: Prepared, split: str) -> None:
    splits = prepared.splits
    pool = Pool(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    measured = {split: splits.test, "validation": splits.validation}
    data = DataModule(pool, shuffled(2, 2, 0), 1, splits.validation, measured)
    with pytest.raises(RuntimeError, match=f"the {split} images are read once, at the end"):
        data.evaluation(split)
    data.teardown("fit")
    labels = torch.cat([batch["label"] for batch in data.evaluation(split)])
    assert labels.tolist() == splits.test.labels.tolist()
    with pytest.raises(RuntimeError, match=f"the {split} images are read once, at the end"):
        data.evaluation(split)
    for _ in range(2):
        data.evaluation("validation")
