"""Small GANs from conf/model, trained for a few batches: what tests of the family share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from support import ROOT, composed
from torch import Tensor, nn

from gan_aug.data.batches import Batches, Even, Pairs, Pool, shuffled
from gan_aug.models.gans.base import GAN
from gan_aug.models.gans.dcgan import DCGAN, Discriminator, Generator
from gan_aug.settings.class_facts import classes_made, gan_facts
from gan_aug.training.callbacks import Checkpoints

GANS = sorted(
    path.stem
    for path in (ROOT / "conf" / "model").glob("*.yaml")
    if path.stem != "gan_base" and "gan_base" in path.read_text()
)
"""Every GAN of conf/model."""


def settings(
    model: str, *overrides: str, size: int = 32, channels: int = 1, classes: int = 2
) -> DictConfig:
    """Return the settings of `gan_aug.train` with a small version of a model."""
    names = [f"class{i}" for i in range(classes)]
    cfg = composed(
        "train", f"model={model}", "data=phantom", f"data.image_size={size}",
        f"data.channels={channels}", f"data.classes=[{','.join(names)}]",
        f"data.num_classes={classes}", "data.batch_size=8", "model.width=4", *overrides,
    )  # fmt: skip
    if gan_facts(cfg.model).fitted_on == "one":
        cfg.data.train_class = names[0]
    elif gan_facts(cfg.model).fitted_on == "two":
        cfg.model.pair = names[-2:]
    return cfg


def build(cfg: DictConfig, seed: int = 0) -> GAN:
    """Build the GAN of some settings; the same seed gives the same weights."""
    torch.manual_seed(seed)
    gan: GAN = instantiate(cfg.model.module, _convert_="all")
    return gan


def made_by(cfg: DictConfig) -> dict[str, list[str]]:
    """Return the classes that a GAN makes, each with those of its sources."""
    return classes_made(cfg.model, cfg.data.train_class, cfg.data.classes)


def toy_images(
    cfg: DictConfig, per_class: int = 24, names: Sequence[str] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return discs, larger from class to class, in different places: uint8 images and labels.

    Of the classes that the GAN is fitted on, or of those in `names`.
    """
    size, classes = cfg.data.image_size, list(cfg.data.classes)
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    images, labels = [], []
    for name in names or made_by(cfg):
        label = classes.index(name)
        for a, b in random.uniform(0.35, 0.65, (per_class, 2)):
            radius = 0.12 + 0.2 * label / max(1, len(classes) - 1)
            disc = 230.0 * ((y - a) ** 2 + (x - b) ** 2 < radius**2)
            noisy = np.clip(disc + random.uniform(0, 25, disc.shape), 0, 255)
            images.append(np.repeat(noisy[None], cfg.data.channels, axis=0).astype(np.uint8))
            labels.append(label)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


