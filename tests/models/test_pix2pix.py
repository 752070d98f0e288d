"""Pix2pix: its conditions, losses by hand, its noise, and that it completes what it is shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gan_training import build, request, settings, some, toy_images, train
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.pix2pix import CONDITIONS, Generator, hidden

PLAIN = "model.augment=null"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_losses_by_hand(condition: str) -> None:
    """Equations 1 and 4; the discriminator's is halved (section 3.3)."""
    gan: Any = build(settings("pix2pix", PLAIN, f"model.condition={condition}"))
    batch, _ = some()
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
    gan.augment = nn.Threshold(0, 0)  # of what the discriminator sees alone
    for losses in (found, gan.generator_losses(batch, fakes)):
        torch.testing.assert_close(losses["l1"], 100 * (fakes - batch["image"]).abs().mean())


def test_an_image_and_its_condition_are_augmented_alike() -> None:
    gan: Any = build(settings("pix2pix", "model.condition=blur"))
    seen: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch, _ = some()
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
    conditions = some()[1]
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
    first = gan.synthesise(*request(cfg, "class0", 8, seed=3))
    before = torch.get_rng_state()
    again = gan.synthesise(*request(cfg, "class0", 8, seed=3))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    other = gan.synthesise(*request(cfg, "class0", 8, seed=4))
    assert not torch.equal(first, other)  # the same sources


def test_a_source_that_comes_twice_gives_two_images() -> None:
    cfg = settings("pix2pix")
    asked = request(cfg, "class0", 48)
    sources = asked[-1]
    assert sources is not None
    assert torch.equal(sources[:24], sources[24:])
    made = build(cfg).eval().synthesise(*asked)
    assert not torch.equal(made[:24], made[24:])


def test_the_critic_derives_the_condition_from_the_image() -> None:
    gan: Any = build(settings("pix2pix"))
    images = some()[1]
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
    sources = asked[-1]
    assert sources is not None
    made = gan.eval().synthesise(*asked)
    images, _ = toy_images(cfg)
    real = images.float() / 127.5 - 1
    assert (made.mean() - real.mean()).abs() < 0.5 * (sources.mean() - real.mean())


# Conditions


def images(n: int = 3, channels: int = 1, size: int = 64) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(n, channels, size, size) * 2 - 1


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_condition_is_a_function_of_its_image_alone(kind: str, size: int, channels: int) -> None:
    condition = CONDITIONS[kind]
    x = images(3, channels, size)
    found = condition(x)
    assert found.shape == x.shape
    torch.testing.assert_close(condition(x), found, rtol=0, atol=0)
    torch.testing.assert_close(condition(x[1:2]), found[1:2])
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(condition(x), found, rtol=0, atol=0)


@pytest.mark.parametrize("kind", CONDITIONS)
def test_images_that_are_even_have_finite_gradients(kind: str) -> None:
    even = torch.zeros(1, 1, 32, 32, requires_grad=True)
    CONDITIONS[kind](even).sum().backward()
    assert even.grad is not None
    assert even.grad.isfinite().all()


def test_the_mask_hides_the_lung_fields_and_nothing_else() -> None:
    x = images()
    found = CONDITIONS["lung_mask"](x)
    mask = hidden(64, x.device)
    assert (found[:, :, mask] == 0).all()
    assert torch.equal(found[:, :, ~mask], x[:, :, ~mask])
    assert torch.equal(mask, mask.flip(1))  # left and right alike
    assert mask[30, 20]
    assert mask[30, 44]
    kept = torch.ones(64, 64, dtype=torch.bool)
    kept[8:52, 7:57] = False  # around the lungs ...
    kept[:, 31:33] = True  # ... and between them: the spine
    assert not (mask & kept).any()
    assert 0.3 < mask.float().mean() < 0.45


def test_edges_are_sobels_magnitude() -> None:
    x = images()
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    padded = F.pad((x + 1) / 2, (1, 1, 1, 1), mode="reflect")
    across, down = (F.conv2d(padded, k[None, None]) for k in (sobel, sobel.T))
    expected = (across**2 + down**2).sqrt()
    torch.testing.assert_close(CONDITIONS["edges"](x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [-1.0, 0.3])
def test_an_even_image_has_no_edges_and_stays_even_when_blurred(value: float) -> None:
    even = torch.full((1, 1, 32, 32), value)
    assert torch.equal(CONDITIONS["edges"](even), torch.zeros_like(even))
    torch.testing.assert_close(CONDITIONS["blur"](even), even)


def test_blur_is_a_gaussian_of_a_sixteenth_of_the_side() -> None:
    point = torch.zeros(1, 1, 65, 65)
    point[0, 0, 32, 32] = 1.0
    found = CONDITIONS["blur"](point)[0, 0]
    places = torch.arange(65.0) - 32
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    rows = found.sum(dim=1)
    assert (rows * places**2).sum().sqrt().item() == pytest.approx(65 / 16, rel=0.02)
    torch.testing.assert_close(found, torch.outer(rows, rows))
