"""The report's figures."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from torchmetrics.functional.classification import binary_roc

from gan_aug.evaluation.measured import GENERATED
from gan_aug.report.drawing import (
    SWEPT_ARM,
    band,
    bar,
    canvas,
    family_of,
    legend,
    palette,
    panels,
    tidy,
)
from gan_aug.report.predictions import Numbers
from gan_aug.report.quality import gains_of, name_of, values_of
from gan_aug.report.ruler_figure import ruler_figure
from gan_aug.report.study import Study, label_of
from gan_aug.report.summary import Summary
from gan_aug.report.worth import measures_on

STYLES = ("-", "--", ":", "-.")
"""Of arms that differ in a count, and so have one colour."""
OF_QUALITY = ("kid", "precision", "coverage", "swd", "copying_pixel", "judged_as_class")
"""Values of GAN images that are drawn against the gain, as far as they were measured."""
OF_CLASSES = (
    "#2f6db3", "#c0504d", "#1b7f79", "#b8860b", "#8a63a8", "#4c5b6b", "#3b8a3e", "#a0522d",
)  # fmt: skip
"""Colours, in the order of their labels."""


GROUPS_WIDTH, MOST_SPLITS = 9.0, 3
"""Inches of the figure of groups, and panels beside each other."""
APART = 0.14
"""Of a row's height: of the marks of two references from its middle."""


def all_figures(study: Study, summary: Summary) -> dict[str, Figure | None]:
    """Draw the figures, by the name of their file; None where the study has no numbers for one."""
    declared = [m for e in summary.endpoints for m in measures_on(summary.worth, e.where)]
    return {
        "ruler": ruler_figure(declared, study.titles),
        "paired_differences": paired_differences(study, summary),
        "accuracy_by_count": accuracy_by_count(study),
        "gain_by_size": gain_by_size(study, summary),
        "roc": roc(study),
        "learning_curves": learning_curves(study),
        "quality_against_gain": quality_against_gain(study, summary),
        "subgroups": subgroups(study, summary),
    }


def t_band(values: Numbers) -> tuple[Numbers, Numbers]:
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
    width = 6.2 / min(2, len(blocks))
    figure, every = panels(len(blocks), 2, width, 0.4 + 0.26 * len(arms), 0.6, share_x=True)
    for axes, block, condition in zip(every, blocks, study.conditions, strict=True):
        values = study.main_by_draw(condition)
        for row, arm in enumerate(arms):
            if (pair := block.pair(arm, "real")) is None:
                continue
            differences = 100 * (values[arm] - values["real"]).drop_nulls().to_numpy()
            spread = np.linspace(-0.18, 0.18, len(differences)) if len(differences) > 1 else 0
            colour = colours[arm]
            axes.scatter(differences, row + spread, s=14, color=colour, alpha=0.45, linewidths=0)
            bar(axes, pair, row, colour, 3, 6)
        axes.axvline(0, color="#333", linewidth=1)
        axes.set_yticks(range(len(arms)), arms, fontsize=9)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        tidy(axes, "x")
        if label := label_of(block.condition):
            axes.set_title(textwrap.fill(label, 36), loc="left", fontsize=9)
    of_what = textwrap.fill(f"difference from real in {study.title}, points", 70)
    shown = "(dots: draws; diamond and bar: mean, 95% interval)"
    figure.supxlabel(f"{of_what}\n{shown}", fontsize=9)
    return figure


def accuracy_by_count(study: Study) -> Figure | None:
    """Draw accuracy against the number of images added, for arms named like gan_50, gan_100."""
    counts = {arm: sum(study.first.arms[arm].added.values()) for arm in study.arms}
    groups: dict[str, list[tuple[int, str]]] = {}
    for arm in study.arms:
        if SWEPT_ARM.match(arm) and counts[arm]:
            groups.setdefault(family_of(arm), []).append((counts[arm], arm))
    # Arms of one name that add as many images differ in something else: no line joins them.
    groups = {
        name: sorted(group)
        for name, group in groups.items()
        if len({total for total, _ in group}) == len(group) >= 3
    }
    if not groups or "real" not in study.arms:
        return None
    figure = canvas(8, 4.2)
    axes = figure.subplots()
    values = study.main_by_draw(study.conditions[0])
    totals = [0, *sorted({total for group in groups.values() for total, _ in group})]
    colours = palette(study.first.arms)
    for name, group in groups.items():
        columns = ["real", *(arm for _, arm in group)]
        places = np.array([0.0, *(totals.index(total) for total, _ in group)])
        mean, half = t_band(100 * values.select(columns).drop_nulls().to_numpy())
        band(axes, places, mean, half, "o-", 0.15, color=colours[name], label=name)
    axes.set_xticks(range(len(totals)), map(str, totals))
    axes.set_xlabel("images added (both classes together)")
    axes.set_ylabel(f"{study.title}, %")
    tidy(axes, "y")
    legend(figure, axes, 6)
    return figure


