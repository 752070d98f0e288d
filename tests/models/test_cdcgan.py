"""The conditional DCGAN: how classes enter both networks, and that it learns them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gan_training import build, request, settings, some, toy_images, train
from torch.nn import functional as F

from gan_aug.models.gans.base import GAN
from gan_aug.models.gans.cdcgan import ConditionalBatchNorm

PLAIN = "model.augment=null"
PAPER = ("model.spectral_norm=true", "model.loss=hinge", "model.real_label=1")


def make(*overrides: str, classes: int = 3) -> GAN:
    return build(settings("cdcgan", PLAIN, *overrides, classes=classes))


def by_hand(discriminator: Any, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 5, convolution by convolution and image by image."""
    maps = images
    for i in range(3):
        convolution = discriminator.layers[2 * i]
        maps = F.conv2d(maps, convolution.weight, convolution.bias, stride=2, padding=1)
        maps = torch.where(maps > 0, maps, 0.2 * maps)
    found = []
    for one, label in zip(maps, labels, strict=True):
        features = one.flatten(1).mean(1)
        projection = features @ discriminator.embedding.weight[label]
        found.append(projection + features @ discriminator.linear.weight[0])
    return torch.stack(found) + discriminator.linear.bias


def test_every_loss_term_is_the_hinge_of_equation_5() -> None:
    gan = make(*PAPER).eval()  # spectral norm estimates nothing meanwhile
    real, fakes = some(classes=3)
    with torch.no_grad():
        gan.discriminator.linear.bias.fill_(0.3)  # type: ignore[union-attr]
        d_losses = gan.discriminator_losses(real, fakes)
        g_losses = gan.generator_losses(real, fakes)
        d_x = by_hand(gan.discriminator, real["image"], real["label"])
        d_g = by_hand(gan.discriminator, fakes, real["label"])
    hinges = {
        "real": torch.clamp(1 - d_x, min=0).mean(),
        "fake": torch.clamp(1 + d_g, min=0).mean(),
    }
    torch.testing.assert_close(d_losses, hinges)
    torch.testing.assert_close(g_losses, {"adversarial": -d_g.mean()})


def test_conditional_batch_norm_is_its_formula() -> None:
    norm, labels = ConditionalBatchNorm(4, 3), torch.tensor([0, 2, 2, 0, 2])
    torch.nn.init.normal_(norm.bias.weight)
    maps = torch.randn(5, 4, 6, 6) * 3 + 1
    mean = maps.mean((0, 2, 3), keepdim=True)
    sd = (maps.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    expected = torch.stack(
        [
            norm.gain.weight[k, :, None, None] * one + norm.bias.weight[k, :, None, None]
            for one, k in zip((maps - mean) / sd, labels, strict=True)
        ]
    )
    made = norm(maps, labels)
    torch.testing.assert_close(made, expected)
    made.square().sum().backward()
    for table in (norm.gain, norm.bias):
        assert table.weight.grad is not None
        assert table.weight.grad.abs().sum(1).gt(0).tolist() == [True, False, True]


def test_images_are_made_and_judged_as_of_the_batchs_classes() -> None:
    gan, (real, _) = make(), some(classes=3)
    torch.manual_seed(2)
    fakes = gan.fake(real)
    torch.manual_seed(2)
    latents = torch.randn(6, gan.latent_dim)  # type: ignore[call-overload]
    torch.testing.assert_close(fakes, gan.generator(latents, real["label"]))
    gan.eval()
    other = real | {"label": (real["label"] + 1) % 3}
    with torch.no_grad():
        assert not torch.allclose(gan.logits(fakes, real), gan.logits(fakes, other))
        for label in range(3):
            mine = gan.logits(fakes, real)[real["label"] == label]
            torch.testing.assert_close(gan.critic(label)(fakes[real["label"] == label]), mine)


@pytest.mark.slow
def test_it_learns_the_size_of_each_classs_discs() -> None:
    cfg = settings(
        "cdcgan", PLAIN, "model.width=8", "data.batch_size=16", "model.latent_dim=16",
        "model.lr_g=1e-3", "model.lr_d=5e-4", "model.ema_decay=0.95",
    )  # fmt: skip
    gan = build(cfg)
    train(cfg, gan, 600)  # with one of three seeds 250 were too few, 450 were enough
    images, labels = toy_images(cfg)
    gan.eval()
    for label, name in enumerate(cfg.data.classes):
        real = (images[labels == label] > 127).float().mean().item()
        made = (gan.synthesise(*request(cfg, name, 64)) > 0).float().mean().item()
        assert made == pytest.approx(real, abs=0.1)  # real: 0.05 and 0.32
