"""The report's figures."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from torchmetrics.functional.classification import binary_roc

from gan_aug.data.classes import Classes
from gan_aug.pages.figure import new_figure
from gan_aug.report.palette import SWEPT_ARM, family_of, palette
from gan_aug.report.quality import quality_against_gain
from gan_aug.report.ruler_figure import ruler_figure
from gan_aug.report.study import Study
from gan_aug.report.summary import Summary
from gan_aug.report.worth import Measure

STYLES = ("-", "--", ":", "-.")
"""Of arms that differ in a count, and so have one colour."""


def all_figures(study: Study, summary: Summary) -> dict[str, bytes]:
    """Draw the figures that the study has numbers for.

    Returns:
        File name without ending to PNG.
    """
    titles = {arm: facts.title for arm, facts in study.first.arms.items()}
    drawn: dict[str, Callable[[], Figure | None]] = {
        "ruler": lambda: ruler_figure(_declared(summary), titles),
        "paired_differences": lambda: paired_differences(study, summary),
        "accuracy_by_count": lambda: accuracy_by_count(study),
        "gain_by_size": lambda: gain_by_size(study, summary),
        "roc": lambda: roc(study),
        "learning_curves": lambda: learning_curves(study),
        "quality_against_gain": lambda: quality_against_gain(study, summary.quality),
    }
    figures = {name: draw() for name, draw in drawn.items()}
    return {name: _png(figure) for name, figure in figures.items() if figure is not None}


def _declared(summary: Summary) -> list[Measure]:
    """Return the ruler's measures on declared endpoints, in their order."""
    order: list[tuple[str, str]] = [(one.split, one.name) for one in summary.endpoints]
    found = [one for one in summary.worth if (one.split, one.metric) in order]
    return sorted(found, key=lambda one: order.index((one.split, one.metric)))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    return new_figure(figsize=(width, height), layout="constrained", dpi=140)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)


