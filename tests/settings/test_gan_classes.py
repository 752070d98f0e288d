"""Which classes a GAN is fitted on, makes, and makes them from."""

from __future__ import annotations

from typing import Any

import pytest

from gan_aug.run.errors import GanAugError
from gan_aug.settings.gan_classes import classes_made

CLASSES = ["normal", "bacteria", "virus"]


def model(fitted_on: str, sources: str | None = None, pair: Any = None) -> dict[str, Any]:
    return {"name": "x", "fitted_on": fitted_on, "sources": sources, "pair": pair}


@pytest.mark.parametrize(
    ("sources", "made"),
    [
        (None, {"bacteria": []}),
        ("same", {"bacteria": ["bacteria"]}),
        ("other", {"bacteria": ["normal", "virus"]}),
    ],
)
def test_of_one_class(sources: str | None, made: dict[str, list[str]]) -> None:
    assert classes_made(model("one", sources), "bacteria", CLASSES) == made


@pytest.mark.parametrize(
    ("sources", "made"),
    [
        (None, {"normal": [], "bacteria": [], "virus": []}),
        ("same", {"normal": ["normal"], "bacteria": ["bacteria"], "virus": ["virus"]}),
        (
            "other",
            {
                "normal": ["bacteria", "virus"],
                "bacteria": ["normal", "virus"],
                "virus": ["normal", "bacteria"],
            },
        ),
    ],
)
def test_of_all_classes(sources: str | None, made: dict[str, list[str]]) -> None:
    found = classes_made(model("all", sources), None, CLASSES)
    assert found == made
    assert list(found) == CLASSES  # the order of batches


@pytest.mark.parametrize(
    ("sources", "made"),
    [
        (None, {"virus": [], "normal": []}),
        ("same", {"virus": ["virus"], "normal": ["normal"]}),
        ("other", {"virus": ["normal"], "normal": ["virus"]}),  # not from the third class
    ],
)
def test_of_two_classes(sources: str | None, made: dict[str, list[str]]) -> None:
    found = classes_made(model("two", sources, ["virus", "normal"]), None, CLASSES)
    assert found == made
    assert list(found) == ["virus", "normal"]  # the source half of a batch, then the target half


def test_two_classes_need_no_pair() -> None:
    found = classes_made(model("two", "other"), None, CLASSES[:2])
    assert found == {"normal": ["bacteria"], "bacteria": ["normal"]}


@pytest.mark.parametrize(
    "pair", [None, ["normal"], ["normal", "normal"], ["normal", "cat"], CLASSES]
)
def test_a_pair_that_is_none_is_refused(pair: Any) -> None:
    with pytest.raises(GanAugError, match=r"model\.pair=.*model=x translates.*\[normal,bacteria\]"):
        classes_made(model("two", "other", pair), None, CLASSES)


def test_a_gan_of_one_class_must_be_told_which() -> None:
    with pytest.raises(GanAugError, match=r"data\.train_class=null: .*normal or bacteria or virus"):
        classes_made(model("one"), None, CLASSES)


@pytest.mark.parametrize("fitted_on", ["two", "all"])
def test_a_gan_of_several_classes_takes_no_train_class(fitted_on: str) -> None:
    pair = ["normal", "virus"]
    with pytest.raises(
        GanAugError, match=rf"data\.train_class=virus: .*{fitted_on} classes at once"
    ):
        classes_made(model(fitted_on, pair=pair), "virus", CLASSES)
