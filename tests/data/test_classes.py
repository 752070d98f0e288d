"""The classes of a data set, and settings that count by class."""

from __future__ import annotations

from typing import Any

import pytest
from support import BINARY, settings_of

from gan_aug.data.classes import Classes
from gan_aug.data.prepare import load
from gan_aug.data.settle import settle_training
from gan_aug.runtime.errors import GanAugError
from gan_aug.study.settle import settle_study


@pytest.mark.parametrize(
    ("names", "positive", "message"),
    [
        ((), None, "has no class"),
        (("a",), None, "has only the class a"),
        (("a", "A"), None, "differ by case at most"),
        (("a", "b/c"), None, "'b/c' cannot name a class"),
        (("a", "..b"), None, "cannot name a class"),
        (("a", "b\n"), None, "cannot name a class"),
        (("a", "b "), None, "'b ' cannot name a class, .*; rename it: .*not at an end"),
        (("a", "b"), "c", r"data\.positive=c: is none of the classes a, b"),
        (("a", "b", "c"), "b", r"of 3 classes none is .*data\.classes=\[b,other\]"),
    ],
)
def test_names_that_are_refused(names: tuple[str, ...], positive: str | None, message: str) -> None:
    with pytest.raises(GanAugError, match=message):
        Classes(names, positive)


def test_names_may_be_korean_and_hold_spaces() -> None:
    assert Classes(("정상", "No findings"), "정상").positive_label == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, [7, 7]),
        (None, [None, None]),
        ({"pneumonia": 3}, [None, 3]),
        ("{pneumonia: 3, normal: 1}", [1, 3]),
        ({"pneumonia": 3, "normal": 0}, [0, 3]),
    ],
)
def test_one_number_or_one_for_each_class(value: Any, expected: list[int | None]) -> None:
    found = BINARY.numbers(value, "data.subset")
    assert list(found) == list(BINARY)
    assert list(found.values()) == expected


def test_a_number_for_a_class_that_there_is_not() -> None:
    match = r"data\.subset\.virus=3: virus is none of the classes normal, pneumonia"
    with pytest.raises(GanAugError, match=match):
        BINARY.numbers({"virus": 3}, "data.subset")


def settled_of(name: str, *overrides: str) -> Any:
    small = ("data.source.train_per_class=40", "data.source.test_per_class=9", "data.image_size=32")
    settings = settings_of(name, "data=phantom", *small, "data.val_per_class=5", *overrides)
    settle = settle_study if name == "study" else settle_training
    return settle(settings, load(settings.data))[0]


def test_the_data_set_settles_what_settings_left_open(tmp_path: Any) -> None:
    settled = settled_of(
        "study",
        "+study=seed_protocol",
        "data.target=subtype",
        "data.subset=6",
        "study.count=4",
        "data.development_per_class=0",
        "data.internal_per_class=0",
        "++arms.gan.added.count.virus=9",
        "study.splits=[validation,test]",
        f"data.cache_dir={tmp_path}",
    )
    assert settled.data.classes == ["normal", "bacteria", "virus"]
    assert settled.classifier.module.plain()["network"]["classes"] == 3
    assert settled.data.positive is None
    assert settled.data.channels == 1
    assert settled.data.subset == dict.fromkeys(settled.data.classes, 6)
    assert settled.arms["duplicate"].added.count == dict.fromkeys(settled.data.classes, 4)
    assert settled.arms["gan"].added.count == {"normal": 4, "bacteria": 4, "virus": 9}


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.train_class=virus"],
        ["++data.subset.virus=9"],
        ["+study=seed_protocol", "++study.count.virus=9"],
        ["+study=seed_protocol", "++arms.gan.added.count.virus=9"],
    ],
)
def test_a_wrong_class_gets_a_line_that_lists_the_classes(
    overrides: list[str], tmp_path: Any
) -> None:
    study = any(o.startswith("+study") for o in overrides)
    small = [] if study else ["model=dcgan"]
    with pytest.raises(GanAugError, match="virus is none of the classes normal, pneumonia"):
        settled_of(
            "study" if study else "train",
            *small,
            *overrides,
            f"data.cache_dir={tmp_path}",
            "++data.subset.normal=5",
            "++data.subset.pneumonia=5",
            "data.development_per_class=0",
            "data.internal_per_class=0",
            *(["study.splits=[validation,test]"] if study else []),
        )
