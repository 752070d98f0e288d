"""The tables of docs/ and experiments/ that no script prints follow from the files beside them.

Those that a script prints are in tests/test_published.py. Tables of times, of machines and of runs
whose files are not here (own_data, robustness, speed) cannot be computed again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from support import ROOT, page_with

EXPERIMENTS = ROOT / "experiments"
AT_VALIDATION = "accuracy_at_validation_threshold"


def rows(path: Path, head: str) -> list[list[str]]:
    """Return the cells of the table whose head begins so, without marks."""
    lines = path.read_text().splitlines()
    (first,) = (i for i, line in enumerate(lines) if line.startswith(f"| {head}"))
    found = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        found.append([re.sub(r"[`*]", "", cell).strip() for cell in line.split("|")[1:-1]])
    return found


def read(study: str, name: str = "results.csv") -> pd.DataFrame:
    return pd.read_csv(EXPERIMENTS / study / name)


def by_draw(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a row for each draw, a column for each arm, in percent; repeats are averaged."""
    return 100 * table.pivot_table(index="draw", columns="arm", values=column)


def interval(differences: pd.Series, digits: int = 2) -> str:
    n = len(differences)
    half = stats.t.ppf(0.975, n - 1) * differences.std() / n**0.5
    mean = differences.mean()
    numbers = (round(x, digits) + 0.0 for x in (mean, mean - half, mean + half))
    return "{:+.{d}f} ({:+.{d}f} to {:+.{d}f})".format(*numbers, d=digits)


def better(differences: pd.Series) -> str:
    return f"{(differences > 1e-9).sum()} / {(differences < -1e-9).sum()}"


def number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}"


@pytest.mark.parametrize("study", ["seed_protocol", "best_recipe"])
def test_a_study_against_real_images(study: str) -> None:
    table = read(study)
    values = {name: by_draw(table, f"test_{name}") for name in
              ("accuracy", "sensitivity", "specificity", "auroc")}  # fmt: skip
    values["internal"] = by_draw(table, "internal_accuracy")
    accuracy = values["accuracy"]
    told = rows(EXPERIMENTS / study / "README.md", "arm | accuracy at 0.5")
    assert {row[0].split()[0] for row in told} == set(accuracy.columns)
    for title, own, *others in told:
        arm = title.split()[0]
        assert own == f"{accuracy[arm].mean():.2f} ({accuracy[arm].std():.2f})"
        difference = accuracy[arm] - accuracy["real"]
        columns = ["sensitivity", "specificity", "auroc"]
        if study == "best_recipe":
            columns.append("internal")
            if arm not in ("real", "duplicate"):
                assert others[3] == interval(accuracy[arm] - accuracy["duplicate"]), title
        if arm != "real":
            assert others[0] == interval(difference), title
            assert others[2] == better(difference), title
        means = [values[c][arm].mean() for c in columns]
        assert [float(x) for x in others[-len(columns) :]] == pytest.approx(means, abs=0.0501)


@pytest.mark.parametrize(
    ("head", "reference"), [("arm | development", "real"), ("with classic", "classic")]
)
def test_recipes_that_were_tried(head: str, reference: str) -> None:
    """Each row is of one arm, whose title is another in the table."""
    table = pd.concat([read("best_recipe", f"search_{n}.csv") for n in (1, 2)])
    table = table.drop_duplicates(["draw", "arm", "repeat"])
    names = ("development_accuracy", "development_auroc", "validation_accuracy",
             "internal_accuracy")  # fmt: skip
    accuracy, *others = (by_draw(table, name) for name in names)
    arms = []
    for title, development, gain, won, *means in rows(
        EXPERIMENTS / "best_recipe" / "README.md", head
    ):
        numbers = [float(cell) for cell in (development, *means)]
        found = []
        for arm in accuracy.columns:
            difference = accuracy[arm] - accuracy[reference]
            expected = [accuracy[arm].mean(), *(values[arm].mean() for values in others)]
            if (
                numbers == pytest.approx(expected, abs=0.0501)
                and (not gain or float(gain) == pytest.approx(difference.mean(), abs=0.0501))
                and won in ("", better(difference))
            ):
                found.append(arm)
        assert len(found) == 1, (title, found)
        arms += found
    assert len(set(arms)) == len(arms)


def test_images_of_each_class() -> None:
    table = read("size_sweep")
    path = EXPERIMENTS / "size_sweep" / "README.md"
    for size, arm, draws, own, less_real, better_worse, less_copies, auroc, internal in rows(
        path, "images of each class | arm"
    ):
        of_size = table[table["per_class"] == int(size)]
        accuracy, area = by_draw(of_size, "test_accuracy"), by_draw(of_size, "test_auroc")
        arm, _, reference = arm.partition(" against ")
        difference = accuracy[arm] - accuracy[reference or "real"]
        assert int(draws) == len(accuracy)
        assert own in ("", f"{accuracy[arm].mean():.2f}")
        if arm != "real":
            assert less_real == interval(difference)
            assert better_worse == better(difference)
            assert auroc == interval(area[arm] - area[reference or "real"])
        if not reference:
            assert internal == number(by_draw(of_size, "internal_accuracy")[arm].mean())
            if arm not in ("real", "duplicate"):
                assert less_copies == interval(accuracy[arm] - accuracy["duplicate"])


