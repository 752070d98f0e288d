"""What every GAN can be told: R1, rates, spectral norm, truncation, adaptive augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from gan_training import (
    KillAfter,
    Killed,
    Scalars,
    Times,
    build,
    check_same,
    dcgan,
    killed_and_resumed,
    request,
    saves,
    settings,
    some,
    train,
)
from hydra.errors import InstantiationException
from torch import Tensor, nn

from gan_aug.models.adaptive_augment import ADJUST_EVERY, AdaptiveAugment


class Smooth(nn.Module):
    """A discriminator whose gradient differs from image to image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 3, 4, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(3 * 16 * 16, 5)
        )
        self.last = nn.Linear(5, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.layers(images).tanh()).flatten()


def test_r1_is_the_mean_squared_gradient_at_real_images() -> None:
    gan = dcgan(discriminator=Smooth(), r1_gamma=3.0, r1_every=4)
    batch, lengths = some(5)[0], []
    for image in batch["image"]:
        alone = image[None].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(gan.discriminator(alone).sum(), alone)
        lengths.append(gradient.square().sum())
    # Mescheder et al. eq. 9, times the steps that it stands for.
    expected = 3.0 / 2 * torch.stack(lengths).mean() * 4
    found = gan._r1(batch)
    torch.testing.assert_close(found.detach(), expected)
    assert expected > 0
    # It changes the discriminator: its gradient is that of the gradient's length.
    weight = next(gan.discriminator.parameters())
    (slope,) = torch.autograd.grad(found, weight)
    step = 1e-2 * slope / slope.norm()
    with torch.no_grad():
        weight += step
    after = gan._r1(batch)
    assert float((after - found).detach()) == pytest.approx(1e-2 * float(slope.norm()), rel=0.05)


def test_r1_is_of_what_the_discriminator_sees() -> None:
    """Augmented images, and the gradient with respect to the images before."""
    gan = dcgan(discriminator=Smooth(), r1_gamma=2.0, r1_every=1)
    batch, _ = some(3)
    plain = gan._r1(batch)
    gan.augment = Times(0.5)
    halved = dcgan(discriminator=Smooth(), r1_gamma=2.0, r1_every=1)._r1(
        batch | {"image": batch["image"] / 2}
    )
    torch.testing.assert_close(gan._r1(batch), halved / 4)
    assert not torch.isclose(halved / 4, plain)


def test_r1_comes_every_few_steps() -> None:
    logger, without = Scalars(), Scalars()
    cfg = settings("dcgan", "model.r1.every=1")
    train(cfg, build(cfg), 2, logger=without)
    assert not without.of("loss/d_r1")
    cfg = settings("dcgan", "model.r1.gamma=1", "model.r1.every=3")
    train(cfg, build(cfg), 8, logger=logger)
    # Logged under the number of batches done: the first, fourth and seventh batch.
    assert [step for step, row in logger.rows.items() if "loss/d_r1" in row] == [1, 4, 7]
    assert all(row["loss/d_r1"] > 0 for row in logger.rows.values() if "loss/d_r1" in row)
    for row in logger.rows.values():
        terms = [value for name, value in row.items() if name.startswith("loss/d_")]
        assert row["loss/d"] == pytest.approx(sum(terms))


