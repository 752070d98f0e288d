"""Groups of images in a report: a planted effect is found in its group, and in no other."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_study import ENDPOINT, N, Reported, change, report_of, summary_of, write_study

from gan_aug.report.archive import files_to_keep, write_archive
from gan_aug.report.predictions import Predicted, hash_of, read_predictions, write_predictions
from gan_aug.report.read import read_study
from gan_aug.runtime.errors import GanAugError

EFFECTS = {"real": 0.0, "classic": 0.0, "duplicate": 0.0, "gan": 0.0}
DECLARED = {"split": "test", "metric": "auroc", "group": {"sex": "F"}, "smallest_effect": 0.01}
PATIENTS = np.arange(2 * N) // 2
SEX = np.where(PATIENTS % 2 == 0, 0, 1).tolist()
"""Codes of F and M: that of a patient."""
SEX_OF_SOME = [None if patient in (3, 5) else code for patient, code in zip(PATIENTS, SEX)]  # noqa: B905
SCANNER = [1 if patient % 100 < 3 else 0 for patient in PATIENTS]
"""Of B there are six images of each class."""


def with_groups(folder: Path, gain: float = 0.08, internal: bool = True) -> Path:
    """Say who is on a study's images, and let `gan` be right on more test images of sex F."""
    groups: dict[str, Any] = {
        "test": {
            "sex": {"names": ["F", "M"], "images": SEX_OF_SOME},
            "scanner": {"names": ["A", "B"], "images": SCANNER},
        }
    }
    if internal:
        groups["internal"] = {"sex": {"names": ["F", "M"], "images": SEX}}
    for i, draw in enumerate(sorted(path.parent for path in folder.rglob("metrics.json"))):
        random = np.random.default_rng(i)
        result = json.loads((draw / "metrics.json").read_text())
        (fit,) = (fit for fit in result["fits"] if fit["arm"] == "gan")
        path = draw / "fits" / "gan_0.npz"
        predictions = dict(read_predictions(path, fit["predictions"], ""))
        one = predictions["test"]
        called = one.logits > 0
        wrong = np.flatnonzero((called != one.labels) & (np.array(SEX) == 0))
        mended = random.permutation(wrong)[: round(gain * N)]
        logits = one.logits.copy()
        logits[mended] *= -1
        predictions["test"] = Predicted(one.labels, one.patients, logits)
        write_predictions(path, predictions)
        fit["predictions"] = hash_of(predictions)
        result["groups"] = groups
        change(draw / "metrics.json", lambda _: None, result)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A study whose GAN helps on images of sex F alone, its summary and its page."""
    folder = tmp_path_factory.mktemp("planted")
    endpoints = [ENDPOINT, DECLARED, {"split": "test", "metric": "auroc"}]
    with_groups(write_study(folder, EFFECTS, draws=8, endpoints=endpoints))
    return report_of(folder)


@pytest.fixture
def summary(planted: Reported) -> Any:
    return planted.summary


@pytest.fixture
def page(planted: Reported) -> str:
    return planted.page


def row(summary: Any, name: str | None, metric: str = "accuracy", split: str = "test") -> Any:
    rows = summary["subgroups"]["rows"]
    (found,) = (
        one for one in rows if (one["name"], one["metric"], one["split"]) == (name, metric, split)
    )
    return found


def less(found: Any, reference: str) -> Any:
    (pair,) = (one for one in found["comparisons"] if one["reference"] == reference)
    return pair


@pytest.mark.parametrize("reference", ["real", "duplicate"])
def test_a_planted_effect_is_found_in_its_group_alone(summary: Any, reference: str) -> None:
    there, elsewhere = (less(row(summary, name), reference) for name in ("F", "M"))
    assert there["mean"] == pytest.approx(0.08, abs=0.02)
    assert there["low"] > 0.02
    assert there["p_holm"] < 0.05
    assert elsewhere["low"] < 0 < elsewhere["high"]
    assert elsewhere["p_holm"] > 0.05
    whole = less(row(summary, None), reference)
    assert whole["mean"] == pytest.approx(0.04, abs=0.015)
    internal = less(row(summary, "F", split="internal"), reference)
    assert internal["low"] < 0 < internal["high"]


def test_intervals_are_over_the_group_s_own_patients(summary: Any) -> None:
    assert less(row(summary, None), "real")["patients"] == N
    assert less(row(summary, "F"), "real")["patients"] == N // 2
    assert less(row(summary, "M"), "real")["patients"] == N // 2 - 2  # two whose sex is not said
    assert less(row(summary, "F", split="internal"), "real")["patients"] is None


def test_numbers_of_a_group_are_those_of_its_images(planted: Reported, summary: Any) -> None:
    study = read_study(planted.folder)
    of_draws = []
    for job in study.jobs:
        (fit,) = job.result.fits_of("gan")
        one = job.predictions(fit)["test"]
        inside = np.array([code == 0 for code in SEX_OF_SOME])
        of_draws.append(((one.logits > 0) == one.labels)[inside].mean())
    assert row(summary, "F")["asked"] == pytest.approx(np.mean(of_draws))
    table = study.table
    assert table.filter(arm="gan")["test (sex=F)_accuracy"].to_list() == pytest.approx(of_draws)
    assert "test (sex=F)_auprc" not in table.columns  # no endpoint's metric


def test_the_worst_groups_are_named(summary: Any) -> None:
    (worst,) = (one for one in summary["subgroups"]["worst"] if one["split"] == "test")
    means = {name: row(summary, name)["base"] for name in ("F", "M")}
    assert worst["lowest"] == min(means, key=lambda name: means[name])
    assert worst["value"] == means[worst["lowest"]]
    assert worst["loser"] == "M"
    assert worst["difference"] == less(row(summary, "M"), "real")["mean"]


def test_a_group_of_few_images_has_no_number(summary: Any, page: str) -> None:
    small = row(summary, "B")
    assert small["images"] == {"normal": [6, 6], "pneumonia": [6, 6]}
    assert (small["draws"], small["base"], small["comparisons"]) == (0, None, [])
    assert "no number: fewer than 10 images of a class" in page
    assert "Of 4 test images the table does not say the sex" in page


def test_a_declared_group_is_an_endpoint_like_any_other(summary: Any, page: str) -> None:
    judged = [one for one in summary["verdicts"] if one["endpoint"].get("group")]
    assert {(one["arm"], one["reference"]) for one in judged} >= {
        ("gan", "real"), ("gan", "duplicate"), ("classic", "real"),
    }  # fmt: skip
    (asked,) = (one for one in judged if (one["arm"], one["reference"]) == ("gan", "real"))
    assert asked["word"] == "better"
    # Corrected with the other secondary endpoint: 5 pairs on either.
    assert asked["corrected_over"] == summary["corrected_over"]["secondary"] == 10
    assert asked["p_holm"] >= asked["p"]
    there = row(summary, "F", "auroc")
    assert there["declared"]
    assert less(there, "real")["p_holm"] == asked["p_holm"]
    assert not row(summary, "M", "auroc")["declared"]
    assert "test (sex=F) AUROC (secondary): gan is better than real" in page.replace("Test", "test")
    assert "All draws have the same 100 test (sex=F) patients" in page


def test_an_archive_gives_the_same_numbers(planted: Reported, summary: Any, tmp_path: Path) -> None:
    study = read_study(planted.folder)
    write_archive(study, files_to_keep(study), tmp_path / "draws.zip")
    with zipfile.ZipFile(tmp_path / "draws.zip") as archive:
        archive.extractall(tmp_path / "again")
    again = summary_of(tmp_path / "again")
    for key in ("subgroups", "verdicts", "splits"):
        assert again[key] == summary[key]


def test_draws_in_which_it_is_too_small_are_not_counted(tmp_path: Path) -> None:
    endpoints = [ENDPOINT, DECLARED | {"split": "internal"}]
    folder = with_groups(write_study(tmp_path, EFFECTS, draws=3, endpoints=endpoints), gain=0)
    few = [0 if i in range(5) else 1 for i in range(2 * N)]

    def shrink(result: dict[str, Any]) -> None:
        result["groups"]["internal"]["sex"]["images"] = few

    change(folder / "draw_2" / "metrics.json", shrink)
    found = row(summary_of(folder), "F", "auroc", "internal")
    assert found["draws"] == less(found, "real")["draws"] == 2
    assert found["images"]["normal"] == [5, 100]
    assert found["images"]["pneumonia"] == [0, 100]
    for draw in folder.glob("draw_*"):
        change(draw / "metrics.json", shrink)
    _, summary, _ = report_of(folder)  # a declared endpoint without any number
    assert row(summary, "F", "auroc", "internal")["draws"] == 0
    assert {one["endpoint"]["metric"] for one in summary["verdicts"]} == {"accuracy"}


def test_conditions_have_rows_of_their_own(tmp_path: Path) -> None:
    conditions = ({"per_class": 50}, {"per_class": 100})
    folder = with_groups(write_study(tmp_path, EFFECTS, draws=2, conditions=conditions))
    rows = report_of(folder).summary["subgroups"]["rows"]
    found = [one["condition"] for one in rows if (one["split"], one["name"]) == ("test", "F")]
    assert found == list(conditions)


@pytest.mark.slow
def test_groups_are_drawn(tmp_path: Path) -> None:
    folder = with_groups(write_study(tmp_path, EFFECTS, draws=6))
    assert "Subgroups" in report_of(folder, figures=True).page
    assert (folder / "figures" / "subgroups.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (lambda g: g["sex"]["images"].pop(), "does not say of each of 400 test images its group"),
        (lambda g: g["sex"]["images"].__setitem__(0, 2), "does not say of each"),
        (lambda g: g["sex"]["names"].__setitem__(0, "M"), "has no 20 different groups of sex"),
        (lambda g: g["sex"].update(names=[str(i) for i in range(21)]), "has no 20 different"),
        (lambda g: g.pop("sex"), "has an endpoint on test (sex=F), and no such group"),
        (lambda g: g.update({f"c{i}": g["sex"] for i in range(20)}), "more than 20 columns"),
    ],
)
def test_a_draw_whose_groups_are_not_sound_is_left_out(
    edit: Any, part: str, tmp_path: Path
) -> None:
    folder = with_groups(write_study(tmp_path, EFFECTS, draws=2, endpoints=[ENDPOINT, DECLARED]))
    change(folder / "draw_1" / "metrics.json", lambda result: edit(result["groups"]["test"]))
    study = read_study(folder)
    assert len(study.jobs) == 1
    assert part in study.unfinished[0]["reason"]


def test_draws_of_two_tables_do_not_go_together(tmp_path: Path) -> None:
    folder = with_groups(write_study(tmp_path, EFFECTS, draws=2))

    def swap(result: dict[str, Any]) -> None:
        result["groups"]["test"]["sex"]["names"] = ["M", "F"]

    change(folder / "draw_1" / "metrics.json", swap)
    with pytest.raises(GanAugError, match=r"has other groups of the test images than .*draw_0"):
        read_study(folder)
