"""Numbers that a study takes from its data are the same for every draw, and can be had in each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import composed, read_json, refused, settings_of
from tables import of_counts

from gan_aug.arms.check import check_settled_arms
from gan_aug.data.prepare import prepare
from gan_aug.data.source import Source
from gan_aug.settings.study import StudySettings
from gan_aug.study.draw import declare
from gan_aug.study.settle import derive, settle_study


def source(**counts: int) -> Source:
    """A data set with so many training images, and a fifth and a tenth of it beside them."""
    parts = {
        split: of_counts(split, {name: n // part for name, n in counts.items()})
        for split, part in (("train", 1), ("test", 5), ("val", 10))
    }
    return Source(parts["train"], parts["test"], parts["val"])


def own(**changes: Any) -> StudySettings:
    """Return the study's settings; `study__rare="a"` is study.rare=a."""
    found: StudySettings = settings_of("study", "+study=own", "data.root=x", **changes)
    return found


def numbers(settings: StudySettings) -> dict[str, Any]:
    return {
        "subset": settings.data.subset,
        "internal": settings.data.internal_per_class,
        "count": settings.study.count,
        "ruler": settings.study.ruler,
        "arms": list(settings.arms),
    }


def test_a_scarce_class_is_filled_up_to_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    data = source(benign=280, malignant=134, normal=85)
    found = numbers(derive(own(study__rare="malignant"), data))
    assert found["internal"] == 17  # a fifth of the smallest class
    assert found["subset"] == {"benign": 68, "malignant": 34, "normal": 68}
    assert found["count"] == {"benign": 0, "malignant": 34, "normal": 0}
    assert found["ruler"] == {"malignant": [17, 34, 68, 117]}
    assert "more_real" in found["arms"]
    said = capsys.readouterr().out
    assert "study.ruler={malignant: [17, 34, 68, 117]}" in said


def test_without_a_scarce_class_all_have_as_many() -> None:
    found = numbers(derive(own(), source(benign=280, malignant=134, normal=85)))
    assert found["subset"] == {"benign": 22, "malignant": 22, "normal": 22}
    assert found["count"] == {"benign": 44, "malignant": 44, "normal": 44}
    assert found["ruler"] == [11, 22, 44, 68]
    many = numbers(derive(own(), source(a=2000, b=3000)))
    assert (many["internal"], many["subset"]["a"], many["count"]["a"]) == (100, 50, 100)
    assert many["ruler"] == [25, 50, 100, 200, 400]


def test_what_is_typed_stays() -> None:
    data = source(benign=280, malignant=134, normal=85)
    typed = own(study__rare="malignant", data__subset__malignant=40, data__internal_per_class=10)
    found = numbers(derive(typed, data))
    assert found["subset"] == {"benign": 75, "malignant": 40, "normal": 75}
    assert found["count"]["malignant"] == 35
    assert found["ruler"] == {"malignant": [20, 40, 80, 124]}
    ruler = own(study__rare="malignant", study__ruler={"malignant": [5, 60]}, study__count=7)
    found = numbers(derive(ruler, data))
    assert (found["ruler"], found["count"]) == ({"malignant": [5, 60]}, 7)


@pytest.mark.parametrize("rare", ["malignant", None])
def test_every_draw_can_have_them_and_has_the_same(rare: str | None) -> None:
    data, seen = source(benign=280, malignant=134, normal=85), set()
    for draw in range(4):
        settled, splits = settle_study(own(study__rare=rare, draw=draw), data)
        check_settled_arms(settled, splits)
        seen.add(str(numbers(settled)))
    assert len(seen) == 1


def test_no_further_real_images_no_arm_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(derive(own(study__rare="sick"), source(sick=60, well=400)))
    assert found["subset"] == {"sick": 24, "well": 388}
    assert found["count"] == {"sick": 364, "well": 0}
    assert "more_real" not in found["arms"]
    assert "without the arm more_real: it adds 364 further sick images" in capsys.readouterr().out
    even = derive(own(study__rare="sick", data__subset__well=48), source(sick=60, well=400))
    assert "more_real" in numbers(even)["arms"]


