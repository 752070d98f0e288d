"""WGAN-GP: the critic's norm, its loss and penalty, the step ratio, and that it learns."""

from __future__ import annotations

import pytest
import torch
from gan_training import Times, batches, build, settings, train
from torch import nn

from gan_aug.models.gans.base import GAN, Batch
from gan_aug.models.gans.wgan_gp import Critic, LayerNorm


def first_step(*overrides: str) -> tuple[GAN, Batch, torch.Tensor]:
    """Return a GAN, a batch and images that it made for it, with gradients."""
    cfg = settings("wgan_gp", *overrides)
    gan = build(cfg)
    batch = next(iter(batches(cfg, gan, 1)))
    return gan, batch, gan.fake(batch)


def by_hand(critic: nn.Module, points: torch.Tensor) -> float:
    """Return the penalty at some points, one image at a time."""
    terms = []
    for point in points:
        image = point[None].clone().requires_grad_(True)
        critic(image).sum().backward()
        assert image.grad is not None
        terms.append((image.grad.double().square().sum().sqrt().item() - 1) ** 2)
    return sum(terms) / len(terms)


def test_layer_norm_is_over_all_of_an_image() -> None:
    layer, maps = LayerNorm(3), torch.randn(4, 3, 5, 5) * 3 + 1
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    for image, found in zip(maps, layer(maps), strict=True):
        scaled = (image - image.mean()) / (image.var(correction=0) + 1e-5).sqrt()
        wanted = scaled * layer.weight[:, None, None] + layer.bias[:, None, None]
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("size", [32, 64])
def test_an_images_score_does_not_depend_on_the_others(size: int) -> None:
    critic, images = Critic(size, 1, 4), torch.randn(6, 1, size, size)
    alone = torch.cat([critic(image[None]) for image in images])
    torch.testing.assert_close(critic(images), alone)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in critic.modules())
    assert sum(isinstance(m, LayerNorm) for m in critic.modules()) == {32: 2, 64: 3}[size]


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_losses(factor: float) -> None:
    """Eq. 3: D(G(z)) - D(x) + 10 (slope - 1)^2, at a point of each straight line.

    All of it, the ends of the lines too, is of augmented images.
    """
    gan, batch, fakes = first_step("model.augment=null")
    gan.augment = Times(factor)
    torch.manual_seed(3)
    found = gan.discriminator_losses(batch, fakes.detach())
    torch.manual_seed(3)
    share = torch.rand(8, 1, 1, 1)
    reals, made = factor * batch["image"], factor * fakes.detach()
    wanted = 10 * by_hand(gan.discriminator, share * reals + (1 - share) * made)
    assert found.keys() == {"real", "fake", "penalty"}
    torch.testing.assert_close(found["real"], -gan.discriminator(reals).mean())
    torch.testing.assert_close(found["fake"], gan.discriminator(made).mean())
    assert found["penalty"].item() == pytest.approx(wanted, rel=1e-4)
    of_generator = gan.generator_losses(batch, fakes)
    torch.testing.assert_close(
        of_generator, {"adversarial": -gan.discriminator(factor * fakes).mean()}
    )


def test_distance_is_logged() -> None:
    cfg = settings("wgan_gp")
    gan = build(cfg)
    train(cfg, gan, 5)
    real, fake = (gan.latest[f"score/{name}"] for name in ("D(x)", "D(G(z)) before g step"))
    assert gan.latest["score/wasserstein distance"] == pytest.approx(real - fake, abs=1e-5)
