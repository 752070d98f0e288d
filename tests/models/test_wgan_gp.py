"""WGAN-GP: the critic's norm, its loss and penalty, the step ratio, and that it learns."""

from __future__ import annotations

import pytest
import torch
from gan_training import batches, build, settings, train
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


def test_critic_loss() -> None:
    """Eq. 3: D(G(z)) - D(x) + 10 (slope - 1)^2, at a point of each straight line."""
    gan, batch, fakes = first_step("model.augment=null")
    torch.manual_seed(3)
    found = gan.discriminator_losses(batch, fakes.detach())
    torch.manual_seed(3)
    share = torch.rand(8, 1, 1, 1)
    points = share * batch["image"] + (1 - share) * fakes.detach()
    assert found.keys() == {"real", "fake", "penalty"}
    torch.testing.assert_close(found["real"], -gan.discriminator(batch["image"]).mean())
    torch.testing.assert_close(found["fake"], gan.discriminator(fakes).mean())
    wanted = 10 * by_hand(gan.discriminator, points)
    assert found["penalty"].item() == pytest.approx(wanted, rel=1e-4)


def test_generator_loss() -> None:
    gan, batch, fakes = first_step("model.augment=null")
    found = gan.generator_losses(batch, fakes)
    torch.testing.assert_close(found, {"adversarial": -gan.discriminator(fakes).mean()})


def test_penalty_has_the_right_gradient() -> None:
    """Its change with a weight, found by changing that weight."""
    gan, batch, fakes = first_step("model.augment=null")
    critic = gan.discriminator.double()
    double = {"image": batch["image"].double(), "label": batch["label"]}
    weight = critic.layers[2].weight  # type: ignore[index, union-attr]
    assert isinstance(weight, torch.Tensor)

    def penalty() -> torch.Tensor:
        torch.manual_seed(0)
        return gan.discriminator_losses(double, fakes.detach().double())["penalty"]

    penalty().backward()
    assert weight.grad is not None
    at, step, values = (0, 0, 1, 1), 1e-3, []
    for change in (step, -step):
        with torch.no_grad():
            weight[at] += change
        values.append(penalty().item())
        with torch.no_grad():
            weight[at] -= change
    slope = (values[0] - values[1]) / (2 * step)
    assert weight.grad[at].item() == pytest.approx(slope, rel=0.02)


def test_lines_join_augmented_images() -> None:
    class Halved(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 0.5 * images

    gan, batch, fakes = first_step("model.augment=null")
    gan.augment = Halved()
    torch.manual_seed(3)
    found = gan.discriminator_losses(batch, fakes.detach())["penalty"]
    torch.manual_seed(3)
    share = torch.rand(8, 1, 1, 1)
    points = share * batch["image"] / 2 + (1 - share) * fakes.detach() / 2
    assert found.item() == pytest.approx(10 * by_hand(gan.discriminator, points), rel=1e-4)


def test_penalty_in_mixed_precision() -> None:
    gan, batch, fakes = first_step("model.augment=null")
    found = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(gan.discriminator_losses(batch, fakes.detach())["penalty"])
    assert found[1].dtype == torch.float32
    assert found[1].item() == pytest.approx(found[0].item(), rel=0.05)
    found[1].backward()
    assert all(
        torch.isfinite(p.grad).all() for p in gan.discriminator.parameters() if p.grad is not None
    )


def test_distance_is_logged() -> None:
    cfg = settings("wgan_gp")
    gan = build(cfg)
    train(cfg, gan, 5)
    real, fake = (gan.latest[f"score/{name}"] for name in ("D(x)", "D(G(z)) before g step"))
    assert gan.latest["score/wasserstein distance"] == pytest.approx(real - fake, abs=1e-5)
