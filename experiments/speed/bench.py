"""Speed against a plain PyTorch loop, as ratios measured in one run: `make bench`."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command line does

import lightning.pytorch as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from gan_aug.data.batches import Batches, Pool, shuffled
from gan_aug.data.sources.chest_xray import ChestXray
from gan_aug.data.sources.radiograph import render
from gan_aug.models.gans.dcgan import Discriminator, Generator
from gan_aug.models.networks.cnn import SmallCNN
from gan_aug.settings.groups import conf_dir

BATCH = 64
SIZE = 64
ROUNDS = 5
STEPS = 12
"""Timed steps of each contestant in a round; two more come first, untimed."""

Row = tuple[str, float, float, str]


class ExampleLoop:
    """A step as pytorch/examples/dcgan/main.py has it, on the same networks, with logits."""

    def __init__(self, width: int) -> None:
        self.generator = Generator(SIZE, 1, 100, width)
        self.discriminator = Discriminator(SIZE, 1, width, False)
        self.optimizer_d, self.optimizer_g = (
            torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for net in (self.discriminator, self.generator)
        )
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, real: torch.Tensor) -> tuple[float, ...]:
        self.discriminator.zero_grad()
        label = torch.full((len(real),), 0.9)
        output = self.discriminator(real)
        error_real = self.criterion(output, label)
        error_real.backward()
        d_x = output.mean().item()
        fake = self.generator(torch.randn(len(real), 100))
        label.fill_(0.0)
        output = self.discriminator(fake.detach())
        error_fake = self.criterion(output, label)
        error_fake.backward()
        d_g_z1 = output.mean().item()
        error_d = error_real + error_fake
        self.optimizer_d.step()
        self.generator.zero_grad()
        label.fill_(1.0)
        output = self.discriminator(fake)
        error_g = self.criterion(output, label)
        error_g.backward()
        d_g_z2 = output.mean().item()
        self.optimizer_g.step()
        return error_d.item(), error_g.item(), d_x, d_g_z1, d_g_z2


class Clock(pl.Callback):
    """Times of the ends of batches."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        self.ends.append(time.perf_counter())


def our_module(*overrides: str) -> Any:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        known = ("data.channels=1", "data.num_classes=2", "data.classes=[normal,pneumonia]")
        cfg = compose("train", [*known, *overrides])
    return instantiate(cfg.model.module, _convert_="all")


def fit(module: Any, images: torch.Tensor, labels: torch.Tensor, steps: int) -> list[float]:
    """Train through Lightning, without loggers and checkpoints, which the example lacks too.

    Returns the time of each batch's end.
    """
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[clock],
        deterministic=True,
        log_every_n_steps=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module.configure_callbacks = list
    module.batches_done = 0
    plan = shuffled(len(images), BATCH, 0)
    batches = Batches(Pool(images, labels), plan, steps, lambda: module.batches_done)
    trainer.fit(module, batches)
    return clock.ends


def step_rows(width: int) -> Iterator[Row]:
    """A training step on images that are in memory already."""
    images = torch.randint(0, 256, (512, 1, SIZE, SIZE), dtype=torch.uint8)
    labels = torch.ones(512, dtype=torch.int64)
    real = torch.rand(BATCH, 1, SIZE, SIZE) * 2 - 1
    example = ExampleLoop(width)
    plain = our_module(f"model.width={width}", "model.ema_decay=0", "model.augment=null")
    full = our_module(f"model.width={width}")
    times: dict[str, list[float]] = {"example": [], "plain": [], "full": []}
    for _ in range(ROUNDS):
        for _ in range(2):
            example.step(real)
        start = time.perf_counter()
        for _ in range(STEPS):
            example.step(real)
        times["example"].append((time.perf_counter() - start) / STEPS)
        for name, module in (("plain", plain), ("full", full)):
            ends = fit(module, images, labels, STEPS + 2)
            times[name].append((ends[-1] - ends[1]) / STEPS)
    theirs = statistics.median(times["example"])
    for name, what in (
        ("plain", "same job"),
        ("full", "ours with EMA and augmentation"),
    ):
        ratios = [a / b for a, b in zip(times["example"], times[name], strict=True)]
        yield (
            f"DCGAN step, width {width}, {what}",
            theirs,
            statistics.median(times[name]),
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        )


