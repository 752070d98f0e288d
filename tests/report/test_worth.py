"""What arms are worth in real images: studies whose ruler is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_study import report_of, summary_of, write_study

from gan_aug.report.crossed import OverPatients
from gan_aug.report.read import read_study
from gan_aug.report.records import RulerFacts
from gan_aug.report.ruler_figure import ruler_figure
from gan_aug.report.worth import Measure, Rate, measure_worth, words

STEPS = {f"ruler_{25 * 2**i}": 0.02 * (i - 1) for i in range(5)}
"""2 points a doubling, and those of 50 images are the draw's."""
FLAT = dict.fromkeys(STEPS, 0.0)
BASE = {"real": 0.0, "duplicate": 0.0}
Shared = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """A study in which `gan` is as good as twice the real images, and its summary."""
    folder = write_study(tmp_path_factory.mktemp("sound"), BASE | {"gan": 0.02} | STEPS)
    return folder, summary_of(folder)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """One in which more real images change nothing."""
    folder = write_study(tmp_path_factory.mktemp("flat"), BASE | {"gan": 0.0} | FLAT)
    return folder, summary_of(folder)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """One of four draws."""
    folder = write_study(tmp_path_factory.mktemp("few"), BASE | {"gan": 0.02} | STEPS, draws=4)
    return folder, summary_of(folder)


def measure(summary: dict[str, Any], split: str = "test", metric: str = "accuracy") -> Any:
    (one,) = [m for m in summary["worth"] if (m["split"], m["metric"]) == (split, metric)]
    return one


def test_an_arm_as_good_as_twice_the_images_is_worth_as_many(sound: Shared) -> None:
    folder, summary = sound
    found = measure(summary)
    assert found["sensitivity"]["gain"] == pytest.approx(0.02, abs=0.003)
    gan, copies = (found["arms"][arm]["rate"] for arm in ("gan", "duplicate"))
    assert gan["low"] < 100 < gan["high"]
    assert gan["images"] == pytest.approx(100, rel=0.2)
    assert gan["low"] > 50  # worth some
    assert copies["low"] < 50 < copies["high"]  # worth about none
    answer = summary["answer"]["verdicts"][0]
    worth = {arm: found["arms"][arm]["worth"] for arm in ("gan", "duplicate")}
    expected = f"gan is worth {worth['gan']}; as many copies: {worth['duplicate']}."
    assert f"In further real images of each class, {expected}" in answer
    assert worth["gan"] in report_of(folder).page


def test_the_ruler_is_no_arm_that_is_asked_about(sound: Shared) -> None:
    folder, summary = sound
    block = summary["splits"]["test"]["accuracy"][0]
    assert set(block["arms"]) == {"real", "duplicate", "gan"}
    compared = {c["arm"] for c in block["comparisons"]} | {
        c["reference"] for c in block["comparisons"]
    }
    assert not compared & STEPS.keys()  # nor does it make Holm's correction stricter
    assert "ruler_25" in set(read_study(folder).table["arm"])


def test_where_real_images_change_nothing_the_endpoint_cannot_tell(flat: Shared) -> None:
    folder, summary = flat
    assert measure(summary)["sensitivity"]["gain"] <= 0.01
    said, limits = summary["answer"]["verdicts"], summary["answer"]["limits"]
    (gan,) = [v for v in summary["verdicts"] if (v["arm"], v["reference"]) == ("gan", "real")]
    assert gan["word"] == "cannot tell"
    assert (
        "cannot tell, neither gan in place of real nor more real images are shown to move it"
        in said[0]
    )
    assert not any("worth" in line for line in said)
    assert any("not shown to move test accuracy at 0.5: " in line for line in limits)
    assert "cannot tell</td>" in report_of(folder).page


def test_what_fewer_images_than_the_arms_have_change_does_not_make_it_tell(tmp_path: Path) -> None:
    rises_to_50 = FLAT | {"ruler_25": -0.05}
    summary = summary_of(write_study(tmp_path, BASE | {"gan": 0.0} | rises_to_50))
    assert not measure(summary)["sensitivity"]["interval"][0] > 0
    assert measure(summary)["sensitivity"]["start"] == 50
    assert any("from 50 to 400 of each class" in line for line in summary["answer"]["limits"])
    words_of = {v["word"] for v in summary["verdicts"] if v["arm"] == "gan"}
    assert words_of == {"cannot tell"}


def test_what_the_arms_have_need_not_be_a_number_of_the_ruler(tmp_path: Path) -> None:
    ruler = {"ruler_25": -0.05, "ruler_100": 0.0, "ruler_400": 0.0}
    summary = summary_of(write_study(tmp_path, BASE | {"gan": 0.0} | ruler))
    assert measure(summary)["sensitivity"]["start"] == 50
    found = {v["word"] for v in summary["verdicts"] if v["arm"] == "gan"}
    assert "cannot tell" in found
    assert "equivalent" not in found


@pytest.mark.parametrize("ruler", [(25, 100, 400), (25, 50, 100, 200)])
def test_real_images_alone_are_worth_none(ruler: tuple[int, ...], tmp_path: Path) -> None:
    """Where the ruler has a number between two of its own, or falls at the draw's own number."""
    rises = {f"ruler_{n}": -0.01 * (n == 25) + 0.01 * (n > 100) for n in ruler}
    found = measure(summary_of(write_study(tmp_path, BASE | {"gan": 0.02} | rises)))
    assert found["sizes"] == sorted({50, *ruler})
    assert found["arms"]["real"]["rate"]["images"] == 50
    assert found["arms"]["real"]["worth"].startswith("+0 (")


def test_a_ruler_that_ends_at_what_the_arms_have_is_none(tmp_path: Path) -> None:
    folder = write_study(tmp_path, BASE | {"gan": 0.0, "ruler_25": -0.05, "ruler_50": 0.0})
    assert summary_of(folder)["worth"] == []


@pytest.mark.parametrize("most", [0.006, 0.06])
def test_equivalent_says_little_where_the_ruler_is_equivalent_too(
    tmp_path: Path, most: float
) -> None:
    rises = {arm: most * (i - 1) / 3 for i, arm in enumerate(STEPS)}
    endpoint = {"split": "test", "metric": "accuracy", "smallest_effect": 0.02}
    effects = BASE | {"gan": 0.0} | rises
    summary = summary_of(write_study(tmp_path, effects, draws=8, endpoints=[endpoint]))
    words_of = {v["word"] for v in summary["verdicts"] if v["arm"] == "gan"}
    assert words_of == {"equivalent"}
    end = measure(summary)["most"]
    assert end["mean"] == pytest.approx(most, abs=0.004)
    said = [line for line in summary["answer"]["limits"] if "says little" in line]
    assert len(said) == (most < 0.02)
    if said:
        assert "400 real images of each class are equivalent to 50 within 2 points too" in said[0]
        assert f"({100 * end['mean']:+.2f}, 90% interval" in said[0]


def measures(folder: Path) -> list[Measure]:
    study = read_study(folder)
    return measure_worth(study, ["test"], OverPatients(study))


def notes(found: list[Measure]) -> set[str]:
    """Return what is written into the panels of the figure."""
    titles = {arm: f"what {arm} is" for arm in (*BASE, "gan")}
    figure = ruler_figure(found, titles)
    assert figure is not None
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    titles_ = [line for axes in figure.axes for line in axes.get_title("left").splitlines()]
    return {*texts, *titles_}


def test_the_figure_says_why_it_cannot_tell(sound: Shared, flat: Shared, few: Shared) -> None:
    own = "dotted: the draw has 50"
    assert notes(measures(flat[0])) == {
        own, "cannot tell: not shown to rise with more real images"
    }  # fmt: skip
    assert notes(measures(few[0])) == {own, "4 draws are too few to tell; 6 are the fewest"}
    (of_accuracy, *others) = measures(sound[0])
    written = notes([of_accuracy, *others])
    assert {own, of_accuracy.arms["gan"].worth} < written
    assert not any("tell" in note for note in written)


def test_with_few_draws_an_arm_beyond_the_ruler_is_still_drawn(tmp_path: Path) -> None:
    found = measures(write_study(tmp_path, BASE | {"gan": -0.1} | STEPS, draws=4))
    figure = ruler_figure(found, {arm: arm for arm in (*BASE, "gan")})
    assert figure is not None
    arrows = [line for line in figure.axes[2].lines if line.get_marker() == "<"]
    assert [tuple(line.get_xdata()) for line in arrows] == [(25,)]


def test_with_few_draws_nothing_is_claimed(few: Shared) -> None:
    folder, summary = few
    assert measure(summary)["sensitivity"].get("interval") is None
    said = json.dumps(summary["answer"])
    assert "worth" not in said
    assert "cannot tell" not in said
    assert "too few draws to tell" in report_of(folder).page


def test_a_study_without_a_ruler_says_nothing_of_it(tmp_path: Path) -> None:
    found = report_of(write_study(tmp_path, BASE | {"gan": 0.02}, draws=6))
    assert found.summary["worth"] == []
    assert "Worth in real images" not in found.page
    assert ruler_figure([], {}) is None


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (Rate(53.2, 42.0, 65.1, 0, True), "+3 (-8 to +15)"),
        (Rate(53.2, None, 65.1, 0, True), "+3 (-25 or less to +15)"),
        (Rate(None, 150.0, None, 1, True), "+350 or more (+100 to +350 or more)"),
        (Rate(None, None, 30.0, -1, True), "-25 or less (-25 or less to -20)"),
        (Rate(None, 400.0, None, 1, True), "+350 or more"),
        (Rate(None, None, 25.0, -1, True), "-25 or less"),
        (Rate(48.0, None, None, 0, False), "-2"),
    ],
)
def test_in_words(rate: Rate, expected: str) -> None:
    facts = RulerFacts(
        arms={"ruler_25": 25, "ruler_400": 400}, classes=["normal", "pneumonia"], own=50
    )
    assert words(rate, facts) == expected
