"""The convolutions of any network, and what of the image one of their cells sees."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from gan_aug.runtime.errors import GanAugError

ENLARGED = (1, 2, 4)
"""Sides of the images that receptive fields are measured in, until no border hides them."""


class Call(NamedTuple):
    """What a module was given, and what it gave."""

    path: str
    module: nn.Module
    given: tuple[Any, ...]
    output: Any


@contextmanager
def recorded(network: nn.Module) -> Iterator[list[Call]]:
    """Note all calls of a network's modules meanwhile, in the order in which they end."""
    calls: list[Call] = []
    hooks = [
        module.register_forward_hook(
            lambda module, given, output, path=path: calls.append(Call(path, module, given, output))
        )
        for path, module in network.named_modules()
        if module is not network
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class Field:
    """What the cells of a map see of the image.

    Cell i of a row of the map sees the pixels from offset + i * stride to below that + size.
    """

    size: int  # side of the receptive field in pixels
    stride: int  # pixels between the fields of neighbouring cells; 0: each sees the whole image
    offset: int  # where the field of the first cell begins; negative: it hangs over the border


@dataclass(frozen=True)
class ConvLayer(Field):
    """A convolution of a network, with what its cells see."""

    number: int  # 0 is the first one that an image passes
    path: str  # of the module that is read: the convolution, or the batch norm that follows it


def conv_layers(network: nn.Module, image: Tensor) -> list[ConvLayer]:
    """Return an `explainable` network's convolutions that an image passes once, in this order.

    The image is (1, C, H, H) in [-1, 1]. Left out are those with a single map, which is the logit,
    or maps of one cell, which say nothing of a place; and those whose cells do not see squares at
    even distances.
    """
    read = _convolutions(network, image)
    fields = receptive_fields(network, list(read), image)  # in the same order
    return [
        ConvLayer(**vars(field), number=number, path=read[name])
        for number, (name, field) in enumerate(fields.items())
    ]


def chosen_layers(
    network: nn.Module, image: Tensor, numbers: Sequence[int] | None
) -> list[ConvLayer]:
    """Return the convolutions to show, of those of `conv_layers`: all from 1, or the only one.

    Raises:
        GanAugError: one of the asked numbers, of which 0 is next to the image, is not there.
    """
    there = conv_layers(network, image)
    if numbers is None:
        return there[1:] or there
    if absent := [n for n in numbers if n >= len(there)]:
        has = f"layers 0 (next to the image) to {len(there) - 1}" if there else "none to show"
        raise GanAugError(
            f"layers={list(numbers)}: there is no layer {absent[0]}; this discriminator has {has}"
        )
    return [there[n] for n in numbers]


@torch.no_grad()
def _convolutions(network: nn.Module, image: Tensor) -> dict[str, str]:
    """Return the path of each convolution, in the order of the calls, and that of what is read."""
    with recorded(network) as calls:
        network(image)
    times = Counter(call.path for call in calls)
    outputs: dict[str, Tensor] = {}
    read: dict[str, str] = {}
    for call in calls:
        if isinstance(call.module, nn.Conv2d):
            outputs[call.path], read[call.path] = call.output, call.path
        elif isinstance(call.module, nn.BatchNorm2d):
            read |= {name: call.path for name, maps in outputs.items() if maps is call.given[0]}
    return {
        name: path
        for name, path in read.items()
        if times[name] == times[path] == 1
        and outputs[name].shape[1] > 1
        and outputs[name].shape[2:].numel() > 1
    }


def receptive_fields(network: nn.Module, paths: Sequence[str], image: Tensor) -> dict[str, Field]:
    """Measure what of an image (1, C, H, H) the cells of maps see, by the modules' paths.

    What a cell sees is where its gradient is not zero, in a copy of the network in which nothing
    cancels out: all weights are positive, biases zero, and norms do nothing. Where the borders
    leave too little of the fields, an enlarged image is taken. Left out are maps whose cells see
    neither squares at even distances nor everything.
    """
    probe = _positive(network)
    side = image.shape[-1]
    fields: dict[str, Field] = {}
    cells: dict[str, int] = {}
    for times in ENLARGED:
        if fields.keys() >= set(paths):
            break
        # In float64 convolutions are sums of products; faster ways in float32 leave traces of
        # rounding where there is nothing.
        ones = torch.ones(1, image.shape[1], times * side, times * side).double()
        # A network that is made for one size of image gives no more than can be had of that.
        with recorded(probe) as calls, suppress(RuntimeError):
            probe(ones.requires_grad_(True))
        for path, _, _, maps in calls:
            if path not in paths or path in fields:
                continue
            more = maps.shape[-1] - cells.setdefault(path, maps.shape[-1])
            field = _field(maps, ones)
            # As many more cells as fit into what is larger: else it was scaled down again.
            if field and more * field.stride == (times - 1) * side:
                fields[path] = field
    return {path: fields[path] for path in paths if path in fields}


def _field(maps: Tensor, image: Tensor) -> Field | None:
    """Return what the cells of maps (1, F, h, h) see; None where it cannot be told."""
    last, end = maps.shape[-1] - 1, image.shape[-1]
    if last < 1:
        return None
    # The last cells begin furthest from the border, the first ones end so.
    top, left, _, _ = _seen(maps, last, last - 1, image)
    _, _, bottom, right = _seen(maps, 0, 1, image)
    if (top, left, bottom, right) == (0, 0, end, end):
        return Field(end, 0, 0)
    stride = top - left
    if left == 0 or right == end or stride < 1 or right - bottom != stride:
        return None
    offset = top - last * stride
    size = bottom - offset
    row, column = (last + 1) // 2, last // 3
    begins = [offset + i * stride for i in (row, column)]
    between = (*(max(b, 0) for b in begins), *(min(b + size, end) for b in begins))
    return Field(size, stride, offset) if _seen(maps, row, column, image) == between else None


def _seen(maps: Tensor, row: int, column: int, image: Tensor) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of what a cell sees; zeros: nothing."""
    (gradient,) = torch.autograd.grad(maps[0, :, row, column].sum(), image, retain_graph=True)
    rows, columns = gradient[0].abs().sum(dim=0).nonzero().unbind(dim=1)
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


class _Same(nn.Module):
    """Returns what it is given, whatever else it is given."""

    def forward(self, inputs: Tensor, *others: Any) -> Tensor:
        return inputs


def _positive(network: nn.Module) -> nn.Module:
    """Return a copy in which every response rises with every pixel that it depends on."""
    probe = copy.deepcopy(network).double()
    # Spectral norms go with the other norms. They cannot be removed: copies of a parametrized
    # module share its class, which removing changes.
    for parent in list(probe.modules()):
        if isinstance(parent, ParametrizationList) and not parent.is_tensor:
            continue  # a weight made from several, as of weight norm, is positive if they are
        for name, child in list(parent.named_children()):
            convolves = any(isinstance(part, nn.Conv2d) for part in child.modules())
            if "Norm" in type(child).__name__ and not convolves:
                setattr(parent, name, _Same())
            elif isinstance(child, nn.MaxPool2d):  # the gradient of equal values goes to one
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    with torch.no_grad():
        for name, parameter in probe.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:  # a mean of what comes in, so that no response fades away or grows without end
                parameter.fill_(len(parameter) / parameter.numel() if parameter.ndim > 1 else 1.0)
    return probe
