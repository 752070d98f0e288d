"""What a report says of a test of another hospital."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import fake_study
import pytest
from fake_study import N, Reported, change, report_of, write_study

from gan_aug.report.read import read_study
from gan_aug.runtime.errors import GanAugError

EFFECTS = {"real": 0.0, "duplicate": 0.0, "gan": 0.05}
ENDPOINTS = [
    {"split": "nih", "metric": "accuracy", "smallest_effect": 0.01},
    {"split": "test", "metric": "accuracy"},
]
FACTS = {"fingerprint": "f", "patients": N, "patients_known": True}


def say(record: dict[str, Any], **facts: Any) -> None:
    record["data"]["external"] = {"nih": FACTS | facts}
    record["data"]["used"]["nih"] = {"normal": N, "pneumonia": N}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six draws, measured on a set of another hospital as on the others."""
    study = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake_study, "SPLITS", (*fake_study.SPLITS, "nih"))
        write_study(study, EFFECTS, draws=6, endpoints=ENDPOINTS)
    for record in study.glob("*/run.json"):
        change(record, say)
    return study


@pytest.fixture(scope="module")
def reported(pristine: Path) -> Reported:
    return report_of(pristine)


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """The study, to be changed."""
    return shutil.copytree(pristine, tmp_path / "study")


def test_all_tests_stand_side_by_side(reported: Reported) -> None:
    _, summary, page = reported
    head, table = page.split(">Side by side: accuracy at 0.5 on internal, test, nih</h2>")
    rows = table.split("</table>")[0]
    for split in ("internal", "test", "nih"):
        for arm in EFFECTS:
            mean = summary["splits"][split]["accuracy"][0]["arms"][arm]["mean"]
            assert f"{100 * mean:.2f}" in rows
    assert rows.count("not declared") == 1  # of internal
    assert "The declared endpoints</h2>" not in head
    assert "What was done</h2>" not in head
    assert f"nih is an external test: {N} normal, {N} pneumonia, {N} patients" in page


def test_near_duplicates_are_told_where_it_says_that_nothing_learnt_from_it(
    reported: Reported, folder: Path
) -> None:
    own = "no fit was given any of it to learn from"
    assert f"{own}. " in reported.page
    for record in folder.glob("*/run.json"):
        change(record, lambda one: say(one, nearly_the_same=3))
    *_, page = report_of(folder)
    assert f"{own}, but 3 of its images look like images of the data set. " in page


def test_its_patients_are_the_same_in_all_draws(reported: Reported) -> None:
    answer = reported.answer
    said = f"All draws have the same {N} nih patients: intervals and p are over draws and patients."
    assert said in answer["limits"]
    assert f"{N} + {N} for the external test nih" in answer["done"][0]
    assert answer["verdicts"][0].startswith("Nih accuracy at 0.5 (primary): gan is better than re")
    assert "over draws and patients" in answer["verdicts"][0]


def test_groups_of_near_duplicates_are_called_no_patients(folder: Path) -> None:
    groups = "images or groups of near duplicates"  # MedMNIST, say, has the former alone

    def nobody(record: dict[str, Any]) -> None:
        say(record, patients_known=False)
        record["data"]["patients_known"] = False

    for record in folder.glob("*/run.json"):
        change(record, nobody)
    _, summary, page = report_of(folder)
    answer = summary["answer"]
    limits = f"All draws have the same {N} nih {groups}: intervals and p are over draws and "
    assert f"{limits}{groups}." in answer["limits"]
    assert f"over draws and {groups}" in answer["verdicts"][0]
    assert f"Not every image tells its patient: {groups} stand for patients." in answer["limits"]
    told = ("tells its patient: ", "stand for patients", "cut by patient")
    assert page.count("patient") == sum(map(page.count, told))


def test_draws_with_other_images_of_it_are_told(folder: Path) -> None:
    change(folder / "draw_3" / "run.json", lambda record: say(record, fingerprint="g"))
    with pytest.raises(GanAugError, match="draw_3: was measured on other external tests"):
        read_study(folder)


def test_a_study_without_one_has_no_such_table(tmp_path: Path) -> None:
    *_, page = report_of(write_study(tmp_path, EFFECTS, draws=2))
    assert "Side by side" not in page
    assert read_study(tmp_path).side_by_side == []
