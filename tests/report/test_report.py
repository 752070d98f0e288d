"""The report on studies whose effects are known."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from fake_study import ARMS, SPLITS, Reported, change, report_of, summary_of, write_study
from scipy import stats
from torchmetrics.functional.classification import binary_roc

from gan_aug.report import build
from gan_aug.report.build import as_csv, write_report
from gan_aug.report.figures import accuracy_by_count, all_figures, quality_against_gain, roc_curve
from gan_aug.report.metrics import AT_VALIDATION_THRESHOLD
from gan_aug.report.predictions import Predicted, hash_of, write_predictions
from gan_aug.report.read import read_study
from gan_aug.report.summary import summarise
from gan_aug.runtime.errors import GanAugError

Command = Callable[..., Any]
Edit = Callable[[dict[str, Any]], object]
NONE = dict.fromkeys(ARMS, 0.0)
SMALL = {"real": 0.0, "gan": 0.0, "duplicate": 0.0}


def pair(summary: dict[str, Any], arm: str, reference: str, **where: Any) -> dict[str, Any]:
    split, metric = where.get("split", "test"), where.get("metric", "accuracy")
    found = summary["splits"][split][metric][where.get("block", 0)]["comparisons"]
    (one,) = [c for c in found if (c["arm"], c["reference"]) == (arm, reference)]
    return dict(one)


def edited(folder: Path, edit: Edit, effects: dict[str, float] = SMALL, **how: Any) -> Path:
    """Write a study of 6 draws, or so many, and edit the metrics.json of all of them."""
    write_study(folder, effects, **{"draws": 6} | how)
    for path in folder.rglob("metrics.json"):
        change(path, edit)
    return folder


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A report whose arms are alike, with figures, and two files where these go."""
    folder = write_study(tmp_path_factory.mktemp("equal"), NONE)
    (folder / "figures").mkdir()
    for name in ("gain_by_size", "mine"):
        (folder / "figures" / f"{name}.png").touch()
    return report_of(folder, figures=True)


