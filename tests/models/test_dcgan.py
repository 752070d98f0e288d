"""How a GAN is trained: step ratio, EMA, health checks, and that it learns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from gan_training import Scalars, dcgan, saves
from torch.nn import functional as F

from gan_aug.data.batches import Batches, Pool, shuffled, to_float
from gan_aug.models.gans.base import Request
from gan_aug.models.gans.dcgan import DCGAN, Discriminator, Generator
from gan_aug.runtime.errors import GanAugError
from gan_aug.training.callbacks import Checkpoints


def synthesise(gan: DCGAN, count: int, seed: int) -> torch.Tensor:
    request = Request(0, count, torch.Generator().manual_seed(seed))
    return gan.synthesise(request)


class Spy(pl.Callback):
    """Counts which player's weights changed in each batch."""

    def __init__(self) -> None:
        self.changed: list[str] = []

    @staticmethod
    def _sums(module: DCGAN) -> tuple[float, float]:
        return tuple(  # type: ignore[return-value]
            sum(p.double().abs().sum().item() for p in network.parameters())
            for network in (module.discriminator, module.generator)
        )

    def on_train_batch_start(self, trainer: Any, module: Any, *args: Any) -> None:
        self.before = self._sums(module)

    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        pairs = zip("dg", self.before, self._sums(module), strict=True)
        self.changed.append("".join(name for name, old, new in pairs if old != new))


def train(
    gan: DCGAN,
    images: torch.Tensor,
    batches: int,
    logger: Scalars | None = None,
    callbacks: list[pl.Callback] | None = None,
    batch_size: int = 16,
) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=logger or False,
        callbacks=callbacks,
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(c, Checkpoints) for c in callbacks or []),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    labels = torch.ones(len(images), dtype=torch.int64)
    plan = shuffled(len(images), batch_size, 0)
    stream = Batches(Pool(images, labels), plan, batches, lambda: gan.batches_done)
    trainer.fit(gan, stream)
    return trainer


@pytest.fixture(scope="module")
def blobs() -> torch.Tensor:
    """Bright discs in different places: easy to learn, easy to reference."""
    y, x = np.mgrid[:32, :32]
    centres = np.random.default_rng(0).uniform(10, 22, (64, 2))
    discs = [((y - a) ** 2 + (x - b) ** 2 < 49) for a, b in centres]
    return torch.from_numpy(np.stack(discs)[:, None].astype(np.uint8) * 255)


@pytest.mark.parametrize(
    ("d_steps", "g_steps", "expected", "updates"),
    [
        (1, 1, ["dg"] * 6, (6, 6)),
        (3, 1, ["d", "d", "dg", "d", "d", "dg"], (6, 2)),
        (1, 5, ["dg"] * 6, (6, 30)),
        (2, 3, ["d", "dg"] * 3, (6, 9)),
    ],
)
def test_step_ratio(
    d_steps: int,
    g_steps: int,
    expected: list[str],
    updates: tuple[int, int],
    blobs: torch.Tensor,
) -> None:
    gan, spy = dcgan(d_steps=d_steps, g_steps=g_steps), Spy()
    trainer = train(gan, blobs, 6, callbacks=[spy])
    assert spy.changed == expected
    states = [next(iter(o.state.values()))["step"] for o in reversed(trainer.optimizers)]
    assert tuple(int(s) for s in states) == updates
    assert gan.batches_done == 6


def test_one_batch_is_the_textbook_update(blobs: torch.Tensor) -> None:
    """The step written out by hand, without freezing or Lightning, gives the same weights."""
    gan, other = dcgan(), dcgan()
    torch.manual_seed(1)
    train(gan, blobs, 1)
    torch.manual_seed(1)
    real = to_float(blobs[shuffled(64, 16, 0).rows(0)])
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


