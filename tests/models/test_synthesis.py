"""Labels and sources of generated images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_aug.data.batches import to_float, to_uint8
from gan_aug.data.image_table import ImageTable
from gan_aug.data.origin import Origin
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import make_splits
from gan_aug.models import synthesis
from gan_aug.models.synthesis import images_by_class, images_of
from gan_aug.runtime.errors import GanAugError

CLASSES = ["normal", "bacteria", "virus"]


class Spy:
    """A GAN that remembers what it was asked for; it darkens its sources, or draws noise."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, torch.Tensor | None]] = []

    def eval(self) -> Spy:
        return self

    def synthesise(
        self, label: int, count: int, random: torch.Generator, sources: torch.Tensor | None
    ) -> torch.Tensor:
        self.asked.append((label, count, sources))
        if sources is None:
            return torch.rand(count, 1, 16, 16, generator=random) * 2 - 1
        return (sources - 0.25).clamp(-1, 1)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    source = Phantom(60, 6, 0, "subtype").load(16, 1, tmp_path_factory.mktemp("cache"))
    counts = {"normal": 7, "bacteria": 5, "virus": 4}
    assert list(source.train.classes) == CLASSES
    return make_splits(source, 0, counts, 0, 3).train


def origin(makes: dict[str, list[str]], train: ImageTable | None = None) -> Origin:
    known = [] if train is None else train.hashes.tolist()
    return Origin.model_construct(model="spy", classes=CLASSES, makes=makes, source_hashes=known)


def made(gan: Any, makes: dict[str, list[str]], name: str, count: int, *rest: Any) -> Any:
    return images_of(gan, origin(makes, rest[-1]), name, count, *rest)


def test_sources_are_those_that_the_fit_had(train: ImageTable) -> None:
    """Whatever else is among the training images when the checkpoint is used."""
    few = origin({"virus": ["normal"]}, train.of_class("normal").take(slice(0, 2)))
    found = images_of(Spy(), few, "virus", 6, 0, train)  # type: ignore[arg-type]
    assert set(found.sources or ()) == set(few.source_hashes)


def test_what_is_asked_for_is_the_label() -> None:
    gan = Spy()
    found = images_by_class(gan, origin({"virus": [], "normal": []}), 3, 0, None)  # type: ignore[arg-type]
    assert list(found) == ["virus", "normal"]
    assert gan.asked == [(2, 3, None), (0, 3, None)]
    for of_class in found.values():
        assert of_class.images.shape == (3, 1, 16, 16)
        assert of_class.images.dtype == np.uint8
        assert of_class.sources is None
    # Nor are the latents of one class those of another.
    assert not np.array_equal(found["virus"].images, found["normal"].images)


def test_a_gan_of_one_class_keeps_the_seed_as_it_is() -> None:
    found = made(Spy(), {"virus": []}, "virus", 3, 11, None)
    noise = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(11))
    np.testing.assert_array_equal(found.images, to_uint8(noise * 2 - 1).numpy())


def test_a_class_that_it_does_not_make() -> None:
    with pytest.raises(GanAugError, match="model=spy: makes virus, not normal"):
        made(Spy(), {"virus": []}, "normal", 3, 0, None)


@pytest.mark.parametrize(
    ("sources", "labels"), [(["normal"], {0}), (["normal", "bacteria"], {0, 1}), (["virus"], {2})]
)
def test_sources_are_those_of_the_classes_named(
    sources: list[str], labels: set[int], train: ImageTable
) -> None:
    gan = Spy()
    found = made(gan, {"virus": sources}, "virus", 10, 0, train)
    ((label, _, given),) = gan.asked
    assert label == 2
    assert given is not None
    rows = [train.hashes.tolist().index(digest) for digest in found.sources]
    assert set(train.labels[rows].tolist()) <= labels
    # Each image is the one its hash names, and each result was made from it.
    wanted = to_float(torch.from_numpy(np.asarray(train.images)[rows]))
    torch.testing.assert_close(given, wanted, rtol=0, atol=0)
    dark = to_uint8((wanted - 0.25).clamp(-1, 1)).numpy()
    np.testing.assert_array_equal(found.images, dark)


@pytest.mark.parametrize("count", [3, 12, 25, 31])
def test_each_source_is_used_as_often_as_any_other_within_one(
    count: int, train: ImageTable
) -> None:
    found = made(Spy(), {"virus": ["normal", "bacteria"]}, "virus", count, 0, train)
    times = Counter(found.sources)
    known = train.of_classes(["normal", "bacteria"]).hashes.tolist()
    used = [times[digest] for digest in known]
    assert sum(used) == count
    assert max(used) - min(used) <= 1


@pytest.mark.parametrize("makes", [{"virus": []}, {"virus": ["normal"]}], ids=str)
def test_the_first_images_do_not_depend_on_the_count(
    makes: dict[str, list[str]], train: ImageTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on how many are made at once."""
    many = made(Spy(), makes, "virus", 40, 5, train)
    few = made(Spy(), makes, "virus", 9, 5, train)
    np.testing.assert_array_equal(few.images, many.images[:9])
    assert few.sources == (many.sources and many.sources[:9])
    monkeypatch.setattr(synthesis, "AT_ONCE", 16)
    gan = Spy()
    parts = made(gan, makes, "virus", 40, 5, train)
    assert [count for _, count, _ in gan.asked] == [16, 16, 8]
    np.testing.assert_array_equal(parts.images, many.images)
    assert parts.sources == many.sources
    other = made(Spy(), makes, "virus", 9, 6, train)
    assert not np.array_equal(other.images, few.images)


def test_nothing_to_translate(train: ImageTable) -> None:
    bare = train.of_class("virus")
    with pytest.raises(
        GanAugError, match=r"no normal and no bacteria training images.*subset\.normal"
    ):
        made(Spy(), {"virus": ["normal", "bacteria"]}, "virus", 3, 0, bare)


def test_the_cache_is_not_written_to(train: ImageTable, tmp_path: Path) -> None:
    """Images may be a read-only memory map."""
    images = np.asarray(train.images).copy()
    images.flags.writeable = False
    frozen = ImageTable(
        images, train.labels, train.patients, train.paths, train.hashes, train.classes
    )
    found, own = (
        made(Spy(), {"virus": ["normal"]}, "virus", 3, 0, table) for table in (frozen, train)
    )
    np.testing.assert_array_equal(found.images, own.images)
    np.testing.assert_array_equal(frozen.images, train.images)