def t_band(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and half width of the 95% t interval over the first axis (draws)."""
    n = len(values)
    mean = values.mean(axis=0)
    if n < 2:
        return mean, np.zeros_like(mean)
    return mean, stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)


def paired_differences(study: Study, summary: Summary) -> Figure | None:
    """Draw every draw's difference from `real`, with mean and interval, one panel a condition."""
    blocks = summary.splits[study.primary][study.endpoints[0].name]
    if len(blocks) > 6 or "real" not in study.arms:
        return None  # a sweep of many settings has a table instead
    arms = [arm for arm in study.arms if arm != "real"]
    colours = palette(study.first.arms)
    figure = _figure(9, 1.1 + len(blocks) * (0.5 + 0.34 * len(arms)))
    panels = figure.subplots(len(blocks), 1, squeeze=False, sharex=True)[:, 0]
    for axes, block, condition in zip(panels, blocks, study.conditions, strict=True):
        values = study.main_by_draw(condition)
        found = {c.arm: c for c in block.comparisons if c.reference == "real"}
        for row, arm in enumerate(arms):
            differences = 100 * (values[arm] - values["real"]).drop_nulls().to_numpy()
            spread = np.linspace(-0.18, 0.18, len(differences)) if len(differences) > 1 else 0
            colour = colours[arm]
            axes.scatter(differences, row + spread, s=14, color=colour, alpha=0.45, linewidths=0)
            comparison = found[arm]
            if comparison.interval is not None:
                ends = [100 * end for end in comparison.interval]
                axes.plot(ends, [row, row], color=colour, linewidth=3, solid_capstyle="butt")
            axes.plot(100 * comparison.mean, row, "D", color=colour, markersize=6, mec="white")
        axes.axvline(0, color="#333", linewidth=1)
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
        axes.set_axisbelow(True)
        if label := study.label(condition):
            axes.set_title(label, loc="left", fontsize=10)
    panels[-1].set_xlabel(
        f"difference from real in {study.title}, points\n"
        "(dots: draws; diamond and bar: mean, 95% interval)"
    )
    return figure


def accuracy_by_count(study: Study) -> Figure | None:
    """Draw accuracy against the number of images added, for arms named like gan_50, gan_100."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for arm in study.arms:
        if match := SWEPT_ARM.match(arm):
            total = sum(study.first.arms[arm].added.values())
            if total:
                groups.setdefault(match[1], []).append((total, arm))
    groups = {name: sorted(found) for name, found in groups.items() if len(found) >= 3}
    if not groups or "real" not in study.arms:
        return None
    figure = _figure(8, 4.2)
    axes = figure.subplots()
    values = study.main_by_draw(study.conditions[0])
    positions = {0: 0.0}
    for total in sorted({total for found in groups.values() for total, _ in found}):
        positions[total] = len(positions)
    colours = palette(study.first.arms)
    for name, found in groups.items():
        columns = ["real", *(arm for _, arm in found)]
        places = [0.0, *(positions[total] for total, _ in found)]
        mean, half = t_band(100 * values.select(columns).drop_nulls().to_numpy())
        colour = colours[name]
        axes.plot(places, mean, "o-", color=colour, label=name)
        axes.fill_between(places, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(list(positions.values()), [str(total) for total in positions])
    axes.set_xlabel("images added (both classes together)")
    axes.set_ylabel(f"{study.title}, %")
    axes.legend(frameon=False)
    _tidy(axes)
    return figure


def gain_by_size(study: Study, summary: Summary) -> Figure | None:
    """Draw accuracy, and the gain over `real`, against the number of training images a class."""
    if study.keys != ["per_class"] or len(study.conditions) < 2 or "real" not in study.arms:
        return None
    figure = _figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    places = np.arange(len(study.conditions))
    tables = [study.main_by_draw(c) for c in study.conditions]
    blocks = summary.splits[study.primary][study.endpoints[0].name]
    colours = palette(study.first.arms)
    for i, arm in enumerate(study.arms):
        colour = colours[arm]
        bands = [t_band(100 * table[arm].drop_nulls().to_numpy()) for table in tables]
        mean, half = (np.array(part) for part in zip(*bands, strict=True))
        left.plot(places, mean, "o-", color=colour, label=arm, markersize=4)
        left.fill_between(places, mean - half, mean + half, color=colour, alpha=0.1, linewidth=0)
        if arm == "real":
            continue
        found = [c for b in blocks if (c := b.pair(arm, "real")) is not None]
        offset = places + (i - len(study.arms) / 2) * 0.08
        gains = np.array([100 * c.mean for c in found])
        right.plot(offset, gains, "o-", color=colour, label=arm, markersize=4, linewidth=1)
        for place, c in zip(offset, found, strict=True):
            if c.interval is not None:
                ends = [100 * end for end in c.interval]
                right.plot([place, place], ends, color=colour, linewidth=2, alpha=0.5)
    ticks = []
    for (size,), job in zip(
        study.conditions, (study.of(c)[0] for c in study.conditions), strict=True
    ):
        used = (job.data.used or {})["train"]
        ticks.append(
            str(size) if size is not None else f"all: {' + '.join(map(str, used.values()))}"
        )
    for axes in (left, right):
        axes.set_xticks(places, ticks)
        axes.set_xlabel("training images of each class")
        _tidy(axes)
    right.axhline(0, color="#333", linewidth=1)
    left.set_ylabel(f"{study.title}, %")
    right.set_ylabel("difference from real, points (95% interval)")
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    return figure


def roc_curve(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sensitivity at each false positive rate of `grid`, linear between the points."""
    rates = binary_roc(torch.tensor(probabilities), torch.tensor(labels))[:2]
    false, true = (rate.numpy() for rate in rates)
    # At equal false positive rates the curve is vertical: its upper end counts.
    upper = np.append(false[1:] != false[:-1], True)
    found: NDArray[np.float64] = np.interp(grid, false[upper], true[upper])
    return found


def mean_roc(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Classes,
    grid: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the positive class's curve; without one the mean of all, each against the rest.

    Args:
        probabilities: (N, K).
        labels: (N,).
        classes: K of them.
        grid: false positive rates.
    """
    positive = classes.positive_label
    asked = range(len(classes)) if positive is None else [positive]
    curves = [roc_curve(probabilities[:, k], (labels == k).astype(np.int64), grid) for k in asked]
    found: NDArray[np.float64] = np.mean(curves, axis=0)
    return found


def roc(study: Study) -> Figure | None:
    """Draw each arm's mean ROC curve over draws with its 95% band (vertical averaging)."""
    if len(study.conditions) > 1:
        return None
    grid = np.linspace(0, 1, 201)
    curves = {}
    for arm in study.arms:
        of_draws = []
        for job in study.jobs:
            found = [job.predictions(fit)[study.primary] for fit in job.result.fits_of(arm)]
            of_repeats = [
                mean_roc(one.probabilities(), one.labels, study.classes, grid) for one in found
            ]
            if of_repeats:
                of_draws.append(np.mean(of_repeats, axis=0))
        curves[arm] = np.array(of_draws)
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = _figure(2.6 * columns, 2.7 * rows)
    grid_of_axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    panels = list(grid_of_axes.flat)
    base = curves.get("real")
    colours = palette(study.first.arms)
    for axes, (arm, values) in zip(panels, curves.items(), strict=False):
        mean, half = t_band(values)
        colour = colours[arm]
        axes.fill_between(
            grid, mean - half, np.minimum(1, mean + half), color=colour, alpha=0.25, linewidth=0
        )
        axes.plot(grid, mean, color=colour)
        if base is not None and arm != "real":
            of_real = base.mean(axis=0)
            axes.plot(grid, of_real, color=colours["real"], linewidth=0.9, linestyle=":")
        axes.plot([0, 1], [0, 1], color="#ccc", linewidth=0.8)
        axes.set_title(arm, fontsize=10)
        axes.set_aspect("equal")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.supxlabel("1 - specificity", fontsize=10)
    figure.supylabel("sensitivity", fontsize=10)
    return figure


def learning_curves(study: Study) -> Figure | None:
    """Draw training and validation loss against steps: mean and sd over draws and repeats."""
    if len(study.conditions) > 1:
        return None
    figure = _figure(10, 3.6)
    panels = figure.subplots(1, 2, sharey=True)
    colours = palette(study.first.arms)
    families = [family_of(arm) for arm in study.arms]
    for i, arm in enumerate(study.arms):
        style = STYLES[families[:i].count(families[i]) % len(STYLES)]
        fits = [fit for job in study.jobs for fit in job.result.fits_of(arm)]
        steps = [point["step"] for point in fits[0].curve]
        if len(steps) < 2:
            return None
        for axes, key in zip(panels, ("train_loss", "val_loss"), strict=True):
            values = np.array([[point[key] for point in fit.curve] for fit in fits])
            mean, sd = values.mean(axis=0), values.std(axis=0)
            colour = colours[arm]
            axes.plot(steps, mean, style, color=colour, label=arm)
            axes.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.1, linewidth=0)
    for axes, title in zip(panels, ("training loss (last batch)", "validation loss"), strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("optimizer step")
        axes.set_ylim(bottom=0)
        _tidy(axes)
    panels[0].set_ylabel("cross-entropy")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8
    )
    return figure