def some(n: int = 6, size: int = 32, classes: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    """Return a batch of random images, of the classes in turn, and as many generated ones."""
    images = torch.rand((2, n, 1, size, size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    return {"image": images[0], "label": torch.arange(n) % classes}, images[1]


class Times(nn.Module):
    """In place of an augmentation or a layer: what it is given, times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images


def batches(cfg: DictConfig, gan: GAN, per_epoch: int) -> Batches:
    """Serve toy images as the data module would."""
    images, labels = toy_images(cfg)
    model, classes = cfg.model, list(cfg.data.classes)
    groups = [torch.nonzero(labels == classes.index(name)).flatten() for name in made_by(cfg)]
    size = cfg.data.batch_size
    if gan_facts(model).fitted_on == "two":
        plan = Pairs(groups, size, 0)
    else:
        plan = Even(groups, size, 0) if model.balanced else shuffled(len(labels), size, 0)
    return Batches(Pool(images, labels), plan, per_epoch, lambda: gan.batches_done)


def train(
    cfg: DictConfig,
    gan: GAN,
    n: int,
    callbacks: Sequence[pl.Callback] = (),
    checkpoint: Path | None = None,
    logger: Any = False,
    seed: int | None = 1,
) -> pl.Trainer:
    """Train for n batches in one epoch, from a checkpoint if there is one."""
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=logger,
        callbacks=list(callbacks),
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(c, Checkpoints) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    if seed is not None:
        torch.manual_seed(seed)
    trainer.fit(gan, batches(cfg, gan, n), ckpt_path=checkpoint, weights_only=True)
    return trainer


def request(
    cfg: DictConfig, name: str, count: int, seed: int = 0
) -> tuple[int, int, torch.Generator, Tensor | None]:
    """Return what `synthesise` is given for images of a class; sources are toy images."""
    classes = list(cfg.data.classes)
    sources = None
    if wanted := made_by(cfg)[name]:
        # Of a GAN that is fitted on one class the others' images are drawn as well.
        images, labels = toy_images(cfg, names=classes)
        rows = torch.isin(labels, torch.tensor([classes.index(n) for n in wanted]))
        order = np.resize(np.flatnonzero(rows.numpy()), count)
        sources = images[order].float().div(127.5).sub(1.0)
    return classes.index(name), count, torch.Generator().manual_seed(seed), sources


def dcgan(lr: float = 2e-4, **changes: Any) -> DCGAN:
    """Return a small DCGAN of 32x32 images, built without conf/; the same weights each time."""
    torch.manual_seed(0)
    adam = functools.partial(torch.optim.Adam, lr=lr, betas=(0.5, 0.999))
    chosen: dict[str, Any] = {
        "generator": Generator(32, 1, 8, 4), "discriminator": Discriminator(32, 1, 4, False),
        "loss": "non_saturating", "real_label": 0.9, "optimizer_g": adam, "optimizer_d": adam,
        "d_steps": 1, "g_steps": 1, "decay_from": 1, "ema_decay": 0.9, "augment": None,
        "spectral_norm": False, "r1_gamma": 0, "r1_every": 16, "truncation": None,
    }  # fmt: skip
    return DCGAN(**chosen | changes)


class Scalars(pl.loggers.logger.DummyLogger):
    """Keeps what is logged, by batch."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, dict[str, float]] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.setdefault(step or 0, {}).update(metrics)

    def of(self, name: str) -> list[float]:
        return [row[name] for row in self.rows.values() if name in row]


def saves(folder: Path, **about: Any) -> Checkpoints:
    """Return what saves a checkpoint after each batch."""
    return Checkpoints(folder, 0, about, on_save=lambda: None)


class Killed(Exception):
    """Stands for a kill."""


class KillAfter(pl.Callback):
    """Ends a training after so many batches."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.batches_done == self.batches:
            raise Killed


def distance_to_mean(cfg: DictConfig, gan: GAN) -> float:
    """Return how far the mean of what a GAN makes is from that of its toy images, in [0, 2]."""
    mean = (toy_images(cfg)[0].float() / 127.5 - 1).mean(dim=0)
    made = gan.eval().synthesise(*request(cfg, "class0", 64))
    gan.train()
    return float((made.mean(dim=0) - mean).abs().mean())


def killed_and_resumed(
    cfg: DictConfig, n: int, kill_after: int, folder: Path
) -> tuple[GAN, GAN, pl.Trainer]:
    """Return a GAN whose training was killed, and one that went on from there, with its trainer."""
    killed = build(cfg)
    with pytest.raises(Killed):
        train(cfg, killed, n, [saves(folder), KillAfter(kill_after)])
    resumed = build(cfg, seed=9)  # what it begins with must not matter
    trainer = train(cfg, resumed, n, [saves(folder)], folder / "last.ckpt", seed=9)
    return killed, resumed, trainer


def check_same(one: tuple[GAN, pl.Trainer], other: tuple[GAN, pl.Trainer]) -> None:
    """Check that two trainings ended alike, bit for bit."""
    a, b = (gan.state_dict() for gan, _ in (one, other))
    assert not [name for name in a if not torch.equal(a[name], b[name])]
    for x, y in zip(one[1].optimizers, other[1].optimizers, strict=True):
        torch.testing.assert_close(x.state_dict(), y.state_dict(), rtol=0, atol=0)
