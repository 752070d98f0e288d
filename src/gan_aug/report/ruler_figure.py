"""The figure of a study's ruler: what each arm is worth in real images."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_aug.report.worth import Measure

COLUMNS = 2
MOST = 8
"""Panels."""
RULER = "#222"
OWN = "#c0504d"
TELLS, TELLS_NOT = "#1b7f79", "#b9c0c7"


def ruler_figure(worth: list[Measure]) -> Figure | None:
    """Draw a panel for each endpoint: the ruler above, and below where each arm lands on it.

    Where a study has several conditions, a panel for each of the first ones shows the first
    endpoint.
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
    for_arms = 0.3 * len(shown[0].arms)
    figure = Figure(
        figsize=(1.2 + 4 * columns, lines * (3 + for_arms)), layout="constrained", dpi=140
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
        _draw_arms(below, measure, column == 0)
        of = "each class" if len(measure.classes) > 1 else measure.classes[0]
        below.set_xlabel(f"real images of {of}")
        below.tick_params(axis="x", labelbottom=True)
    return figure


def _draw_curve(axes: Axes, measure: Measure) -> None:
    axes.set_axis_on()
    axes.plot(measure.sizes, [100 * v for v in measure.curve], color=RULER, linewidth=1.6)
    axes.plot(measure.sizes, [100 * v for v in measure.means], "o", color=RULER, markersize=4)
    axes.axvline(measure.own, color=OWN, linewidth=1, linestyle=":")
    metric = measure.metric.replace("_", " ").replace("auroc", "AUROC").replace("auprc", "AUPRC")
    where = f"{measure.label}: " if measure.label else ""
    axes.set_title(f"{where}{measure.split} {metric}", loc="left", fontsize=10)
    if not measure.sensitivity.seen:
        few = measure.sensitivity.interval is None
        why = "too few draws to tell" if few else "cannot tell: not shown to rise with real images"
        axes.text(0.5, 0.06, why, transform=axes.transAxes, ha="center", fontsize=8, color=OWN)
    axes.set_xscale("log", base=2)
    axes.set_ylabel("%")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_arms(axes: Axes, measure: Measure, named: bool) -> None:
    axes.set_axis_on()
    first, last = measure.sizes[0], measure.sizes[-1]
    colour = TELLS if measure.sensitivity.seen else TELLS_NOT
    for row, arm in enumerate(measure.arms.values()):
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
    axes.axvline(measure.own, color=OWN, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(measure.arms)), list(measure.arms) if named else [])
    axes.set_ylim(len(measure.arms) - 0.5, -0.5)
    axes.set_xticks(measure.sizes, [str(size) for size in measure.sizes])
    axes.minorticks_off()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
