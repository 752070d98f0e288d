"""What every GAN of conf/model has to do, whatever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from gan_training import (
    GANS,
    build,
    check_same,
    composed,
    distance_to_mean,
    killed_and_resumed,
    made_by,
    request,
    settings,
    train,
    with_settings,
)
from omegaconf import OmegaConf
from support import ROOT

from gan_aug.models.gans.base import GAN
from gan_aug.models.restore import rebuild_gan
from gan_aug.settings.class_facts import gan_facts, image_sizes

LARGE = sorted(path.stem for path in (ROOT / "conf" / "model" / "large").glob("*.yaml"))

State = dict[str, torch.Tensor]


def weights(module: torch.nn.Module) -> State:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Steps(pl.Callback):
    """Notes which player's weights each optimizer step moved."""

    def __init__(self) -> None:
        self.moved: list[tuple[str, bool, bool]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GAN)
        gan, step = pl_module, pl_module._step

        def noted(optimizer: Any, losses: dict[str, torch.Tensor]) -> None:
            before = weights(gan.generator), weights(gan.discriminator)
            step(optimizer, losses)
            player = "g" if optimizer.optimizer is trainer.optimizers[0] else "d"
            after = weights(gan.generator), weights(gan.discriminator)
            self.moved.append(
                (player, *(not same(x, y) for x, y in zip(before, after, strict=True)))
            )

        gan._step = noted  # type: ignore[method-assign]


