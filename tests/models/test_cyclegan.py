"""CycleGAN: its losses by hand, its pools, and that it translates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gan_training import (
    build,
    check_same,
    killed_and_resumed,
    made_by,
    request,
    settings,
    toy_images,
    train,
)
from torch import Tensor

from gan_aug.models.gans.cyclegan import ImagePool
from gan_aug.models.networks.blocks import PatchGAN


def a_batch(size: int = 32) -> dict[str, Tensor]:
    torch.manual_seed(3)
    images = torch.rand(8, 1, size, size) * 2 - 1
    labels = torch.tensor([0] * 4 + [1] * 4)
    return {"image": images, "label": labels, "source": images[:4], "target": images[4:]}


@pytest.fixture(params=[(), ("gan_augment@model.augment=diff",)], ids=["plain", "augmented"])
def gan(request: Any) -> Any:
    return build(settings("cyclegan", *request.param))


def test_fakes_are_of_the_batchs_classes(gan: Any) -> None:
    batch = a_batch()
    fakes = gan.fake(batch)
    to_first, to_second = gan.generator.networks
    torch.testing.assert_close(fakes[:4], to_first(batch["target"]))
    torch.testing.assert_close(fakes[4:], to_second(batch["source"]))


def test_cycle_and_identity_terms_by_hand(gan: Any) -> None:
    """Equation 2 and section 5.2, with lambda 10; whether the discriminators' view is augmented."""
    batch = a_batch()
    x, y = batch["source"], batch["target"]
    to_x, to_y = gan.generator.networks
    losses = gan.generator_losses(batch, gan.fake(batch))
    cycle = (to_x(to_y(x)) - x).abs().mean() + (to_y(to_x(y)) - y).abs().mean()
    identity = (to_y(y) - y).abs().mean() + (to_x(x) - x).abs().mean()
    torch.testing.assert_close(losses["cycle"], 10 * cycle)
    torch.testing.assert_close(losses["identity"], 0.5 * 10 * identity)


def test_adversarial_terms_by_hand() -> None:
    """Section 4: least squares; the discriminators' objective is halved, the generators' is not."""
    gan: Any = build(settings("cyclegan"))
    batch = a_batch()
    x, y = batch["source"], batch["target"]
    fakes = gan.fake(batch).detach()
    of_x, of_y = gan.discriminator.networks
    losses = gan.discriminator_losses(batch, fakes)  # empty pools show what they are given
    real = 0.5 * ((of_x(x) - 1) ** 2).mean() + 0.5 * ((of_y(y) - 1) ** 2).mean()
    fake = 0.5 * (of_x(fakes[:4]) ** 2).mean() + 0.5 * (of_y(fakes[4:]) ** 2).mean()
    torch.testing.assert_close(losses["real"], real)
    torch.testing.assert_close(losses["fake"], fake)
    found = gan.generator_losses(batch, fakes)["adversarial"]
    expected = ((of_x(fakes[:4]) - 1) ** 2).mean() + ((of_y(fakes[4:]) - 1) ** 2).mean()
    torch.testing.assert_close(found, expected)


def numbered(first: int, count: int) -> Tensor:
    """Images that are told apart by their value."""
    return torch.arange(first, first + count).float()[:, None, None, None].expand(-1, 1, 4, 4)


def test_a_pool_shows_its_first_images_as_they_are_and_then_old_ones_half_the_time() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50, 1, 4)
    for first in range(0, 50, 5):
        assert torch.equal(pool(numbered(first, 5)), numbered(first, 5))
    assert torch.equal(pool.images, numbered(0, 50))
    kept, replaced = set(range(50)), 0
    for first in range(50, 1050, 5):
        for i, value in enumerate(pool(numbered(first, 5))[:, 0, 0, 0].tolist()):
            if value != first + i:
                replaced += 1
                kept = (kept - {int(value)}) | {first + i}
    assert {int(v) for v in pool.images[:, 0, 0, 0]} == kept
    assert 430 < replaced < 570  # 500 of 1000, and four standard deviations of 16


