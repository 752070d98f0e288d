"""The rules of measurement that a split must keep, each broken on purpose."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tables import table, with_hashes

from gan_aug.data.image_table import concatenate
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits, check_disjoint, make_splits
from gan_aug.runtime.errors import GanAugError

SUBSET = {"normal": 30, "pneumonia": 30}


def source(**changes: Any) -> Source:
    return dataclasses.replace(Source(table(90, "train"), table(20, "test")), **changes)


def cut(data: Source, draw: int = 0, **changes: Any) -> Splits:
    settings = {"subset": SUBSET, "development_per_class": 6, "val_per_class": 12} | changes
    return make_splits(data, draw, **settings)


def test_counts_are_what_was_asked_for() -> None:
    splits = cut(source())
    assert splits.train.counts() == SUBSET
    assert splits.validation.counts() == {"normal": 12, "pneumonia": 12}
    assert splits.test.counts() == {"normal": 14, "pneumonia": 14}
    assert splits.development.counts() == {"normal": 6, "pneumonia": 6}
    assert splits.notes["available"]["train"] == {"normal": 84, "pneumonia": 84}


def test_a_draw_is_fixed_by_its_number() -> None:
    same = [cut(source(), 3).train.hashes.tolist() for _ in range(2)]
    assert same[0] == same[1]
    assert set(same[0]) != set(cut(source(), 4).train.hashes.tolist())


def test_whole_patients_when_the_number_does_not_divide() -> None:
    splits = cut(source(), val_per_class=13)
    assert splits.validation.counts() == {"normal": 12, "pneumonia": 12}


@pytest.mark.parametrize("internal", [0, 12])
def test_validation_and_the_internal_test_share_no_patient_with_anything(internal: int) -> None:
    for draw in range(8):
        splits = cut(source(), draw, internal_per_class=internal)
        assert splits.internal.counts() == {"normal": internal, "pneumonia": internal}
        check_disjoint(splits)
        parts = [splits.validation, splits.internal, concatenate(splits.train, splits.unused)]
        patients = [set(part.patients.tolist()) for part in parts]
        assert len(set.union(*patients)) == sum(map(len, patients))


def test_what_is_held_out_does_not_depend_on_the_size_of_training() -> None:
    """And a smaller training set is part of a larger one."""
    sizes = ({"normal": 10, "pneumonia": 10}, SUBSET, {"normal": None, "pneumonia": None})
    cuts = [cut(source(), subset=size, internal_per_class=12) for size in sizes]
    for name in ("internal", "validation"):
        assert len({tuple(c.table(name).hashes.tolist()) for c in cuts}) == 1
    assert set(cuts[0].train.hashes) < set(cuts[1].train.hashes) < set(cuts[2].train.hashes)
    assert len(cuts[2].unused) == 0
    assert len(cuts[0].train) + len(cuts[0].unused) == len(cuts[2].train)


def test_the_internal_test_is_taken_from_the_end_of_a_draw() -> None:
    data = source(train=dataclasses.replace(table(90, "train"), patients=table(90, "x").hashes))
    without, with_it = (cut(data, internal_per_class=n) for n in (0, 12))
    assert without.train.hashes.tolist() == with_it.train.hashes.tolist()


def test_the_development_set_is_the_same_for_every_draw() -> None:
    kept = {tuple(cut(source(), draw).development.hashes) for draw in range(5)}
    assert len(kept) == 1


def test_a_duplicate_counts_once_and_stays_on_one_side() -> None:
    """Copies under another patient's name: they must not bridge the cut either."""
    copies = dict.fromkeys((0, 30, 60), "twin") | {100: "other", 140: "other"}
    data = source(train=with_hashes(table(90, "train"), copies))
    for draw in range(8):
        splits = cut(data, draw, subset={"normal": None, "pneumonia": None})
        check_disjoint(splits)
        hashes = splits.train.hashes.tolist() + splits.validation.hashes.tolist()
        assert hashes.count("twin") <= 1
        assert hashes.count("other") <= 1
    assert splits.notes["duplicates"]["extra_copies_in_train"] == 3


def test_a_copy_that_is_left_out_still_links_its_patients() -> None:
    data = source(train=with_hashes(table(90, "train"), {0: "twin", 30: "twin"}))
    for draw in range(8):
        splits = cut(
            data, draw, subset={"normal": None, "pneumonia": None}, development_per_class=0
        )
        linked = {"normaltrain0", "normaltrain10"}
        sides = [bool(linked & set(t.patients)) for t in (splits.train, splits.validation)]
        assert sum(sides) == 1


def test_a_copy_of_a_test_image_leaves_training() -> None:
    data = source(train=with_hashes(table(90, "train"), {5: "hash-test-0", 100: "hash-test-30"}))
    splits = cut(data, subset={"normal": None, "pneumonia": None}, development_per_class=0)
    assert splits.notes["duplicates"]["train_copies_of_held_out_images"] == 2
    held = set(splits.test.hashes.tolist())
    assert not held & set(splits.train.hashes.tolist())
    assert not held & set(splits.validation.hashes.tolist())