def loader(root: Path) -> DataLoader[Any]:
    """ImageFolder with two workers, as the example reads its images."""
    transform = transforms.Compose(
        [
            transforms.Grayscale(),
            transforms.Resize((SIZE, SIZE)),
            transforms.ToTensor(),
            transforms.Normalize(0.5, 0.5),
        ]
    )
    folder = datasets.ImageFolder(str(root / "train"), transform)
    return DataLoader(folder, BATCH, shuffle=True, num_workers=2, drop_last=True)


def epoch_rows(root: Path, kind: str) -> Iterator[Row]:
    """Whole epochs over the training folder's JPEGs, data loading included."""
    for path in root.rglob("*.jpeg"):
        path.read_bytes()  # from here on both read from the page cache
    example = ExampleLoop(32)
    gan = our_module("model.width=32", "model.ema_decay=0", "model.augment=null")
    network = SmallCNN(SIZE, 1, 2, 16, 128)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    classifier = our_module("model=cnn")

    def example_cnn(image: torch.Tensor, label: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(image), label)
        loss.backward()
        optimizer.step()
        return loss.item()

    def example_epoch(step: Callable[..., Any], with_labels: bool) -> float:
        start = time.perf_counter()
        for image, label in loader(root):
            step(image, label) if with_labels else step(image)
        return time.perf_counter() - start

    def our_epoch(module: Any, cache: str) -> float:
        start = time.perf_counter()
        table = ChestXray(str(root), False, "error").load(SIZE, 1, Path(cache)).train
        images, labels = torch.tensor(table.images), torch.tensor(table.labels)
        fit(module, images, labels, len(images) // BATCH)
        return time.perf_counter() - start

    for name, step, with_labels, module in (
        ("DCGAN, width 32", example.step, False, gan),
        ("small CNN", example_cnn, True, classifier),
    ):
        with tempfile.TemporaryDirectory() as cache:
            theirs, first, later = [], 0.0, []
            for i in range(3):
                theirs.append(example_epoch(step, with_labels))
                seconds = our_epoch(module, cache)
                if i == 0:
                    first = seconds
                else:
                    later.append(seconds)
        yield (
            f"epoch of {name}, {kind}, first (decodes)",
            theirs[0],
            first,
            f"{theirs[0] / first:.2f}",
        )
        ratios = [a / b for a, b in zip(theirs[1:], later, strict=True)]
        yield (
            f"epoch of {name}, {kind}, second on",
            statistics.median(theirs[1:]),
            statistics.median(later),
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        )


def phantom_jpegs(root: Path, per_class: int, size: tuple[int, int]) -> None:
    """Write a folder of JPEGs in Kaggle's layout."""
    for split, n in (("train", per_class), ("test", 10)):
        for name, pattern in (("NORMAL", "none"), ("PNEUMONIA", "lobar")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                image = Image.fromarray(render(pattern, (n, name == "NORMAL", i), 224))
                image.resize(size).save(folder / f"{i:05d}.jpeg", quality=90)


def command_rows() -> Iterator[tuple[str, float]]:
    for arguments in (["--help"], ["model.d_steps=0"], ["data=nonsense"]):
        seconds = []
        for _ in range(5):
            with tempfile.TemporaryDirectory() as empty:
                start = time.perf_counter()
                command = [sys.executable, "-m", "gan_aug.train", *arguments]
                subprocess.run(command, cwd=empty, capture_output=True, check=False)
                seconds.append(time.perf_counter() - start)
        yield f"train {' '.join(arguments)}", statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="X-rays in Kaggle's layout; default: phantoms")
    data = parser.parse_args().data
    torch.utils.deterministic.fill_uninitialized_memory = False  # as gan_aug.training.run does
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    which = "those of --data" if data else "phantoms"
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"batch {BATCH}, {SIZE}x{SIZE}; 224x224 JPEGs: {which}; 1300x970 JPEGs: phantoms\n")
    print("| what | PyTorch example, s | gan_aug, s | times as fast (range) |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        phantom_jpegs(made / "large", 256, (1300, 970))
        if data is None:
            phantom_jpegs(made / "small", 1000, (224, 224))
        for rows in (
            step_rows(32),
            step_rows(64),
            epoch_rows(data or made / "small", "224x224 JPEGs"),
            epoch_rows(made / "large", "1300x970 JPEGs"),
        ):
            for what, theirs, ours, ratio in rows:
                print(f"| {what} | {theirs:.3f} | {ours:.3f} | {ratio} |", flush=True)
    for what, seconds in command_rows():
        print(f"{what}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