def test_ema_follows_its_formula(blobs: torch.Tensor) -> None:
    gan = dcgan(ema_decay=0.5)
    weight = next(gan.generator.parameters())
    expected = weight.detach().clone()

    class Follow(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
            nonlocal expected
            t = module.batches_done - 1
            decay = min(0.5, (1 + t) / (10 + t))
            expected = decay * expected + (1 - decay) * weight.detach()

    train(gan, blobs, 12, callbacks=[Follow()])
    torch.testing.assert_close(next(gan.ema_generator.parameters()).detach(), expected)
    assert not torch.equal(expected, weight)


def test_no_ema_samples_from_the_trained_weights(blobs: torch.Tensor) -> None:
    gan = dcgan(ema_decay=0.0)
    train(gan, blobs, 3)
    ema = gan.ema_generator.state_dict()
    for key, value in gan.generator.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(ema[key], value)


def test_scalars(blobs: torch.Tensor) -> None:
    logger = Scalars()
    train(dcgan(lr=2e-3), blobs, 8, logger=logger)
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


def test_a_diverged_training_ends_with_a_reason(blobs: torch.Tensor) -> None:
    gan = dcgan(lr=1e30, loss="least_squares", real_label=1.0)
    with pytest.raises(GanAugError, match=r"training diverged: loss/\w+ is (nan|inf)"):
        train(gan, blobs, 20)


def test_a_collapsed_generator_ends_with_a_reason(blobs: torch.Tensor, tmp_path: Path) -> None:
    gan = dcgan()
    last = gan.generator.layers[-2]
    with torch.no_grad():
        last.weight.zero_()  # every image the same
    gan._optimizer_g = partial(torch.optim.Adam, lr=1e-12)
    with pytest.raises(GanAugError, match="the generator collapsed.*5 logged steps"):
        train(gan, blobs, 20, callbacks=[saves(tmp_path)])
    assert not list(tmp_path.iterdir())  # what is saved is good


def test_a_good_training_is_saved(blobs: torch.Tensor, tmp_path: Path) -> None:
    gan = dcgan()
    train(gan, blobs, 4, callbacks=[saves(tmp_path, a=1)])
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["batches_done"] == 4
    assert saved["gan_aug"] == {"a": 1}
    before = torch.load(tmp_path / "previous.ckpt", weights_only=True)
    assert 0 < before["batches_done"] <= 4
    assert {p.name for p in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}


def test_two_checkpoints_are_two_files_while_a_third_is_written(
    blobs: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process killed over saving leaves one that damage to the other does not reach."""
    save, same = pl.Trainer.save_checkpoint, []

    def look_and_save(self: pl.Trainer, path: Path) -> None:
        save(self, path)
        last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
        if previous.exists():
            same.append(last.samefile(previous))

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", look_and_save)
    train(dcgan(), blobs, 4, callbacks=[saves(tmp_path)])
    assert same
    assert not any(same)


@pytest.mark.parametrize(
    ("loss", "spectral_norm"),
    [
        ("non_saturating", False),
        pytest.param("non_saturating", True, marks=pytest.mark.slow),
        pytest.param("hinge", False, marks=pytest.mark.slow),
        pytest.param("hinge", True, marks=pytest.mark.slow),
        pytest.param("least_squares", False, marks=pytest.mark.slow),
        pytest.param("least_squares", True, marks=pytest.mark.slow),
    ],
)
def test_it_learns(loss: str, spectral_norm: bool, blobs: torch.Tensor) -> None:
    """Generated discs come to look like the real ones: bright middle, dark border."""
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
    mean = to_float(blobs).mean(0)

    def distance() -> float:
        made = synthesise(gan, 64, 0)
        return (made.mean(0) - mean).abs().mean().item()

    start = distance()
    train(gan, blobs, 300)
    assert distance() < 0.6 * start


def test_synthesis_is_fixed_by_the_seed_and_not_by_the_count() -> None:
    gan = dcgan()
    few, many = synthesise(gan, 10, 3), synthesise(gan, 150, 3)
    assert few.shape == (10, 1, 32, 32)
    assert torch.equal(few, many[:10])
    assert not torch.equal(few, synthesise(gan, 10, 4))