def gain_by_size(study: Study, summary: Summary) -> Figure | None:
    """Draw accuracy, and the gain over `real`, against the number of training images a class."""
    if study.keys != ["per_class"] or len(study.conditions) < 2 or "real" not in study.arms:
        return None
    figure = canvas(10, 4.2)
    left, right = figure.subplots(1, 2)
    places = np.arange(len(study.conditions), dtype=float)
    tables = [study.main_by_draw(c) for c in study.conditions]
    blocks = summary.splits[study.primary][study.endpoints[0].name]
    colours = palette(study.first.arms)
    for i, arm in enumerate(study.arms):
        line: dict[str, Any] = {"color": colours[arm], "label": arm, "markersize": 4}
        bands = [t_band(100 * table[arm].drop_nulls().to_numpy()) for table in tables]
        mean, half = (np.array(part) for part in zip(*bands, strict=True))
        band(left, places, mean, half, "o-", 0.1, **line)
        if arm == "real":
            continue
        pairs = [(place, b.pair(arm, "real")) for place, b in zip(places, blocks, strict=True)]
        known = [(place, pair) for place, pair in pairs if pair is not None]
        offset = [place + (i - len(study.arms) / 2) * 0.08 for place, _ in known]
        right.plot(offset, [100 * pair.mean for _, pair in known], "o-", linewidth=1, **line)
        for place, (_, pair) in zip(offset, known, strict=True):
            if pair.interval is not None:
                ends = [100 * end for end in pair.interval]
                right.plot([place, place], ends, color=colours[arm], linewidth=2, alpha=0.5)
    ticks = []
    for condition in study.conditions:
        used = (study.of(condition)[0].data.used or {})["train"]
        every = f"all: {' + '.join(map(str, used.values()))}"
        ticks.append(every if condition["per_class"] is None else str(condition["per_class"]))
    for axes in (left, right):
        axes.set_xticks(places, ticks)
        axes.set_xlabel("training images of each class")
        tidy(axes, "y")
    right.axhline(0, color="#333", linewidth=1)
    left.set_ylabel(f"{study.title}, %")
    right.set_ylabel("difference from real, points (95% interval)")
    legend(figure, left, 6)
    return figure


def roc_curve(probabilities: Numbers, labels: NDArray[Any], grid: Numbers) -> Numbers:
    """Return the sensitivity at each false positive rate of `grid`, linear between the points."""
    rates = binary_roc(torch.tensor(probabilities), torch.tensor(labels).long())[:2]
    false, true = (rate.numpy() for rate in rates)
    # At equal false positive rates the curve is vertical: its upper end counts.
    upper = np.append(false[1:] != false[:-1], True)
    return np.asarray(np.interp(grid, false[upper], true[upper]))


def roc(study: Study) -> Figure | None:
    """Draw each arm's mean ROC curve over draws with its 95% band (vertical averaging)."""
    if len(study.conditions) > 1:
        return None
    grid = np.linspace(0, 1, 201)
    # The positive class's curve; without one the mean of all, each against the rest.
    positive = study.classes.positive_label
    asked = range(len(study.classes)) if positive is None else [positive]
    curves = {}
    for arm in study.arms:
        of_draws = []
        for job in study.jobs:
            of_repeats = []
            for fit in job.result.fits_of(arm):
                one = job.predictions(fit)[study.primary]
                shares = one.probabilities()
                of_classes = [roc_curve(shares[:, k], one.labels == k, grid) for k in asked]
                of_repeats.append(np.mean(of_classes, axis=0))
            if of_repeats:
                of_draws.append(np.mean(of_repeats, axis=0))
        curves[arm] = np.array(of_draws)
    figure, every = panels(len(curves), 4, 2.6, 2.7, share_x=True)
    colours = palette(study.first.arms)
    for axes, (arm, values) in zip(every, curves.items(), strict=True):
        mean, half = t_band(values)
        low, high = mean - half, np.minimum(1, mean + half)
        axes.fill_between(grid, low, high, color=colours[arm], alpha=0.25, linewidth=0)
        axes.plot(grid, mean, color=colours[arm])
        if "real" in curves and arm != "real":
            of_real = curves["real"].mean(axis=0)
            axes.plot(grid, of_real, color=colours["real"], linewidth=0.9, linestyle=":")
        axes.plot([0, 1], [0, 1], color="#ccc", linewidth=0.8)
        axes.set_title(arm, fontsize=10)
        axes.set_aspect("equal")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        tidy(axes)
    figure.supxlabel("1 - specificity", fontsize=10)
    figure.supylabel("sensitivity", fontsize=10)
    return figure


