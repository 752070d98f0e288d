"""metrics.json of a draw, of this version and of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_study import ARMS, change, write_study
from support import BINARY

from gan_aug.report.draw_result import read_fit, read_result, write_result
from gan_aug.run.errors import GanAugError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The metrics.json of a draw with quality."""
    write_study(tmp_path, dict.fromkeys(ARMS, 0.0), draws=1, repeats=1, quality=1.0)
    return tmp_path / "draw_0" / "metrics.json"


def as_now(metrics: dict[str, Any]) -> None:
    """Add what the study writes and the made-up one leaves out."""
    shown = {"images": {"normal": 1, "pneumonia": 2}, "shown": {"normal": 3, "pneumonia": 4}}
    for fit in metrics["fits"]:
        fit |= {"fingerprint": "f", "git_commit": None, "npz_sha256": "0"}
        fit |= {"used": {"real": shown, "added": shown}}
    metrics["quality"]["classes"]["pneumonia"]["seconds"] = {"kid": 0.1}
    metrics["quality"] |= {
        "extractor_sha256": "0",
        "reference_classifier": {"sha256": "0", "fitted_on": {"normal": 5, "pneumonia": 6}},
    }


def later(metrics: dict[str, Any]) -> None:
    as_now(metrics)
    metrics["later"] = {"a": 1}
    metrics["arms"]["gan"]["later"] = 2
    metrics["gans"]["pneumonia"]["later"] = 3
    metrics["quality"]["later"] = 4
    metrics["fits"][0]["later"] = [5]


@pytest.mark.parametrize("edit", [as_now, later])
def test_a_result_is_written_as_it_was_read(edit: Any, path: Path) -> None:
    change(path, edit)
    before = json.loads(path.read_text())
    write_result(path, read_result(path))
    assert json.loads(path.read_text()) == before


def test_attributes_are_what_the_file_says(path: Path) -> None:
    change(path, as_now)
    result = read_result(path)
    assert (result.question.arm, result.question.reference) == ("gan", "real")
    (fit,) = result.fits_of("gan")
    assert fit.used is not None
    assert (fit.used.real.total, fit.used.added.images) == (7, {"normal": 1, "pneumonia": 2})
    assert fit.on("test").keys() == {"at_0.5", "at_validation_threshold"}
    assert result.quality is not None
    assert result.quality.classes["pneumonia"].values["real"]["kid"] == 0.01


def test_an_early_version_had_two_classes_the_second_positive(path: Path) -> None:
    def early(metrics: dict[str, Any]) -> None:
        for key in ("classes", "positive", "quality"):
            del metrics[key]

    change(path, early)
    result = read_result(path)
    assert result.data_classes == BINARY
    assert result.quality is None
    assert result.fits[0].used is None


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (lambda m: m.pop("question"), "lacks question"),
        (lambda m: m["question"].pop("arm"), "question: lacks arm"),
        (lambda m: m.update(draw="0"), "draw='0': must be a whole number"),
        (lambda m: m.update(fits={}), "fits: must be a list"),
        (lambda m: m["fits"][2].update(steps=None), "fits.2.steps=None: must be a whole number"),
        (lambda m: m["fits"][0].update(curve=[3]), "fits.0.curve.0: must be a mapping"),
        (lambda m: m["arms"].update(gan="x"), "arms.gan: must be a mapping"),
        (lambda m: m["checks"][1].update(passed=1), "checks.1.passed=1: must be true or false"),
        (lambda m: m["quality"].pop("extractor"), "quality: lacks extractor"),
        (lambda m: m["splits"]["test"].update(normal=2.5), "splits.test.normal=2.5"),
    ],
)
def test_what_is_damaged_is_named_in_one_line(edit: Any, part: str, path: Path) -> None:
    change(path, edit)
    with pytest.raises(GanAugError) as caught:
        read_result(path)
    assert str(caught.value).startswith(f"{path}: {part}")
    assert "\n" not in str(caught.value)


def test_a_damaged_fit_says_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "real_0.json"
    path.write_text("{}")
    with pytest.raises(GanAugError, match=r"real_0.json: lacks arm; fitting again$"):
        read_fit(path, "fitting again")


@pytest.mark.parametrize("where", ["arms", "fits"])
def test_an_arm_names_no_file_outside_fits(where: str, path: Path) -> None:
    def plant(metrics: dict[str, Any]) -> None:
        if where == "arms":
            metrics["arms"]["../../x"] = metrics["arms"]["gan"]
        else:
            metrics["fits"][0]["arm"] = "../../x"

    change(path, plant)
    with pytest.raises(GanAugError, match=r"metrics\.json: '../../x' names no arm"):
        read_result(path)
