"""The real images that generated ones are measured with share no patient with a GAN's training."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from support import BINARY
from tables import table, with_hashes, with_values

from gan_aug.data.held_out import (
    HeldOut,
    cut_held_out,
    left_to_measure,
    reference_classifier_images,
)
from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits, make_splits
from gan_aug.runtime.errors import GanAugError

PARTS = ("classifier", "reference", "baseline")
SUBSET = {"normal": 40, "pneumonia": 40}


def draw(number: int = 0, **changes: Any) -> Splits:
    """Cut a draw of 300 training images a class."""
    content = {"train": table(300, "train"), "test": table(30, "test")}
    content |= {k: changes.pop(k) for k in ("train", "test", "validation") if k in changes}
    settings = {"subset": SUBSET, "development_per_class": 6, "val_per_class": 12} | changes
    return make_splits(Source(**content), number, **settings)


@dataclasses.dataclass(frozen=True)
class Parts(HeldOut):
    classifier: ImageTable


def held_out(splits: Splits, count: int = 30, validation: bool = False) -> Parts:
    found = cut_held_out(splits, count, BINARY.names, validation)
    return Parts(found.reference, found.baseline, reference_classifier_images(splits))


def units_of(splits: Splits, part: ImageTable) -> set[int]:
    return {splits.patient_units[p] for p in part.patients.tolist()}


def check_apart(splits: Splits, found: Parts) -> None:
    """Check that no patient, group of linked patients or image crosses."""
    named = {name: getattr(found, name) for name in PARTS}
    pairs = [("classifier", "reference"), ("classifier", "baseline"), ("reference", "baseline")]
    for one, other in pairs:
        a, b = named[one], named[other]
        assert not set(a.patients.tolist()) & set(b.patients.tolist()), (one, other)
        assert not units_of(splits, a) & units_of(splits, b), (one, other)
        assert not set(a.hashes.tolist()) & set(b.hashes.tolist()), (one, other)
    for name in ("reference", "baseline"):
        for used in (splits.train, splits.validation):
            assert not units_of(splits, named[name]) & units_of(splits, used)
            assert not set(named[name].hashes.tolist()) & set(used.hashes.tolist())


@pytest.mark.parametrize("internal", [0, 30])
def test_no_patient_is_in_two_parts_or_in_the_draws_training(internal: int) -> None:
    for number in range(8):
        splits = draw(number, internal_per_class=internal)
        check_apart(splits, held_out(splits))


def test_as_many_images_of_each_class_as_asked_for() -> None:
    for count in (10, 30):
        found = held_out(draw(), count)
        assert found.reference.counts() == dict.fromkeys(BINARY, count)
        assert found.baseline.counts() == dict.fromkeys(BINARY, count)
        assert len(set(found.reference.hashes.tolist())) == 2 * count


def test_half_of_the_training_folder_fits_the_reference_classifier_whatever_the_draw() -> None:
    variants = [
        draw(0),
        draw(7),
        draw(1, internal_per_class=30),
        draw(2, subset={"normal": None, "pneumonia": 5}),
        draw(3, val_per_class=30),
    ]
    halves = [reference_classifier_images(splits) for splits in variants]
    assert len({tuple(j.hashes.tolist()) for j in halves}) == 1
    assert halves[0].counts() == dict.fromkeys(BINARY, 147)  # of 294 after the development images


def test_rows_stay_together() -> None:
    """Image, label and patient of a row are those of its source."""
    source = table(300, "train")
    where = {h: i for i, h in enumerate(source.hashes.tolist())}
    found = held_out(draw())
    for name in PARTS:
        part = getattr(found, name)
        expected = source.take(np.array([where[h] for h in part.hashes.tolist()]))
        assert np.array_equal(part.images, expected.images)
        assert part.labels.tolist() == expected.labels.tolist()
        assert part.patients.tolist() == expected.patients.tolist()


def test_test_development_and_set_aside_images_are_never_used() -> None:
    for number in range(5):
        splits = draw(number)
        kept = set(table(30, "test").hashes.tolist())
        available = [splits.train, splits.validation, splits.internal, splits.unused]
        folder = set().union(*(t.hashes.tolist() for t in available))
        for name in PARTS:
            hashes = set(getattr(held_out(splits), name).hashes.tolist())
            assert not hashes & kept
            assert hashes <= folder


def test_too_much_asked_gives_what_there_is_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = held_out(draw(), 100)
    counts = taken.baseline.counts()
    assert counts == taken.reference.counts()
    assert all(10 <= n < 100 for n in counts.values())
    assert [
        line.split(": only ")[1].split(" to compare")[0]
        for line in capsys.readouterr().err.splitlines()
    ] == [f"{n} {name} images" for name, n in counts.items()]
    held_out(draw(), 10)
    assert capsys.readouterr().err == ""


def test_hardly_any_are_refused() -> None:
    with pytest.raises(GanAugError, match=r"only [0-9] normal images .*10 are the fewest") as error:
        held_out(draw(subset={"normal": None, "pneumonia": 10}), 100)
    assert "data.subset.normal" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_other_classes_may_have_fewer() -> None:
    some = cut_held_out(draw(subset={"normal": 40, "pneumonia": None}), 20, ["normal"])
    assert some.baseline.counts() == {"normal": 20, "pneumonia": 0}


def test_patients_linked_by_a_copy_stay_on_one_side() -> None:
    """Thirty pairs of patients of a class share a file; the second copy is left out."""
    links = {}
    for label in (0, 1):
        for i in range(30):
            first = 300 * label + 6 * i
            links |= {first: f"twin-{label}-{i}", first + 3: f"twin-{label}-{i}"}
    source = with_hashes(table(300, "train"), links)
    pairs = [{str(source.patients[r]), str(source.patients[r + 3])} for r in list(links)[::2]]
    whole = 0
    for number in range(10):
        splits = draw(number, train=source, development_per_class=0)
        found = held_out(splits, 15)
        check_apart(splits, found)
        outside = set(splits.train.patients.tolist()) | set(splits.validation.patients.tolist())
        for pair in pairs:
            sides = [bool(pair & set(getattr(found, name).patients.tolist())) for name in PARTS]
            assert sum(sides) <= 1
            assert not (any(sides[1:]) and pair & outside)
            whole += any(sides[1:])
    assert whole > 10  # the links were put to the test


def test_a_patient_with_images_of_both_classes_stays_on_one_side() -> None:
    both = {}
    for i in range(40):
        both |= {3 * i + row: f"both{i}" for row in (0, 1, 2)}
        both |= {300 + 3 * i + row: f"both{i}" for row in (0, 1, 2)}
    source = with_values(table(300, "train"), "patients", both)
    seen = 0
    for number in range(10):
        splits = draw(number, train=source, development_per_class=0, val_per_class=9)
        found = held_out(splits, 15)
        check_apart(splits, found)
        seen += sum(p.startswith("both") for p in found.reference.patients.tolist())
    assert seen > 0


ALL = dict.fromkeys(BINARY)


def test_validation_images_join_where_too_few_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    copies = {0: "hash-val-3", 45: "hash-val-48"}  # of other patients; each image counts once
    splits = draw(subset=ALL, validation=with_hashes(table(45, "val"), copies))
    with pytest.raises(GanAugError, match="only 0 normal images"):
        held_out(splits)
    found = held_out(splits, 30, validation=True)
    # 15 patients of three images in each class, 8 on one side and 7 on the other; 21 at the least.
    assert all(20 <= n <= 22 for n in found.reference.counts().values())
    assert found.baseline.counts() == found.reference.counts()
    both = [*found.reference.hashes.tolist(), *found.baseline.hashes.tolist()]
    assert all(digest.startswith("hash-val-") for digest in both)
    assert len(set(both)) == len(both)
    assert not set(found.reference.patients.tolist()) & set(found.baseline.patients.tolist())
    assert "(validation images among them); normal is measured with N = " in capsys.readouterr().err


def test_validation_images_of_the_training_folder_join_too() -> None:
    splits = draw(subset=ALL, val_per_class=90)
    found = held_out(splits, 30, validation=True)
    check_apart(dataclasses.replace(splits, validation=splits.validation.take(slice(0, 0))), found)
    assert set(found.reference.hashes.tolist()) <= set(splits.validation.hashes.tolist())
    assert left_to_measure(splits, BINARY.names, validation=True) == found.reference.counts()
    assert left_to_measure(splits, BINARY.names, validation=False) == dict.fromkeys(BINARY, 0)


def test_validation_images_stay_out_where_enough_are_left() -> None:
    splits = draw(validation=table(20, "val"))
    one, other = (held_out(splits, 20, validation=v) for v in (False, True))
    check_apart(dataclasses.replace(splits, validation=splits.validation.take(slice(0, 0))), one)
    for name in PARTS:
        hashes = getattr(one, name).hashes.tolist()
        assert hashes == getattr(other, name).hashes.tolist()
        assert not [h for h in hashes if h.startswith("hash-val")]