@pytest.fixture(scope="module")
def gain(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A study in which `gan` is 3 points better, its summary and its page."""
    effects = NONE | {"gan": 0.03}
    return report_of(write_study(tmp_path_factory.mktemp("gain"), effects, repeats=2))


def test_numbers_follow_from_results_csv(gain: Reported) -> None:
    folder, summary, _ = gain
    table = pl.read_csv(folder / "results.csv")
    assert len(table) == 10 * 2 * len(ARMS)
    means = table.pivot(
        "arm", index="draw", values="internal_accuracy", aggregate_function="mean"
    ).sort("draw")
    found = pair(summary, "gan", "duplicate", split="internal")
    differences = means["gan"] - means["duplicate"]
    assert found["mean"] == pytest.approx(differences.mean())
    assert found["sd"] == pytest.approx(differences.std())
    assert found["p"] == pytest.approx(stats.ttest_rel(means["gan"], means["duplicate"]).pvalue)
    (block,) = summary["splits"]["internal"]["accuracy"]
    family = block["comparisons"]
    smallest = min(c["p"] for c in family)
    assert min(c["p_holm"] for c in family) == pytest.approx(min(1, smallest * len(family)))
    arm = block["arms"]["gan"]
    assert arm["mean"] == pytest.approx(means["gan"].mean())
    assert arm["sd"] == pytest.approx(means["gan"].std())
    of_draws = table.filter(pl.col("arm") == "gan").group_by("draw")
    within = of_draws.agg(pl.col("internal_accuracy").var())["internal_accuracy"].mean()
    assert arm["sd_between_repeats"] == pytest.approx(np.sqrt(within))
    assert pair(summary, "classic_gan", "classic", split="internal") in family
    assert not [column for column in table.columns if "seconds" in column]


def test_pairs_that_the_study_names_are_corrected_with_all_others(tmp_path: Path) -> None:
    added = {"duplicate_50": 0.0, "duplicate_100": 0.0, "gan_50": 0.01, "gan_100": 0.01}
    named = [["gan_50", "duplicate_50"], ["gan_100", "duplicate_100"]]
    edit: Edit = lambda m: m.update(comparisons=named, control="duplicate_50")  # noqa: E731
    summary = summary_of(edited(tmp_path, edit, {"real": 0.0} | added))
    found = summary["splits"]["test"]["accuracy"][0]["comparisons"]
    assert [[c["arm"], c["reference"]] for c in found][-2:] == named
    assert len(found) == 4 + 2
    smallest = 6 * min(c["p"] for c in found)
    assert min(c["p_holm"] for c in found) == pytest.approx(smallest)
    assert "as many copies of real images" in summary["answer"]["verdicts"][0]


def test_a_study_without_a_control_says_so(tmp_path: Path) -> None:
    folder = edited(tmp_path, lambda m: m.update(control=None), draws=2)
    said = "No arm of this study adds as many copies of real images, used alike."
    assert said in summary_of(folder)["answer"]["limits"]


def test_with_few_draws_there_is_no_answer(tmp_path: Path) -> None:
    answer = summary_of(write_study(tmp_path, SMALL | {"gan": 0.03}, draws=4))["answer"]
    assert answer["careful"][0].startswith("Careful")
    assert "9 (" in answer["careful"][0]
    assert "too few draws to answer (6 are the fewest)" in answer["verdicts"][0]
    assert "interval" not in "".join([answer["verdicts"][0], *answer["limits"]])


def break_a_rule(metrics: dict[str, Any]) -> None:
    metrics["checks"][0].update(passed=False, detail="7 foreign images")


def share_a_gan(metrics: dict[str, Any]) -> None:
    metrics["gans"]["pneumonia"].update(checkpoint_sha256="{} 2")


def two_classes_of_a_gan(metrics: dict[str, Any]) -> None:
    metrics["gans"].update(normal=metrics["gans"]["pneumonia"])


def drop_a_fit(metrics: dict[str, Any]) -> None:
    metrics["fits"] = [f for f in metrics["fits"] if f["arm"] != "gan"]


@pytest.mark.parametrize(
    ("edit", "broken", "said"),
    [
        (break_a_rule, [1], "7 foreign images; in draw_3"),
        (share_a_gan, [8], "5 GANs for 6 draws, 1 of them for several"),
        (two_classes_of_a_gan, [], "6 GANs for 6 draws"),
        (drop_a_fit, [9], "1 of them with fits missing; in draw_3"),
    ],
)
def test_rules_of_measurement_are_checked(
    edit: Edit, broken: list[int], said: str, tmp_path: Path
) -> None:
    write_study(tmp_path, SMALL, draws=6)
    change(tmp_path / "draw_3" / "metrics.json", edit)
    _, summary, page = report_of(tmp_path)
    assert [r["rule"] for r in summary["rules"] if not r["passed"]] == broken
    assert page.count("\u2717") == len(broken)
    assert said in page
    assert [line.startswith("Careful") for line in summary["answer"]["careful"]] == [
        True for _ in broken
    ]
    # A draw without a fit is left out of its pairs alone.
    assert pair(summary, "gan", "real")["draws"] == 6 - (edit is drop_a_fit)
    assert pair(summary, "duplicate", "real")["draws"] == 6


def test_failed_draws_are_listed_and_do_not_stop_it(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, draws=4)
    change(tmp_path / "draw_2" / "run.json", lambda r: r.update(status="failed", reason="no disk"))
    _, summary, page = report_of(tmp_path)
    assert summary["draws"] == [0, 1, 3]
    assert "no disk" in page


def test_calibration_error_counts_a_fall_as_better(gain: Reported) -> None:
    _, summary, page = gain
    found = pair(summary, "gan", "real", metric="calibration_error")
    assert found["mean"] < 0
    assert (found["better"], found["worse"]) == (10, 0)
    table = page.split("calibration error (lower is better)")[1].split("</details>")[0]
    falls = re.findall(r'class="n (better|worse)">-', table)
    assert falls
    assert set(falls) == {"better"}


def test_an_interval_over_patients_is_that_of_its_own_size(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, conditions=({"per_class": 50},), draws=4)
    write_study(tmp_path, SMALL, conditions=({"per_class": 300},), draws=6, repeats=2, noise=0.001)
    _, summary, page = report_of(tmp_path)
    few, enough = (pair(summary, "gan", "real", block=i) for i in (0, 1))
    assert (few["low"], few["over_draws"]) == (None, None)
    low, high = enough["over_draws"]
    assert enough["low"] < low < high < enough["high"]  # errors are alike in no two draws
    assert f"{100 * low:+.2f} to {100 * high:+.2f}" in page


def test_intervals_are_over_patients_where_these_are_the_same_in_all_draws(
    gain: Reported,
) -> None:
    _, summary, _ = gain
    assert summary["splits"]["test"].keys() > {"auroc", "auprc", AT_VALIDATION_THRESHOLD}
    for metric in summary["splits"]["test"]:
        found = pair(summary, "gan", "real", metric=metric)
        assert found["patients"] == 200
        assert found["low"] <= found["over_draws"][0] < found["over_draws"][1] <= found["high"]
        # Other patients in every draw: the draws' interval is over them already.
        own = pair(summary, "gan", "real", split="internal", metric=metric)
        assert (own["patients"], own["over_draws"]) == (None, None)


def on(machine: str, **trainer: object) -> Edit:
    def edit(record: dict[str, Any]) -> None:
        record["machine"] = machine
        record["config"]["trainer"] = trainer

    return edit


def test_draws_of_a_cpu_and_a_gpu_are_one_study(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, draws=3)
    records = sorted(tmp_path.glob("draw_*/run.json"))
    for path in records:
        change(path, on("Linux", accelerator="cpu", deterministic=True, precision="bf16-mixed"))
    gpu = {"accelerator": "gpu", "deterministic": False, "benchmark": True}
    change(records[0], on("Linux, some GPU", **gpu, precision="bf16-mixed"))
    *_, page = report_of(tmp_path)
    assert "Linux, some GPU; Linux, Python" in page
    change(records[0], on("Linux, some GPU", **gpu, precision="32-true"))
    with pytest.raises(GanAugError, match=r"trainer\.precision=bf16-mixed, .* with 32-true"):
        read_study(tmp_path)


def test_draws_that_end_during_a_build_are_newer_than_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, SMALL, draws=1)
    monkeypatch.setattr(build, "all_figures", lambda *_: time.sleep(0.3) or {})
    started = time.time()
    report = write_report(tmp_path).page
    assert abs(report.stat().st_mtime - started) < 0.2 < time.time() - started


def test_the_page_loads_nothing(equal: Reported) -> None:
    page = equal.page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "@import" not in page
    assert "url(" not in page
    assert page.count("data:image/png;base64,") >= 3
    for name in ("paired_differences", "roc", "learning_curves"):
        assert (equal.folder / "figures" / f"{name}.png").stat().st_size > 0


@pytest.mark.slow
def test_sizes_have_a_block_and_an_answer_each(tmp_path: Path) -> None:
    conditions = tuple({"per_class": n} for n in (None, 300, 50))
    write_study(tmp_path, NONE, repeats=2, conditions=conditions)
    _, summary, _ = report_of(tmp_path, figures=True)
    blocks = summary["splits"]["test"]["accuracy"]
    assert [b["condition"]["per_class"] for b in blocks] == [50, 300, None]
    assert ["per_class=all" in a for a in summary["answer"]["verdicts"]] == [False, False, True]
    assert (tmp_path / "figures" / "gain_by_size.png").exists()
    table = pl.read_csv(tmp_path / "results.csv")
    of_size = table.filter(pl.col("arm") == "gan", pl.col("per_class") == 50).group_by("draw")
    within = of_size.agg(pl.col("test_accuracy").var())["test_accuracy"].mean()
    assert blocks[0]["arms"]["gan"]["sd_between_repeats"] == pytest.approx(np.sqrt(within))
    # The family of Holm's correction is all comparisons at all sizes.
    ps = [c["p"] for b in blocks for c in b["comparisons"]]
    holm = [c["p_holm"] for b in blocks for c in b["comparisons"]]
    assert len(ps) == 3 * (len(ARMS) - 1 + len(ARMS) - 2 + 1)
    assert min(holm) == pytest.approx(min(1.0, len(ps) * min(ps)))


def test_counts_are_drawn(tmp_path: Path) -> None:
    effects = {"real": 0.0, "gan_50": 0.0, "gan_100": 0.01, "gan_200": 0.02}
    study = read_study(write_study(tmp_path, effects, draws=6))
    drawn = all_figures(study, summarise(study))
    assert {name for name, figure in drawn.items() if figure is not None} == {
        "paired_differences", "accuracy_by_count", "roc", "learning_curves",
    }  # fmt: skip


def test_arms_that_differ_in_something_else_are_no_curve_of_counts(tmp_path: Path) -> None:
    effects = {"real": 0.0, "gan_02": 0.0, "gan_04": 0.01, "gan_50": 0.02}
    study = read_study(write_study(tmp_path, effects, draws=2))
    for arm in study.first.arms.values():
        arm.added.update(dict.fromkeys(arm.added, 100))
    assert accuracy_by_count(study) is None


def test_roc_agrees_with_torchmetrics() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300)
    probabilities = np.round(np.clip(0.3 * labels + random.normal(0.4, 0.2, 300), 0, 1), 2)
    false, true, _ = binary_roc(torch.tensor(probabilities), torch.tensor(labels))
    grid = np.linspace(0, 1, 400)
    area = np.trapezoid(roc_curve(probabilities, labels, grid), grid)
    expected = np.trapezoid(true.numpy(), false.numpy())
    assert area == pytest.approx(expected, abs=2e-3)
    assert roc_curve(probabilities, labels, np.array([0.0, 1.0]))[1] == 1


def test_no_figure_of_an_earlier_build_is_left(equal: Reported) -> None:
    """A growing sweep has at some point too many conditions for a figure that it had before."""
    left = {path.stem for path in (equal.folder / "figures").iterdir()}
    assert "gain_by_size" not in left
    assert {"paired_differences", "mine"} <= left


@pytest.mark.slow
def test_it_can_be_made_again_at_any_time(tmp_path: Path, command: Command) -> None:
    write_study(tmp_path / "s", NONE)
    texts = []
    for _ in range(2):
        result = command("report", "study_dir=s")
        assert result.returncode == 0, result.stderr
        assert "report.html" in result.stdout
        texts.append([(tmp_path / "s" / n).read_bytes() for n in ("results.csv", "summary.json")])
    assert texts[0] == texts[1]


def quality_row(summary: dict[str, Any], value: str) -> dict[str, Any]:
    (row,) = [r for r in summary["quality"] if r["value"] == value]
    return dict(row)


def test_quality_stands_beside_the_gain(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, repeats=2, quality=1.0)
    _, summary, page = report_of(tmp_path)
    kid, precision = quality_row(summary, "kid"), quality_row(summary, "precision")
    values = [
        json.loads(path.read_text())["quality"]["classes"]["pneumonia"]["values"]["generated"]
        for path in tmp_path.rglob("draw_*/metrics.json")
    ]
    assert kid["generated"] == pytest.approx(np.mean([one["kid"] for one in values]))
    assert kid["generated_sd"] == pytest.approx(np.std([one["kid"] for one in values], ddof=1))
    assert kid["baseline"] == pytest.approx(0.01)
    assert (kid["n"], kid["extractor"]) == ([150, 150], "cnn-c0ffee00")
    assert kid["rho"] == pytest.approx(-1)  # KID falls as the gain rises
    assert kid["p_holm"] < 0.001
    assert precision["p_holm"] == pytest.approx(max(precision["p"], 2 * kid["p"]))
    assert "Quality of the GAN images" in page
    assert "cnn-c0ffee00" in page
    study = read_study(tmp_path)
    drawn = quality_against_gain(study, summarise(study))
    assert drawn is not None
    assert "KID" in [axes.get_xlabel() for axes in drawn.axes]


def test_what_only_generated_images_can_have_has_no_baseline(tmp_path: Path) -> None:
    """Such as the distance of a translation to its source."""

    def translated(metrics: dict[str, Any]) -> None:
        metrics["quality"]["good"]["copying_source_pixel"] = "lower"
        found = metrics["quality"]["classes"]["pneumonia"]["values"]["generated"]
        found["copying_source_pixel"] = 0.25

    _, summary, page = report_of(edited(tmp_path, translated, quality=1.0))
    row = quality_row(summary, "copying_source_pixel")
    assert (row["generated"], row["good"]) == (0.25, "lower")
    assert row["baseline"] is row["baseline_sd"] is row["rho"] is None
    assert "nearer to its source than unseen real" in page


def test_quality_needs_draws_and_one_extractor_for_a_correlation(tmp_path: Path) -> None:
    few = write_study(tmp_path / "few", SMALL, draws=3, quality=1.0)
    assert quality_row(summary_of(few), "kid")["rho"] is None
    mixed = write_study(tmp_path / "mixed", SMALL, draws=6, quality=1.0)
    assert quality_row(summary_of(mixed), "kid")["rho"] is not None
    path = mixed / "draw_3" / "metrics.json"
    change(path, lambda m: m["quality"].update(extractor="cnn-deadbeef"))
    row = quality_row(summary_of(mixed), "kid")
    assert row["rho"] is None
    assert row["extractor"] == "cnn-c0ffee00, cnn-deadbeef"


def test_a_study_without_quality_has_no_section_of_it(equal: Reported) -> None:
    assert equal.summary["quality"] == []
    assert "Quality of the GAN images" not in equal.page


def other_data(record: dict[str, Any]) -> None:
    record["data"]["fingerprint"] = "other"


def other_settings(record: dict[str, Any]) -> None:
    record["config"]["study"]["repeats"] = 5


@pytest.mark.parametrize(
    ("edit", "part"),
    [(other_data, "was run on other data"), (other_settings, r"run with study\.repeats=5")],
)
def test_draws_that_do_not_belong_together(edit: Edit, part: str, tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, draws=2)
    change(tmp_path / "draw_1" / "run.json", edit)
    with pytest.raises(GanAugError, match=f"draw_1: .*{part}"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("condition", "how", "part"),
    [
        ({"model": "dcgan", "per_class": 50}, {}, "sweeps other settings than"),
        (
            {"per_class": 300},
            {"endpoints": [{"split": "internal", "metric": "auroc"}]},
            r"has other study\.endpoints than .*; run the draws of",
        ),
    ],
)
def test_conditions_that_do_not_belong_together(
    condition: dict[str, Any], how: dict[str, Any], part: str, tmp_path: Path
) -> None:
    write_study(tmp_path, SMALL, draws=1, conditions=({"per_class": 50},))
    write_study(tmp_path, SMALL, draws=1, conditions=(condition,), **how)
    with pytest.raises(GanAugError, match=part):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("name", "part"), [("nowhere", "no such folder"), ("empty", "no finished draw")]
)
def test_bad_folders_give_one_line(name: str, part: str, tmp_path: Path, command: Command) -> None:
    (tmp_path / "empty").mkdir()
    result = command("report", f"study_dir={name}")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert part in line
    assert not list(tmp_path.glob("*.log"))


def rewrite(edit: Edit) -> Callable[[Path], None]:
    """Change what the fits of `gan` predict, and let their record name it as it is now."""

    def damage(folder: Path) -> None:
        path = folder / "fits" / "gan_0.npz"
        arrays = dict(np.load(path))
        edit(arrays)
        parts = ("labels", "patients", "logits")
        found = {s: Predicted(*(arrays[f"{s}_{part}"] for part in parts)) for s in SPLITS}
        write_predictions(path, found)

        def renamed(result: dict[str, Any]) -> None:
            (fit,) = (fit for fit in result["fits"] if fit["arm"] == "gan")
            fit["predictions"] = hash_of(found)

        change(folder / "metrics.json", renamed)

    return damage


def a_nan(arrays: dict[str, Any]) -> None:
    arrays["test_logits"][3] = np.nan


def too_few(arrays: dict[str, Any]) -> None:
    arrays["test_logits"] = arrays["test_logits"][:-1]


def other_labels(arrays: dict[str, Any]) -> None:
    arrays["test_labels"][0] = 1 - arrays["test_labels"][0]


def other_order(arrays: dict[str, Any]) -> None:
    arrays["test_labels"] = arrays["test_labels"][::-1].copy()


def edit(what: Edit, name: str = "metrics.json") -> Callable[[Path], None]:
    return lambda folder: change(folder / name, what)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn": (lambda d: (d / "metrics.json").write_text("{"), "metrics.json: cannot be read"),
    "lacking": (edit(lambda m: m.pop("fits")), "metrics.json: is no draw of a study (fits: "),
    "edited": (
        lambda d: (d / "metrics.json").write_text((d / "metrics.json").read_text() + " "),
        "metrics.json: is not the file that its run wrote",
    ),
    "earlier": (edit(lambda m: m.pop("format")), "metrics.json: is of format None"),
    "fit twice": (edit(lambda m: m["fits"].append(m["fits"][0])), "counts the fit real_0 twice"),
    "no npz": (lambda d: (d / "fits" / "gan_0.npz").unlink(), "gan_0.npz: cannot be read"),
    "cut npz": (
        lambda d: (d / "fits" / "gan_0.npz").write_bytes(b"PK" * 40),
        "gan_0.npz: cannot be read",
    ),
    "other npz": (
        lambda d: shutil.copy(d / "fits" / "real_0.npz", d / "fits" / "gan_0.npz"),
        "gan_0.npz: is not the file that the fit wrote",
    ),
    "nan": (rewrite(a_nan), "gan_0.npz: its test arrays are no log-odds"),
    "too few": (rewrite(too_few), "its test arrays are no log-odds"),
    "labels": (rewrite(other_labels), "gan_0.npz: its test labels are not"),
    "order": (rewrite(other_order), "its fits have different test images"),
    "no split": (
        edit(lambda m: m["splits"].update(more={"normal": 1, "pneumonia": 1})),
        "real_0.npz: holds no predictions of more",
    ),
    "type": (edit(lambda m: m["fits"][1].update(seconds="long")), "fits.1.seconds='long': "),
    "no arm": (edit(lambda m: m["arms"].pop("gan")), "metrics.json: has fits of gan, which is no"),
    "no data": (edit(lambda r: r.pop("data"), "run.json"), "run.json: says nothing of the data"),
    "record": (lambda d: (d / "run.json").write_text("[]"), "run.json: cannot be read"),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("pristine"), SMALL, draws=2)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_draw_whose_files_disagree_is_left_out(name: str, pristine: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pristine, tmp_path / "s")
    damage, reason = DAMAGES[name]
    damage(folder / "draw_1")
    study = read_study(folder)
    assert [job.result.draw for job in study.jobs] == [0]
    (left_out,) = study.unfinished
    assert left_out["status"] == "left out"
    assert reason in left_out["reason"]
    assert "draw_1" in left_out["reason"]


def test_a_draw_that_is_left_out_is_named(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(pristine, tmp_path / "s")
    (folder / "draw_1" / "metrics.json").write_text("{")
    _, summary, _ = report_of(folder)
    (left_out,) = summary["unfinished"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"warning: left out of the report: {left_out['reason']}"
    assert any("or their files disagree: draw_1" in a for a in summary["answer"]["careful"])
    assert set(pl.read_csv(folder / "results.csv")["draw"]) == {0}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda m: None, "a copy: is draw 1 once more, as draw_1 has it"),
        (lambda m: m.update(draw=9), "a copy: has predictions of another draw, as draw_1 has it"),
    ],
    ids=["copied", "copied and renumbered"],
)
def test_a_copied_draw_counts_once(edit: Edit, reason: str, pristine: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pristine, tmp_path / "s")
    shutil.copytree(folder / "draw_1", folder / "a copy")
    change(folder / "a copy" / "metrics.json", edit)
    study = read_study(folder)
    assert [job.folder.name for job in study.jobs] == ["draw_0", "draw_1"]
    (left_out,) = study.unfinished
    assert reason in left_out["reason"]


def test_the_answer_stands_beside_what_no_threshold_can_shift(tmp_path: Path) -> None:
    summary = summary_of(write_study(tmp_path, SMALL | {"gan": 0.03}, draws=6))
    (answer,) = summary["answer"]["exploratory"]
    assert answer.startswith("Not declared: gan less real, in points: ")
    for metric, title in (
        ("accuracy_at_validation_threshold", "accuracy at the validation threshold"),
        ("auroc", "AUROC"),
    ):
        found = pair(summary, "gan", "real", metric=metric)
        ends = f"({100 * found['low']:+.2f} to {100 * found['high']:+.2f})"
        assert f"{title} {100 * found['mean']:+.2f} {ends}" in answer


def test_warnings_of_the_data_stand_above_the_answer(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, draws=6)
    for path in tmp_path.glob("*/run.json"):
        change(path, lambda r: r["data"].update(warnings=["24 of 24 files look swapped"]))
    assert summary_of(tmp_path)["answer"]["careful"] == ["Careful: 24 of 24 files look swapped"]


def test_draws_of_other_quality_settings_belong_together(tmp_path: Path) -> None:
    """What touches no fit may differ; the quality that all draws have is reported."""
    write_study(tmp_path, SMALL, draws=3, quality=1.0)
    change(tmp_path / "draw_2" / "run.json", lambda r: r["config"].update(quality={"count": 99}))

    def less(metrics: dict[str, Any]) -> None:
        measured = metrics["quality"]["classes"]["pneumonia"]
        measured["images"]["measured"] = 99
        del measured["values"]["generated"]["precision"]

    change(tmp_path / "draw_2" / "metrics.json", less)
    _, summary, page = report_of(tmp_path)
    (kid,) = summary["quality"]
    assert (kid["value"], kid["n"]) == ("kid", [99, 150])
    assert "99 to 150 generated images" in page


def test_what_gans_were_chosen_by_is_one_of_a_study_s_settings(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL, draws=3)
    metrics = {"kid": {"good": {"kid": "lower"}}, "fid": {"good": {"fid": "lower"}, "x": 1}}

    def chosen(seed: int, x: int) -> Any:
        quality = {"seed": seed, "metrics": metrics | {"fid": metrics["fid"] | {"x": x}}}
        return lambda r: (
            r["config"].update(quality=quality),
            r["config"]["study"].update(gan_select="kid"),
        )

    for draw in range(3):
        change(tmp_path / f"draw_{draw}" / "run.json", chosen(0, draw))
    assert len(read_study(tmp_path).jobs) == 3  # what another metric has decides nothing
    change(tmp_path / "draw_2" / "run.json", chosen(1, 0))
    with pytest.raises(GanAugError, match=r"draw_2: was run with quality.seed=1"):
        read_study(tmp_path)


def test_a_draw_that_was_moved_and_linked_to_counts(pristine: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pristine, tmp_path / "s")
    (folder / "draw_1").rename(tmp_path / "another disk")
    (folder / "draw_1").symlink_to(tmp_path / "another disk")
    study = read_study(folder)
    assert [job.result.draw for job in study.jobs] == [0, 1]
    assert study.unfinished == []


def test_a_draw_that_cannot_be_reached_is_named(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(pristine, tmp_path / "s")
    shutil.rmtree(folder / "draw_1")
    (folder / "draw_1").symlink_to(tmp_path / "a disk that is gone")
    _, summary, page = report_of(folder)
    (left_out,) = summary["unfinished"]
    assert (left_out["job"], left_out["status"]) == ("draw_1", "left out")
    for told in (left_out["reason"], page, capsys.readouterr().err):
        assert "a disk that is gone, which cannot be reached" in told
    assert "draw_1" in json.dumps(summary["answer"])


def test_a_name_is_no_formula_in_results_csv(tmp_path: Path) -> None:
    """Conditions and arms are called by anyone; numbers stay numbers."""
    write_study(tmp_path, SMALL, draws=1, conditions=({"hospital": "=HYPERLINK(1)"},))
    report_of(tmp_path)
    table = pl.read_csv(tmp_path / "results.csv")
    assert set(table["hospital"]) == {"'=HYPERLINK(1)"}
    assert set(table["arm"]) == set(SMALL)
    texts = pl.DataFrame({"@a": ["+1", "-x", "\tb", "c=d"], "b": [-0.5, 1.0, 2.0, 3.0]})
    rows = [line.split(",") for line in as_csv(texts).splitlines()]
    assert rows == [
        ["'@a", "b"], ["'+1", "-0.5"], ["'-x", "1.0"], ["'\tb", "2.0"], ["c=d", "3.0"],
    ]  # fmt: skip


def test_the_printed_command_is_the_one_that_was_typed(tmp_path: Path) -> None:
    """In bash: its words come out as they went in."""
    typed = ["python", "-m", "x", "study.count={RARE: 60}", "data.root=my images", "name=it's"]
    write_study(tmp_path, SMALL, draws=1)
    change(tmp_path / "draw_0" / "run.json", lambda r: r.update(command=typed))
    *_, page = report_of(tmp_path)
    (printed,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    script = f"set -- {html.unescape(printed)}; printf '%s\\n' \"$@\""
    words = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines() == typed
