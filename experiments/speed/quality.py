"""Time of all metrics, 1,000 against 1,000 images at 64x64, beside a DCGAN step: `make bench`."""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command line does

import numpy as np
import torch
from bench import ExampleLoop
from hydra import compose, initialize_config_dir

from gan_aug.data.prepare import prepare
from gan_aug.data.settle import settle
from gan_aug.evaluation.evaluator import Evaluator
from gan_aug.settings.groups import conf_dir

N = 1000


def main() -> None:
    torch.utils.deterministic.fill_uninitialized_memory = False  # as gan_aug.training.run does
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        every = list(compose("evaluate").quality.use)
        overrides = ["+experiment=dcgan_pneumonia", "data=phantom", f"quality.use={every}"]
        cfg = compose("train", overrides)
    splits = prepare(cfg.data).splits
    cfg = settle(cfg, splits)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, N, 1, 64, 64), np.uint8)  # what they show costs nothing
    with tempfile.TemporaryDirectory() as folder:
        cfg.quality.reference_dir = folder
        start = time.perf_counter()
        evaluator = Evaluator(cfg.quality, splits)
        fitting = time.perf_counter() - start
    real, fake = (evaluator.sample(x) for x in images[:2])
    network = evaluator.classifier.module
    context = evaluator.context("pneumonia", splits.spare, _logits(network))
    start = time.perf_counter()
    _, seconds = evaluator.measure(real, fake, context)
    total = time.perf_counter() - start
    loop, batch = ExampleLoop(32), torch.rand(64, 1, 64, 64)
    loop.step(batch)
    start = time.perf_counter()
    for _ in range(10):
        loop.step(batch)
    step = (time.perf_counter() - start) / 10
    print(f"\nquality, {N} against {N} images, {torch.get_num_threads()} threads")
    for name, took in seconds.items():
        print(f"{name}: {took:.1f} s")
    print(f"all {len(seconds)} metrics: {total:.0f} s, as long as {total / step:.0f} DCGAN steps")
    print(f"the reference classifier, once for a data set: {fitting:.0f} s")


def _logits(network: torch.nn.Module):  # type: ignore[no-untyped-def]
    return lambda images: network.network(torch.tensor(images).float())[:, 0].detach()


if __name__ == "__main__":
    main()