class Rates(pl.Callback):
    """Notes both learning rates of each batch."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        g, d = (optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers)
        self.seen.append((g, d))


def test_rates_fall_from_a_share_of_the_training_on(tmp_path: Path) -> None:
    cfg = settings("dcgan", "model.decay_from=0.6", "model.lr_g=1e-3", "model.lr_d=4e-3")
    whole = Rates()
    train(cfg, build(cfg), 10, [whole])
    factors = [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]  # batch k of 10: (1 - k/10) / (1 - 0.6)
    expected = [(1e-3 * f, 4e-3 * f) for f in factors]
    assert [x for pair in whole.seen for x in pair] == pytest.approx(
        [x for pair in expected for x in pair]
    )
    first, second = Rates(), Rates()
    with pytest.raises(Killed):
        train(cfg, build(cfg), 10, [first, saves(tmp_path), KillAfter(8)])
    train(cfg, build(cfg, seed=9), 10, [second, saves(tmp_path)], tmp_path / "last.ckpt")
    done = len(whole.seen) - len(second.seen)
    assert 0 < done <= 8
    assert first.seen == whole.seen[: len(first.seen)]
    assert second.seen == whole.seen[done:]


@pytest.mark.parametrize(("decay_from", "factors"), [(1, [1, 1, 1, 1]), (0, [1, 0.75, 0.5, 0.25])])
def test_rates_that_never_and_always_fall(decay_from: float, factors: list[float]) -> None:
    cfg = settings("dcgan", f"model.decay_from={decay_from}", "model.lr_g=1e-3")
    rates = Rates()
    train(cfg, build(cfg), 4, [rates])
    assert [g for g, _ in rates.seen] == pytest.approx([1e-3 * f for f in factors])


@pytest.mark.parametrize("model", ["dcgan", "cdcgan"])
def test_spectral_norm_is_of_all_weights(model: str) -> None:
    """Of convolutions, fully connected layers and embeddings, whatever the network says of it."""
    batch, _ = some(classes=2)
    gan = build(settings(model, "model.augment=null", "model.spectral_norm=true"))
    with torch.no_grad():
        for name, parameter in gan.discriminator.named_parameters():
            if "bias" not in name:
                parameter.mul_(7)
    for _ in range(30):  # each step of training is one of the power iteration
        gan.real_logits(batch)
    norms = [
        float(torch.linalg.matrix_norm(module.weight.flatten(1), 2))
        for module in gan.discriminator.eval().modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding)
    ]
    assert norms == pytest.approx([1] * {"dcgan": 4, "cdcgan": 5}[model], abs=0.03)
    without = build(settings(model))
    assert not [name for name, _ in without.named_buffers() if "parametrizations" in name]


def test_truncated_latents_stay_within_bounds() -> None:
    latents: list[Tensor] = []
    cfg = settings("dcgan")
    gans = {bound: dcgan(truncation=bound).eval() for bound in (None, 0.7)}
    for gan in gans.values():
        gan.ema_generator.register_forward_pre_hook(lambda _, given: latents.append(given[0]))
    made = {
        (bound, count): gan.synthesise(*request(cfg, "class0", count, seed=5))
        for bound, gan in gans.items()
        for count in (10, 150)
    }
    plain, truncated = torch.cat(latents[1:4]), torch.cat(latents[5:8])
    assert plain.abs().max() > 2
    assert truncated.abs().max() <= 0.7
    assert 0.3 < truncated.std() < 0.45  # a uniform distribution would have 0.40, this one 0.38
    # Of the first latents those within bounds are as they were drawn.
    within = plain[:64].abs() <= 0.7
    assert torch.equal(truncated[:64][within], plain[:64][within])
    for bound in gans:
        assert torch.equal(made[bound, 10], made[bound, 150][:10])
    assert not torch.equal(made[None, 10], made[0.7, 10])


def test_training_is_not_truncated() -> None:
    gan = dcgan(truncation=0.1)
    gan.fake(some(32)[0])
    assert gan._latents is not None
    assert gan._latents.abs().max() > 1


def adaptive(p: float = 0.0, **changes: Any) -> AdaptiveAugment:
    made = AdaptiveAugment(**{"target": 0.6, "ramp_images": 1000, "most": 1.0} | changes)
    made.p.fill_(p)
    return made


@pytest.mark.parametrize("shape", [(8,), (8, 1, 6, 6)], ids=["whole images", "their patches"])
def test_strength_rises_and_falls_by_the_images_seen(shape: tuple[int, ...]) -> None:
    augment = adaptive(p=0.5)
    for step in range(1, ADJUST_EVERY + 1):
        assert float(augment.p) == 0.5
        augment.observe(torch.full(shape, 2.0))
        assert int(augment.steps) == step
    assert float(augment.p) == pytest.approx(0.5 + 8 * ADJUST_EVERY / 1000)
    for _ in range(ADJUST_EVERY):
        augment.observe(torch.full(shape, -0.1))
    assert float(augment.p) == pytest.approx(0.5)


@pytest.mark.parametrize(("positive", "change"), [(7, 0), (9, 1), (10, 1), (6, -1), (0, -1)])
def test_what_counts_is_the_sign_of_the_logits(positive: int, change: int) -> None:
    """Of 10 logits 8 positive ones are E[sign] = 0.6; 7 and 9 in turn are as well."""
    augment = adaptive(p=0.5)
    for step in range(ADJUST_EVERY):
        n = positive + 2 * (step % 2) if change == 0 else positive
        augment.observe(torch.tensor([0.01] * n + [-5.0] * (10 - n)))
    expected = 0.5 + change * 10 * ADJUST_EVERY / 1000
    assert float(augment.p) == pytest.approx(expected)


def test_strength_stays_within_bounds() -> None:
    augment = adaptive(ramp_images=10, most=0.3)
    for _ in range(3 * ADJUST_EVERY):
        augment.observe(torch.ones(8))
    assert float(augment.p) == 0.3
    for _ in range(3 * ADJUST_EVERY):
        augment.observe(-torch.ones(8))
    assert float(augment.p) == 0


def test_at_strength_0_nothing_is_changed() -> None:
    images = some(4)[1]
    before = torch.get_rng_state()
    assert torch.equal(adaptive()(images), images)
    assert torch.equal(torch.get_rng_state(), before)


def test_some_images_are_spared_while_the_strength_is_low() -> None:
    torch.manual_seed(0)
    images = some(400)[1]
    same = (adaptive(p=0.05)(images) == images).flatten(1).all(dim=1)
    # Nine changes, the flip at half and so on: 0.95^9 = 0.63 see none at all.
    assert 0.5 < same.double().mean() < 0.75


@pytest.mark.parametrize("channels", [1, 3])
def test_changes_can_be_differentiated(channels: int) -> None:
    torch.manual_seed(0)
    images = some(6)[1].repeat(1, channels, 1, 1).requires_grad_(True)
    changed = adaptive(p=1.0)(images)
    assert changed.shape == images.shape
    assert not torch.equal(changed, images)
    (gradient,) = torch.autograd.grad(changed.sum(), images)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().sum(dim=1) > 0).all()


def test_changes_have_no_direction_of_their_own() -> None:
    """Over many draws neither place nor brightness moves: a generator could learn it."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    disc = ((y - 15.5) ** 2 + (x - 15.5) ** 2 < 36).float()
    n = 4000
    changed = adaptive(p=1.0)(disc.expand(n, 1, 32, 32))
    assert (changed != disc).flatten(1).any(dim=1).all()
    mean = changed.mean(dim=0)[0]
    mean = mean - mean.min()
    for place in (y, x):
        assert float((mean * place).sum() / mean.sum()) == pytest.approx(15.5, abs=0.4)
    grey = adaptive(p=1.0)(torch.zeros(n, 1, 32, 32))
    assert float(grey.std()) == pytest.approx(0.2, rel=0.1)
    assert abs(float(grey.mean())) < 4 * 0.2 / n**0.5


