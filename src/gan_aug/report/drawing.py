"""What all figures of a report share: axes without a frame, intervals, one colour for an arm."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_aug.pages.figure import new_figure
from gan_aug.report.predictions import Numbers
from gan_aug.report.statistics import Comparison

COLOURS = (
    "#4c5b6b", "#1b7f79", "#d0812b", "#8a63a8", "#c0504d", "#2f6db3", "#3b8a3e", "#a0522d",
    "#d1668f", "#4fa8c5", "#7d7a1f", "#5546a0", "#e3a93c", "#93355a", "#6fae5c", "#1f4e6b",
)  # fmt: skip
SWEPT_ARM = re.compile(r"(.+)_(\d+)$")
"""gan_50, gan_100 ... are one arm with several counts."""


def family_of(arm: str) -> str:
    """Return what an arm is one of: `gan` for gan_50, itself where it has no count."""
    match = SWEPT_ARM.match(arm)
    return match[1] if match else arm


def palette(arms: Iterable[str]) -> dict[str, str]:
    """Return a colour for every arm, and for every family of arms that differ in a count.

    `real` has the first colour wherever it stands among a study's arms.
    """
    arms = list(arms)
    families = dict.fromkeys(["real", *map(family_of, arms)])
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(families)}
    return colours | {arm: colours[family_of(arm)] for arm in arms}


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches."""
    return new_figure(figsize=(width, height), layout="constrained", dpi=140)


def panels(
    number: int, most: int, width: float, height: float, beside: float = 0, *, share_x: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels of so many inches, at most `most` in a row."""
    columns = min(most, number)
    rows = -(-number // columns)
    figure = canvas(width * columns, height * rows + beside)
    every = list(figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=True).flat)
    for axes in every[number:]:
        axes.set_visible(False)
    for axes in every[:number][-columns:]:  # the lowest of its column
        axes.tick_params(labelbottom=True)
    return figure, every[:number]


def tidy(axes: Axes, grid: Literal["x", "y"] | None = None) -> None:
    """Take the frame off a panel, but for the axes with numbers, and draw a grid along one."""
    axes.spines[["top", "right"]].set_visible(False)
    if grid == "x":  # the other one has names
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    if grid is not None:
        axes.grid(axis=grid, color="#e3e6ea", linewidth=0.8)
        axes.set_axisbelow(True)


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Name what one panel shows, above all of them."""
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=9)


def bar(axes: Axes, one: Comparison, row: float, colour: str, width: float, size: float) -> None:
    """Draw a difference in points along a row: a diamond, and a bar from end to end."""
    if one.interval is not None:
        ends = [100 * end for end in one.interval]
        axes.plot(ends, [row, row], color=colour, linewidth=width, solid_capstyle="butt")
    axes.plot(100 * one.mean, row, "D", color=colour, markersize=size, mec="white")


def band(
    axes: Axes, x: Numbers, mean: Numbers, half: Numbers, style: str, alpha: float, **line: object
) -> None:
    """Draw a mean with a band of so much on either side; `line` is of the mean, as its colour."""
    axes.plot(x, mean, style, **line)  # type: ignore[arg-type]
    axes.fill_between(x, mean - half, mean + half, color=line["color"], alpha=alpha, linewidth=0)
