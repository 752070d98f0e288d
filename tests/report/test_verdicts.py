"""Endpoints and verdicts: words that claim what the tests do."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_study
import numpy as np
import pytest
from fake_study import change, report_of, write_study
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from gan_aug.data.classes import Classes
from gan_aug.report.comparisons import equivalence_p
from gan_aug.report.metrics import titles_of
from gan_aug.report.phrases import points
from gan_aug.report.predictions import (
    Logits,
    Predicted,
    hash_of,
    read_predictions,
    write_predictions,
)
from gan_aug.report.statistics import Error, compare, draws_needed, visible_difference

ENDPOINTS = [
    {"split": "test", "metric": "accuracy", "smallest_effect": 0.01},
    {"split": "internal", "metric": "auroc", "smallest_effect": 0.02},
    {"split": "test", "metric": "accuracy", "at": "validation"},
]
PRIMARY = ENDPOINTS[0] | {"at": None, "group": None}
BASE = {"real": 0.0, "duplicate": 0.0}
RULER = ("ruler_25", "ruler_50", "ruler_100")


def summary_of(folder: Path, effects: dict[str, float], **how: Any) -> dict[str, Any]:
    return fake_study.summary_of(write_study(folder, effects, **{"endpoints": ENDPOINTS} | how))


def of_pair(summary: dict[str, Any], reference: str = "real") -> list[dict[str, Any]]:
    return [v for v in summary["verdicts"] if (v["arm"], v["reference"]) == ("gan", reference)]


@pytest.mark.parametrize("shift", [0.0, 0.004, -0.008, 0.02])
def test_equivalence_is_that_of_statsmodels(shift: float) -> None:
    random = np.random.default_rng(0)
    reference = random.normal(0.8, 0.02, 10)
    arm = reference + random.normal(shift, 0.008, 10)
    found = compare(arm, reference)
    assert equivalence_p(found, 0.01) == pytest.approx(ttost_paired(arm, reference, -0.01, 0.01)[0])
    # As an interval: 90 % within the bounds.
    low, high = stats.ttest_rel(arm, reference).confidence_interval(0.9)
    assert (low > -0.01 and high < 0.01) == (equivalence_p(found, 0.01) < 0.05)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("effect", "copies", "noise", "word", "said", "also"),
    [
        (0.03, 0.0, 0.004, "better", "gan is better than real", "It is better than as many copies"),
        (0.03, 0.03, 0.004, "better", "gan is better than real", "it is not shown to be better"),
        (-0.03, 0.0, 0.004, "worse", "gan is worse than real", "95% interval -"),
        (0.0, 0.0, 0.001, "equivalent", "gan is equivalent to real", "within 1 point"),
        (
            0.0,
            0.0,
            0.02,
            "inconclusive",
            "no difference between gan and real is shown",
            "95% interval",
        ),
    ],
)
def test_the_words(
    effect: float, copies: float, noise: float, word: str, said: str, also: str, tmp_path: Path
) -> None:
    summary = summary_of(tmp_path, {"real": 0.0, "duplicate": copies, "gan": effect}, noise=noise)
    first, *others = of_pair(summary)
    assert first["word"] == word
    sentences = summary["answer"]["verdicts"]
    assert f"Test accuracy at 0.5 (primary): {said}, {points(first['mean'])} points" in sentences[0]
    assert also in sentences[0]
    # The declared endpoints, in their order.
    assert [line.partition(":")[0] for line in sentences] == [
        "Test accuracy at 0.5 (primary)",
        "Internal AUROC (secondary)",
        "Test accuracy at the validation threshold (secondary)",
    ]
    assert len(others) == 2
    *_, page = report_of(tmp_path)
    assert html.escape(sentences[0], quote=False) in page
    assert "test accuracy at 0.5 (primary)" in page
    assert f">{word}" in page


def test_an_inconclusive_one_says_how_many_draws_would_settle_it(tmp_path: Path) -> None:
    endpoints = [ENDPOINTS[0] | {"split": "internal"}]
    summary = summary_of(tmp_path, BASE | {"gan": 0.0}, noise=0.02, endpoints=endpoints)
    (first,) = of_pair(summary)
    # Three comparisons, of either with `real` and with each other: Holm's first step.
    assert first["settles"] == draws_needed(first["sd"], 0.01, 0.05 / 3)
    assert first["limit"] is None  # each draw has patients of its own
    assert first["corrected_over"] == 3
    assert summary["corrected_over"] == {"primary": 3, "secondary": 0}


def predict_anew(folder: Path, logits_of: Callable[[str, Predicted], Logits]) -> None:
    """Give the test images of all fits of a study other log-odds."""
    for path in sorted(folder.glob("draw_*/metrics.json")):
        hashes = {}
        for fit in json.loads(path.read_text())["fits"]:
            arm, file = fit["arm"], path.parent / "fits" / f"{fit['arm']}_0.npz"
            found = dict(read_predictions(file, fit["predictions"], ""))
            test = found["test"]
            found["test"] = replace(test, logits=logits_of(arm, test))
            write_predictions(file, found)
            hashes[arm] = hash_of(found)
        change(path, lambda m, h=hashes: [f.update(predictions=h[f["arm"]]) for f in m["fits"]])


def test_where_patients_limit_it_no_number_of_draws_settles_it(tmp_path: Path) -> None:
    folder = write_study(tmp_path, BASE | {"gan": 0.0}, noise=0.001, endpoints=ENDPOINTS)
    random = np.random.default_rng(0)

    def logits_of(arm: str, test: Predicted) -> Logits:
        # The two are right on each other's hard patients, 40 each, mostly.
        side = {"gan": 0, "real": 1}.get(arm, 2)
        usual = random.random(400) < 0.9
        logits, truth = test.logits.copy(), np.where(test.labels == 1, 1, -1)
        for who, right in ((side, 1), (1 - side, -1)):
            images = (test.patients % 5 == who) & usual
            logits[images] = (right * np.log(9) * truth)[images]
        return logits

    predict_anew(folder, logits_of)
    summary = fake_study.summary_of(folder)
    found = [v for v in summary["verdicts"] if v["limit"] and v["limit"] > 0.01]
    assert any(v["settles"] is None and v["word"] == "inconclusive" for v in found)
    for one in found:
        of_patients = Error((one["se"] ** 2 - one["sd"] ** 2 / 10) ** 0.5, one["patients"] - 1)
        level = 0.05 / summary["corrected_over"]["primary"]
        if one["endpoint"] == PRIMARY:
            assert one["limit"] == pytest.approx(visible_difference(of_patients, level))


def test_draws_with_the_same_difference_tell_no_number(tmp_path: Path) -> None:
    """In every draw the two are wrong on the same patients, 20 and 10 of 200."""
    endpoints = [ENDPOINTS[0] | {"smallest_effect": 0.08}]
    folder = write_study(tmp_path, {"real": 0.0, "gan": 0.0}, 8, endpoints=endpoints)
    random = np.random.default_rng(0)

    def logits_of(arm: str, test: Predicted) -> Logits:
        first, last = {"real": (0, 20), "gan": (20, 30)}[arm]
        wrong = (test.patients >= first) & (test.patients < last)
        right = np.where(wrong, -1, 1) * np.where(test.labels == 1, 1, -1)
        return (right * random.uniform(1, 2, len(right))).astype(np.float32)

    predict_anew(folder, logits_of)
    _, summary, page = report_of(folder)
    (first,) = of_pair(summary)
    assert first["word"] == "inconclusive"
    assert 0 <= first["sd"] < 1e-9
    assert 0.07 < first["limit"] < 0.08
    assert first["settles"] is None
    said = "; how many draws would show 8 points is not known, as these do not differ."
    assert summary["answer"]["verdicts"][0].endswith(said)
    assert "inconclusive (number not known)" in page
    (power,) = summary["power"]
    assert power["visible"] is None
    assert {*power["draws_needed"].values(), *power["draws_needed_holm"].values()} == {None}
    assert page.count('<td class="n">not known') == 3
    assert "The spread of fewer than" not in page, "that is of few draws"


def test_secondary_endpoints_are_corrected_together_and_the_primary_alone(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, BASE | {"gan": 0.004, "classic": 0.005})
    against = summary["verdicts"]  # with `real` and with `duplicate`: one family
    primary = [v for v in against if v["endpoint"] == PRIMARY]
    secondary = [v for v in against if v["endpoint"] != PRIMARY]
    assert (len(primary), len(secondary)) == (5, 10)
    assert summary["corrected_over"] == {"primary": 5, "secondary": 10}
    for family in (primary, secondary):
        smallest = min(family, key=lambda v: v["p"])
        assert smallest["p_holm"] == pytest.approx(min(1, len(family) * smallest["p"]))
    table = summary["splits"]["test"]["accuracy"][0]["comparisons"]
    (gan,) = [c for c in table if (c["arm"], c["reference"]) == ("gan", "real")]
    assert gan["p_holm"] == of_pair(summary)[0]["p_holm"]
    table = summary["splits"]["internal"]["auroc"][0]["comparisons"]
    assert {c["p_holm"] for c in table} <= {v["p_holm"] for v in secondary}


def test_all_of_the_answer_is_about_the_primary_endpoint(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, BASE | {"gan": 0.02}, endpoints=ENDPOINTS[1:])
    found = summary["splits"]["internal"]["auroc"][0]["comparisons"]
    (gan,) = [c for c in found if (c["arm"], c["reference"]) == ("gan", "real")]
    said = summary["answer"]["verdicts"][0]
    assert said.startswith("Internal AUROC (primary): ")
    assert f"{100 * gan['mean']:+.2f} points" in said
    assert gan["mean"] == of_pair(summary)[0]["mean"]
    assert {row["arm"] for row in summary["power"]} == {"duplicate", "gan"}


def test_a_threshold_of_validation_is_looked_up_on_the_ruler_too(tmp_path: Path) -> None:
    rising = {arm: 0.02 * i for i, arm in enumerate(RULER)}
    summary = summary_of(tmp_path, BASE | {"gan": 0.01} | rising, endpoints=ENDPOINTS[2:])
    assert summary["worth"][0]["metric"] == "accuracy_at_validation_threshold"
    worth = summary["worth"][0]["arms"]["gan"]["worth"]
    said = summary["answer"]["verdicts"][0]
    assert said.startswith("Test accuracy at the validation threshold (primary): ")
    assert f"In further real images of each class, gan is worth {worth}" in said


def test_the_primary_endpoint_may_be_any_metric(tmp_path: Path) -> None:
    endpoints = [{"split": "test", "metric": "calibration_error", "smallest_effect": 0.01}]
    summary = summary_of(tmp_path, BASE | {"gan": 0.05}, endpoints=endpoints)
    (first,) = of_pair(summary)
    assert first["mean"] < 0
    assert first["word"] == "better"  # lower is
    assert summary["answer"]["verdicts"][0].startswith("Test calibration error (primary): ")
    assert "test accuracy at 0.5 +" in summary["answer"]["exploratory"][0]


def test_a_fall_below_that_of_copies_is_more_than_they_give(tmp_path: Path) -> None:
    endpoints = [{"split": "test", "metric": "calibration_error"}]
    effects = BASE | {"duplicate": 0.0, "gan": 0.05}
    (answer,) = summary_of(tmp_path, effects, endpoints=endpoints)["answer"]["verdicts"]
    assert "gan is better than real" in answer
    assert "It is better than as many copies of real images (duplicate) too" in answer


def test_a_study_without_a_declaration_says_so(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, BASE | {"gan": 0.0}, endpoints=None)
    assert summary["endpoints"] == [PRIMARY]
    assert "Not declared before the first draw" in report_of(tmp_path).page
    assert of_pair(summary)[0]["word"] == "equivalent"


@pytest.mark.parametrize(
    ("declared", "changed"),
    [
        ({}, False),
        ({"endpoints": ENDPOINTS[:1]}, True),
        ({"question": ["classic", "real"]}, True),
        ({"comparisons": []}, True),
    ],
)
def test_a_changed_declaration_is_said_first(
    declared: dict[str, Any], changed: bool, tmp_path: Path
) -> None:
    effects = BASE | {"gan": 0.0, "classic": 0.0, "classic_gan": 0.0}
    folder = write_study(tmp_path, effects, draws=2, endpoints=ENDPOINTS)
    content = {"format": 1, "endpoints": ENDPOINTS, "question": ["gan", "real"]}
    content |= {"comparisons": [["classic_gan", "classic"]], "declared": "2026-11-26"}
    (folder / "declaration.json").write_text(json.dumps(content | declared))
    answer = fake_study.summary_of(folder)["answer"]
    assert "Declared before the first draw" in answer["question"]
    said = [line for line in answer["careful"] if "changed after the first draw" in line]
    assert bool(said) == changed
    assert all("2026-11-26" in line for line in said)


def test_what_holds_for_these_patients_alone_is_not_shown(tmp_path: Path) -> None:
    """In every draw the arms are as good, and err on other images."""
    endpoints = [{"split": "test", "metric": "accuracy", "smallest_effect": 0.003}]
    how: dict[str, Any] = {"noise": 0.0005, "endpoints": endpoints}
    summary = summary_of(tmp_path, BASE | {"gan": 0.0}, **how)
    (first,) = of_pair(summary)
    low, high = first["over_draws"]
    assert -0.003 < low <= high < 0.003
    assert first["low"] < -0.003
    assert first["high"] > 0.003
    assert first["word"] == "inconclusive"
    assert first["p_equivalent"] > 0.05
    answer = summary["answer"]
    of_these = f"{100 * low:+.2f} to {100 * high:+.2f} over draws alone"
    assert of_these in answer["verdicts"][0]
    assert "no difference between gan and real is shown" in answer["verdicts"][0]
    assert any(line.startswith("No ruler: ") for line in answer["limits"])


def test_an_arm_of_further_real_images_stands_in_a_rulers_place(tmp_path: Path) -> None:
    effects = BASE | {"gan": 0.0, "more_real": 0.02, "more_unlabelled": 0.0}
    folder = write_study(tmp_path, effects, endpoints=ENDPOINTS)
    arms = {"more_unlabelled": {"added": {"unlabelled": True}}}  # their classes are predicted
    for path in folder.glob("draw_*/run.json"):
        change(path, lambda run: run["config"].update(arms=arms))
    limits = fake_study.summary_of(folder)["answer"]["limits"]
    (said,) = (line for line in limits if line.startswith("No ruler"))
    assert said.endswith("is told by more_real alone.")


@pytest.mark.parametrize("draws", [5, 6])
def test_few_draws_judge_nothing_and_show_no_difference(draws: int, tmp_path: Path) -> None:
    summary = summary_of(tmp_path, BASE | {"gan": 0.03}, draws=draws)
    assert {v["word"] == "too few draws" for v in summary["verdicts"]} == {draws < 6}
    assert [one.get("visible") is None for one in summary["power"]] == [draws < 6] * 2


def test_a_gain_that_is_smaller_than_what_matters_says_so(tmp_path: Path) -> None:
    endpoints = [ENDPOINTS[0] | {"split": "internal"}]
    how: dict[str, Any] = {"noise": 0.0005, "endpoints": endpoints}
    summary = summary_of(tmp_path, BASE | {"gan": 0.005}, **how)
    assert of_pair(summary)[0]["word"] == "better"
    assert "which is shown to be less than 1 point" in summary["answer"]["verdicts"][0]
    larger = summary_of(tmp_path / "larger", BASE | {"gan": 0.03}, **how)
    assert "shown to be less than" not in larger["answer"]["verdicts"][0]


def test_what_these_draws_did_not_settle_takes_more(tmp_path: Path) -> None:
    how: dict[str, Any] = {"noise": 0.006, "endpoints": [ENDPOINTS[0] | {"split": "internal"}]}
    (one,) = of_pair(summary_of(tmp_path, BASE | {"gan": 0.006}, **how, seed=11))
    assert one["word"] == "inconclusive"
    on_average = draws_needed(one["sd"], 0.01, 0.05 / 3)
    assert on_average is not None
    assert on_average <= one["draws"] == one["settles"] - 1


def test_what_conditions_have_in_common_is_corrected_once(tmp_path: Path) -> None:
    """`classic` less `real` is one test, however many GANs a study has."""
    effects = BASE | {"gan": 0.0, "classic": 0.003}
    one, other = {"model": "dcgan"}, {"model": "cyclegan"}
    of_one = summary_of(tmp_path / "one", effects, conditions=(one,), noise=0.006)
    folder = tmp_path / "two"
    of_two = summary_of(folder, effects, conditions=(one, other), noise=0.006)

    def found(summary: dict[str, Any], condition: dict[str, str]) -> list[Any]:
        table = [c for c in summary["splits"]["test"]["accuracy"] if c["condition"] == condition]
        mine = [v for v in summary["verdicts"] if v["condition"] == condition]
        tests = [(v["p_holm"], v["p_equivalent"], v["settles"]) for v in mine]
        power = [p["draws_needed_holm"] for p in summary["power"] if p["condition"] == condition]
        return [*tests, *[(c["p_holm"],) for c in table[0]["comparisons"]], *power]

    assert found(of_two, one) != found(of_one, one)
    for draw in range(10):
        source, target = (folder / f"model_{m['model']}" / f"draw_{draw}" for m in (one, other))
        shutil.copytree(source / "fits", target / "fits", dirs_exist_ok=True)
        fits = json.loads((source / "metrics.json").read_text())["fits"]
        change(target / "metrics.json", lambda m, fits=fits: m.update(fits=fits))
    of_two = fake_study.summary_of(folder)
    assert found(of_two, one) == found(of_two, other) == found(of_one, one)


def test_of_two_classes_the_auroc_is_no_mean() -> None:
    assert titles_of(Classes(("sick", "well")))["auroc"] == "AUROC"
    assert "mean over classes" in titles_of(Classes(("a", "b", "c")))["auroc"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (-0.0003, "-0.03"),
        (-0.00001, "-0.00"),
        (0.00001, "+0.00"),
        (-0.0, "+0.00"),
        (0.1, "+10.00"),
        (0.1 + 0.2 - 0.3 - 1e-16, "+0.00"),
    ],
)
def test_an_end_below_0_is_not_shown_as_0(share: float, text: str) -> None:
    assert points(share) == text
