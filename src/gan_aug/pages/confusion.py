"""Figures, as matplotlib makes them, without a screen."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import Measured, confusion_matrix
from gan_aug.pages.figure import new_figure

_SHORT, _LINE = 10, 20
"""Letters of a class's name that has room below its column, and of a line of a longer one."""


def confusion_figure(results: dict[str, Measured], classes: Classes) -> Figure:
    """Draw a confusion matrix for each decision of `metrics.classification.measure`."""
    k = len(classes)
    longest = min(_LINE, max(map(len, classes.names)))
    side = 2.4 + 0.5 * k + 0.08 * max(0, longest - _SHORT)
    names = [textwrap.fill(name, _LINE) for name in classes.names]
    figure = new_figure(figsize=((side + 0.2) * len(results), side), layout="constrained")
    all_axes = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, (title, measured) in zip(all_axes, results.items(), strict=True):
        matrix = confusion_matrix(measured, classes)
        largest = max(map(max, matrix))
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=largest)
        for row in range(k):
            for column in range(k):
                n = matrix[row][column]
                share = n / max(1, sum(matrix[row]))
                colour = "white" if n > largest / 2 else "black"
                text = f"{int(n)}\n{share:.0%}"
                axes.text(column, row, text, ha="center", va="center", color=colour)
        turned = 90 if k > 2 or longest > _SHORT else 0
        axes.set_xticks(range(k), names, rotation=turned)
        axes.set_yticks(range(k), names, rotation=90 - turned, va="center")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title.replace("_", " "), fontsize=10)
    return figure
