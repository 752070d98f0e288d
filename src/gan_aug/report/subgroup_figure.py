"""The figure of a report that shows the asked arm in every group of images."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_aug.report.drawing import palette, panels, tidy
from gan_aug.report.subgroups import GroupRow, Subgroups

_WIDTH, _MOST = 9.0, 3
"""Inches of the figure, and panels beside each other."""
_APART = 0.14
"""Of a row's height: of the marks of two references from its middle."""


def subgroup_figure(
    groups: Subgroups | None, title: str, colours_of: Sequence[str]
) -> Figure | None:
    """Draw the asked arm less its references in each group, one panel a split.

    `title` is the primary metric in words, `colours_of` the study's arms. None without groups, and
    where several conditions have them.
    """
    if groups is None or len({row.label for row in groups.rows}) > 1:
        return None
    rows = [row for row in groups.rows if row.metric == groups.metrics[0] and row.comparisons]
    splits = list(dict.fromkeys(row.split for row in rows))
    names = list(dict.fromkeys((row.column, row.name) for row in rows))
    if len(names) < 2:
        return None
    width = _WIDTH / min(len(splits), _MOST)
    figure, every = panels(len(splits), _MOST, width, 0.9 + 0.4 * len(names), 0.3)
    colours = palette(colours_of)
    for axes, split in zip(every, splits, strict=True):
        of_split = {(row.column, row.name): row for row in rows if row.split == split}
        for reference in groups.against:
            off = (2 * groups.against.index(reference) - len(groups.against) + 1) * _APART
            label, colour = f"{groups.asked} less {reference}", colours[reference]
            _draw(axes, [of_split.get(name) for name in names], reference, off, colour, label)
        axes.axvline(0, color="#333", linewidth=1)
        texts = ["all images" if c is None else f"{c} = {n}" for c, n in names]
        axes.set_yticks(range(len(names)), [textwrap.fill(text, 30) for text in texts], fontsize=9)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_title(f"{split} images", loc="left", fontsize=10)
        axes.set_xlabel(f"difference in {title}, points", fontsize=9)
        tidy(axes, "x")
    handles = every[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def _draw(
    axes: Axes,
    rows: Sequence[GroupRow | None],
    reference: str,
    off: float,
    colour: str,
    label: str,
) -> None:
    axes.plot([], [], "D-", color=colour, markersize=5, mec="white", label=label)
    for place, row in enumerate(rows):
        pair = row.pair(reference) if row is not None else None
        if pair is None:
            continue
        if pair.interval is not None:
            ends = [100 * end for end in pair.interval]
            axes.plot(ends, [place + off] * 2, color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot(100 * pair.mean, place + off, "D", color=colour, markersize=5, mec="white")
