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
    distance_to_mean,
    killed_and_resumed,
    made_by,
    request,
    settings,
    train,
)
from support import ROOT, composed
from torch.nn import functional as F

from gan_aug.models.gans.base import GAN
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


@pytest.mark.parametrize("model", GANS)
def test_what_is_read_of_a_class_is_what_it_says(model: str) -> None:
    cfg = settings(model)
    gan = build(cfg)
    facts, sizes = gan_facts(cfg.model), image_sizes(cfg.model)
    assert (facts.fitted_on, facts.translates) == (gan.FITTED_ON, gan.TRANSLATES)
    assert (sizes.min_size, sizes.power_of_two) == (gan.MIN_SIZE, gan.POWER_OF_TWO)


@pytest.mark.parametrize(
    ("model", "ratio"),
    [*((model, ()) for model in GANS), *(("dcgan", ratio) for ratio in ((3, 1), (1, 5), (2, 3)))],
)
def test_a_step_moves_only_its_players_weights(model: str, ratio: tuple[int, ...]) -> None:
    own = (f"model.{player}_steps={n}" for player, n in zip("dg", ratio, strict=False))
    cfg = settings(model, *own)
    gan, steps = build(cfg), Steps()
    ema = weights(gan.ema_generator)
    cycles = 2
    trainer = train(cfg, gan, cycles * gan.d_steps, [steps])
    expected = [("d", False, True)] * gan.d_steps + [("g", True, False)] * gan.g_steps
    assert steps.moved == expected * cycles
    # Layers of PGGAN that are yet to come have fewer steps than the others.
    counted = [max(int(one["step"]) for one in o.state.values()) for o in trainer.optimizers]
    assert counted == [cycles * gan.g_steps, cycles * gan.d_steps]
    assert gan.batches_done == cycles * gan.d_steps
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
    for name, sources in made_by(cfg).items():
        made = gan.eval().synthesise(*request(cfg, name, 5))
        assert made.shape == (5, channels, size, size)
        assert made.abs().max() <= 1
        assert made.std(dim=0).mean() > 0
        label = list(cfg.data.classes).index(name)
        with torch.no_grad():
            assert gan.critic(label).eval()(made).shape == (5,)
        decoder = gan.decoder(label)  # of images from latents alone, which `explain` looks at
        assert (decoder is None) == bool(sources)
        if decoder is not None:
            latents = torch.randn(3, int(gan.generator.latent_dim))  # type: ignore[arg-type]
            assert decoder.eval()(latents).shape == (3, channels, size, size)


@pytest.mark.parametrize("model", GANS)
def test_synthesis_is_fixed_by_the_seed_and_not_by_the_count(model: str) -> None:
    cfg = settings(model)
    gan = build(cfg).eval()
    for name, sources in made_by(cfg).items():
        few, many = (gan.synthesise(*request(cfg, name, n, seed=3)) for n in (10, 70))
        torch.testing.assert_close(few, many[:10], rtol=1e-4, atol=1e-5)
        if not sources:
            other = gan.synthesise(*request(cfg, name, 10, seed=4))
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


def learning(model: str, *own: str, batches: int, share: float) -> Any:
    """A GAN whose distance from the real mean falls below a share of the first one."""
    return pytest.param(model, own, batches, share, id=model)


LEARNING = [
    learning("gan", "width=8", "lr_g=1e-3", "lr_d=1e-3", batches=120, share=0.5),  # 0.32, 0.41 seen
    learning("r3gan", "width=4", "lr_g=2e-3", "lr_d=2e-3", batches=40, share=0.4),
    learning("wgan_gp", "width=8", "lr_g=2e-3", "lr_d=1e-3", batches=180, share=0.5),
    learning("pggan", "width=8", "lr_g=3e-3", "lr_d=3e-3", batches=80, share=0.4),
    learning("fastgan", "width=8", "lr_g=2e-3", "lr_d=2e-3", batches=80, share=0.75),
    learning("dcgan", "width=8", "lr_g=1e-3", "lr_d=1e-3", "real_label=1", batches=200, share=0.6),
]


@pytest.mark.parametrize(("model", "own", "batches", "share"), LEARNING)
def test_it_learns(model: str, own: tuple[str, ...], batches: int, share: float) -> None:
    """Generated discs come to look like the real ones: bright middle, dark border."""
    cfg = settings(model, *(f"model.{one}" for one in (*own, "ema_decay=0.9", "augment=null")))
    gan = build(cfg)
    start = distance_to_mean(cfg, gan)
    train(cfg, gan, batches)
    assert distance_to_mean(cfg, gan) < share * start
    assert (
        gan.eval().synthesise(*request(cfg, "class0", 64)).std(dim=0).mean() > 0.05
    )  # they differ
    # The slope of a critic comes close to 1; its penalty is some hundreds at first.
    assert gan.latest.get("loss/d_penalty", 0) < 5
    # Decoders make the real images again: 0.04 and 0.06 were seen.
    assert gan.latest.get("loss/d_whole", 0) < 0.15
    assert gan.latest.get("loss/d_part", 0) < 0.15


PENALTIES = ("penalty", "gradient_penalty", "r1", "r2")


@pytest.mark.parametrize("model", ["wgan_gp", "pggan", "stargan", "r3gan"])
def test_penalties_in_bfloat16_are_those_in_float32(model: str) -> None:
    """Slopes and their gradients, which go backward through the networks twice."""
    gan = build(settings(model, "model.width=16", "model.augment=null"))
    batch = {"image": torch.rand(8, 1, 32, 32) * 2 - 1, "label": torch.arange(8) % 2}
    fakes, found = torch.rand(8, 1, 32, 32) * 2 - 1, []
    weights = list(gan.discriminator.parameters())
    with torch.no_grad():
        for weight in weights:  # away from the zeros that some begin with
            weight += 0.1 * torch.randn_like(weight)
        for name, buffer in gan.discriminator.named_buffers():
            buffer.fill_(3 if name == "growth" else 0)
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses = gan.discriminator_losses(batch, fakes)
        penalty = torch.stack([loss for name, loss in losses.items() if name in PENALTIES]).sum()
        assert penalty.dtype == torch.float32
        parts = torch.autograd.grad(penalty, weights, allow_unused=True)
        found.append((penalty, torch.cat([p.flatten() for p in parts if p is not None])))
    (exact, gradient), (rough, rough_gradient) = found
    assert rough.item() == pytest.approx(exact.item(), rel=0.05)
    assert F.cosine_similarity(gradient, rough_gradient, dim=0) > 0.99


@pytest.mark.parametrize("model", LARGE)
def test_a_large_setting_is_the_same_gan_with_more_weights(model: str) -> None:
    known = ("data.channels=1", "data.num_classes=2", "data.classes=[a,b]")
    small, large = (
        composed("train", f"model={name}", "data=phantom", *known)
        for name in (model, f"large/{model}")
    )
    assert large.model.name == model
    assert large.model.batches > small.model.batches
    with torch.device("meta"):  # no weights are drawn
        gans = [build(cfg) for cfg in (small, large)]
    counts = [sum(p.numel() for p in gan.generator.parameters()) for gan in gans]
    assert counts[1] > 2 * counts[0]
