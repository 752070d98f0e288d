"""The figure of a study's ruler: what each arm is worth in real images."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_aug.pages.figure import new_figure
from gan_aug.report.worth import Measure

COLUMNS = 2
MOST = 8
"""Panels."""
RULER = "#222"
OWN = "#c0504d"
TELLS, TELLS_NOT = "#1b7f79", "#b9c0c7"
ROW = 0.4
"""Inches."""


def ruler_figure(worth: list[Measure], titles: Mapping[str, str]) -> Figure | None:
    """Draw a panel for each endpoint: the ruler above, and below where each arm lands on it.

    Where a study has several conditions, a panel for each of the first ones shows the first
    endpoint.

    Args:
        worth: what the arms are worth.
        titles: the arms' names to what they are.
    """
    by_condition: dict[str, list[Measure]] = {}
    for measure in worth:
        by_condition.setdefault(measure.label, []).append(measure)
    if not by_condition:
        return None
    alone, *others = by_condition.values()
    shown = [found[0] for found in (alone, *others)][:MOST] if others else alone
    columns = min(COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    for_arms = ROW * len(shown[0].arms)
    figure = new_figure(
        figsize=(2.4 + 5 * columns, lines * (2.8 + for_arms)), layout="constrained", dpi=140
    )
    grid = figure.subplots(
        2 * lines, columns, squeeze=False, sharex="col", height_ratios=(2.2, for_arms) * lines
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for i, measure in enumerate(shown):
        line, column = divmod(i, columns)
        above, below = grid[2 * line, column], grid[2 * line + 1, column]
        _draw_curve(above, measure)
        _draw_arms(below, measure, titles if column == 0 else None)
        of = "each class" if len(measure.classes) > 1 else measure.classes[0]
        below.set_xlabel(f"real images of {of}")
        below.tick_params(axis="x", labelbottom=True)
    return figure


def _draw_curve(axes: Axes, measure: Measure) -> None:
    axes.set_axis_on()
    axes.plot(measure.sizes, [100 * v for v in measure.curve], color=RULER, linewidth=1.6)
    axes.plot(measure.sizes, [100 * v for v in measure.means], "o", color=RULER, markersize=4)
    axes.axvline(measure.own, color=OWN, linewidth=1, linestyle=":")
    left = measure.own > measure.sizes[len(measure.sizes) // 2]
    axes.annotate(
        f"the draw has {measure.own}", (measure.own, 1), (-4 if left else 4, -2),
        xycoords=axes.get_xaxis_transform(), textcoords="offset points",
        ha="right" if left else "left", va="top", fontsize=8, color=OWN,
    )  # fmt: skip
    metric = measure.metric.replace("_", " ").replace("auroc", "AUROC").replace("auprc", "AUPRC")
    axes.set_title(measure.label, loc="left", fontsize=10)
    if not measure.sensitivity.seen:
        few = measure.sensitivity.interval is None
        blind = "cannot tell: not shown to rise with more real images"
        why = "too few draws to tell" if few else blind
        axes.text(0.5, 0.06, why, transform=axes.transAxes, ha="center", fontsize=8, color=OWN)
    axes.set_xscale("log", base=2)
    axes.set_ylabel(f"{measure.split} {metric}, %")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_arms(axes: Axes, measure: Measure, titles: Mapping[str, str] | None) -> None:
    axes.set_axis_on()
    first, last = measure.sizes[0], measure.sizes[-1]
    tells = measure.sensitivity.seen
    colour = TELLS if tells else TELLS_NOT
    arms = {name: arm for name, arm in measure.arms.items() if name != "real"}
    beside = axes.get_yaxis_transform()
    for row, arm in enumerate(arms.values()):
        rate = arm.rate
        if rate.known:
            low, high = rate.low or first, rate.high or last
            axes.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.6)
        for end, marker in ((first, "<"), (last, ">")):
            beyond = rate.low is None if end == first else rate.high is None
            if rate.known and beyond:
                axes.plot(end, row, marker, color=colour, markersize=6, clip_on=False)
        if rate.images is not None:
            axes.plot(rate.images, row, "o", color=colour, markersize=6)
        if tells:
            axes.text(1.03, row, arm.worth, transform=beside, va="center", fontsize=8)
    if tells:
        head = "worth, in further real images"
        axes.text(1.03, -0.7, head, transform=beside, va="center", fontsize=8, color=OWN)
    axes.axvline(measure.own, color=OWN, linewidth=1, linestyle=":")
    names = [textwrap.fill(titles[arm], 42) for arm in arms] if titles else []
    axes.set_yticks(range(len(arms)), names or [""] * len(arms), fontsize=8)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xticks(measure.sizes, [str(size) for size in measure.sizes])
    axes.minorticks_off()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
