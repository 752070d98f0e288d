"""Which classes a GAN is fitted on, makes, and makes them from."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings import class_facts
from gan_aug.settings.class_facts import GanFacts, class_constants, classes_made, classes_of

CLASSES = ["normal", "bacteria", "virus"]


def made_by(
    train_class: str | None,
    classes: list[str],
    fitted_on: Any,
    sources: Any = None,
    pair: Any = None,
) -> dict[str, list[str]]:
    return classes_of(GanFacts(fitted_on, sources), "x", pair, train_class, classes)


@pytest.mark.parametrize(
    ("sources", "made"),
    [
        (None, {"bacteria": []}),
        ("same", {"bacteria": ["bacteria"]}),
        ("other", {"bacteria": ["normal", "virus"]}),
    ],
)
def test_of_one_class(sources: str | None, made: dict[str, list[str]]) -> None:
    assert made_by("bacteria", CLASSES, "one", sources) == made


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
    found = made_by(None, CLASSES, "all", sources)
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
    found = made_by(None, CLASSES, "two", sources, ["virus", "normal"])
    assert found == made
    assert list(found) == ["virus", "normal"]  # the source half of a batch, then the target half


def test_two_classes_need_no_pair() -> None:
    found = made_by(None, CLASSES[:2], "two", "other")
    assert found == {"normal": ["bacteria"], "bacteria": ["normal"]}


@pytest.mark.parametrize(
    "pair", [None, ["normal"], ["normal", "normal"], ["normal", "cat"], CLASSES]
)
def test_a_pair_that_is_none_is_refused(pair: Any) -> None:
    with pytest.raises(GanAugError, match=r"model\.pair=.*model=x translates.*\[normal,bacteria\]"):
        made_by(None, CLASSES, "two", "other", pair)


def test_a_gan_of_one_class_must_be_told_which() -> None:
    with pytest.raises(GanAugError, match=r"data\.train_class=null: .*normal or bacteria or virus"):
        made_by(None, CLASSES, "one")


@pytest.mark.parametrize("fitted_on", ["two", "all"])
def test_a_gan_of_several_classes_takes_no_train_class(fitted_on: str) -> None:
    pair = ["normal", "virus"]
    with pytest.raises(
        GanAugError, match=rf"data\.train_class=virus: .*{fitted_on} classes at once"
    ):
        made_by("virus", CLASSES, fitted_on, pair=pair)


def test_a_class_is_read_without_being_imported() -> None:
    found = class_constants("gan_aug.models.gans.pggan.PGGAN")  # of GAN, three classes above
    assert (found["FITTED_ON"], found["SOURCES"], found["MIN_SIZE"]) == ("one", None, 32)
    assert class_constants("gan_aug.models.gans.cyclegan.CycleGAN")["SOURCES"] == "other"
    assert class_constants("gan_aug.models.networks.cnn.SmallCNN")["MIN_SIZE"] == 8


@pytest.mark.parametrize(
    ("imports", "base"),
    [
        ("from gan_aug.models.gans.cyclegan import CycleGAN", "CycleGAN"),
        ("from gan_aug.models.gans.cyclegan import CycleGAN as Other", "Other"),
        ("from gan_aug.models.gans import cyclegan", "cyclegan.CycleGAN"),
        ("import gan_aug.models.gans.cyclegan", "gan_aug.models.gans.cyclegan.CycleGAN"),
        ("import gan_aug.models.gans.cyclegan as c", "c.CycleGAN"),
        ("import gan_aug\nclass Own(gan_aug.models.gans.cyclegan.CycleGAN): pass", "Own"),
    ],
)
def test_a_class_inherits_however_its_parent_is_imported(
    imports: str, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "gan_aug.models.gans.x"
    tree = ast.parse(f"{imports}\nclass X({base}):\n    MIN_SIZE: int = 64\n")
    parsed = class_facts._parsed
    monkeypatch.setattr(class_facts, "_parsed", lambda m: tree if m == own else parsed(m))
    constants = class_constants.__wrapped__(f"{own}.X")
    class_constants.cache_clear()
    assert (constants["FITTED_ON"], constants["MIN_SIZE"]) == ("two", 64)


@pytest.mark.parametrize(
    "target",
    ["os.system", "gan_aug.models.networks.cnn.SmallCNN", "gan_aug.models.gans.dcgan.WGAN",
     "gan_aug.models.gans.x.X", "gan_aug.models",
     "gan_aug.models.gans.../run/errors.GanAugError", "x" * 10_000, ""],
)  # fmt: skip
def test_a_class_that_is_none_is_refused(target: str) -> None:
    model = {"name": "x", "kind": "gan", "module": {"_target_": target}}
    with pytest.raises(GanAugError, match=r"model.module._target_=.*: is none of gan_aug's GANs"):
        classes_made(model, None, CLASSES)
