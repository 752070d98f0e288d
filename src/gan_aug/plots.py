"""Figures, as matplotlib makes them, without a screen."""

from __future__ import annotations

from matplotlib.figure import Figure

from gan_aug.data.image_table import CLASSES


def confusion_figure(results: dict[str, dict[str, float]]) -> Figure:
    """Draw a confusion matrix for each threshold.

    Args:
        results: title to a dict with the counts tn, fp, fn, tp.
    """
    figure = Figure(figsize=(3.6 * len(results), 3.4), layout="constrained")
    all_axes = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, (title, counts) in zip(all_axes, results.items(), strict=True):
        matrix = [[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]]
        largest = max(map(max, matrix))
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=largest)
        for row in range(2):
            for column in range(2):
                n = matrix[row][column]
                share = n / max(1, sum(matrix[row]))
                colour = "white" if n > largest / 2 else "black"
                text = f"{int(n)}\n{share:.0%}"
                axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set_xticks([0, 1], CLASSES)
        axes.set_yticks([0, 1], CLASSES, rotation=90, va="center")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title.replace("_", " "), fontsize=10)
    return figure
