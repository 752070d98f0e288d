"""The quality of a study's GANs, and whether better ones gave a larger gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats

from gan_aug.evaluation.measured import Quality, Values, misses, real_share
from gan_aug.pages.figure import new_figure
from gan_aug.report.statistics import LEAST_DRAWS, holm
from gan_aug.report.study import FinishedDraw, Study, Swept

SHOWN = ("kid", "precision", "coverage", "swd", "copying_pixel", "judged_as_class")
"""What the figure shows, as far as it was measured."""
NAMES = {
    "kid": "KID",
    "fid": "FID",
    "swd": "sliced Wasserstein distance",
    "ms_ssim": "MS-SSIM between pairs",
    "nearest_pixel": "distance to the nearest training image, pixels",
    "copying_pixel": "nearer to training than unseen real, pixels",
    "copying_source_pixel": "nearer to its source than unseen real to training, pixels",
    "nearest_feature": "distance to the nearest training image, features",
    "copying_feature": "nearer to training than unseen real, features",
    "copying_source_feature": "nearer to its source than unseen real to training, features",
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


@dataclass(frozen=True)
class QualityRow:
    """A value of the images of a class under a condition, over draws.

    Attributes:
        class_: the class.
        value: its name.
        good: what is good: lower, higher, or baseline, as near to it as possible.
        n: fewest and most images of a draw.
        extractor: where features come from.
        generated: mean of generated images.
        generated_sd: its standard deviation; None with one draw.
        baseline: mean of unseen real images; None of what only generated images can have, such as a
            distance to their sources.
        baseline_sd: its standard deviation; None with one draw.
        rho: Spearman's correlation with the gain; None with fewer draws than a test needs, or where
            nothing varies, like the following.
        p: of the correlation.
        condition: swept setting to its value.
        p_holm: `p` after Holm's correction over the rows of the condition and class.
    """

    class_: Annotated[str, Field(serialization_alias="class")]
    value: str
    good: str
    n: list[int]
    extractor: str
    generated: float
    generated_sd: float | None
    baseline: float | None
    baseline_sd: float | None
    rho: float | None
    p: float | None
    condition: Swept
    p_holm: float | None


def summarise_quality(study: Study) -> list[QualityRow]:
    """Return a row for each condition, class and value; empty where a draw was not measured."""
    if any(job.result.quality is None for job in study.jobs):
        return []
    rows: list[QualityRow] = []
    for condition in study.conditions:
        jobs = study.of(condition)
        gains, measured = gains_of(study, jobs), _qualities(jobs)
        # Draws may have been measured with other settings.
        for name in measured[0].classes:
            rows += _corrected(
                [
                    _row(measured, gains, name, value, study.named(condition))
                    for value in measured[0].good
                    if all(value in _generated(one, name) for one in measured)
                ]
            )
    return rows


@dataclass(frozen=True)
class GateRow:
    """How many draws' GANs of a class pass the gate under a condition.

    Attributes:
        condition: swept setting to its value.
        class_: the class.
        gate: value to its largest distance from that of unseen real images.
        draws: how many were measured.
        passed: draws whose GAN passes.
        missed: value to the draws whose GAN misses the gate by it.
        real: how often the unseen real images of one draw pass the gate that those of another set,
            over all pairs of draws; None where there are no two draws measured alike. Draws may
            have some of these images in common, which makes them more alike, not less.
    """

    condition: Swept
    class_: Annotated[str, Field(serialization_alias="class")]
    gate: Values
    draws: int
    passed: int
    missed: dict[str, int]
    real: float | None


def summarise_gate(study: Study) -> list[GateRow]:
    """Return a row for each condition and class; none where a draw was not measured by the gate."""
    rows = []
    for condition in study.conditions:
        measured = _qualities(study.of(condition))
        for name in measured[0].classes if measured else ():
            gate = measured[0].gate
            found = [misses(one, name) for one in measured if one.gate == gate]
            gated = [missed for missed in found if missed is not None]
            if gate and len(gated) == len(study.of(condition)):
                missed = {value: sum(value in one for one in gated) for value in gate}
                passed = sum(not one for one in gated)
                named = study.named(condition)
                real = _real_passes_over_draws(measured, name)
                rows.append(GateRow(named, name, gate, len(gated), passed, missed, real))
    return rows


def _real_passes_over_draws(measured: list[Quality], name: str) -> float | None:
    return real_share(
        [
            (one, other.classes[name].values["real"], one.classes[name].values["real"])
            for one, other in permutations(measured, 2)
            # Features of two extractors are two scales, on which no two sets can be compared.
            if one.extractor == other.extractor
        ]
    )


def _qualities(jobs: list[FinishedDraw]) -> list[Quality]:
    return [job.result.quality for job in jobs if job.result.quality is not None]


def _generated(quality: Quality, name: str) -> Values:
    return quality.classes[name].values["generated"] if name in quality.classes else {}


def gains_of(study: Study, jobs: list[FinishedDraw]) -> NDArray[np.float64]:
    """Return each draw's gain in the primary endpoint: the asked arm less its reference."""
    asked = study.first.question
    values = study.main_by_draw(jobs[0].condition)
    gains: NDArray[np.float64] = (values[asked.arm] - values[asked.reference]).to_numpy()
    return gains


