"""The first screen of a report on several conditions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_study import Reported, report_of, summary_of, write_study

from gan_aug.report.answer import answer_of, asked_verdicts, blind, worth_of
from gan_aug.report.limits import limits
from gan_aug.report.quality import GateRow, QualityRow
from gan_aug.report.read import read_study
from gan_aug.report.summary import Summary, summarise

BASE = {"real": 0.0, "duplicate": 0.0}
RISES = {f"ruler_{25 * 2**i}": 0.02 * (i - 1) for i in range(5)}
FLAT = dict.fromkeys(RISES, 0.0)
BLIND_UNDER = (
    "More real images themselves are not shown to move test accuracy at 0.5 under {} of 2 "
    "conditions: "
)
SEES, BLIND = {"hospital": "a"}, {"hospital": "b"}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A study that sees real images under one condition and not under the other; its report."""
    folder = tmp_path_factory.mktemp("two")
    write_study(folder, BASE | {"gan": 0.02} | RISES, conditions=(SEES,))
    write_study(folder, BASE | {"gan": 0.0} | FLAT, conditions=(BLIND,), seed=1)
    return report_of(folder)


@pytest.fixture(scope="module")
def summary(two: Reported) -> Summary:
    return summarise(read_study(two.folder))


def table_of(page: str) -> str:
    """Return the table of the first screen."""
    return page[page.index('<table class="overview"') : page.index(">What limits it</h2>")]


def test_each_condition_has_its_numbers(summary: Summary) -> None:
    sees, unseen = asked_verdicts(summary)
    assert (sees.condition, unseen.condition) == (SEES, BLIND)
    assert (sees.arm, sees.reference) == ("gan", "real")
    assert (sees.word, unseen.word) == ("better", "cannot tell")
    assert (blind(summary, sees), blind(summary, unseen)) == (False, True)
    assert sees.mean > 0.015
    (measure,) = (
        m for m in summary.worth if (m.condition, m.split, m.metric) == (SEES, "test", "accuracy")
    )
    worths = [measure.arms[arm].worth for arm in ("gan", "duplicate")]
    assert worths[0] != worths[1]
    assert [worth_of(summary, sees, arm) for arm in ("gan", "duplicate")] == worths
    # It has no ruler to be read off.
    assert [worth_of(summary, unseen, arm) for arm in ("gan", "duplicate")] == [None, None]


def test_the_gates_of_all_classes_are_said_beside_how_often_real_images_pass(
    summary: Summary,
) -> None:
    gate = [
        GateRow(SEES, "normal", {"recall": 0.1}, 10, 3, {"recall": 7}, 0.39),
        GateRow(SEES, "pneumonia", {"recall": 0.1}, 10, 4, {"recall": 6}, None),
    ]
    summary = replace(summary, gate=gate)
    titles = {"gan": "GAN images", "real": "real images"}
    said = (
        "The GAN images pass the gate (as varied as unseen real ones), with hospital=a: normal "
        "in 3 of 10 draws (real images: 39 % of the time), pneumonia in 4 of 10 draws (real "
        "images: not measured)."
    )
    assert said in answer_of(summary, titles, []).limits


@pytest.mark.parametrize(("generated", "said"), [(0.5, True), (26.0, False)])
def test_copies_of_training_images_are_told_beside_the_gate(
    summary: Summary, generated: float, said: bool
) -> None:
    """Copies are as varied as real images, and pass it."""
    row = QualityRow(
        "normal", "nearest_pixel", "baseline", [30, 30], "cnn", generated, 0.1, 27.3, 0.4, None,
        None, SEES, None,
    )  # fmt: skip
    found = [one for one in limits(replace(summary, quality=[row])) if "copies of tr" in one]
    assert found == said * [
        "The GAN images of normal, with hospital=a, are copies of training images, or nearly: "
        "half of them differ from one by 0.5 of 255 grey levels at most, half of unseen real "
        "images by 27.3."
    ]


@pytest.mark.parametrize(("shares", "said"), [((1.0,), "100 %"), ((0.39, 1.0), "39 to 100 %")])
def test_gates_of_many_conditions_are_one_sentence(
    shares: tuple[float, ...], said: str, summary: Summary
) -> None:
    gate = [
        GateRow({"hospital": str(i)}, "normal", {"recall": 0.1}, 10, 3, {"recall": 7}, share)
        for i in range(7)
        for share in shares
    ]
    summary = replace(summary, gate=gate)
    limits = answer_of(summary, {"gan": "GAN images"}, []).limits
    assert any(line.endswith(f"of real images in their place: {said}.") for line in limits)


def test_the_page_begins_with_the_table(two: Reported, summary: Summary) -> None:
    page = two.page
    table = table_of(page)
    for one in asked_verdicts(summary):
        assert f"{one.label}</th>" in table
        assert f"{100 * one.mean:+.2f} (" in table
        assert f">{one.word}<" in table
        assert one.over_draws is not None
        assert f"{100 * one.over_draws[0]:+.2f} to" in table
        for arm in ("gan", "duplicate"):
            assert f">{worth_of(summary, one, arm) or '&ndash;'}<" in table
    in_words = page[page.index(">In words</h2>") : page.index("The declared endpoints</h2>")]
    assert re.findall(r"with hospital=(\w):", in_words) == ["a", "b"]


def said(summary: dict[str, Any], start: str) -> str:
    """Return the one sentence of a report that starts so."""
    (found,) = (line for line in summary["answer"]["limits"] if line.startswith(start))
    return str(found)


def test_what_cannot_tell_is_said_once_for_each_endpoint(summary: Summary) -> None:
    measures = [one for one in summary.worth if one.condition == BLIND]
    both = [replace(one, condition=condition) for one in measures for condition in (SEES, BLIND)]
    (found,) = (one for one in limits(replace(summary, worth=both)) if "themselves" in one)
    assert found.startswith(BLIND_UNDER.format(2))
    (gain,) = {m.sensitivity.gain for m in both if (m.split, m.metric) == ("test", "accuracy")}
    for hospital in "ab":
        assert f"hospital={hospital}: {100 * gain:+.2f} points a doubling" in found
    assert found.count(" of each class)") == 2
    of_one = [replace(one, classes=["malignant"]) for one in measures]
    (found,) = (one for one in limits(replace(summary, worth=of_one)) if "themselves" in one)
    assert found.count(" of the class malignant)") == 1


def test_a_condition_that_can_tell_is_not_said_to_be_blind(
    two: Reported,
) -> None:
    found = said(two.summary, BLIND_UNDER.format(1))
    assert "hospital=b: " in found
    assert "hospital=a" not in found


def test_equivalent_says_little_is_said_once_where_something_is_called_equivalent(
    tmp_path: Path,
) -> None:
    endpoint = {"split": "test", "metric": "accuracy", "smallest_effect": 0.02}
    rises = {arm: 0.006 * (i - 1) / 3 for i, arm in enumerate(RISES)}
    how: dict[str, Any] = {"draws": 8, "endpoints": [endpoint]}
    write_study(tmp_path, BASE | {"gan": 0.0} | rises, conditions=(SEES, BLIND), **how)
    apart = {"real": 0.0, "duplicate": 0.1, "gan": 0.05}
    write_study(tmp_path, apart | rises, conditions=({"hospital": "c"},), seed=1, **how)
    found = said(summary_of(tmp_path), "Equivalent says little on test accuracy at 0.5: ")
    assert found.count("400 real images of each class are equivalent to 50 within 2 points") == 2
    for hospital in "abc":
        assert (f"too (hospital={hospital}: " in found) == (hospital != "c")


def test_few_draws_and_no_ruler_leave_cells_empty(tmp_path: Path) -> None:
    conditions = (SEES | {"size": 50}, BLIND | {"size": 50})
    write_study(tmp_path, BASE | {"gan": 0.02}, draws=3, conditions=conditions)
    _, summary, page = report_of(tmp_path)
    assert page.count("<td>hospital=a, size=50</td>") == 2, "a row an arm in the table of draws"
    table = table_of(page)
    assert table.count(">too few draws<") == 2
    assert "worth, further real images" not in table
    for one in summary["verdicts"]:
        assert one["low"] is None
        if (one["arm"], one["reference"]) == ("gan", "real"):
            assert f"{100 * one['mean']:+.2f}</td>" in table


def test_a_study_of_one_condition_has_none(tmp_path: Path) -> None:
    *_, page = report_of(write_study(tmp_path, BASE | {"gan": 0.02} | RISES))
    assert '<table class="overview"' not in page
    assert "In words" not in page
