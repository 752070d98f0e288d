"""Copies of networks that can be explained, and copies with other random weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Versions:
    """A network as it was trained, and twice with random weights.

    They are `explainable`, and map images (N, C, H, W) to the number that is explained, (N,).
    """

    called: str
    output: str  # what of it is explained
    methods: Sequence[str]  # maps to make of it, keys of `gan_aug.interpret.maps.METHODS`
    trained: nn.Module
    random: nn.Module
    other_random: nn.Module


class GuidedLeakyReLU(nn.ReLU):
    """A leaky ReLU that captum knows as a ReLU: guided backpropagation clamps its gradient."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs of any shape, the negative ones times the slope."""
        return F.leaky_relu(inputs, self.slope)


def explainable(network: nn.Module) -> nn.Module:
    """Return a frozen copy in evaluation mode that gradients and captum's hooks pass through.

    Its activations are not in place (captum reads what they were given) and its leaky ReLUs are
    `GuidedLeakyReLU`s. The function is the same.
    """
    own = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in list(own.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.LeakyReLU):
                setattr(parent, name, GuidedLeakyReLU(child.negative_slope))
            elif getattr(child, "inplace", False):
                child.inplace = False  # type: ignore[assignment]
    return own


def with_random_weights(
    build: Callable[[], nn.Module], seed: int, batches: Iterable[Tensor], trained: nn.Module
) -> nn.Module:
    """Return a network as it was before training, but with the batch norm statistics of its inputs.

    With the initial statistics in place of measured ones, the signal of small initial weights would
    fade from layer to layer, and the control would differ by more than its weights.

    What `build` makes has weights fixed by the seed; random states outside are left as they were.
    The batches, (B, C, H, W) in [-1, 1], are those that training would show. A network that grows
    is as large as the trained one.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = build()
        modules = dict(network.named_modules())
        for path, module in trained.named_modules():
            # Statistics of batch norms and the vectors of spectral norms go with the weights.
            with_weights = isinstance(module, _BatchNorm) or "parametrizations" in path
            if path in modules and not with_weights:
                own = dict(modules[path].named_buffers(recurse=False))
                for name, buffer in module.named_buffers(recurse=False):
                    if name in own:
                        own[name].copy_(buffer)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the mean over all batches
        network.train()
        for images in batches:
            network(images)
    return explainable(network)