def test_more_images_of_each_class() -> None:
    table = read("size_sweep")
    real = table[table["arm"] == "real"]

    def larger(column: str) -> str:
        means = 100 * real.pivot_table(index="draw", columns="per_class", values=column)
        return interval(means[300] - means[50], 1)

    told = rows(EXPERIMENTS / "size_sweep" / "README.md", "| test folder |")
    assert [row[1] for row in told] == [
        larger(f"test_{name}") for name in ("accuracy", AT_VALIDATION, "auroc")
    ]
    assert told[0][2] == larger("internal_accuracy")


def test_counts_of_gan_images() -> None:
    table = read("sweeps/count_sweep")
    names = ("test_accuracy", f"test_{AT_VALIDATION}", "test_auroc", "internal_accuracy")
    accuracy, *others = (by_draw(table, name) for name in names)
    told = rows(EXPERIMENTS / "sweeps" / "README.md", "arm | accuracy at 0.5")
    assert {row[0] for row in told} == set(accuracy.columns)
    for arm, draws, difference, *means in told:
        assert draws == ", ".join(number(x) for x in accuracy[arm])
        expected = f"{(accuracy[arm] - accuracy['real']).mean():+.1f}"
        assert difference == ("" if arm == "real" else expected)
        assert means == [number(values[arm].mean()) for values in others]


def test_learning_rates_and_steps_of_the_gan() -> None:
    table = read("sweeps/lr_ratio_sweep")
    for lr_g, lr_d, g_steps, *_, development, internal in rows(
        EXPERIMENTS / "sweeps" / "README.md", "`lr_g` | `lr_d`"
    )[:-1]:
        own = table[(table["lr_g"] == float(lr_g)) & (table["lr_d"] == float(lr_d))
                    & (table["g_steps"] == int(g_steps))]  # fmt: skip
        for told, column in ((development, "development_accuracy"),
                             (internal, "internal_accuracy")):  # fmt: skip
            values = by_draw(own, column)
            gains = [round(x, 1) + 0.0 for x in values["gan"] - values["real"]]
            assert told == ", ".join(f"{x:+.1f}" if x else "0.0" for x in gains)


def test_one_gan_and_five_of_them() -> None:
    table = read("dcgan_pneumonia")
    names = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc", "auprc",
             "calibration_error")  # fmt: skip
    path = EXPERIMENTS / "dcgan_pneumonia" / "README.md"
    arms = list(table["arm"].unique())
    shares = {"accuracy", "balanced_accuracy", "sensitivity", "specificity"}
    for head, several in (("test images | accuracy", False), ("| accuracy | balanced", True)):
        for title, *cells in rows(path, head):
            arm = next(a for a in arms if (a == "real") == title.startswith("real,"))
            at = "at 0.5" if "at 0.5" in title else "at validation threshold"
            of = table[table["arm"] == arm]
            if not several:
                of = of[(of["draw"] == 0) & (of["seed"] == 0)]
            for name, cell in zip(names, cells, strict=True):
                values = of[f"{name} {at}"]
                percent = name in shares
                found = [float(x) for x in re.findall(r"[\d.]+", cell)]
                expected = [values.mean(), values.std()][: len(found)]
                for x, y in zip(found, expected, strict=True):
                    digits = len(re.findall(r"\.(\d+)", cell)[0])
                    scaled = 100 * y if percent else y
                    assert x == pytest.approx(scaled, abs=0.51 * 10**-digits), (title, name)


def test_quality_of_three_gans_beside_broken_ones() -> None:
    table = read("quality")
    columns = [(0, "generated"), (1, "generated"), (2, "generated"), (0, "real"), (0, "copies"),
               (0, "one image"), (0, "flipped"), (0, "noise")]  # fmt: skip
    for name, good, *cells in rows(EXPERIMENTS / "quality" / "README.md", "N = 500 | good"):
        of = table[table["metric"] == name]
        assert good == {"lower": "low", "higher": "high", "floor": "as real"}[of["good"].iloc[0]]
        for (seed, images), cell in zip(columns, cells, strict=True):
            values = of[(of["seed"] == seed) & (of["images"] == images)]["value"]
            if not cell:
                assert values.empty
            elif " to " in cell:  # of all seeds, which differ
                every = of[of["images"] == images]["value"]
                assert cell == f"{every.min():.3g} to {every.max():.3g}"
            else:
                assert cell == f"{values.iloc[0]:.3g}", (name, images)


def test_which_gan_fits() -> None:
    table = read("gan_family")
    told = rows(page_with("\n| | passes | KID"), "| passes | KID")
    assert len(told) == table["model"].nunique()
    for model, passes, *cells in told:
        of = table[table["model"] == model]
        assert passes in ("", f"{int(of['passes'].sum())} of {len(of)}")
        assert cells[:4] == [
            f"{x:.2f}" for x in of[["kid", "precision", "recall", "ms_ssim"]].mean()
        ]