TWO_CLASSES = {
    "in training": source(train=with_hashes(table(90, "train"), {0: "same", 100: "same"})),
    "in training and test": source(
        train=with_hashes(table(90, "train"), {0: "same"}),
        test=with_hashes(table(20, "test"), {30: "same"}),
    ),
    "in validation and test": source(
        validation=with_hashes(table(20, "validation"), {0: "same"}),
        test=with_hashes(table(20, "test"), {30: "same"}),
    ),
}


@pytest.mark.parametrize("where", TWO_CLASSES)
def test_one_image_in_two_classes_is_refused(where: str) -> None:
    with pytest.raises(
        GanAugError, match=r"in two classes \(1 such image in all\); .*on_conflict=drop"
    ):
        cut(TWO_CLASSES[where])


def test_how_many_images_are_in_two_classes_is_said() -> None:
    data = source(
        train=with_hashes(table(90, "train"), {0: "a", 100: "a", 1: "b", 2: "b", 101: "b"})
    )
    match = r"train/0 and train/100: .*\(2 such images in all\)"
    with pytest.raises(GanAugError, match=match):
        cut(data)


@pytest.mark.parametrize("where", TWO_CLASSES)
def test_all_copies_of_an_image_in_two_classes_are_left_out(where: str) -> None:
    data = TWO_CLASSES[where]
    everything = {"normal": None, "pneumonia": None}
    splits = cut(data, subset=everything, on_conflict="drop", development_per_class=0)
    left = (splits.train, splits.validation, splits.test, splits.unused)
    assert "same" not in {image for part in left for image in part.hashes.tolist()}
    assert sum(map(len, left)) == sum(map(len, data.tables().values())) - 2
    paths = [p for t in data.tables().values() for p in t.paths[t.hashes == "same"].tolist()]
    assert splits.notes["conflicts_left_out"] == [sorted(paths)]
    (said,) = splits.notes["warnings"]
    assert "in two classes: 1, such as" in said
    assert "their 2 files are left out" in said
    assert splits.fingerprint == data.fingerprint()


def test_a_class_may_not_vanish_because_all_its_images_are_in_another_too() -> None:
    test = table(2, "test")
    data = source(test=with_hashes(test, {0: "a", 1: "b", 2: "a", 3: "b"}))
    with pytest.raises(GanAugError, match="leaves no test images of normal"):
        cut(data, on_conflict="drop", development_per_class=0)


def test_an_official_validation_split_is_used_as_it_is() -> None:
    data = source(validation=table(7, "val"))
    splits = cut(data)
    assert splits.validation.paths.tolist() == table(7, "val").paths.tolist()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"subset": {"normal": 30, "pneumonia": 73}}, "data.subset.pneumonia=73: only 72"),
        ({"val_per_class": 100}, "data.val_per_class=100: there are only 84 normal"),
        ({"internal_per_class": 72}, "data.internal_per_class=72: there are only 72 normal"),
        ({"development_per_class": 21}, "data.development_per_class=21"),
        ({"internal_per_class": 1}, "data.internal_per_class=1: each normal patient has more"),
        ({"val_per_class": 2}, "data.val_per_class=2: each normal patient has more"),
    ],
)
def test_too_much_or_too_little_asked(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(GanAugError, match=key):
        cut(source(), **changes)


@pytest.mark.parametrize("side", ["validation", "internal"])
def test_a_patient_on_both_sides_is_caught(side: str) -> None:
    splits = cut(source(), internal_per_class=12)
    other = getattr(splits, side)
    patients = np.concatenate([splits.train.patients[:1], other.patients[1:]])
    stolen = dataclasses.replace(other, patients=patients)
    with pytest.raises(GanAugError, match=f"patient .* is in training and in {side}"):
        check_disjoint(dataclasses.replace(splits, **{side: stolen}))


@pytest.mark.parametrize("other", ["validation", "test", "development", "internal"])
def test_a_duplicate_across_splits_is_caught(other: str) -> None:
    splits = cut(source(), internal_per_class=12)
    leaked = with_hashes(getattr(splits, other), {0: str(splits.train.hashes[0])})
    with pytest.raises(GanAugError, match=f"the same image is in training and in {other}"):
        check_disjoint(dataclasses.replace(splits, **{other: leaked}))


def test_the_fingerprint_is_of_content() -> None:
    data = source()
    moved = dataclasses.replace(data.train, paths=np.array([f"x/{p}" for p in data.train.paths]))
    assert source(train=moved).fingerprint() == data.fingerprint()
    changed = with_hashes(data.train, {0: "new"})
    assert source(train=changed).fingerprint() != data.fingerprint()
    relabelled = dataclasses.replace(data.train, labels=1 - data.train.labels)
    assert source(train=relabelled).fingerprint() != data.fingerprint()
