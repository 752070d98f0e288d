"""Names that Hydra or YAML take for something else work in every setting that takes a class."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from support import composed

from gan_aug.arms.check import check_settled_arms
from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.settle import settle_training
from gan_aug.data.source import Source
from gan_aug.runtime.arguments import _in_grammar, joined
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.by_name import by_name
from gan_aug.settings.commands import TrainSettings
from gan_aug.settings.study import StudySettings
from gan_aug.settings.whole import validate
from gan_aug.study.settle import settle_study

NFD = unicodedata.normalize("NFD", "폐렴")
NAMES = [
    ("0", "1"),
    ("yes", "no"),
    ("on", "off"),
    ("true", "false"),
    ("null", "~"),
    ("1e3", "01"),
    ("1_000", "08"),
    ("1.50", "inf"),
    ("폐렴", "정상"),
    ("benign (4)", "No findings"),
    ("A.b", "c-d"),
]
BRACKETS = [("[A]", "[bold]x"), ("a, b", "c'd"), ("1", "01")]
"""These need quotes."""


def source_of(names: tuple[str, ...]) -> Source:
    classes = Classes(names)

    def table(part: str, n: int) -> ImageTable:
        labels = np.repeat(np.arange(len(names)), n).astype(np.int64)
        each = np.array([f"{part}{i}" for i in range(len(labels))])
        images = np.zeros((len(labels), 1, 4, 4), np.uint8)
        return ImageTable(images, labels, each, each, each, classes)

    return Source(table("train", 30), table("test", 9))


def typed(name: str, model: str, *arguments: str) -> DictConfig:
    """Return what Hydra makes of arguments; to compose anew for each would take long."""
    own = ["+study=seed_protocol"] if name == "study" else []
    cfg = composed(name, "data=folder", *own, f"model={model}", "data.val_per_class=5")
    for argument in joined(list(arguments)):
        override = OverridesParser.create().parse_override(_in_grammar(argument))
        OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
    return cfg


def train(model: str, *arguments: str) -> TrainSettings:
    return validate(typed("train", model, *arguments), TrainSettings)


def study(*arguments: str) -> StudySettings:
    small = ("data.development_per_class=0", "data.internal_per_class=0")
    of_own = ("data.subset=8", "study.count=5", "study.splits=[validation,test]")
    return validate(typed("study", "dcgan", *of_own, *small, *arguments), StudySettings)


def forms(a: str, b: str) -> list[tuple[str, str]]:
    """Return two names as they may be typed: bare, and in quotes."""
    return [(a, b), (f"'{a}'", f"'{b}'")]


ALL_FORMS = [
    (names, typed) for names in NAMES for typed in forms(*names) if "null" not in typed
] + [(names, (f'"{names[0]}"', f'"{names[1]}"')) for names in BRACKETS]


@pytest.mark.parametrize(("names", "written"), ALL_FORMS)
def test_a_setting_that_names_classes(names: tuple[str, str], written: tuple[str, str]) -> None:
    a, b = written
    settings = train("dcgan", f"data.train_class={a}", f"data.positive={b}")
    assert settle_training(settings, source_of(names))[0].data.train_class == names[0]
    assert Classes.of(names, settings.data.positive).positive == names[1]
    pair = settle_training(train("cyclegan", f"model.pair=[{b},{a}]"), source_of(names))[0].model
    assert pair.module.plain()["pair"] == [names[1], names[0]]


@pytest.mark.parametrize(
    ("names", "written"), [(names, one) for names in NAMES for one in forms(*names)]
    + [(names, (f'"{names[0]}"', f'"{names[1]}"')) for names in BRACKETS],
)  # fmt: skip
def test_a_setting_of_a_number_for_each_class(
    names: tuple[str, str], written: tuple[str, str]
) -> None:
    a, b = written
    settings = study(
        f"data.subset={{{a}: 8, {b}: 6}}",
        f"study.count={{{b}: 15}}",
        f"study.ruler={{{a}: [5,20]}}",
        f"arms.gan.added.count={{{a}: 7}}",
        f"arms.classic.real={{{b}: 3}}",
    )
    settled, splits = settle_study(settings, source_of(names))
    check_settled_arms(settled, splits)
    assert settled.data.subset == {names[0]: 8, names[1]: 6}
    assert settled.study.count == {names[0]: 0, names[1]: 15}
    assert settled.arms["gan"].added.count == {names[0]: 7, names[1]: 15}
    assert settled.arms["classic"].real == {names[0]: None, names[1]: 3}
    assert settled.arms["ruler_20"].added.count == {names[0]: 12, names[1]: 0}


@pytest.mark.parametrize("name", ["폐렴", NFD, "A (b)", "yes", "0"])
def test_an_endpoint_of_a_class(name: str) -> None:
    settings = study(f"study.endpoints=[{{split: test, metric: sensitivity_{name}}}]")
    wanted = f"sensitivity_{unicodedata.normalize('NFC', name)}"
    assert [one.metric for one in settings.study.endpoints] == [wanted]
    classes = (unicodedata.normalize("NFC", name), "other", "third")
    settled = settle_study(settings, source_of(classes))[0]
    assert settled.plain()["study"]["endpoints"] == [{"split": "test", "metric": wanted}]


def test_what_yaml_makes_of_a_name_in_a_file() -> None:
    """A study or experiment of one's own is YAML, which reads more names as something else."""
    names = ("yes", "012")
    subset = OmegaConf.create("{yes: 8, 012: 6}")
    assert list(subset) == [True, 10]
    assert Classes(names).numbers(dict(subset), "data.subset") == {"yes": 8, "012": 6}
    assert Classes(("null", "a")).all_named([None, "a"], "model.pair") == ["null", "a"]
    assert Classes(("NaN", "a")).named(float("nan"), "data.positive") == "NaN"


