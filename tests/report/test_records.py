"""metrics.json of a draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_study import ARMS, change, write_study

from gan_aug.report.records import DrawResult, FitResult
from gan_aug.runtime.errors import GanAugError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The metrics.json of a draw with quality."""
    write_study(tmp_path, dict.fromkeys(ARMS, 0.0), draws=1, repeats=1, quality=1.0)
    return tmp_path / "draw_0" / "metrics.json"


def test_a_result_is_written_as_it_was_read(path: Path) -> None:
    before = json.loads(path.read_text())
    result = DrawResult.of(path.parent)
    result.write(path)
    again = json.loads(path.read_text())
    assert DrawResult.of(path.parent) == result
    for key in before.keys() - {"endpoints", "quality"}:  # which have defaults
        assert again[key] == before[key]


def test_attributes_are_what_the_file_says(path: Path) -> None:
    result = DrawResult.of(path.parent)
    assert (result.question.arm, result.question.reference) == ("gan", "real")
    (fit,) = result.fits_of("gan")
    assert (fit.name, fit.used.real.total) == ("gan_0", 7)
    assert result.quality is not None
    assert result.quality.classes["pneumonia"].values["real"]["kid"] == 0.01


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (lambda m: m.pop("question"), "question: "),
        (lambda m: m["question"].pop("arm"), "question.arm: "),
        (lambda m: m.update(draw="0"), "draw='0': "),
        (lambda m: m.update(fits={}), "fits={}: "),
        (lambda m: m.update(more=1), "more=1: "),
        (lambda m: m["fits"][2].update(steps=None), "fits.2.steps=None: "),
        (lambda m: m["fits"][0].update(curve=[3]), "fits.0.curve.0=3: "),
        (lambda m: m["arms"].update(gan="x"), "arms.gan='x': "),
        (lambda m: m["checks"][1].update(passed=1), "checks.1.passed=1: "),
        (lambda m: m["quality"].pop("extractor"), "quality.extractor: "),
        (lambda m: m["splits"]["test"].update(normal=2.5), "splits.test.normal=2.5: "),
    ],
)
def test_what_is_damaged_is_named_in_one_line(edit: Any, part: str, path: Path) -> None:
    change(path, edit)
    with pytest.raises(GanAugError) as caught:
        DrawResult.of(path.parent)
    assert str(caught.value).startswith(f"{path}: is no draw of a study ({part}")
    assert "\n" not in str(caught.value)


def test_a_damaged_fit_says_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "real_0.json"
    path.write_text("{}")
    with pytest.raises(GanAugError, match=r"real_0.json: is of format None, .*; fitting again$"):
        FitResult.read(path, "fitting again")
    path.write_text('{"format": 1}')
    with pytest.raises(GanAugError, match=r"real_0.json: is no fit .*; fitting again$"):
        FitResult.read(path, "fitting again")


@pytest.mark.parametrize("where", ["arms", "fits"])
def test_an_arm_names_no_file_outside_fits(where: str, path: Path) -> None:
    def plant(metrics: dict[str, Any]) -> None:
        if where == "arms":
            metrics["arms"]["../../x"] = metrics["arms"]["gan"]
        else:
            metrics["fits"][0]["arm"] = "../../x"

    change(path, plant)
    with pytest.raises(GanAugError, match=r"metrics\.json: '../../x' names no arm"):
        DrawResult.of(path.parent)
