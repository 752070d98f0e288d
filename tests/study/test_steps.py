"""Steps that validation chooses, within one budget."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support import TINY_STUDY, read_json, refused, run_command, settings_of

from gan_aug.arms.check import check_arms
from gan_aug.report.read import read_study
from gan_aug.study import rules

STUDY = (
    *TINY_STUDY,
    "+arm@arms.real=real",
    "+arm@arms.first=duplicate",
    "arms.first.pretrain=0.5",
    "study.question={arm:first,reference:real}",
    "study.count=10",
    "data.subset=20",
    "classifier.lr=0.02",  # 20 images: it soon learns them by heart
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "study.repeats=2",
    "study.validate_every=10",
)
BUDGET = 80


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """Chosen steps, and the whole budget for all."""
    folder = tmp_path_factory.mktemp("steps")
    for name, steps in (
        ("chosen", f"study.steps={{max:{BUDGET},choose:validation}}"),
        ("all", f"study.steps={BUDGET}"),
    ):
        arguments = (*STUDY, steps, f"study_dir={name}")
        run_command(cache_home, "study", *arguments, cwd=folder, check=True)
    return folder


def result_of(study: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(study / "draw_0" / "metrics.json")
    return found


def predictions(study: Path, arm: str, repeat: int) -> dict[str, Any]:
    with np.load(study / "draw_0" / "fits" / f"{arm}_{repeat}.npz") as arrays:
        return dict(arrays)


def test_a_fit_has_the_weights_of_its_lowest_validation_loss(
    studies: Path, cache_home: Path
) -> None:
    fits = {(f["arm"], f["repeat"]): f for f in result_of(studies / "chosen")["fits"]}
    for fit in fits.values():
        after = BUDGET / 2 if fit["arm"] == "first" else 0
        later = [point for point in fit["curve"] if point["step"] > after]
        assert fit["chosen"] == min(later, key=lambda p: p["val_loss"])["step"]
        assert fit["steps"] == BUDGET
    chosen = fits["real", 0]["chosen"]
    assert chosen < BUDGET  # or the next lines compare nothing
    stopped = (*STUDY, f"study.steps={chosen}", "study_dir=stopped", "study.repeats=1")
    run_command(cache_home, "study", *stopped, cwd=studies, check=True)
    found = predictions(studies / "chosen", "real", 0)
    for split in ("validation", "internal"):
        alone = predictions(studies / "stopped", "real", 0)[f"{split}_logits"]
        np.testing.assert_array_equal(found[f"{split}_logits"], alone)
        assert not np.array_equal(found[f"{split}_last_logits"], alone)


def test_the_last_weights_are_measured_beside_them(studies: Path) -> None:
    whole = {(f["arm"], f["repeat"]): f for f in result_of(studies / "all")["fits"]}
    for fit in result_of(studies / "chosen")["fits"]:
        same = whole[fit["arm"], fit["repeat"]]
        assert same["chosen"] is None
        found = predictions(studies / "chosen", fit["arm"], fit["repeat"])["internal_last_logits"]
        alone = predictions(studies / "all", fit["arm"], fit["repeat"])["internal_logits"]
        np.testing.assert_array_equal(found, alone)


def test_the_report_shows_both(studies: Path) -> None:
    summary = read_json(studies / "chosen" / "summary.json")
    with (studies / "chosen" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    fits = result_of(studies / "chosen")["fits"]
    for arm in ("real", "first"):
        of_arm = [row for row in rows if row["arm"] == arm]
        chosen = [fit["chosen"] for fit in fits if fit["arm"] == arm]
        assert [int(row["chosen_steps"]) for row in of_arm] == chosen
        (steps,) = [one for one in summary["steps"]["arms"] if one["arm"] == arm]
        assert (steps["mean"], steps["fewest"], steps["most"]) == (
            pytest.approx(np.mean(chosen)),
            min(chosen),
            max(chosen),
        )
        last = np.mean([float(row["internal_last_auroc"]) for row in of_arm])
        ((block,),) = summary["steps"]["last"]
        assert block["arms"][arm]["mean"] == pytest.approx(last)
        best = np.mean([float(row["internal_auroc"]) for row in of_arm])
        (block,) = summary["splits"]["internal"]["auroc"]
        assert block["arms"][arm]["mean"] == pytest.approx(best)
    page = (studies / "chosen" / "report.html").read_text()
    assert f"with the weights of step {BUDGET}" in page
    assert "The same number of steps for all" not in (studies / "all/report.html").read_text()


def test_other_steps_than_validation_gives_break_a_rule(studies: Path) -> None:
    (job,) = read_study(studies / "chosen").jobs
    fit = job.result.fits[0]
    moved = fit.model_copy(update={"chosen": BUDGET if fit.chosen != BUDGET else 10})
    arms = settings_of("study", *STUDY).arms
    assert rules.chosen_by_validation(job.result.fits, arms) is None
    (decided,) = (check for check in job.result.checks if check.rule == 5)
    assert decided.passed
    assert "weights of the lowest validation loss" in decided.detail
    wrong = rules.chosen_by_validation([moved], arms)
    assert wrong == "the steps of real are not those with the lowest validation loss"


def test_what_steps_may_hold() -> None:
    for typed, chosen in ((300, False), ({"max": 300, "choose": "validation"}, True)):
        steps = settings_of("study", *STUDY, study__steps=typed).study.steps
        assert (steps.max, steps.chosen) == (300, chosen)


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ("0", "study.steps=0: must be a whole number from 1, or {max: NUMBER, choose: validation}"),
        ("{max:0,choose:validation}", "study.steps.max=0: must be a whole number from 1"),
        ("{max:90,choose:test}", "study.steps.choose=test: must be one of null, validation"),
        ("{max:90}", "must be a whole number from 1, or"),
        (
            "{max:5,choose:validation}",
            "study.validate_every=10: is more than the 5 of study.steps; lower it, or raise",
        ),
        (
            "{max:15,choose:validation}",
            "arms.first.pretrain=0.5: leaves no validation after it to choose steps from; lower "
            "study.validate_every=10",
        ),
    ],
)
def test_bad_steps_are_one_line(steps: str, line: str) -> None:
    changes: dict[str, Any] = {"study__steps": yaml.safe_load(steps.replace(":", ": "))}
    if "15" in steps:
        changes["arms__first__pretrain"] = 0.7
    with refused(line.replace("0.5", "0.7")):
        check_arms(settings_of("study", *STUDY, **changes))
