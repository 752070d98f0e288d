"""The table and figures of results.csv and curves.csv: `python experiments/gan_family/compare.py`.

Means over draws; intervals are those of the t distribution over differences paired by draw.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from gan_aug.report.statistics import holm

HERE = Path(__file__).parent
REAL = "unseen real"
BESIDE = "dcgan"
SHOWN = {
    "minutes_cpu": "minutes: CPU", "minutes_gpu": "GPU", "kid": "KID", "fid": "FID",
    "precision": "precision", "recall": "recall", "coverage": "coverage", "ms_ssim": "MS-SSIM",
    "copying_pixel": "nearer to training: pixels", "copying_feature": "features",
    "gan_test": "GAN-test", "gan_train_auroc": "GAN-train, AUROC",
}  # fmt: skip
PAIRED = ("kid", "recall", "ms_ssim")
GAINS = {"gain_internal_auroc": "+ 100 GAN images", "gain_of_copies_internal_auroc": "+ 100 copies"}
KID_TICKS = (0, 0.1, 1, 5)
FEWEST = 6
"""Draws that an interval takes, in a report too."""


def interval(values: pl.Series, decimals: int = 2) -> str:
    """Return a mean and its 95 % interval, which few draws have none of."""
    found = values.drop_nulls().to_numpy()
    mean = found.mean()
    if len(found) < FEWEST:
        return f"{mean:+.{decimals}f}"
    half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    ends = [f"{end:+.{decimals}f}" for end in (mean - half, mean + half)]
    return f"{mean:+.{decimals}f} ({' to '.join(ends)})"


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(results: pl.DataFrame, models: list[str]) -> list[str]:
    """Return all members beside unseen real images."""
    lines = [line(["", *SHOWN.values(), "passes the gate"]), "| --- " * (len(SHOWN) + 2) + "|"]
    for model in (REAL, *models):
        own = of_model(results, model)
        means = {v: own[v].mean() for v in SHOWN}
        cells = ["" if means[v] is None else f"{means[v]:.2f}" for v in SHOWN]
        passed = own["passes"].drop_nulls()
        cells.append(f"{passed.sum():.0f} of {len(passed)}" if len(passed) else "")
        lines.append(line([model, *cells]))
    return lines


def beside_dcgan(results: pl.DataFrame, models: list[str]) -> list[str]:
    """Return differences of quality from DCGAN's in the same draws.

    p is of the paired t-test, after Holm's correction over the other members, each metric by
    itself.
    """
    titles = [cell for v in PAIRED for cell in (SHOWN[v], "p (Holm)")]
    lines = [line([f"less `{BESIDE}`", *titles]), "| --- " * (len(titles) + 1) + "|"]
    reference = of_model(results, BESIDE).select("draw", *PAIRED)
    others = [model for model in models if model != BESIDE]
    apart = {}
    for model in others:
        both = of_model(results, model).join(reference, on="draw", suffix=f" {BESIDE}")
        apart |= {(model, v): both[v] - both[f"{v} {BESIDE}"] for v in PAIRED}
    p_values = {
        v: holm(
            [float(stats.ttest_1samp(apart[model, v].to_numpy(), 0).pvalue) for model in others]
        )
        for v in PAIRED
    }
    for i, model in enumerate(others):
        cells = [
            cell
            for v in PAIRED
            for p in [p_values[v][i]]
            for cell in (interval(apart[model, v]), "< 0.001" if p < 0.001 else f"{p:.2g}")
        ]
        lines.append(line([f"`{model}`", *cells]))
    return lines


def _p_of(differences: pl.Series) -> float:
    return float(stats.ttest_1samp(differences.to_numpy(), 0).pvalue)


def gains(results: pl.DataFrame, models: list[str]) -> list[str]:
    """Return what images of each GAN, and as many copies, change in AUROC."""
    lines = [line(["", *GAINS.values()]), "| --- " * (len(GAINS) + 1) + "|"]
    for model in models:
        own = of_model(results, model)
        lines.append(line([f"`{model}`", *(interval(own[gain], 3) for gain in GAINS)]))
    return lines


def panels(values: tuple[str, ...], height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.2 * len(values), height), layout="constrained", dpi=140)
    axes: list[Axes] = list(figure.subplots(1, len(values)))
    for each, value in zip(axes, values, strict=True):
        each.set_title(SHOWN[value], fontsize=9, loc="left")
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draws_figure(results: pl.DataFrame, models: list[str]) -> Figure:
    """Show every draw of every GAN beside the range of unseen real images."""
    figure, axes = panels(PAIRED, 0.36 * len(models) + 1.2)
    for i, (each, value) in enumerate(zip(axes, PAIRED, strict=True)):
        real = of_model(results, REAL)[value]
        each.axvspan(real.min(), real.max(), color="0.85", label="unseen real images, all draws")
        for y, model in enumerate(models):
            found = of_model(results, model)[value]
            each.plot(found, [y] * len(found), "o", color="C0", alpha=0.5, markersize=4)
            each.plot(found.mean(), y, "|", color="C0", markersize=14)
        each.set_yticks(range(len(models)), models if i == 0 else [])
        each.invert_yaxis()
        if value == "kid":
            each.set_xscale("symlog", linthresh=0.05)
            each.set_xticks(KID_TICKS, map(str, KID_TICKS))
            each.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


def curves_figure(curves: pl.DataFrame, minutes: dict[str, float]) -> Figure:
    """Show quality on validation images against minutes of a core, means over draws.

    Minutes are the share of the training that is done times the mean minutes of the draws that were
    fitted on CPUs: machines differ, and what else they did does too.
    """
    figure, axes = panels(PAIRED, 4.0)
    for i, model in enumerate(sorted(curves["model"].unique())):
        # Draws of another epoch length are measured at slightly other shares.
        point = pl.int_range(pl.len()).over("draw").alias("point")
        placed = of_model(curves, model).with_columns(point)
        # One may have a point more at its end: a mean of fewer draws would look like a jump.
        least = placed.group_by("draw").len()["len"].min()
        common = placed.filter(pl.col("point") < least).group_by("point", maintain_order=True)
        means = common.agg(pl.col("share", *PAIRED).mean()).sort("point")
        for each, value in zip(axes, PAIRED, strict=True):
            each.plot(
                means["share"] * minutes[model], means[value], label=model, linewidth=1.4,
                color=f"C{i}", marker="o", markersize=3,
            )  # fmt: skip
    for each, value in zip(axes, PAIRED, strict=True):
        each.set_xlabel("minutes of one core", fontsize=9)
        if value == "kid":
            each.set_yscale("symlog", linthresh=0.05)
            each.set_yticks(KID_TICKS, map(str, KID_TICKS))
            each.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def read_results() -> pl.DataFrame:
    """Read results.csv, with the minutes by machine."""
    results = pl.read_csv(HERE / "results.csv", infer_schema_length=None)
    minutes = {
        f"minutes_{machine}": pl.when(pl.col("trained_on") == machine).then(pl.col("minutes"))
        for machine in ("cpu", "gpu")
    }
    return results.with_columns(**minutes)


def of_model(table: pl.DataFrame, model: str) -> pl.DataFrame:
    """Return the rows of one GAN, or of unseen real images."""
    return table.filter(pl.col("model") == model)


def by_recall(results: pl.DataFrame) -> list[str]:
    """Return the GANs, the highest recall first."""
    gans = results.filter(pl.col("model") != REAL).group_by("model", maintain_order=True)
    return list(gans.agg(pl.col("recall").mean()).sort("recall", descending=True)["model"])


def main() -> None:
    results = read_results()
    curves = pl.read_csv(HERE / "curves.csv", infer_schema_length=None)
    models = by_recall(results)
    parts = (table, beside_dcgan, gains)
    print("\n\n".join("\n".join(part(results, models)) for part in parts))
    draws_figure(results, models).savefig(HERE / "draws.png")
    minutes = {model: of_model(results, model)["minutes_cpu"].mean() for model in models}
    curves_figure(curves, minutes).savefig(HERE / "quality_against_time.png")


if __name__ == "__main__":
    main()