def test_too_few_images_to_measure_gans_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert derive(own(study__rare="sick"), source(sick=60, well=400)).quality.use == []
    said = "quality.use=[], so generated images are not measured: about 12 sick images"
    assert said in capsys.readouterr().out
    assert derive(own(study__rare="sick"), source(sick=200, well=400)).quality.use


@pytest.mark.parametrize(
    ("changes", "counts", "part"),
    [
        (
            {},
            {"a": 24, "b": 90},
            "only 24 training images of a, a study needs 25 of each class beside test",
        ),
        (
            {"data__development_per_class": 30},
            {"a": 24, "b": 90},
            "there are only 0 training images of a, a study needs 25",
        ),
        (
            {"data__internal_per_class": 58},
            {"a": 60, "b": 90},
            "data.internal_per_class=58: there are only 60 training images of a, and a draw needs",
        ),
        ({"data__subset__a": 0}, {"a": 60, "b": 90}, "data.subset.a=0: a classifier needs images"),
        ({"study__rare": "c"}, {"a": 40, "b": 90}, "study.rare=c: c is none of the classes a, b"),
        (
            {"study__rare": "a", "data__subset": 30},
            {"a": 60, "b": 90},
            "study.rare=a: a draw has 30 images of it and 30 of another class",
        ),
        (
            {"study__rare": "a", "data__subset__b": 1},
            {"a": 60, "b": 90},
            "as of another class, and half of 1 is none; raise data.subset",
        ),
        ({"data__subset": 60}, {"a": 60, "b": 90}, "lower data.subset"),
    ],
)
def test_what_leaves_nothing_is_refused(
    changes: dict[str, Any], counts: dict[str, int], part: str
) -> None:
    with refused(part):
        derive(own(**changes), source(**counts))


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        ("folder", "data.test_share=, data.val_share="),
        ("chest_xray", "data.val_per_class=, data.development_per_class="),
    ],
)
def test_what_sets_images_aside_is_named_where_the_data_set_has_it(data: str, keys: str) -> None:
    settings = settings_of("study", "+study=own", "data.root=x", f"data={data}")
    few = source(normal=120, pneumonia=24)
    if data == "chest_xray":  # which has no validation split
        few = replace(source(normal=300, pneumonia=150), validation=None)
    with refused(f"bring more, or set fewer aside ({keys})"):
        derive(settings, few)


def test_auto_is_for_studies_alone() -> None:
    cfg = settings_of("train", "+experiment=gan", "data.root=x", "data.subset=auto")
    with refused("data.subset=auto: is for studies"):
        prepare(cfg.data, source(a=40, b=40))


def test_the_declaration_has_the_numbers(tmp_path: Path) -> None:
    data = source(a=200, b=300)
    declare(settle_study(own(study__rare="a", study_dir=str(tmp_path)), data)[0])
    found = read_json(tmp_path / "declaration.json")
    assert found["numbers"]["data.subset"] == {"a": 80, "b": 260}
    assert found["numbers"]["study.count"] == {"a": 180, "b": 0}
    assert found["arms"][:2] == ["real", "classic"]


@pytest.mark.parametrize("command", ["train", "study"])
def test_the_draw_of_the_xrays_is_theirs_alone(command: str) -> None:
    which = "+experiment=dcgan_pneumonia" if command == "train" else "+study=seed_protocol"
    own_data, xrays = composed(command, which, "data=folder"), composed(command, which)
    assert own_data.data.subset is None
    assert own_data.data.development_per_class == 0
    assert xrays.data.subset == {"normal": 400, "pneumonia": 300}
    assert xrays.data.development_per_class == 30
    if command == "study":
        assert xrays.study.count == {"normal": 0, "pneumonia": 100}


def test_a_comparison_of_a_dropped_arm_says_what_to_type() -> None:
    with refused("'study.comparisons=[[classic_gan,classic]]'"):
        settings_of("study", "+study=own", "~arms.classic_duplicate")