def _values(measured: list[Quality], name: str, images: str, value: str) -> NDArray[np.float64]:
    """Return a value of each draw; of none where some draw lacks it."""
    found = [one.classes[name].values[images].get(value) for one in measured]
    return np.array([] if None in found else found, np.float64)


def _row(
    measured: list[Quality],
    gains: NDArray[np.float64],
    name: str,
    value: str,
    condition: Swept,
) -> QualityRow:
    generated = _values(measured, name, "generated", value)
    baseline = _values(measured, name, "real", value)
    counts = [one.classes[name].images["measured"] for one in measured]
    extractors = sorted({one.extractor for one in measured})
    rho = p = None
    varies = np.ptp(generated) > 0 and np.ptp(gains) > 0
    # Features of two extractors are two scales, which no correlation may mix.
    if len(measured) >= LEAST_DRAWS and varies and len(extractors) == 1:
        test = stats.spearmanr(generated, gains)
        rho, p = float(test.statistic), float(test.pvalue)
    return QualityRow(
        class_=name,
        value=value,
        good=measured[0].good[value],
        n=[min(counts), max(counts)],
        extractor=", ".join(extractors),
        generated=float(generated.mean()),
        generated_sd=float(generated.std(ddof=1)) if len(measured) > 1 else None,
        baseline=float(baseline.mean()) if len(baseline) else None,
        baseline_sd=float(baseline.std(ddof=1)) if len(baseline) > 1 else None,
        rho=rho,
        p=p,
        condition=condition,
        p_holm=None,
    )


def _corrected(rows: list[QualityRow]) -> list[QualityRow]:
    """Fill in `p_holm` over a family of rows."""
    corrected = iter(holm([row.p for row in rows if row.p is not None]))
    return [row if row.p is None else replace(row, p_holm=next(corrected)) for row in rows]


def quality_against_gain(study: Study, rows: list[QualityRow]) -> Figure | None:
    """Draw each draw's gain against the quality of its GANs, one panel a value."""
    shown = [value for value in SHOWN if any(row.value == value for row in rows)]
    if not shown or len(study.conditions) > 1:
        return None
    columns = min(3, len(shown))
    n_rows = math.ceil(len(shown) / columns)
    figure = new_figure(figsize=(3.4 * columns, 3.0 * n_rows + 0.5), layout="constrained", dpi=140)
    panels = list(figure.subplots(n_rows, columns, squeeze=False, sharey=True).flat)
    gains = 100 * gains_of(study, study.jobs)
    for axes, value in zip(panels, shown, strict=False):
        notes = []
        for row in (row for row in rows if row.value == value):
            colour = _COLOURS[study.classes.label(row.class_) % len(_COLOURS)]
            x = _values(_qualities(study.jobs), row.class_, "generated", value)
            axes.scatter(x, gains, s=18, color=colour, alpha=0.7, linewidths=0, label=row.class_)
            if row.baseline is not None:
                axes.axvline(row.baseline, color=colour, linewidth=1, linestyle="--")
            if row.rho is not None:
                notes.append(f"{row.class_}: rho = {row.rho:+.2f}, p = {row.p_holm:.2g}")
        axes.axhline(0, color="#333", linewidth=0.8)
        axes.set_xlabel(name_of(value), fontsize=9)
        axes.set_title("\n".join(notes), fontsize=8, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    figure.supylabel(f"gain in {study.title}, points", fontsize=9)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure
