"""A training step of every GAN against a plain PyTorch loop: part of `make bench`.

The plain loop trains the same networks as published code does: float32, contiguous memory, torch's
own normalization layers, Adam without fusing, gradients of the discriminator's weights in the
generator's step too, losses read in every step. It has the same losses, penalties and step ratio,
but neither an EMA generator nor differentiable augmentation, which gan_aug does besides.
"""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from gan_aug.data.batches import Batches, Pairs, Pool, shuffled
from gan_aug.models.gans.base import GAN
from gan_aug.models.gans.fastgan import GatedLinearUnit
from gan_aug.models.gans.pggan import PGGAN
from gan_aug.models.networks.blocks import InstanceNorm
from gan_aug.runtime.hardware import choose_precision
from gan_aug.settings.class_facts import gan_facts
from gan_aug.settings.groups import conf_dir

# Of one thread, CPU time: other jobs then count less.
CLOCK = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
ROUNDS = 5
CYCLES = 4
"""Timed cycles (d_steps discriminator and g_steps generator steps) of a round; one comes first."""
IMAGES = 256


def settings(model: str) -> DictConfig:
    known = ("data=phantom", "data.channels=1", "data.num_classes=2", "data.classes=[a,b]")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", [*known, f"model={model}"])
    if "growth" in cfg.model:  # full size from the second batch on
        cfg.model.growth = {"fade": 1e-9, "stable": 1e-9}
    return cfg


def build(cfg: DictConfig) -> GAN:
    torch.manual_seed(0)
    gan: GAN = instantiate(cfg.model.module, _convert_="all")
    return gan


class PlainLoop:
    """Published code's way of training the networks of a GAN."""

    def __init__(self, gan: GAN) -> None:
        self.gan = gan
        gan.augment = nn.Identity()
        _official(gan)
        gan.to(memory_format=torch.contiguous_format).train()
        if isinstance(gan, PGGAN):  # its training_step sees to that
            for network in (gan.generator, gan.discriminator):
                network.growth.fill_(gan.top)
        rates = [optimizer.defaults for optimizer in gan.configure_optimizers()]
        players = (gan.generator, gan.discriminator)
        self.optimizer_g, self.optimizer_d = (
            torch.optim.Adam(p.parameters(), lr=r["lr"], betas=r["betas"])
            for p, r in zip(players, rates, strict=True)
        )

    def batch(self, batch: dict[str, torch.Tensor]) -> None:
        gan = self.gan
        fakes = gan.fake(batch)
        self._step(self.optimizer_d, gan.discriminator_losses(batch, fakes.detach()))
        gan.batches_done += 1
        if gan.batches_done % gan.d_steps == 0:
            for i in range(gan.g_steps):
                fakes = fakes if i == 0 else gan.fake(batch)
                self._step(self.optimizer_g, gan.generator_losses(batch, fakes))

    def _step(self, optimizer: torch.optim.Optimizer, losses: dict[str, torch.Tensor]) -> None:
        self.gan.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        for loss in losses.values():
            loss.item()


def _official(module: nn.Module) -> None:
    """Put torch's own layers in place of ours."""
    for name, child in module.named_children():
        if isinstance(child, GatedLinearUnit):
            setattr(module, name, nn.GLU(dim=1))
            continue
        if isinstance(child, InstanceNorm):
            norm = nn.InstanceNorm2d(len(child.weight), affine=True)
            norm.load_state_dict(child.state_dict())
            setattr(module, name, norm)
        else:
            _official(child)


class Clock(pl.Callback):
    """Times of the ends of batches."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        self.ends.append(CLOCK())


def batches(cfg: DictConfig, n: int, position: Callable[[], int]) -> Batches:
    random = torch.Generator().manual_seed(0)
    shape = (IMAGES, cfg.data.channels, cfg.data.image_size, cfg.data.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
    labels = torch.arange(IMAGES) % 2
    size = cfg.model.batch_size
    groups = [torch.nonzero(labels == k).flatten() for k in (0, 1)]
    paired = gan_facts(cfg.model).fitted_on == "two"
    plan = Pairs(groups, size, 0) if paired else shuffled(IMAGES, size, 0)
    return Batches(Pool(images, labels), plan, n, position)


def ours(cfg: DictConfig, gan: GAN, n: int, skipped: int) -> float:
    """Return seconds a batch, through Lightning."""
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, callbacks=[clock], logger=False, log_every_n_steps=1000,
        precision=choose_precision("cpu"), enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    gan.batches_done = 0
    trainer.fit(gan, batches(cfg, n, lambda: gan.batches_done))
    return (clock.ends[-1] - clock.ends[skipped - 1]) / (n - skipped)


def plain(cfg: DictConfig, loop: PlainLoop, n: int, skipped: int) -> float:
    """Return seconds a batch."""
    loop.gan.batches_done = 0
    stream = iter(batches(cfg, n, lambda: loop.gan.batches_done))
    started = 0.0
    for i in range(n):
        if i == skipped:
            started = CLOCK()
        batch = {name: t.contiguous() for name, t in next(stream).items()}
        loop.batch(batch)
    return (CLOCK() - started) / (n - skipped)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="of conf/model; default: all GANs")
    folder = Path(str(conf_dir())) / "model"
    known = sorted(
        path.stem
        for path in folder.glob("*.yaml")
        if path.stem != "gan_base" and "gan_base" in path.read_text()
    )
    names = parser.parse_args().models or known
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    precision = choose_precision("cpu")
    print(f"{torch.get_num_threads()} threads, {precision}, torch {torch.__version__}\n")
    print("| GAN, 64x64 | plain loop, images/s | gan_aug, images/s | times as fast (range) |")
    print("| --- | --- | --- | --- |")
    for name in names:
        cfg = settings(name)
        gan = build(cfg)
        loop = PlainLoop(copy.deepcopy(gan))
        n, skipped = (CYCLES + 1) * gan.d_steps, gan.d_steps
        times = [(plain(cfg, loop, n, skipped), ours(cfg, gan, n, skipped)) for _ in range(ROUNDS)]
        ratios = [a / b for a, b in times]
        a, b = (cfg.model.batch_size / statistics.median(t) for t in zip(*times, strict=True))
        shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {name} | {a:.0f} | {b:.0f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
