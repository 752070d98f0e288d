"""The quality of a study's GANs, and whether better ones gave a larger gain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from gan_aug.report.results import Job, Study
from gan_aug.report.statistics import LEAST_DRAWS, holm

SHOWN = ("kid", "precision", "coverage", "swd", "copying_pixel", "judged_as_class")
"""What the figure shows, as far as it was measured."""
NAMES = {
    "kid": "KID",
    "fid": "FID",
    "swd": "sliced Wasserstein distance",
    "ms_ssim": "MS-SSIM between pairs",
    "nearest_pixel": "distance to the nearest training image, pixels",
    "copying_pixel": "nearer to training than unseen real, pixels",
    "nearest_feature": "distance to the nearest training image, features",
    "copying_feature": "nearer to training than unseen real, features",
    "judged_as_class": "share the reference classifier takes for its class",
    "gan_test": "GAN-test",
    "gan_train_auroc": "GAN-train, AUROC",
    "gan_train_accuracy": "GAN-train, balanced accuracy",
    "membership_auc": "discriminator's test of membership, AUC",
}
_COLOURS = ("#2f6db3", "#c0504d", "#1b7f79", "#b8860b", "#8a63a8", "#4c5b6b", "#3b8a3e", "#a0522d")
"""Of the classes, in the order of their labels."""


def name_of(value: str) -> str:
    """Return what a value is called in a report."""
    return NAMES.get(value, value)


def measured(study: Study) -> bool:
    """Tell whether every draw of the study has its GANs measured."""
    return all("quality" in job.metrics for job in study.jobs)


def summarise_quality(study: Study) -> list[dict[str, Any]]:
    """Return a row for each condition, class and value; empty where it was not measured.

    A row holds the mean and sd over draws of generated and of unseen real images (`baseline`), and
    Spearman's correlation of the value with the gain over draws, with Holm's correction over the
    rows of its condition and class.

    Returns:
        condition, class, value, good, n (fewest and most images of a draw), extractor, generated,
        generated_sd, baseline, baseline_sd, rho, p, p_holm (None with fewer draws than a test
        needs, or where nothing varies).
    """
    if not measured(study):
        return []
    rows: list[dict[str, Any]] = []
    for condition in study.conditions:
        jobs = study.of(condition)
        gains = gains_of(study, jobs)
        for name in jobs[0].metrics["quality"]["classes"]:
            family = [
                _row(jobs, gains, name, value, good)
                | {"condition": dict(zip(study.keys, condition, strict=True))}
                for value, good in jobs[0].metrics["quality"]["good"].items()
                if all(value in _generated(job, name) for job in jobs)
            ]
            _correct(family)
            rows += family
    return rows


def _generated(job: Job, name: str) -> dict[str, float]:
    """Return the values of a class in a draw; draws may have been measured with other settings."""
    found = job.metrics["quality"]["classes"].get(name)
    return dict(found["values"]["generated"]) if found else {}


def gains_of(study: Study, jobs: list[Job]) -> NDArray[np.float64]:
    """Return each draw's gain in primary accuracy: the asked arm less its reference."""
    arm, reference = study.first["question"].values()
    values = study.by_draw(jobs[0].condition, study.primary, "accuracy")
    gains: NDArray[np.float64] = (values[arm] - values[reference]).to_numpy(float)
    return gains


def values_of(jobs: list[Job], name: str, images: str, value: str) -> NDArray[np.float64]:
    """Return a value of each draw."""
    found = [job.metrics["quality"]["classes"][name]["values"][images][value] for job in jobs]
    return np.array(found, np.float64)


def _row(
    jobs: list[Job], gains: NDArray[np.float64], name: str, value: str, good: str
) -> dict[str, Any]:
    generated = values_of(jobs, name, "generated", value)
    baseline = values_of(jobs, name, "real", value)
    counts = [job.metrics["quality"]["classes"][name]["images"]["measured"] for job in jobs]
    extractors = sorted({job.metrics["quality"]["extractor"] for job in jobs})
    rho = p = None
    varies = np.ptp(generated) > 0 and np.ptp(gains) > 0
    # Features of two extractors are two scales, which no correlation may mix.
    if len(jobs) >= LEAST_DRAWS and varies and len(extractors) == 1:
        test = stats.spearmanr(generated, gains)
        rho, p = float(test.statistic), float(test.pvalue)
    return {
        "class": name,
        "value": value,
        "good": good,
        "n": [min(counts), max(counts)],
        "extractor": ", ".join(extractors),
        "generated": float(generated.mean()),
        "generated_sd": float(generated.std(ddof=1)) if len(jobs) > 1 else None,
        "baseline": float(baseline.mean()),
        "baseline_sd": float(baseline.std(ddof=1)) if len(jobs) > 1 else None,
        "rho": rho,
        "p": p,
    }


def _correct(rows: list[dict[str, Any]]) -> None:
    tested = [row for row in rows if row["p"] is not None]
    for row in rows:
        row["p_holm"] = None
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = p


def quality_against_gain(study: Study, rows: list[dict[str, Any]]) -> Figure | None:
    """Draw each draw's gain against the quality of its GANs, one panel a value."""
    shown = [value for value in SHOWN if any(row["value"] == value for row in rows)]
    if not shown or len(study.conditions) > 1:
        return None
    columns = min(3, len(shown))
    n_rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(3.4 * columns, 3.0 * n_rows + 0.5), layout="constrained", dpi=140)
    panels = list(figure.subplots(n_rows, columns, squeeze=False, sharey=True).flat)
    gains = 100 * gains_of(study, study.jobs)
    for axes, value in zip(panels, shown, strict=False):
        notes = []
        for row in (row for row in rows if row["value"] == value):
            colour = _COLOURS[study.classes.label(row["class"]) % len(_COLOURS)]
            x = values_of(study.jobs, row["class"], "generated", value)
            axes.scatter(x, gains, s=18, color=colour, alpha=0.7, linewidths=0, label=row["class"])
            axes.axvline(row["baseline"], color=colour, linewidth=1, linestyle="--")
            if row["rho"] is not None:
                notes.append(f"{row['class']}: rho = {row['rho']:+.2f}, p = {row['p_holm']:.2g}")
        axes.axhline(0, color="#333", linewidth=0.8)
        axes.set_xlabel(name_of(value), fontsize=9)
        axes.set_title("\n".join(notes), fontsize=8, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    figure.supylabel(f"gain in {study.primary} accuracy, points", fontsize=9)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure
