"""The first screen of a report on several conditions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from fake_study import write_study

from gan_aug.report.analysis import summarise
from gan_aug.report.build import build
from gan_aug.report.overview import overview
from gan_aug.report.quality import GateRow
from gan_aug.report.results import read_study
from gan_aug.report.summary import Summary

BASE = {"real": 0.0, "duplicate": 0.0}
RISES = {f"ruler_{25 * 2**i}": 0.02 * (i - 1) for i in range(5)}
FLAT = dict.fromkeys(RISES, 0.0)
SEES, BLIND = {"hospital": "a"}, {"hospital": "b"}


def two_conditions(folder: Path) -> Summary:
    """Write a study that sees real images under one condition and not under the other."""
    write_study(folder, BASE | {"gan": 0.02} | RISES, conditions=(SEES,))
    write_study(folder, BASE | {"gan": 0.0} | FLAT, conditions=(BLIND,), seed=1)
    return summarise(read_study(folder))


def test_each_condition_has_its_numbers(tmp_path: Path) -> None:
    summary = two_conditions(tmp_path)
    sees, blind = overview(summary)
    assert (sees.verdict.condition, blind.verdict.condition) == (SEES, BLIND)
    assert (sees.verdict.arm, sees.verdict.reference) == ("gan", "real")
    assert sees.verdict.word == "better"
    assert sees.verdict.mean > 0.015
    assert blind.verdict.word == "cannot tell"
    (measure,) = (
        m for m in summary.worth if (m.condition, m.split, m.metric) == (SEES, "test", "accuracy")
    )
    assert sees.worth == measure.arms["gan"].worth
    assert sees.copies == measure.arms["duplicate"].worth
    assert sees.worth != sees.copies
    assert blind.worth is None  # it has no ruler to be read off
    assert blind.copies is None


def test_the_gates_of_all_classes_are_counted_for_their_condition(tmp_path: Path) -> None:
    gate = [
        GateRow(SEES, "normal", {"recall": 0.1}, 10, 3, {"recall": 7}),
        GateRow(SEES, "pneumonia", {"recall": 0.1}, 10, 4, {"recall": 6}),
    ]
    rows = overview(replace(two_conditions(tmp_path), gate=gate))
    assert [row.gate for row in rows] == [(7, 20), None]


def test_the_page_begins_with_the_table(tmp_path: Path) -> None:
    summary = two_conditions(tmp_path)
    page = build(tmp_path).read_text()
    table = page[page.index('<table class="overview"') : page.index("What it cost")]
    for row in overview(summary):
        assert f"{row.verdict.label}</th>" in table
        assert f"{100 * row.verdict.mean:+.2f} (" in table
        assert f">{row.verdict.word}<" in table
        assert row.over_patients is not None
        assert f"{100 * row.over_patients[0]:+.2f} to" in table
    assert page.index("This endpoint cannot tell") < page.index('<table class="overview"')
    in_words = page[page.index("In words") : page.index("The endpoints</h2>")]
    assert re.findall(r"With hospital = (\w):", in_words) == ["a", "b"]
    assert page.count("With hospital = a:") == 1


def test_what_cannot_tell_is_said_once_for_each_endpoint(tmp_path: Path) -> None:
    conditions = (SEES, BLIND)
    write_study(tmp_path, BASE | {"gan": 0.0} | FLAT, conditions=conditions)
    build(tmp_path)
    summary = summarise(read_study(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert page.count("This endpoint cannot tell") == 1
    for measure in summary.worth:
        if (measure.split, measure.metric) == ("test", "accuracy"):
            (hospital,) = measure.condition.values()
            gain = f"{100 * measure.sensitivity.gain:+.2f} points a doubling"
            assert f"with hospital = {hospital} ({gain}" in page


def test_a_study_of_one_condition_has_none(tmp_path: Path) -> None:
    write_study(tmp_path, BASE | {"gan": 0.02} | RISES)
    assert overview(summarise(read_study(tmp_path))) == []
    page = build(tmp_path).read_text()
    assert '<table class="overview"' not in page
    assert "In words" not in page
