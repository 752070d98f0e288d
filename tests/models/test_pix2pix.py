"""Pix2pix: its losses by hand, its noise, and that it completes what it is shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gan_training import build, request, settings, toy_images, train
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.pix2pix import CONDITIONS, Generator

PLAIN = "model.augment=null"


def a_batch(size: int = 32) -> dict[str, Tensor]:
    torch.manual_seed(3)
    return {"image": torch.rand(6, 1, size, size) * 2 - 1, "label": torch.zeros(6).long()}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_losses_by_hand(condition: str) -> None:
    """Equations 1 and 4; the discriminator's is halved (section 3.3)."""
    gan: Any = build(settings("pix2pix", PLAIN, f"model.condition={condition}"))
    batch = a_batch()
    x = CONDITIONS[condition](batch["image"])
    fakes = gan.fake(batch).detach()

    def cross_entropy(images: Tensor, real: float) -> Tensor:
        probability = gan.discriminator.layers(torch.cat([x, images], dim=1)).sigmoid()
        return -(probability if real else 1 - probability).log().mean()

    found = gan.discriminator_losses(batch, fakes)
    torch.testing.assert_close(found["real"], 0.5 * cross_entropy(batch["image"], 1))
    torch.testing.assert_close(found["fake"], 0.5 * cross_entropy(fakes, 0))
    found = gan.generator_losses(batch, fakes)
    torch.testing.assert_close(found["adversarial"], cross_entropy(fakes, 1))
    torch.testing.assert_close(found["l1"], 100 * (fakes - batch["image"]).abs().mean())


def test_the_l1_term_compares_images_as_they_are() -> None:
    gan: Any = build(settings("pix2pix"))
    batch = a_batch()
    fakes = gan.fake(batch)
    l1 = gan.generator_losses(batch, fakes)["l1"]
    torch.testing.assert_close(l1, 100 * F.l1_loss(fakes, batch["image"]))


def test_an_image_and_its_condition_are_augmented_alike() -> None:
    gan: Any = build(settings("pix2pix", "model.condition=blur"))
    seen: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = a_batch()
    # An even image is its own blurred version: what differs was augmented in two ways.
    batch["image"] = torch.linspace(-0.9, 0.9, 6).view(6, 1, 1, 1).expand(6, 1, 32, 32)
    gan.real_logits(batch)
    (shown,) = seen
    assert shown.std() > 0
    assert not torch.allclose(shown[:, 1:], batch["image"])
    torch.testing.assert_close(shown[:, :1], shown[:, 1:])


def test_noise_is_dropout() -> None:
    """The same as PyTorch's dropout, for the units that it happens to drop."""
    torch.manual_seed(0)
    network = Generator(32, 1, 4, 0.5)
    conditions = a_batch()["image"]
    noise = torch.rand(6, network.noise_dim)
    expected, maps, skips = 0, conditions, []
    for layer in network.down:
        maps = layer(maps)
        skips.append(maps)
    for i, layer in enumerate(network.up):
        maps = layer(maps if i == 0 else torch.cat([maps, skips[-1 - i]], dim=1))
        units = maps[0].numel()
        dropped = noise[:, expected : expected + units].view_as(maps) < 0.5
        expected += units
        maps = torch.relu(torch.where(dropped, 0.0, 2 * maps))
    assert expected == network.noise_dim  # at 32 pixels both layers have it
    made = torch.tanh(network.last(torch.cat([maps, skips[0]], dim=1)))
    torch.testing.assert_close(network(conditions, noise), made)


def test_two_layers_of_a_larger_network_are_dropped_from() -> None:
    assert Generator(64, 1, 4, 0.5).noise_dim == 16 * 8 * 8 + 8 * 16 * 16


def test_noise_of_synthesis_comes_from_the_request_alone() -> None:
    cfg = settings("pix2pix")
    gan = build(cfg).eval()
    torch.manual_seed(1)
    first = gan.synthesise(request(cfg, "class0", 8, seed=3))
    before = torch.get_rng_state()
    again = gan.synthesise(request(cfg, "class0", 8, seed=3))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    other = gan.synthesise(request(cfg, "class0", 8, seed=4))
    assert not torch.equal(first, other)  # the same sources


def test_a_source_that_comes_twice_gives_two_images() -> None:
    cfg = settings("pix2pix")
    asked = request(cfg, "class0", 48)
    assert asked.sources is not None
    assert torch.equal(asked.sources[:24], asked.sources[24:])
    made = build(cfg).eval().synthesise(asked)
    assert not torch.equal(made[:24], made[24:])


def test_the_critic_derives_the_condition_from_the_image() -> None:
    gan: Any = build(settings("pix2pix"))
    images = a_batch()["image"]
    pairs = torch.cat([CONDITIONS["lung_mask"](images), images], dim=1)
    expected = gan.discriminator.layers(pairs).mean(dim=(1, 2, 3))
    critic = gan.critic(0)
    torch.testing.assert_close(critic(images), expected)
    assert isinstance(critic.layers, nn.Sequential)


def test_it_fills_in_what_is_hidden_in_the_manner_of_its_class() -> None:
    """Fitted on small discs, it puts them where larger ones were hidden."""
    rates = ("model.lr_g=2e-3", "model.lr_d=2e-3", "model.ema_decay=0.9")
    cfg = settings("pix2pix", *rates)
    gan = build(cfg)
    train(cfg, gan, 60)
    asked = request(cfg, "class0", 24)
    assert asked.sources is not None
    made = gan.eval().synthesise(asked)
    images, _ = toy_images(cfg)
    real = images.float() / 127.5 - 1
    sources = asked.sources
    assert (made.mean() - real.mean()).abs() < 0.5 * (sources.mean() - real.mean())
