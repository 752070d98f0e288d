"""The figure of a study's ruler: what each arm is worth in real images."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_aug.report.drawing import canvas, palette, tidy
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.worth import Measure

COLUMNS, MOST = 2, 8
"""Panels in a row, and in all."""
RULER, OWN, TELLS_NOT = "#222", "#7a828a", "#b9c0c7"
ROW = 0.4
"""Inches."""
NEAREST = 0.3
"""Doublings between two sizes whose labels have room."""


def ruler_figure(worth: list[Measure], titles: Mapping[str, str]) -> Figure | None:
    """Draw a panel for each endpoint: the ruler above, and below where each arm lands on it.

    Where a study has several conditions, a panel for each of the first ones shows the first
    endpoint. The titles are what all arms are, in the study's order.
    """
    if not worth:
        return None
    of_condition: dict[str, Measure] = {}
    for measure in worth:
        of_condition.setdefault(measure.label, measure)
    shown = list(of_condition.values())[:MOST] if len(of_condition) > 1 else worth
    columns = min(COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    for_arms = ROW * len(shown[0].arms)
    figure = canvas(2.4 + 5 * columns, lines * (2.8 + for_arms))
    grid = figure.subplots(
        2 * lines, columns, squeeze=False, sharex="col", height_ratios=(2.2, for_arms) * lines
    )
    for axes in grid.flat:
        axes.set_axis_off()
    colours = palette(titles)
    for i, measure in enumerate(shown):
        line, column = divmod(i, columns)
        above, below = grid[2 * line, column], grid[2 * line + 1, column]
        _draw_curve(above, measure)
        _draw_arms(below, measure, titles, colours, named=column == 0)
    return figure


def _draw_curve(axes: Axes, measure: Measure) -> None:
    axes.set_axis_on()
    axes.plot(measure.sizes, [100 * v for v in measure.curve], color=RULER, linewidth=1.6)
    axes.plot(measure.sizes, [100 * v for v in measure.means], "o", color=RULER, markersize=4)
    axes.axvline(measure.own, color=OWN, linewidth=1, linestyle=":")
    metric = measure.metric.replace("_", " ").replace("auroc", "AUROC").replace("auprc", "AUPRC")
    # Above the panel, where neither curve nor ticks can be.
    notes = [measure.label, f"dotted: the draw has {measure.own}"]
    if not measure.sensitivity.seen:
        few = measure.sensitivity.interval is None
        blind = "cannot tell: not shown to rise with more real images"
        too_few = f"{measure.draws} draws are too few to tell; {LEAST_DRAWS} are the fewest"
        notes.append(too_few if few else blind)
    axes.set_title("\n".join(filter(None, notes)), loc="left", fontsize=9)
    axes.set_xscale("log", base=2)
    axes.set_ylabel(f"{measure.split} {metric}, %")
    tidy(axes)


def _draw_arms(
    axes: Axes, measure: Measure, titles: Mapping[str, str], colours: Mapping[str, str], named: bool
) -> None:
    axes.set_axis_on()
    first, last = measure.sizes[0], measure.sizes[-1]
    tells = measure.sensitivity.seen
    arms = {name: arm for name, arm in measure.arms.items() if name != "real"}
    beside = axes.get_yaxis_transform()
    for row, (name, arm) in enumerate(arms.items()):
        rate, colour = arm.rate, colours[name] if tells else TELLS_NOT
        if rate.known:
            ends = [rate.low or first, rate.high or last]
            axes.plot(ends, [row, row], color=colour, linewidth=3, alpha=0.6)
            for end, place, marker in ((rate.low, first, "<"), (rate.high, last, ">")):
                if end is None:
                    axes.plot(place, row, marker, color=colour, markersize=6, clip_on=False)
        elif rate.outside:
            place, marker = (last, ">") if rate.outside > 0 else (first, "<")
            axes.plot(place, row, marker, color=colour, markersize=6, clip_on=False)
        if rate.images is not None:
            axes.plot(rate.images, row, "o", color=colour, markersize=6)
        if tells:
            axes.text(1.03, row, arm.worth, transform=beside, va="center", fontsize=8)
    if tells:
        head = "worth, in further real images"
        axes.text(1.03, 1, head, transform=axes.transAxes, va="bottom", fontsize=8, color=OWN)
    axes.axvline(measure.own, color=OWN, linewidth=1, linestyle=":")
    names = [textwrap.fill(titles[arm], 42) if named else "" for arm in arms]
    axes.set_yticks(range(len(arms)), names, fontsize=8)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xticks(measure.sizes, _apart(measure.sizes, measure.own))
    axes.minorticks_off()
    tidy(axes, "x")
    axes.set_xlabel(f"real images of {measure.varied}")
    axes.tick_params(axis="x", labelbottom=True)


def _apart(sizes: list[int], own: int) -> list[str]:
    """Return the labels of the sizes' ticks, without those that would lie over another one."""
    kept = [own] if own in sizes else []
    for size in sizes:
        if all(abs(math.log2(size / other)) > NEAREST for other in kept):
            kept.append(size)
    return [str(size) if size in kept else "" for size in sizes]
