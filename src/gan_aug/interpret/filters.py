"""What excites the discriminator's filters: patches, guided backpropagation, and a control."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from captum.attr import LayerActivation, NeuronGuidedBackprop
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.interpret.copies import Versions
from gan_aug.interpret.layers import ConvLayer
from gan_aug.interpret.sheets import Panels, filters_figure, picture, relief
from gan_aug.settings.base import Plain

BATCH = 64


def filter_sheets(
    networks: Versions,
    layers: Sequence[ConvLayer],
    images: Mapping[str, Tensor],
    filters: int,
    patches: int,
) -> tuple[Plain, dict[str, Figure]]:
    """Show what excites the filters of a discriminator, trained and with random weights.

    Images are `real` and `generated`, (N, C, H, W) in [-1, 1]. Shown are those filters of each
    layer that are most selective on the real ones, by one rule for both networks. Returned are
    numbers of each layer, and figures by the name of their sheet.
    """
    versions = {
        "trained": (networks.trained, "Trained discriminator"),
        "random": (networks.random, "Control: random weights, chosen by the same rule"),
    }
    numbers: Plain = {}
    figures: dict[str, Figure] = {}
    for layer in layers:
        blocks: dict[str, tuple[list[str], Panels]] = {}
        of_layer: Plain = {"receptive_field": layer.size}
        for key, (network, title) in versions.items():
            maps = {name: responses(network, layer, shown) for name, shown in images.items()}
            scores = selectivity(maps["real"], patches)
            chosen = scores.argsort(descending=True, stable=True)[:filters].tolist()
            panels: Panels = {}
            for name, shown in images.items():
                tiles = _tiles(network, layer, shown, maps[name], chosen, patches)
                panels |= {f"{name}: {kind}": rows for kind, rows in tiles.items()}
            blocks[title] = [f"filter {number}" for number in chosen], panels
            of_layer[key] = {
                "filters": chosen,
                "selectivity": [float(scores[number]) for number in chosen],
                "mean_selectivity": float(scores.mean()),
                "mean_selectivity_on_generated": float(
                    selectivity(maps["generated"], patches).mean()
                ),
            }
        numbers[f"layer{layer.number}"] = of_layer
        figures[f"filters_layer{layer.number}"] = filters_figure(blocks)
    return numbers, figures


def _tiles(
    network: nn.Module,
    layer: ConvLayer,
    images: Tensor,
    maps: Tensor,
    filters: Sequence[int],
    patches: int,
) -> Panels:
    """Return the rows of tiles, one a filter, of each kind of panel."""
    at = network.get_submodule(layer.path)
    panels: Panels = {"patches": [], "guided backpropagation": []}
    for number in filters:
        top = strongest(maps, number, patches)
        shown = images[top.rows]
        gradients = guided_backprop(network, at, shown, number, top.cells)
        for rows, draw, source in zip(
            panels.values(), (picture, relief), (shown, gradients), strict=True
        ):
            pairs = zip(source, top.cells, strict=True)
            rows.append([draw(crop(image, layer, cell)) for image, cell in pairs])
    return panels


def responses(network: nn.Module, layer: ConvLayer, images: Tensor) -> Tensor:
    """Return what a layer makes of images (N, C, H, W), before its activation: (N, F, h, w)."""
    activation = LayerActivation(network, network.get_submodule(layer.path))
    return torch.cat([activation.attribute(batch) for batch in torch.split(images, BATCH)])


def selectivity(maps: Tensor, count: int) -> Tensor:
    """Tell how far the strongest responses of filters, of (N, F, h, w), stand above usual ones.

    Returns:
        (F,): the mean of the largest response in each of the `count` images with the largest,
        less the mean response over all images and places, in standard deviations.
    """
    every = maps.transpose(0, 1).flatten(1)
    top = maps.amax(dim=(2, 3)).topk(min(count, len(maps)), dim=0).values.mean(dim=0)
    return (top - every.mean(dim=1)) / every.std(dim=1).clamp_min(1e-12)


class Strongest(NamedTuple):
    """The P images that excite a filter most, the strongest first."""

    rows: Tensor  # (P,) their positions
    cells: Tensor  # (P, 2) row and column of the strongest cell of each one's map


def strongest(maps: Tensor, number: int, count: int) -> Strongest:
    """Return the images, at most `count`, whose responses (N, F, h, w) of a filter are largest."""
    own = maps[:, number]
    values, cell = own.flatten(1).max(dim=1)
    rows = values.argsort(descending=True, stable=True)[:count]
    width = own.shape[2]
    cells = torch.stack([cell[rows] // width, cell[rows] % width], dim=1)
    return Strongest(rows, cells)


def guided_backprop(
    network: nn.Module, at: nn.Module, images: Tensor, number: int, cells: Tensor
) -> Tensor:
    """Return guided backpropagation (Springenberg et al. 2015, arXiv:1412.6806, section 3.4).

    That is the gradient of a filter's response with respect to the image, where every activation on
    the way back lets through only what is positive: what in the image raises the response.

    The network is `explainable`, `at` the module of it whose output is explained. Images are
    (P, C, H, W) in [-1, 1], as what is returned; cells (P, 2) are row and column in each one's map.
    """
    every = torch.arange(len(images))

    def cell_of_each(maps: Tensor) -> Tensor:
        return maps[every, number, cells[:, 0], cells[:, 1]]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        gradients: Tensor = NeuronGuidedBackprop(network, at).attribute(
            images.clone().requires_grad_(True), neuron_selector=cell_of_each
        )
    return gradients.detach()


def crop(image: Tensor, layer: ConvLayer, cell: Tensor) -> Tensor:
    """Return the pixels of (C, H, W) that a cell, a row and column, sees: (C, size, size).

    Beyond the border are zeros, which is what the convolutions pad with: mid-grey in an image.
    """
    padded = F.pad(image, [layer.size] * 4)
    top, left = (int(i) * layer.stride + layer.offset + layer.size for i in cell)
    return padded[:, top : top + layer.size, left : left + layer.size]
