"""How a GAN is trained: the step by hand, EMA, scalars, health checks, checkpoints."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from gan_training import Scalars, batches, dcgan, saves, settings, train
from omegaconf import DictConfig
from torch.nn import functional as F

from gan_aug.data.batches import Batches, Pool, shuffled, to_float
from gan_aug.data.origin import Origin
from gan_aug.models.gans.dcgan import Discriminator, Generator
from gan_aug.runtime.errors import GanAugError
from gan_aug.training.resume import find_start


@pytest.fixture(scope="module")
def cfg() -> DictConfig:
    """Of the images alone: `dcgan` builds without it."""
    return settings("dcgan", "data.batch_size=16")


def test_one_batch_is_the_textbook_update(cfg: DictConfig) -> None:
    """The step written out by hand, without freezing or Lightning, gives the same weights."""
    gan, other = dcgan(), dcgan()
    train(cfg, gan, 1, seed=1)
    real = next(iter(batches(cfg, other, 1)))["image"]
    torch.manual_seed(1)
    optimizer_g, optimizer_d = other.configure_optimizers()
    fakes = other.generator(torch.randn(16, 8))
    real_logits, fake_logits = other.discriminator(real), other.discriminator(fakes.detach())
    loss_d = F.binary_cross_entropy_with_logits(real_logits, torch.full((16,), 0.9))
    loss_d = loss_d + F.binary_cross_entropy_with_logits(fake_logits, torch.zeros(16))
    loss_d.backward()
    optimizer_d.step()
    optimizer_g.zero_grad()
    logits = other.discriminator(fakes)
    F.binary_cross_entropy_with_logits(logits, torch.ones(16)).backward()
    optimizer_g.step()
    for name in ("generator", "discriminator"):
        ours, theirs = getattr(gan, name).state_dict(), getattr(other, name).state_dict()
        for key in ours:
            torch.testing.assert_close(ours[key], theirs[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most", [0.5, 0.0])
def test_ema_follows_its_formula(most: float, cfg: DictConfig) -> None:
    """Without one, samples come from the trained weights."""
    gan = dcgan(ema_decay=most)
    weight = next(gan.generator.parameters())
    expected = weight.detach().clone()

    class Follow(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
            nonlocal expected
            t = module.batches_done - 1
            decay = min(most, (1 + t) / (10 + t))
            expected = decay * expected + (1 - decay) * weight.detach()

    train(cfg, gan, 12, [Follow()])
    torch.testing.assert_close(next(gan.ema_generator.parameters()).detach(), expected)
    assert torch.equal(expected, weight) == (most == 0)
    if most == 0:
        for name, value in gan.ema_generator.state_dict().items():  # running statistics too
            if value.is_floating_point():
                torch.testing.assert_close(value, gan.generator.state_dict()[name])


def test_scalars(cfg: DictConfig) -> None:
    logger = Scalars()
    train(cfg, dcgan(lr=2e-3), 8, logger=logger)
    for name in (
        "loss/d", "loss/d_real", "loss/d_fake", "loss/g", "loss/g_adversarial", "score/D(x)",
        "score/D(G(z)) before g step", "score/D(G(z)) after g step", "stability/gradient_norm_d",
        "stability/gradient_norm_g",
        "speed/images_per_second", "stability/spread_of_fakes_to_reals",
    ):  # fmt: skip
        assert len(logger.of(name)) == 8, name
    for parts in zip(*map(logger.of, ("loss/d", "loss/d_real", "loss/d_fake")), strict=True):
        assert parts[0] == pytest.approx(parts[1] + parts[2])
    # The generator's step raises what the discriminator says of its images.
    pairs = zip(
        logger.of("score/D(G(z)) before g step"),
        logger.of("score/D(G(z)) after g step"),
        strict=True,
    )
    assert sum(after > before for before, after in pairs) >= 7
    assert set(logger.rows) == set(range(1, 9))


def test_a_diverged_training_ends_with_a_reason(cfg: DictConfig) -> None:
    gan = dcgan(lr=1e30, loss="least_squares", real_label=1.0)
    with pytest.raises(GanAugError, match=r"training diverged: loss/\w+ is (nan|inf)"):
        train(cfg, gan, 20)


def test_a_collapsed_generator_ends_with_a_reason(cfg: DictConfig, tmp_path: Path) -> None:
    gan = dcgan()
    last = gan.generator.layers[-2]
    with torch.no_grad():
        last.weight.zero_()  # every image the same
    gan._optimizer_g = partial(torch.optim.Adam, lr=1e-12)
    with pytest.raises(GanAugError, match="the generator collapsed.*5 logged steps"):
        train(cfg, gan, 20, [saves(tmp_path)])
    assert not list(tmp_path.iterdir())  # what is saved is good


def test_a_good_training_is_saved(cfg: DictConfig, tmp_path: Path) -> None:
    gan = dcgan()
    train(cfg, gan, 4, [saves(tmp_path, a=1)])
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["batches_done"] == 4
    assert saved["gan_aug"] == {"a": 1}
    before = torch.load(tmp_path / "previous.ckpt", weights_only=True)
    assert 0 < before["batches_done"] <= 4
    assert {p.name for p in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}


def test_too_little_memory_is_no_fault_of_a_checkpoint(
    cfg: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan, origin = dcgan(), Origin.model_construct()
    train(cfg, gan, 2, [saves(tmp_path)])

    def run_out(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "load", run_out)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        find_start(tmp_path, gan, origin)
    assert not (tmp_path / "damaged.ckpt").exists()


def test_two_checkpoints_are_two_files_while_a_third_is_written(
    cfg: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process killed over saving leaves one that damage to the other does not reach."""
    save, same = pl.Trainer.save_checkpoint, []

    def look_and_save(self: pl.Trainer, path: Path) -> None:
        save(self, path)
        last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
        if previous.exists():
            same.append(last.samefile(previous))

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", look_and_save)
    train(cfg, dcgan(), 4, [saves(tmp_path)])
    assert same
    assert not any(same)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "least_squares"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_it_learns_by_every_loss(loss: str, spectral_norm: bool) -> None:
    """Generated discs come to look like the real ones: bright middle, dark border."""
    y, x = np.mgrid[:32, :32]
    centres = np.random.default_rng(0).uniform(10, 22, (64, 2))
    discs = [((y - a) ** 2 + (x - b) ** 2 < 49) for a, b in centres]
    images = torch.from_numpy(np.stack(discs)[:, None].astype(np.uint8) * 255)
    torch.manual_seed(0)
    gan = dcgan(
        lr=1e-3,
        loss=loss,
        real_label=1.0,
        ema_decay=0.98,
        discriminator=Discriminator(32, 1, 8, spectral_norm),
        spectral_norm=spectral_norm,
        generator=Generator(32, 1, 8, 8),
    )
    mean = to_float(images).mean(0)

    def distance() -> float:
        made = gan.synthesise(0, 64, torch.Generator().manual_seed(0), None)
        return (made.mean(0) - mean).abs().mean().item()

    start = distance()
    pool = Pool(images, torch.ones(64, dtype=torch.int64))
    stream = Batches(pool, shuffled(64, 16, 0), 300, lambda: gan.batches_done)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(gan, stream)
    assert distance() < 0.6 * start