def test_discriminators_are_shown_what_the_pools_return() -> None:
    gan: Any = build(settings("cyclegan", "model.pool=4"))
    torch.manual_seed(0)
    batch = a_batch()
    first = gan.fake(batch).detach()
    gan.discriminator_losses(batch, first)
    later = torch.zeros_like(first)
    kept = [p.images.clone() for p in gan.pools]
    torch.testing.assert_close(torch.cat(kept), first)
    random = torch.get_rng_state()
    loss = gan.discriminator_losses(batch, later)["fake"]
    torch.set_rng_state(random)
    shown = []
    for pool, before in zip(gan.pools, kept, strict=True):
        pool.images.copy_(before)
        shown.append(pool(later[:4]))
    assert 0 < sum(bool((image != 0).any()) for image in torch.cat(shown)) < 8
    torch.testing.assert_close(loss, gan.logits(torch.cat(shown), batch).square().mean())


@pytest.mark.parametrize("kill_after", [2, 6], ids=["half-full", "full"])
def test_pools_are_resumed_as_they_were(kill_after: int, tmp_path: Path) -> None:
    cfg = settings("cyclegan", "model.pool=18")  # 4 of each class in a batch
    whole: Any = build(cfg)
    trainer = train(cfg, whole, 7)
    killed: Any
    killed, resumed, again = killed_and_resumed(cfg, 7, kill_after, tmp_path)
    assert int(killed.pools[0].filled) == min(18, 4 * kill_after)
    assert int(whole.pools[0].filled) == 18
    check_same((whole, trainer), (resumed, again))


def test_a_pair_of_five_classes() -> None:
    cfg = settings("cyclegan", classes=5)
    cfg.model.pair = ["class4", "class1"]
    assert made_by(cfg) == {"class4": ["class1"], "class1": ["class4"]}
    gan: Any = build(cfg)
    assert gan.pair == [4, 1]
    seen: list[Tensor] = []
    gan.fake, fake = lambda batch: seen.append(batch["label"]) or fake(batch), gan.fake
    train(cfg, gan, 2)
    assert all(labels.tolist() == [4] * 4 + [1] * 4 for labels in seen)
    to_first, to_second = gan.ema_generator.networks
    for name, generator in (("class4", to_first), ("class1", to_second)):
        asked = request(cfg, name, 3)
        sources = asked[-1]
        assert sources is not None
        with torch.no_grad():
            torch.testing.assert_close(gan.synthesise(*asked), generator(sources))


@pytest.mark.parametrize("patch_layers", [1, 2, 3])
def test_a_logit_sees_a_patch_of_the_size_that_is_said(patch_layers: int) -> None:
    side = 9 * 2**patch_layers - 2
    # Without norms, which see the whole image.
    network = PatchGAN(1, 2, patch_layers, spectral_norm=True).double()
    image = torch.randn(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    logits[0, logits.shape[1] // 2, logits.shape[2] // 2].backward()
    assert image.grad is not None
    rows = torch.nonzero(image.grad[0, 0].abs().sum(dim=1)).flatten()
    assert len(rows) == side == int(rows.max() - rows.min()) + 1


def test_a_critic_is_its_classs_discriminator_averaged() -> None:
    gan: Any = build(settings("cyclegan"))
    images = a_batch()["image"]
    for label in (0, 1):
        expected = gan.discriminator.networks[label](images).mean(dim=(1, 2))
        torch.testing.assert_close(gan.critic(label)(images), expected)


def brightness(images: Tensor) -> float:
    """Mean of images in [-1, 1]: of discs on a dark ground, how large they are."""
    return images.mean().item()


def test_it_translates_small_discs_to_large_ones_and_back() -> None:
    rates = ("model.lr_g=1e-3", "model.lr_d=1e-3", "model.ema_decay=0.9")
    cfg = settings("cyclegan", "model.blocks=1", *rates)
    gan = build(cfg)
    train(cfg, gan, 100)
    gan.eval()
    images, labels = toy_images(cfg)
    small, large = (brightness(images[labels == k].float() / 127.5 - 1) for k in (0, 1))
    made = {name: brightness(gan.synthesise(*request(cfg, name, 24))) for name in made_by(cfg)}
    # As they were, they would be a whole difference off; 0.04 to 0.2 of it were seen.
    assert abs(made["class1"] - large) < 0.5 * (large - small)
    assert abs(made["class0"] - small) < 0.5 * (large - small)
