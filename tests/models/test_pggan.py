"""PGGAN: layers, growth and losses, each against the paper's formulas written out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from gan_training import build, check_same, killed_and_resumed, request, settings, some, train
from omegaconf import DictConfig, OmegaConf
from torch.nn import functional as F

from gan_aug.models.gans.pggan import (
    PGGAN,
    Discriminator,
    EqualConv2d,
    EqualDownConv2d,
    EqualLinear,
    EqualUpConv2d,
    Generator,
    MinibatchStd,
    PixelNorm,
    growth_at,
)
from gan_aug.models.restore import rebuild_gan

NO_AUGMENT = "model.augment=null"
TOP = 3  # 32x32


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pggan(*overrides: str) -> tuple[DictConfig, PGGAN]:
    cfg = settings("pggan", *overrides)
    gan = build(cfg)
    assert isinstance(gan, PGGAN)
    return cfg, gan


def networks(growth: float) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    pair = Generator(32, 1, 8, 4), Discriminator(32, 1, 4)
    for network in pair:
        network.growth.fill_(growth)
    return pair


def grown(gan: PGGAN, growth: float) -> PGGAN:
    for network in (gan.generator, gan.discriminator, gan.ema_generator):
        network.growth.fill_(growth)
    return gan


def doubled(images: torch.Tensor, times: int = 2) -> torch.Tensor:
    return images.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


def halved(images: torch.Tensor) -> torch.Tensor:
    return (
        images[..., ::2, ::2]
        + images[..., 1::2, ::2]
        + images[..., ::2, 1::2]
        + images[..., 1::2, 1::2]
    ) / 4


# Layers


def test_equalised_layers_start_from_unit_variance() -> None:
    torch.manual_seed(0)
    convolution, linear = EqualConv2d(32, 256, 3, gain=1.0), EqualLinear(256, 512, gain=1.0)
    for layer in (convolution, linear):
        assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
        assert layer.bias is not None
        assert not layer.bias.any()
    with torch.no_grad():
        assert convolution(normal(16, 32, 12, 12)).var().item() == pytest.approx(1, abs=0.05)
        assert linear(normal(256, 256)).var().item() == pytest.approx(1, abs=0.05)
        # Before a ReLU with He's gain, so that the mean square is 1 after it.
        after = F.relu(EqualConv2d(32, 256, 3)(normal(16, 32, 12, 12)))
        assert after.square().mean().item() == pytest.approx(1, abs=0.05)


def test_equalised_weights_are_scaled_by_hes_constant() -> None:
    layer = EqualConv2d(5, 7, 3, padding=1)
    maps = normal(2, 5, 6, 6)
    expected = F.conv2d(maps, layer.weight * math.sqrt(2 / (5 * 9)), layer.bias, padding=1)
    torch.testing.assert_close(layer(maps), expected)
    linear, vectors = EqualLinear(5, 7), normal(2, 5)
    expected = F.linear(vectors, linear.weight * math.sqrt(2 / 5), linear.bias)
    torch.testing.assert_close(linear(vectors), expected)


def test_a_change_of_size_with_a_convolution_is_both_in_one() -> None:
    maps = normal(2, 5, 6, 6)
    plain, up, down = EqualConv2d(5, 7, 3, padding=1), EqualUpConv2d(5, 7), EqualDownConv2d(5, 7)
    torch.nn.init.normal_(plain.bias)
    for layer in (up, down):
        layer.load_state_dict(plain.state_dict())
    torch.testing.assert_close(up(maps), plain(doubled(maps)))
    torch.testing.assert_close(down(maps), halved(plain(maps)))


def test_pixel_norm() -> None:
    maps = 3 * normal(2, 5, 4, 4)
    found = PixelNorm()(maps)
    vector = maps[1, :, 2, 3].tolist()
    length = math.sqrt(sum(v * v for v in vector) / 5 + 1e-8)
    assert found[1, :, 2, 3].tolist() == pytest.approx([v / length for v in vector], rel=1e-5)
    assert torch.isfinite(PixelNorm()(torch.zeros(1, 3))).all()


@pytest.mark.parametrize(("count", "size"), [(8, 4), (4, 4), (6, 6), (3, 3), (2, 2)])
def test_standard_deviation_of_the_minibatch(count: int, size: int) -> None:
    maps = normal(count, 3, 2, 2)
    found = MinibatchStd()(maps)
    assert torch.equal(found[:, :3], maps)
    for i in range(count):
        group = maps[i // size * size :][:size].numpy()
        expected = np.std(group, axis=0).mean()
        np.testing.assert_allclose(found[i, 3].numpy(), expected, rtol=1e-4)


def test_an_image_is_judged_without_others_in_evaluation() -> None:
    layer = MinibatchStd()
    for seed in range(100):
        layer(2 * normal(8, 3, 2, 2, seed=seed))
    expected = np.mean([np.std(2 * normal(8, 3, 2, 2, seed=s)[:4].numpy(), 0) for s in range(100)])
    alone = layer.eval()(normal(1, 3, 2, 2))
    assert alone[0, 3, 0, 0].item() == pytest.approx(expected, rel=0.1)
    discriminator = networks(2)[1]
    discriminator(normal(8, 1, 32, 32))
    images = normal(5, 1, 32, 32)
    together = discriminator.eval()(images)
    torch.testing.assert_close(together[3:4], discriminator(images[3:4]))


# Growth


def test_the_schedule() -> None:
    expected = {
        0: 0, 0.05: 0, 0.1: 0, 0.12: 0.25, 0.16: 0.75, 0.18: 1, 0.28: 1, 0.32: 1.5, 0.36: 2,
        0.5: 2.5, 0.54: 3, 0.7: 3, 1: 3,
    }  # fmt: skip
    for done, growth in expected.items():
        assert growth_at(done, 0.08, 0.1, 3) == pytest.approx(growth)
    assert growth_at(0.04, 0.08, 0, 3) == pytest.approx(0.5)


@pytest.mark.parametrize("stage", range(TOP + 1))
def test_images_of_a_stage_by_hand(stage: int) -> None:
    """Only its own layer makes the image, so a fade that has come to its end leaves no trace."""
    generator, discriminator = networks(stage)
    latents = normal(3, 8)
    maps = latents / latents.square().mean(dim=1, keepdim=True).sqrt()
    for block in generator.blocks[: stage + 1]:
        maps = block(maps)
    side = 4 * 2**stage
    expected = doubled(generator.to_image[stage](maps), 32 // side)
    found = generator(latents)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(generator.eval()(latents), expected.clamp(-1, 1))
    maps = discriminator.from_image[stage](found[..., :: 32 // side, :: 32 // side])
    for block in reversed(discriminator.blocks[: stage + 1]):
        maps = block(maps)
    torch.testing.assert_close(discriminator(found), maps[:, 0], rtol=1e-4, atol=1e-5)


def test_half_way_through_a_fade_by_hand() -> None:
    generator, discriminator = networks(1.25)
    latents, images = normal(3, 8), normal(4, 1, 32, 32)
    maps = PixelNorm()(latents)
    for block in generator.blocks[:2]:
        maps = block(maps)
    before, new = generator.to_image[1](maps), generator.to_image[2](generator.blocks[2](maps))
    expected = doubled(0.75 * doubled(before) + 0.25 * new)
    torch.testing.assert_close(generator(latents), expected)
    small = halved(images)
    faded = 0.75 * doubled(halved(small)) + 0.25 * small
    torch.testing.assert_close(discriminator.faded(images), faded)
    new = discriminator.blocks[2](discriminator.from_image[2](small))
    maps = 0.75 * discriminator.from_image[1](halved(small)) + 0.25 * new
    for block in reversed(discriminator.blocks[:2]):
        maps = block(maps)
    torch.testing.assert_close(discriminator(images), maps[:, 0], rtol=1e-4, atol=1e-5)


def test_small_stages_are_computed_small() -> None:
    _, gan = pggan()
    grown(gan, 1)
    sides: list[int] = []

    def note(module: Any, inputs: Any, output: torch.Tensor) -> None:
        sides.append(output.shape[-1])

    for module in gan.modules():
        if isinstance(module, EqualConv2d):
            module.register_forward_hook(note)
    batch, _ = some(4)
    fakes = gan.fake(batch)
    gan.discriminator_losses(batch, fakes.detach())
    gan.generator_losses(batch, fakes)
    assert fakes.shape == (4, 1, 32, 32)
    assert max(sides) == 8


# Training


@pytest.mark.parametrize("growth", [1.0, 1.4])
def test_losses_by_hand(growth: float) -> None:
    _, gan = pggan(NO_AUGMENT, "model.drift=0.5", "model.penalty=3")
    grown(gan, growth)
    critic, side = gan.discriminator, 4 * 2 ** math.ceil(growth)
    batch, fakes = some(4)
    torch.manual_seed(3)
    found = gan.discriminator_losses(batch, fakes)
    torch.manual_seed(3)
    share = torch.rand(4, 1, 1, 1)
    reals, small = (F.adaptive_avg_pool2d(images, side) for images in (batch["image"], fakes))
    between = (share * reals + (1 - share) * small).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between)
    slopes = [math.sqrt(sum(v * v for v in g.flatten().tolist())) for g in gradient]
    logits = critic(batch["image"]).tolist()
    expected = {
        "real": -sum(logits) / 4,
        "fake": sum(critic(fakes).tolist()) / 4,
        "penalty": 3 * sum((slope - 1) ** 2 for slope in slopes) / 4,
        "drift": 0.5 * sum(v * v for v in logits) / 4,
    }
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(expected, rel=1e-4)
    of_generator = gan.generator_losses(batch, fakes)
    assert of_generator.keys() == {"adversarial"}
    assert of_generator["adversarial"].item() == pytest.approx(-expected["fake"], rel=1e-4)


def test_what_the_discriminator_sees_is_augmented_at_the_stages_size() -> None:
    _, gan = pggan()
    grown(gan, 1)
    shapes: list[tuple[int, ...]] = []

    class Note(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(images.shape))
            return images.flip(3)

    gan.augment = Note()
    batch, fakes = some(4)
    found = gan.discriminator_losses(batch, fakes)
    assert shapes == [(4, 1, 8, 8)] * 2
    expected = gan.discriminator(fakes.flip(3)).mean()
    assert found["fake"].item() == pytest.approx(expected.item(), rel=1e-4)


class Watch(pl.Callback):
    """Notes the growth of each network after each batch, and what real images were shown."""

    def __init__(self) -> None:
        self.growths: list[tuple[float, ...]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        of_networks = (module.generator, module.discriminator, module.ema_generator)
        self.growths.append(tuple(float(network.growth) for network in of_networks))


SHARES = ("model.growth.fade=0.2", "model.growth.stable=0.05")


def test_all_three_networks_grow_together() -> None:
    cfg, gan = pggan(*SHARES)
    watch = Watch()
    train(cfg, gan, 16, [watch])
    for done, found in enumerate(watch.growths):
        expected = growth_at(done / 16, 0.2, 0.05, TOP)
        assert found == pytest.approx((expected,) * 3)
        assert len(set(found)) == 1  # averaging has not changed the EMA's by a bit
    fading = {math.ceil(g) for g, *_ in watch.growths if g != int(g)}
    assert fading == {1, 2, 3}
    assert watch.growths[-1] == (TOP,) * 3


def test_weights_out_of_use_are_not_stepped() -> None:
    cfg, gan = pggan("model.growth.fade=0.3", "model.growth.stable=0.01")
    at = {name: p.detach().clone() for name, p in gan.named_parameters()}
    seen: dict[int, set[str]] = {}

    class Moved(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
            seen[module.batches_done] = {
                name
                for name, p in module.named_parameters()
                if not name.startswith("ema") and not torch.equal(p, at[name])
            }
            at.update({name: p.detach().clone() for name, p in module.named_parameters()})

    trainer = train(cfg, gan, 10, [Moved()])

    def stages(names: set[str], part: str) -> set[int]:
        return {int(n.split(part)[1].split(".")[0]) for n in names if part in n}

    # 4x4 alone; 8x8 fades in; 16x16 does.
    for done, blocks, ends in ((1, {0}, {0}), (3, {0, 1}, {0, 1}), (6, {0, 1, 2}, {1, 2})):
        for names in (
            {n for n in seen[done] if n.startswith(player)}
            for player in ("generator", "discriminator")
        ):
            assert stages(names, "blocks.") == blocks
            assert stages(names, "_image.") == ends
    # Adam counts steps of each weight, so that new ones start afresh.
    optimizer = trainer.optimizers[0]
    counts = [
        int(optimizer.state[gan.generator.get_parameter(name)]["step"])
        for name in ("blocks.0.0.weight", "blocks.1.0.weight", "blocks.3.0.weight")
    ]
    assert counts == [10, 9, 3]


def test_a_training_killed_inside_a_fade_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    cfg, whole = pggan(*SHARES)
    first = train(cfg, whole, 16)
    for kill_after in (3, 11):
        folder = tmp_path / str(kill_after)

        killed, resumed, second = killed_and_resumed(cfg, 16, kill_after, folder)
        growth = float(killed.generator.growth)
        assert growth != int(growth)
        check_same((whole, first), (resumed, second))


def test_a_checkpoint_alone_makes_images_of_its_stage() -> None:
    cfg, gan = pggan()
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    for growth, side in ((0, 4), (1.5, 16), (2, 16)):
        again = rebuild_gan(config, grown(gan, growth).state_dict(), "a test")
        asked = request(cfg, "class0", 4)
        images = again.eval().synthesise(*asked)
        assert torch.equal(images, gan.eval().synthesise(*request(cfg, "class0", 4)))
        assert torch.equal(images, doubled(images[..., :: 32 // side, :: 32 // side], 32 // side))


def test_shares_that_leave_nothing_for_the_last_stage_are_refused() -> None:
    with pytest.raises(Exception, match=r"model\.growth\.fade=0\.2.*take 1\.2 of the training"):
        pggan("model.growth.fade=0.2", "model.growth.stable=0.2")
