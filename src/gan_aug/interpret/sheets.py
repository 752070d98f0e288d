"""The sheets: tiles of images and maps in rows, as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gan_aug.pages.figure import new_figure

Pixels = NDArray[np.float64]
"""(H, W, 3) in [0, 1]."""
Panels = dict[str, list[list[Pixels]]]
"""Title of a panel to its rows of tiles."""

LARGEST_DIFFERENCE = 64
"""Grey levels that an error must have to be drawn in the brightest colour."""


def picture(image: Tensor) -> Pixels:
    """Return an image (C, H, W) in [-1, 1] as pixels."""
    shown = image.double().numpy().transpose(1, 2, 0).clip(-1, 1) / 2 + 0.5
    return np.broadcast_to(shown, (*shown.shape[:2], 3))


def relief(gradient: Tensor) -> Pixels:
    """Return a gradient (C, H, W) as pixels: mid-grey is 0, the largest value black or white."""
    return picture(gradient / gradient.abs().max().clamp_min(1e-12))


def heat(image: Tensor, signed: Tensor) -> Pixels:
    """Lay a map (h, w) over an image (C, H, W) in [-1, 1]: red where positive, blue where negative.

    The map's 99th percentile without sign has the full colour.
    """
    full = F.interpolate(signed[None, None], image.shape[1:], mode="bilinear")[0, 0]
    values = full.double().numpy()
    values = (values / max(np.percentile(np.abs(values), 99), 1e-12)).clip(-1, 1)
    colours = colormaps["RdBu_r"](values / 2 + 0.5)[..., :3]
    grey = picture(image).mean(axis=2, keepdims=True)
    cover = 0.7 * np.abs(values)[..., None]
    overlay: Pixels = (1 - cover) * grey + cover * colours
    return overlay


def _show(
    axes: Axes,
    rows: Sequence[Sequence[Pixels]],
    left: Sequence[str] = (),
    above: Sequence[str] = (),
    size: float = 8,
) -> None:
    """Draw tiles in rows, with white between them, and a label for each row and column."""
    height, width = rows[0][0].shape[:2]
    gap = max(1, width // 16)
    down, across = height + gap, width + gap
    canvas = np.ones((len(rows) * down - gap, max(map(len, rows)) * across - gap, 3))
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            canvas[i * down : i * down + height, j * across : j * across + width] = tile
    axes.imshow(canvas, interpolation="nearest" if width < 128 else "antialiased")
    axes.set_yticks([height / 2 + i * down for i in range(len(left))], left)
    axes.set_xticks([width / 2 + j * across for j in range(len(above))], above)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=size, pad=2)
    axes.spines[:].set_visible(False)


def _figure(width: float, height: float, title: str | None = None) -> Figure:
    figure = new_figure(figsize=(width, height), layout="constrained", dpi=130)
    if title is not None:
        figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def filters_figure(blocks: Mapping[str, tuple[Sequence[str], Panels]]) -> Figure:
    """Draw blocks, title to names of filters and to panels of a row for each filter."""
    filters = max(len(names) for names, _ in blocks.values())
    _, first = next(iter(blocks.values()))
    patches = max(len(rows[0]) for rows in first.values())
    figure = _figure(13, len(blocks) * (0.65 + filters * 3.0 / patches))
    grid: Any = figure.subfigures(len(blocks), 1, squeeze=False, hspace=0.03)
    for part, (title, (names, panels)) in zip(grid[:, 0], blocks.items(), strict=True):
        part.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
        all_axes = part.subplots(1, len(panels))
        for at, (axes, (name, rows)) in enumerate(zip(all_axes, panels.items(), strict=True)):
            _show(axes, rows, names if at == 0 else [])
            axes.set_title(name, fontsize=10)
    return figure


def maps_figure(
    title: str,
    groups: Mapping[str, tuple[Tensor, Sequence[float]]],
    maps: Mapping[str, Sequence[Tensor]],
) -> Figure:
    """Draw images, and below each one its maps.

    Groups are title of a column to its images (N, C, H, W) in [-1, 1] and what the network says of
    each; maps are title of a row to the maps (N, h, w) of each group.
    """
    shown = max(len(images) for images, _ in groups.values())
    side = 11.3 / (shown * len(groups))
    figure = _figure(13, 0.75 + (len(maps) + 1) * (side + 0.02), title)
    grid = figure.subplots(len(maps) + 1, len(groups), squeeze=False)
    for at, (group, (images, outputs)) in enumerate(groups.items()):
        labels = [f"{output:+.2g}" for output in outputs]
        _show(grid[0, at], [[picture(image) for image in images]], ["image"][at:], labels)
        grid[0, at].set_title(group, fontsize=11)
        for axes, (row, columns) in zip(grid[1:, at], maps.items(), strict=True):
            tiles = [heat(i, m) for i, m in zip(images, columns[at], strict=True)]
            _show(axes, [tiles], [row][at:])
    return figure


def mean_maps_figure(
    images: Mapping[str, Tensor], maps: Mapping[str, Sequence[tuple[str, Tensor, str]]]
) -> Figure:
    """Draw mean maps over mean images (C, H, W) in [-1, 1], a row for each group.

    Maps are group to columns: a title, a map (h, w), and what is written under it.
    """
    titles = ["mean image", *(title for title, _, _ in next(iter(maps.values())))]
    title = "Mean maps of each group, over its mean image"
    figure = _figure(13, 0.9 + len(images) * 1.65, title)
    grid = figure.subplots(len(images), len(titles), squeeze=False)
    for row, (group, image) in enumerate(images.items()):
        tiles = [picture(image), *(heat(image, values) for _, values, _ in maps[group])]
        texts = ["", *(text for _, _, text in maps[group])]
        for axes, tile, text, title in zip(grid[row], tiles, texts, titles, strict=True):
            _show(axes, [[tile]])
            axes.set_xlabel(text, fontsize=8)
            if row == 0:
                axes.set_title(title, fontsize=8.5)
        grid[row, 0].set_ylabel(group.replace("real ", "real\n"), fontsize=9)
    return figure


def strips_figure(title: str, strips: Tensor, above: Sequence[str]) -> Figure:
    """Draw images (rows, columns, C, H, W) with a label above each column."""
    rows, columns = strips.shape[:2]
    side = min(1.3, 12 / columns)
    figure = _figure(columns * side + 0.4, rows * side + 0.8, title)
    _show(figure.subplots(), [[picture(i) for i in row] for row in strips], above=above, size=10)
    return figure


def projection_figure(groups: Mapping[str, tuple[Tensor, Tensor, Sequence[float]]]) -> Figure:
    """Draw images, their projections and the differences.

    Groups are title to images and projections (N, C, H, W) in [-1, 1], and RMS errors (N,).
    """
    title = "Nearest images of the generator (above each: RMS error in grey levels of 0 to 255)"
    figure = _figure(13, 3.35, title)
    all_axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for at, (axes, title) in enumerate(zip(all_axes, groups, strict=True)):
        images, nearest, rms = groups[title]
        errors = 127.5 * (images - nearest).abs().mean(dim=1) / LARGEST_DIFFERENCE
        rows = [
            [picture(image) for image in images],
            [picture(image) for image in nearest],
            [colormaps["magma"](e.double().numpy().clip(0, 1))[..., :3] for e in errors],
        ]
        left = ["image", "nearest\ngenerated", "difference"] if at == 0 else []
        _show(axes, rows, left, [f"{value:.1f}" for value in rms], 9)
        axes.set_title(title, fontsize=11)
    return figure
