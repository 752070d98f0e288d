"""Networks of every size and channel count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gan_aug.models.gans import fastgan, pggan, pix2pix, r3gan
from gan_aug.models.gans.dcgan import Discriminator, Generator
from gan_aug.models.networks.cnn import SmallCNN
from gan_aug.runtime.errors import GanAugError


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_shapes(size: int, channels: int) -> None:
    generator = Generator(size, channels, latent_dim=10, width=2)
    images = generator(torch.randn(3, 10))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    discriminator = Discriminator(size, channels, width=2, spectral_norm=False)
    assert discriminator(images).shape == (3,)


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