@pytest.mark.parametrize(
    ("model", "logits"),
    [
        ("dcgan", "the least_squares loss's"),
        ("wgan_gp", "the wasserstein loss's"),
        ("pggan", "the wasserstein loss's"),
        ("cyclegan", "the least-squares loss's"),
        ("stargan", "a Wasserstein critic's"),
        ("r3gan", "a relativistic discriminator's"),
    ],
)
def test_logits_without_a_sign_cannot_be_adapted_to(model: str, logits: str) -> None:
    """Of least squares both real and generated images have positive ones."""
    other = ("model.loss=least_squares",) if model == "dcgan" else ()
    cfg = settings(model, "gan_augment@model.augment=adaptive", *other)
    with pytest.raises(InstantiationException, match=rf"model\.augment: adaptive .* {logits}"):
        build(cfg)


@pytest.fixture
def overfitting() -> Any:
    """Settings under which the strength rises within a few batches."""
    return settings(
        "dcgan", "gan_augment@model.augment=adaptive", "model.augment.ramp_images=100",
        "model.augment.target=0", "model.lr_d=5e-3",
    )  # fmt: skip


def test_a_training_adapts_by_real_images_alone(overfitting: Any) -> None:
    gan = build(overfitting)
    seen: list[int] = []
    assert isinstance(gan.augment, AdaptiveAugment)
    observe = gan.augment.observe
    gan.augment.observe = lambda logits: (seen.append(len(logits)), observe(logits))  # type: ignore
    train(overfitting, gan, 12)
    assert seen == [8] * 12  # once a discriminator step
    assert float(gan.augment.p) > 0


def test_a_resumed_training_adapts_the_same_bit_for_bit(overfitting: Any, tmp_path: Path) -> None:
    whole = build(overfitting)
    trainer = train(overfitting, whole, 14)
    state = whole.state_dict()
    assert {"augment.p", "augment.signs", "augment.seen", "augment.steps"} <= state.keys()
    assert state["augment.p"] > 0
    check_same((whole, trainer), killed_and_resumed(overfitting, 14, 10, tmp_path)[1:])
