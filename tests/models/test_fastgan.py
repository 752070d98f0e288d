"""FastGAN: skip-layer excitation and a discriminator that reconstructs real images."""

from __future__ import annotations

import pytest
import torch
from gan_training import Times, build, settings, some
from torch import nn

from gan_aug.models.adaptive_augment import AdaptiveAugment
from gan_aug.models.gans.fastgan import (
    FastGAN,
    GatedLinearUnit,
    Generator,
    SkipExcitation,
)


def make(*overrides: str, **shape: int) -> FastGAN:
    gan = build(settings("fastgan", "model.augment=null", *overrides, **shape))  # type: ignore[arg-type]
    assert isinstance(gan, FastGAN)
    return gan


def test_gated_linear_units_are_torchs_and_stay_in_channels_last() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 6, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
    weights = torch.randn(2, 3, 5, 5).to(memory_format=torch.channels_last)
    (expected,) = torch.autograd.grad((nn.GLU(dim=1)(maps) * weights).sum(), maps)
    unit = GatedLinearUnit()
    torch.testing.assert_close(unit(maps), nn.GLU(dim=1)(maps))
    (found,) = torch.autograd.grad((unit(maps) * weights).sum(), maps)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [4, 16])
def test_excitation_by_hand(side: int) -> None:
    torch.manual_seed(0)
    skip = SkipExcitation(side, 3, 5)
    low, high = torch.randn(2, 3, side, side), torch.randn(2, 5, 64, 64)
    first, second = (m.weight for m in skip.gate if isinstance(m, nn.Conv2d))
    cells = low.reshape(2, 3, 4, side // 4, 4, side // 4).mean(dim=(3, 5))
    hidden = torch.einsum("bchw,fchw->bf", cells, first)
    hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    gate = 1 / (1 + torch.exp(-hidden @ second[:, :, 0, 0].T))
    torch.testing.assert_close(skip(low, high), high * gate[:, :, None, None])


@pytest.mark.parametrize(("size", "skips"), [(32, 1), (64, 2), (128, 3)])
def test_small_maps_excite_those_eight_times_as_large(size: int, skips: int) -> None:
    torch.manual_seed(0)
    generator = Generator(size, 1, 8, 4).eval()
    sides: list[tuple[int, int]] = []
    for skip in generator.skips:
        skip.register_forward_hook(
            lambda _, given, made: sides.append((given[0].shape[-1], made.shape[-1]))
        )
    images = generator(torch.randn(2, 8))
    assert images.shape == (2, 1, size, size)
    assert sides == [(4 * 2**i, 32 * 2**i) for i in range(skips)]


def test_a_gate_of_zero_shuts_what_it_gates() -> None:
    torch.manual_seed(0)
    generator = Generator(64, 1, 8, 4).eval()
    skip = generator.skips[1]
    assert isinstance(skip, SkipExcitation)
    skip.gate[-1] = Times(0)
    images = generator(torch.randn(2, 8))
    flat = torch.tanh(generator.last.bias)[:, None, None].expand_as(images)
    torch.testing.assert_close(images, flat)


def test_every_term_by_hand() -> None:
    gan, (batch, fakes) = make(size=64), some(size=64)
    d, real = gan.discriminator, batch["image"]
    torch.manual_seed(5)
    found = gan.discriminator_losses(batch, fakes)
    torch.manual_seed(5)
    row, column = (int(i) for i in torch.randint(0, 9, (2,)))
    middle = d.to_middle(real)
    last = d.to_last(middle)
    assert middle.shape[2:] == (16, 16)
    assert last.shape[2:] == (8, 8)
    logits = d.head(last)
    assert logits.shape == (6, 1, 5, 5)
    fake_logits = d.head(d.to_last(d.to_middle(fakes)))
    small = real.reshape(6, 1, 32, 2, 32, 2).mean(dim=(3, 5))
    whole = d.whole(last)
    part = d.part(middle[:, :, row : row + 8, column : column + 8])
    crop = real[:, :, 4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
    expected = {
        "real": torch.clamp(1 - logits, min=0).mean(),
        "fake": torch.clamp(1 + fake_logits, min=0).mean(),
        "whole": (whole - small).abs().mean(),
        "part": (part - crop).abs().mean(),
    }
    torch.testing.assert_close(found, expected)
    of_g = gan.generator_losses(batch, fakes)
    torch.testing.assert_close(of_g, {"adversarial": -fake_logits.mean()})


def test_what_is_reconstructed_is_what_the_discriminator_saw() -> None:
    """The augmented image: of another, its maps would know nothing."""
    gan, (batch, fakes) = make(), some()
    gan.augment = Times(-1)
    torch.manual_seed(5)
    found = gan.discriminator_losses(batch, fakes)
    gan.augment = nn.Identity()
    torch.manual_seed(5)
    by_hand = gan.discriminator_losses(batch | {"image": -batch["image"]}, -fakes)
    torch.testing.assert_close(found, by_hand)


def test_an_adaptive_augmentation_hears_of_the_logits() -> None:
    gan, (batch, fakes) = make(), some()
    gan.augment = adaptive = AdaptiveAugment(0.6, 1000, 0.8)
    gan.discriminator_losses(batch, fakes)
    assert int(adaptive.steps) == 1
    assert int(adaptive.seen) == len(fakes)


def test_a_critic_gives_the_mean_of_an_images_logits() -> None:
    gan, (batch, _) = make(), some()
    logits = gan.logits(batch["image"], batch)
    assert logits.shape == (6, 5, 5)
    torch.testing.assert_close(gan.critic(0)(batch["image"]), logits.mean(dim=(1, 2)))