def learning_curves(study: Study) -> Figure | None:
    """Draw training and validation loss against steps: mean and sd over draws and repeats."""
    if len(study.conditions) > 1:
        return None
    figure = canvas(10, 3.6)
    every = figure.subplots(1, 2, sharey=True)
    colours = palette(study.first.arms)
    families = [family_of(arm) for arm in study.arms]
    for i, arm in enumerate(study.arms):
        style = STYLES[families[:i].count(families[i]) % len(STYLES)]
        fits = [fit for fit in study.fits if fit.arm == arm]
        steps = np.array([point["step"] for point in fits[0].curve])
        if len(steps) < 2:
            return None
        for axes, key in zip(every, ("train_loss", "val_loss"), strict=True):
            values = np.array([[point[key] for point in fit.curve] for fit in fits])
            mean, sd = values.mean(axis=0), values.std(axis=0)
            band(axes, steps, mean, sd, style, 0.1, color=colours[arm], label=arm)
    for axes, title in zip(every, ("training loss (last batch)", "validation loss"), strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("optimizer step")
        axes.set_ylim(bottom=0)
        tidy(axes, "y")
    every[0].set_ylabel("cross-entropy")
    handles = every[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def quality_against_gain(study: Study, summary: Summary) -> Figure | None:
    """Draw each draw's gain against the quality of its GANs, one panel a value."""
    shown = [value for value in OF_QUALITY if any(row.value == value for row in summary.quality)]
    if not shown or len(study.conditions) > 1:
        return None
    figure, every = panels(len(shown), 3, 3.4, 3.0, 0.5)
    gains = 100 * gains_of(study, study.conditions[0])
    for axes, value in zip(every, shown, strict=True):
        notes = []
        for row in (row for row in summary.quality if row.value == value):
            colour = OF_CLASSES[study.classes.label(row.class_) % len(OF_CLASSES)]
            x = values_of(study.jobs, row.class_, GENERATED, value)
            axes.scatter(x, gains, s=18, color=colour, alpha=0.7, linewidths=0, label=row.class_)
            if row.baseline is not None:
                axes.axvline(row.baseline, color=colour, linewidth=1, linestyle="--")
            if row.rho is not None:
                note = f"{row.class_}: rho = {row.rho:+.2f}, p = {row.p_holm:.2g}"
                notes.append(textwrap.fill(note, 44))
        axes.axhline(0, color="#333", linewidth=0.8)
        axes.set_xlabel(name_of(value), fontsize=9)
        axes.set_title("\n".join(notes), fontsize=8, loc="left")
        tidy(axes)
        axes.tick_params(labelsize=8)
    figure.supylabel(f"gain in {study.title}, points", fontsize=9)
    legend(figure, every[0], 2)
    return figure


def subgroups(study: Study, summary: Summary) -> Figure | None:
    """Draw the asked arm less its references in each group, one panel a split."""
    groups = summary.subgroups
    if groups is None or len(study.conditions) > 1:
        return None
    rows = [row for row in groups.rows if row.metric == groups.metrics[0] and row.comparisons]
    splits = list(dict.fromkeys(row.split for row in rows))
    names = list(dict.fromkeys((row.column, row.name) for row in rows))
    if len(names) < 2:
        return None
    width = GROUPS_WIDTH / min(len(splits), MOST_SPLITS)
    figure, every = panels(len(splits), MOST_SPLITS, width, 0.9 + 0.4 * len(names), 0.3)
    colours = palette(study.first.arms)
    for axes, split in zip(every, splits, strict=True):
        of_split = {(row.column, row.name): row for row in rows if row.split == split}
        for reference in groups.against:
            off = (2 * groups.against.index(reference) - len(groups.against) + 1) * APART
            label, colour = f"{groups.asked} less {reference}", colours[reference]
            axes.plot([], [], "D-", color=colour, markersize=5, mec="white", label=label)
            for place, name in enumerate(names):
                if name in of_split and (pair := of_split[name].pair(reference)) is not None:
                    bar(axes, pair, place + off, colour, 2.5, 5)
        axes.axvline(0, color="#333", linewidth=1)
        texts = ["all images" if c is None else f"{c} = {n}" for c, n in names]
        axes.set_yticks(range(len(names)), [textwrap.fill(text, 30) for text in texts], fontsize=9)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_title(f"{split} images", loc="left", fontsize=10)
        axes.set_xlabel(
            f"difference in {study.metrics[study.endpoints[0].name]}, points", fontsize=9
        )
        tidy(axes, "x")
    legend(figure, every[0], 2)
    return figure
