"""The sheets: what was found, drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gan_aug.pages.figure import new_figure

Pixels = NDArray[np.float64]
"""(H, W, 3) in [0, 1]."""

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
    """Lay a map over an image: red where it is positive, blue where negative.

    Args:
        image: (C, H, W) in [-1, 1].
        signed: (h, w); its 99th percentile without sign has the full colour.
    """
    full = F.interpolate(signed[None, None], image.shape[1:], mode="bilinear")[0, 0]
    values = full.double().numpy()
    values = (values / max(np.percentile(np.abs(values), 99), 1e-12)).clip(-1, 1)
    colours = colormaps["RdBu_r"](values / 2 + 0.5)[..., :3]
    grey = picture(image).mean(axis=2, keepdims=True)
    cover = 0.7 * np.abs(values)[..., None]
    found: Pixels = (1 - cover) * grey + cover * colours
    return found


def montage(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Lay tiles of one size out in rows, with white between them."""
    height, width = rows[0][0].shape[:2]
    gap = max(1, width // 16)
    columns = max(map(len, rows))
    canvas = np.ones((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3))
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = tile
    return canvas


def _show(
    axes: Axes,
    rows: Sequence[Sequence[Pixels]],
    left: Sequence[str] = (),
    above: Sequence[str] = (),
    size: float = 8,
) -> None:
    """Draw a montage with a label for each row and each column."""
    height, width = rows[0][0].shape[:2]
    gap = max(1, width // 16)
    axes.imshow(montage(rows), interpolation="nearest" if width < 128 else "antialiased")
    axes.set_yticks([height / 2 + i * (height + gap) for i in range(len(left))], left)
    axes.set_xticks([width / 2 + i * (width + gap) for i in range(len(above))], above)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=size, pad=2)
    axes.spines[:].set_visible(False)


def _figure(width: float, height: float) -> Figure:
    return new_figure(figsize=(width, height), layout="constrained", dpi=130)


def png_of(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


@dataclass(frozen=True)
class FilterRow:
    """A filter and what excites it.

    Attributes:
        label: its name.
        panels: title of a panel to the tiles of the filter's row in it.
    """

    label: str
    panels: dict[str, list[Pixels]]


def filters_figure(blocks: Mapping[str, Sequence[FilterRow]]) -> Figure:
    """Draw patches and guided backpropagation, one block of filters above the other.

    Args:
        blocks: title to filters, one or more.
    """
    filters = max(map(len, blocks.values()))
    patches = max(len(tiles) for tiles in next(iter(blocks.values()))[0].panels.values())
    figure = _figure(13, len(blocks) * (0.65 + filters * 3.0 / patches))
    grid: Any = figure.subfigures(len(blocks), 1, squeeze=False, hspace=0.03)
    parts: list[SubFigure] = list(grid[:, 0])
    for part, (title, rows) in zip(parts, blocks.items(), strict=True):
        part.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
        names = list(rows[0].panels)
        for at, (axes, name) in enumerate(zip(part.subplots(1, len(names)), names, strict=True)):
            labels = [row.label for row in rows] if at == 0 else []
            _show(axes, [row.panels[name] for row in rows], labels)
            axes.set_title(name, fontsize=10)
    return figure


@dataclass(frozen=True)
class MapColumn:
    """Images of one group, and maps of them.

    Attributes:
        title: the group.
        images: (N, C, H, W) in [-1, 1].
        outputs: what the network says of each.
        maps: title of a row to maps (N, h, w).
    """

    title: str
    images: Tensor
    outputs: Sequence[float]
    maps: dict[str, Tensor]


def maps_figure(title: str, columns: Sequence[MapColumn]) -> Figure:
    """Draw images, and below each one its maps."""
    names = list(columns[0].maps)
    shown = max(len(column.images) for column in columns)
    side = 11.3 / (shown * len(columns))
    figure = _figure(13, 0.75 + (len(names) + 1) * (side + 0.02))
    figure.suptitle(title, fontsize=12, fontweight="bold")
    grid = figure.subplots(len(names) + 1, len(columns), squeeze=False)
    for at, column in enumerate(columns):
        axes = grid[0, at]
        labels = [f"{output:+.2g}" for output in column.outputs]
        _show(axes, [[picture(image) for image in column.images]], ["image"][at:], labels)
        axes.set_title(column.title, fontsize=11)
        for axes, name in zip(grid[1:, at], names, strict=True):
            tiles = [heat(i, m) for i, m in zip(column.images, column.maps[name], strict=True)]
            _show(axes, [tiles], [name][at:])
    return figure


@dataclass(frozen=True)
class MeanRow:
    """The mean image of a group, and mean maps.

    Attributes:
        title: the group.
        image: (C, H, W) in [-1, 1].
        maps: title of a block of columns to title of a column to a map (h, w) and what is
            written under it.
    """

    title: str
    image: Tensor
    maps: dict[str, dict[str, tuple[Tensor, str]]]


def mean_maps_figure(rows: Sequence[MeanRow]) -> Figure:
    """Draw mean maps over mean images."""
    blocks = rows[0].maps
    titles = [
        "mean image",
        *(f"{b}\n{name}" for b, of_block in blocks.items() for name in of_block),
    ]
    figure = _figure(13, 0.9 + len(rows) * 1.65)
    figure.suptitle("Mean maps of each group, over its mean image", fontsize=12, fontweight="bold")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for at, row in enumerate(rows):
        found = [pair for of_block in row.maps.values() for pair in of_block.values()]
        tiles = [picture(row.image), *(heat(row.image, values) for values, _ in found)]
        texts = ["", *(text for _, text in found)]
        for axes, tile, text, title in zip(grid[at], tiles, texts, titles, strict=True):
            _show(axes, [[tile]])
            axes.set_xlabel(text, fontsize=8)
            if at == 0:
                axes.set_title(title, fontsize=8.5)
        grid[at, 0].set_ylabel(row.title.replace("real ", "real\n"), fontsize=9)
    return figure


def strips_figure(title: str, strips: Tensor, above: Sequence[str]) -> Figure:
    """Draw images (rows, columns, C, H, W) with a label above each column."""
    rows, columns = strips.shape[:2]
    side = min(1.3, 12 / columns)
    figure = _figure(columns * side + 0.4, rows * side + 0.8)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    _show(figure.subplots(), [[picture(i) for i in row] for row in strips], above=above, size=10)
    return figure


def projection_figure(groups: Mapping[str, tuple[Tensor, Tensor, Sequence[float]]]) -> Figure:
    """Draw images, their projections and the differences.

    Args:
        groups: title to images and projections (N, C, H, W) in [-1, 1], and RMS errors (N,).
    """
    figure = _figure(13, 3.35)
    figure.suptitle(
        "Nearest images of the generator (above each: RMS error in grey levels of 0 to 255)",
        fontsize=12,
        fontweight="bold",
    )
    all_axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for at, (axes, (title, found)) in enumerate(zip(all_axes, groups.items(), strict=True)):
        images, nearest, rms = found
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
