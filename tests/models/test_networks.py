"""Networks of every size and channel count, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gan_aug.models.gans import fastgan, pggan, pix2pix, r3gan
from gan_aug.models.gans.dcgan import Discriminator, Generator
from gan_aug.models.losses import squared_gradient
from gan_aug.models.networks.blocks import InstanceNorm
from gan_aug.models.networks.cnn import SmallCNN
from gan_aug.runtime.errors import GanAugError


@pytest.mark.parametrize("size", [128, 256])
def test_large_images(size: int) -> None:
    """Smaller ones are the family's (test_family.py)."""
    images = Generator(size, 3, latent_dim=10, width=2)(torch.randn(3, 10))
    assert images.shape == (3, 3, size, size)
    assert Discriminator(size, 3, width=2, spectral_norm=False)(images).shape == (3,)


HALVING: dict[str, Callable[[int], nn.Module]] = {
    "dcgan generator": lambda size: Generator(size, 1, 10, 2),
    "dcgan discriminator": lambda size: Discriminator(size, 1, 2, False),
    "fastgan generator": lambda size: fastgan.Generator(size, 1, 8, 4),
    "fastgan discriminator": lambda size: fastgan.Discriminator(size, 1, 4),
    "pggan generator": lambda size: pggan.Generator(size, 1, 8, 4),
    "pggan discriminator": lambda size: pggan.Discriminator(size, 1, 4),
    "pix2pix generator": lambda size: pix2pix.Generator(size, 1, 2, 0.5),
    "r3gan generator": lambda size: r3gan.Generator(size, 1, 8, 8, 1),
    "r3gan discriminator": lambda size: r3gan.Discriminator(size, 1, 8, 1),
}


@pytest.mark.parametrize("network", HALVING)
@pytest.mark.parametrize("size", [16, 48, 63])
def test_sizes_that_cannot_be_halved_to_4_are_refused(size: int, network: str) -> None:
    with pytest.raises(GanAugError, match=f"data.image_size={size}: this GAN takes powers of two"):
        HALVING[network](size)


def test_dcgan_is_the_papers_at_64_pixels() -> None:
    """Figure 1: 1024, 512, 256 and 128 feature maps at width 128."""
    maps = [
        m.out_channels
        for m in Generator(64, 3, 100, 128).modules()
        if isinstance(m, nn.ConvTranspose2d)
    ]
    assert maps == [1024, 512, 256, 128, 3]
    maps = [
        m.out_channels
        for m in Discriminator(64, 3, 128, False).modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert maps == [128, 256, 512, 1024, 1]


def test_initial_weights() -> None:
    torch.manual_seed(0)
    generator = Generator(64, 1, 100, 32)
    convolutions = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    for convolution in convolutions:
        assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert abs(convolution.weight.mean().item()) < 2e-3
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    gains = torch.cat([m.weight for m in norms])
    assert gains.mean().item() == pytest.approx(1.0, abs=5e-3)
    assert gains.std().item() == pytest.approx(0.02, rel=0.2)


def test_spectral_norm_takes_the_place_of_batch_norm() -> None:
    """The norm itself is the GAN's matter (test_gan_options.py)."""
    for spectral_norm in (False, True):
        modules = list(Discriminator(32, 1, 4, spectral_norm).modules())
        assert any(isinstance(m, nn.BatchNorm2d) for m in modules) != spectral_norm
        convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
        assert {m.bias is not None for m in convolutions} == {spectral_norm}


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 3), (63, 1), (64, 1), (224, 3)])
def test_cnn_shapes(size: int, channels: int) -> None:
    network = SmallCNN(size, channels, classes=2, width=2, hidden=4)
    assert network(torch.randn(5, channels, size, size)).shape == (5, 2)
    kinds = [type(m) for m in network.modules()]
    assert kinds.count(nn.Conv2d) == 2
    assert kinds.count(nn.Linear) == 2


# Instance norm


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
