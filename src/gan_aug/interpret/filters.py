"""What excites the discriminator's filters: receptive fields, patches, guided backpropagation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from captum.attr import NeuronGuidedBackprop
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.run.errors import GanAugError

BATCH = 64


@dataclass(frozen=True)
class ConvLayer:
    """A convolution of a `Sequential`, with what of the image one of its cells sees.

    Cell i of a row of its map sees the pixels from offset + i * stride to below that + size.

    Attributes:
        number: 0 is next to the image.
        at: position of what is read: the convolution, or the batch norm that follows it.
        size: side of the receptive field in pixels.
        stride: pixels between the fields of neighbouring cells.
        offset: where the field of the first cell begins; negative where it hangs over the border.
    """

    number: int
    at: int
    size: int
    stride: int
    offset: int


def conv_layers(layers: nn.Sequential) -> list[ConvLayer]:
    """Return the convolutions of a chain with square kernels, the one next to the image first."""
    found: list[ConvLayer] = []
    size, stride, offset = 1, 1, 0
    for at, module in enumerate(layers):
        if isinstance(module, nn.Conv2d):
            padding = module.padding[0]
            assert isinstance(padding, int)
            size += (module.kernel_size[0] - 1) * stride
            offset -= padding * stride
            stride *= module.stride[0]
            found.append(ConvLayer(len(found), at, size, stride, offset))
        elif isinstance(module, nn.BatchNorm2d):
            last = found.pop()
            found.append(ConvLayer(last.number, at, last.size, last.stride, last.offset))
    return found


def chosen_layers(layers: nn.Sequential, numbers: Sequence[int] | None) -> list[ConvLayer]:
    """Return the convolutions to show; the last one, which makes the logit, is none of them.

    Args:
        layers: the discriminator's.
        numbers: 0 is next to the image; None: all from 1.

    Raises:
        GanAugError: one that there is not.
    """
    there = conv_layers(layers)[:-1]
    if numbers is None:
        return there[1:]
    if absent := [n for n in numbers if n >= len(there)]:
        raise GanAugError(
            f"layers={list(numbers)}: there is no layer {absent[0]}; this discriminator has layers "
            f"0 (next to the image) to {len(there) - 1}"
        )
    return [there[n] for n in numbers]


@torch.no_grad()
def responses(layers: nn.Sequential, layer: ConvLayer, images: Tensor) -> Tensor:
    """Return what a layer makes of images (N, C, H, W), before its activation: (N, F, h, w)."""
    part = layers[: layer.at + 1]
    return torch.cat([part(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])


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