def with_gradients(module: torch.nn.Module) -> int:
    return sum(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("model", GANS)
def test_what_is_read_of_a_class_is_what_it_says(model: str) -> None:
    cfg = settings(model)
    gan = build(cfg)
    facts, sizes = gan_facts(cfg.model), image_sizes(cfg.model)
    assert (facts.fitted_on, facts.sources) == (gan.FITTED_ON, gan.SOURCES)
    assert (sizes.min_size, sizes.power_of_two) == (gan.MIN_SIZE, gan.POWER_OF_TWO)


@pytest.mark.parametrize("model", GANS)
def test_losses_reach_their_own_player_only(model: str) -> None:
    gan = build(settings(model))
    images, labels = torch.rand(8, 1, 32, 32) * 2 - 1, torch.tensor([0] * 4 + [1] * 4)
    batch = {"image": images, "label": labels, "source": images[:4], "target": images[4:]}
    fakes = gan.fake(batch)
    torch.stack(list(gan.discriminator_losses(batch, fakes.detach()).values())).sum().backward()
    assert with_gradients(gan.generator) == 0
    assert with_gradients(gan.discriminator) > 0
    gan.zero_grad()
    gan.discriminator.requires_grad_(False)  # as the base does for the generator's step
    torch.stack(list(gan.generator_losses(batch, fakes).values())).sum().backward()
    assert with_gradients(gan.discriminator) == 0
    assert with_gradients(gan.generator) > 0


@pytest.mark.parametrize("model", GANS)
def test_a_step_moves_only_its_players_weights(model: str) -> None:
    cfg = settings(model)
    gan, steps = build(cfg), Steps()
    ema = weights(gan.ema_generator)
    cycles = 2
    train(cfg, gan, cycles * gan.d_steps, [steps])
    expected = [("d", False, True)] * gan.d_steps + [("g", True, False)] * gan.g_steps
    assert steps.moved == expected * cycles
    assert not same(ema, weights(gan.ema_generator))
    assert all(p.grad is None for p in gan.ema_generator.parameters())


@pytest.mark.parametrize("model", GANS)
@pytest.mark.parametrize(
    ("size", "channels", "classes"), [(32, 3, 5), (64, 1, 2)], ids=["32px", "64px"]
)
def test_images_of_any_shape_and_number_of_classes(
    model: str, size: int, channels: int, classes: int
) -> None:
    cfg = settings(model, size=size, channels=channels, classes=classes)
    gan = build(cfg)
    train(cfg, gan, gan.d_steps)
    for name in made_by(cfg):
        made = gan.eval().synthesise(request(cfg, name, 5))
        assert made.shape == (5, channels, size, size)
        assert made.abs().max() <= 1
        assert made.std(dim=0).mean() > 0
        label = list(cfg.data.classes).index(name)
        with torch.no_grad():
            assert gan.critic(label).eval()(made).shape == (5,)


@pytest.mark.parametrize("model", GANS)
def test_synthesis_is_fixed_by_the_seed_and_not_by_the_count(model: str) -> None:
    cfg = settings(model)
    gan = build(cfg).eval()
    for name, sources in made_by(cfg).items():
        few, many = (gan.synthesise(request(cfg, name, n, seed=3)) for n in (10, 70))
        torch.testing.assert_close(few, many[:10], rtol=1e-4, atol=1e-5)
        if not sources:
            other = gan.synthesise(request(cfg, name, 10, seed=4))
            assert not torch.equal(few, other)


@pytest.mark.parametrize("model", GANS)
def test_a_resumed_training_is_the_same_bit_for_bit(model: str, tmp_path: Path) -> None:
    cfg = settings(model)
    whole = build(cfg)
    n = max(6, 2 * whole.d_steps)
    first = train(cfg, whole, n)
    # Killed in the second cycle, once both players have been stepped.
    _, *resumed = killed_and_resumed(cfg, n, whole.d_steps + 1, tmp_path)
    check_same((whole, first), (*resumed,))


@pytest.mark.parametrize("model", ["dcgan", "gan"])
def test_what_is_logged_does_not_change_training(model: str) -> None:
    """Diagnostics ask the networks again, with their batch norms and dropout."""
    cfg, trained = settings(model), []
    for logs in (True, False):
        gan = build(cfg)
        if not logs:
            gan.diagnostics = lambda batch, fakes: {}  # type: ignore[method-assign]
        trained.append((gan, train(cfg, gan, 4)))
        assert ("score/D(x)" in gan.latest) == logs
    check_same(*trained)


@pytest.mark.parametrize(
    ("model", "betas", "decay_from"),
    [
        ("cyclegan", (0.5, 0.999), 0.5),
        ("stargan", (0.5, 0.999), 0.5),
        ("wgan_gp", (0.0, 0.9), 1),
        ("pggan", (0.0, 0.99), 1),
        ("r3gan", (0.0, 0.99), 1),
    ],
)
def test_optimisers_are_as_in_the_papers(
    model: str, betas: tuple[float, float], decay_from: float
) -> None:
    gan: Any = build(settings(model))
    for optimizer in (gan._optimizer_g, gan._optimizer_d):
        assert tuple(optimizer.keywords["betas"]) == betas
    assert gan.decay_from == decay_from


LEARNING = {
    "gan": (["width=8", "lr_g=1e-3", "lr_d=1e-3"], 120, 0.5),  # 0.32 and 0.41 were seen
    "r3gan": (["width=4", "lr_g=2e-3", "lr_d=2e-3"], 40, 0.4),
    "wgan_gp": (["width=8", "lr_g=2e-3", "lr_d=1e-3"], 180, 0.5),
}


@pytest.mark.parametrize("model", LEARNING)
def test_it_learns(model: str) -> None:
    """Generated discs come to look like the real ones: bright middle, dark border."""
    chosen, batches, share = LEARNING[model]
    own = [f"model.{one}" for one in (*chosen, "ema_decay=0.9", "augment=null")]
    cfg = settings(model, *own)
    gan = build(cfg)
    start = distance_to_mean(cfg, gan)
    train(cfg, gan, batches)
    assert distance_to_mean(cfg, gan) < share * start
    assert gan.eval().synthesise(request(cfg, "class0", 64)).std(dim=0).mean() > 0.05  # they differ
    # The slope of a critic comes close to 1; its penalty is some hundreds at first.
    assert gan.latest.get("loss/d_penalty", 0) < 5


@pytest.mark.parametrize("model", GANS)
def test_a_checkpoint_alone_gives_the_gan_back(model: str) -> None:
    cfg = settings(model)
    gan = build(cfg)
    train(cfg, gan, gan.d_steps)
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    again = rebuild_gan(config, gan.state_dict(), "a test").eval()
    name = next(iter(made_by(cfg)))
    made = [g.eval().synthesise(request(cfg, name, 4)) for g in (gan, again)]
    assert torch.equal(*made)


@pytest.mark.parametrize("model", GANS)
def test_images_from_latents_alone_can_be_explained(model: str) -> None:
    cfg = settings(model)
    gan = build(cfg).eval()
    for name in made_by(cfg):
        decoder = gan.decoder(list(cfg.data.classes).index(name))
        if made_by(cfg)[name]:
            assert decoder is None
        else:
            assert decoder is not None
            latents = torch.randn(3, int(decoder.latent_dim))  # type: ignore[arg-type]
            assert decoder.eval()(latents).shape == (3, 1, 32, 32)


@pytest.mark.parametrize("model", LARGE)
def test_a_large_setting_is_the_same_gan_with_more_weights(model: str) -> None:
    known = ("data.channels=1", "data.num_classes=2", "data.classes=[a,b]")
    small, large = (
        with_settings(composed(f"model={name}", "data=phantom"), *known)
        for name in (model, f"large/{model}")
    )
    assert large.model.name == model
    assert large.model.batches > small.model.batches
    with torch.device("meta"):  # no weights are drawn
        gans = [build(cfg) for cfg in (small, large)]
    counts = [sum(p.numel() for p in gan.generator.parameters()) for gan in gans]
    assert counts[1] > 2 * counts[0]
