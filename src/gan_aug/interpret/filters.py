"""What excites the discriminator's filters: patches, guided backpropagation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from captum.attr import NeuronGuidedBackprop
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.interpret.layers import ConvLayer, outputs_of

BATCH = 64


@torch.no_grad()
def responses(network: nn.Module, layer: ConvLayer, images: Tensor) -> Tensor:
    """Return what a layer makes of images (N, C, H, W), before its activation: (N, F, h, w)."""
    batches = torch.split(images, BATCH)
    return torch.cat([outputs_of(network, [layer.path], batch)[layer.path] for batch in batches])


def selectivity(found: Tensor, count: int) -> Tensor:
    """Tell how far a filter's strongest responses stand above its usual ones.

    Args:
        found: responses (N, F, h, w).
        count: how many images count as the strongest.

    Returns:
        (F,): the mean of the largest response in each of the `count` images with the largest,
        less the mean response over all images and places, in standard deviations.
    """
    every = found.transpose(0, 1).flatten(1)
    top = found.amax(dim=(2, 3)).topk(min(count, len(found)), dim=0).values.mean(dim=0)
    return (top - every.mean(dim=1)) / every.std(dim=1).clamp_min(1e-12)


@dataclass(frozen=True)
class Strongest:
    """The images that excite a filter most.

    Attributes:
        rows: (P,) their positions, the strongest first.
        cells: (P, 2) row and column of the strongest cell of each one's map.
        values: (P,) responses there.
    """

    rows: Tensor
    cells: Tensor
    values: Tensor


def strongest(found: Tensor, number: int, count: int) -> Strongest:
    """Return the images that excite a filter most, and where.

    Args:
        found: responses (N, F, h, w).
        number: the filter.
        count: how many images, at most.
    """
    of_filter = found[:, number]
    values, cell = of_filter.flatten(1).max(dim=1)
    rows = values.argsort(descending=True, stable=True)[:count]
    width = of_filter.shape[2]
    cells = torch.stack([cell[rows] // width, cell[rows] % width], dim=1)
    return Strongest(rows, cells, values[rows])


def guided_backprop(
    network: nn.Module, at: nn.Module, images: Tensor, number: int, cells: Tensor
) -> Tensor:
    """Return guided backpropagation (Springenberg et al. 2015, arXiv:1412.6806, section 3.4).

    That is the gradient of a response with respect to the image, where every activation on the
    way back lets through only what is positive: what in the image raises the response.

    Args:
        network: from `explainable`.
        at: the module of it whose output is explained.
        images: (P, C, H, W) in [-1, 1].
        number: the filter.
        cells: (P, 2) row and column in each image's map.

    Returns:
        (P, C, H, W).
    """
    every = torch.arange(len(images))

    def cell_of_each(found: Tensor) -> Tensor:
        return found[every, number, cells[:, 0], cells[:, 1]]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        gradients: Tensor = NeuronGuidedBackprop(network, at).attribute(
            images.clone().requires_grad_(True), neuron_selector=cell_of_each
        )
    return gradients.detach()


def crop(image: Tensor, layer: ConvLayer, cell: Tensor) -> Tensor:
    """Return the pixels that a cell sees: (C, size, size).

    Beyond the border are zeros, which is what the convolutions pad with: mid-grey in an image.

    Args:
        image: (C, H, W).
        layer: whose cell.
        cell: (2,) its row and column.
    """
    padded = F.pad(image, [layer.size] * 4)
    top, left = (int(i) * layer.stride + layer.offset + layer.size for i in cell)
    return padded[:, top : top + layer.size, left : left + layer.size]