@pytest.mark.parametrize(
    ("names", "typed", "message"),
    [
        (("1", "01"), 1, "data.positive=1: may be 1 or 01"),
        (("yes", "true"), True, "data.positive=true: may be yes or true"),
        (("1e3", "1_000"), 1000.0, "may be 1e3 or 1_000"),
        (("1", "yes"), False, "false is none of the classes 1, yes"),
        (("0", "no"), 2, "2 is none of the classes 0, no"),
        (("0", "1"), "01", "01 is none of the classes 0, 1"),
        (("0", "1"), "true", "true is none of the classes 0, 1"),
    ],
)
def test_what_may_be_two_classes_or_none(names: tuple[str, str], typed: Any, message: str) -> None:
    with pytest.raises(GanAugError, match=message):
        Classes(names).named(typed, "data.positive")


def test_a_class_that_is_named_twice() -> None:
    twice = f"{{폐렴: 3, {NFD}: 4}}"
    with pytest.raises(GanAugError, match="names 폐렴 twice"):
        Classes(("폐렴", "정상")).numbers(twice, "data.subset")


def test_two_forms_of_one_name_are_no_two_classes() -> None:
    with pytest.raises(GanAugError, match="two names are one"):
        Classes(("폐렴", NFD))


def test_the_first_class_is_not_taken_for_none() -> None:
    """`data.train_class=0` with a classifier was let through: 0 counts as nothing."""
    with pytest.raises(GanAugError, match=r"data\.train_class=0: a classifier needs all classes"):
        train("cnn", "data.train_class=0")


@pytest.mark.parametrize(
    ("arguments", "subset", "ruler"),
    [
        (["data.subset.폐렴=6", "data.subset.정상=8"], {"폐렴": 6, "정상": 8}, None),
        (["data.subset={폐렴: 6}", "data.subset.정상=8"], {"폐렴": 6, "정상": 8}, None),
        (["data.subset.A (b)=6"], {"A (b)": 6, "정상": None}, None),
        (["data.subset.1e3=6", "study.ruler.1e3=[5,20]"], {"1e3": 6, "정상": None}, "1e3"),
        (["data.subset.[A]=6", "++study.ruler.[A]=[5,20]"], {"[A]": 6, "정상": None}, "[A]"),
        (["data.subset.null=6", "study.ruler.null=[5,20]"], {"null": 6, "정상": None}, "null"),
        (["data.subset.c'd=6"], {"c'd": 6, "정상": None}, None),
    ],
)
def test_a_number_for_one_class(
    arguments: list[str], subset: dict[str, int], ruler: str | None
) -> None:
    """`data.subset={0: 8} data.subset.1=4` lost the 8; Hydra's keys have no Korean letters."""
    other = (set(subset) - {ruler, "정상"}).pop() if ruler is None else ruler
    settings = study("data.subset=null", *arguments)
    settled = settle_study(settings, source_of((other, "정상")))[0]
    assert settled.data.subset == subset
    assert ("ruler_20" in settled.arms) == (ruler is not None)


def test_a_sweep_of_one_class_is_left_to_hydra() -> None:
    swept = ["data.subset={A: 1}", "data.subset.B=1,2"]
    assert joined(swept) == swept
    plain = ["data.subset.normal=1", "data.subset.pneumonia=2"]
    assert joined(plain) == plain, "which join the mapping in conf/"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("{normal:5}", {"normal": 5}),
        ("{normal: 5}", {"normal": 5}),
        ("{normal:5,pneumonia:null}", {"normal": 5, "pneumonia": None}),
        ("{1:5,no:7}", {"1": 5, "no": 7}),
        ("{normal:[25,50]}", {"normal": [25, 50]}),
        ("{'a:b': 5}", {"a:b": 5}),
    ],
)
def test_a_mapping_needs_no_blank_after_its_colon(text: str, numbers: dict[str, Any]) -> None:
    """Hydra's grammar needs none; YAML's reads another key, and its number was lost."""
    assert by_name(text) == numbers
