"""Our instance norm is PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan_aug.models.losses import squared_gradient
from gan_aug.models.networks.blocks import InstanceNorm

SHAPES = [(3, 5, 8, 8), (1, 4, 7, 7), (8, 24, 16, 16), (2, 3, 1, 2)]


def both(channels: int) -> tuple[InstanceNorm, nn.InstanceNorm2d]:
    ours, theirs = InstanceNorm(channels), nn.InstanceNorm2d(channels, affine=True)
    torch.manual_seed(0)
    for name in ("weight", "bias"):
        values = torch.randn(channels)
        for module in (ours, theirs):
            with torch.no_grad():
                getattr(module, name).copy_(values)
    return ours, theirs


def run(norm: nn.Module, maps: Tensor, gradient: Tensor) -> list[Tensor]:
    """The values, then the gradients of the maps, the weights and the biases."""
    maps = maps.clone().requires_grad_(True)
    made = norm(maps)
    return [made, *torch.autograd.grad(made, [maps, *norm.parameters()], gradient)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_are_pytorchs(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    ours, theirs = both(shape[1])
    maps = (3 * torch.randn(shape) + 2).to(memory_format=layout)
    gradient = torch.randn(shape)
    expected = run(theirs.double(), maps.double(), gradient.double())
    for a, b in zip(run(ours, maps, gradient), expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


def test_in_bf16_they_differ_by_its_rounding() -> None:
    ours, theirs = both(6)
    maps = (torch.randn(4, 6, 16, 16) + 1).to(memory_format=torch.channels_last).bfloat16()
    gradient = torch.randn(4, 6, 16, 16).bfloat16()
    expected = run(theirs.double(), maps.double(), gradient.double())
    for a, b in zip(run(ours, maps, gradient), expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-2, atol=2e-2)
    assert ours(maps).dtype == torch.bfloat16


def test_an_image_does_not_depend_on_the_others() -> None:
    ours, _ = both(3)
    maps = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(ours(maps)[2:3], ours(maps[2:3]))


def test_maps_stay_channels_last() -> None:
    maps = torch.randn(4, 8, 6, 6).to(memory_format=torch.channels_last)
    assert InstanceNorm(8)(maps).is_contiguous(memory_format=torch.channels_last)


def test_a_gradient_penalty_has_pytorchs_gradients() -> None:
    """R1 differentiates a gradient again."""
    found = []
    for norm in both(4):
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.Tanh(), nn.Conv2d(4, 1, 3)).double()
        images = torch.randn(3, 2, 9, 9, dtype=torch.float64).requires_grad_(True)
        squared_gradient(layers(images).double(), images).mean().backward()
        found.append([p.grad for p in layers.parameters()][:4])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
