"""The sound files that the cases spoil: images, a GAN's run, a study of one draw, a MedMNIST file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

TINY = (
    "data=phantom", "data.source.train_per_class=200", "data.source.test_per_class=20",
    "data.image_size=32", "data.batch_size=8", "data.development_per_class=5", "data.val_per_class=10",
    "data.subset.normal=40", "data.subset.pneumonia=36",
)  # fmt: skip
QUALITY = (
    "quality.count=10", "quality.reference_steps=20", "quality.fit_steps=10",
    "quality.classifier.width=4", "quality.classifier.hidden=16",
)  # fmt: skip
GAN = ("+experiment=dcgan_pneumonia", *TINY, *QUALITY, "model.width=4", "generate.count=10",
       "trainer.max_epochs=3", "callbacks.checkpoint.every_n_seconds=0", "hydra.run.dir=gan")  # fmt: skip
MIXED = ("+experiment=cnn_gan_aug", *TINY, "data.synthetic.dir=gan/synthetic",
         "data.synthetic.count=8", "trainer.max_epochs=2", "hydra.run.dir=mixed")  # fmt: skip
XRAYS = (
    "+experiment=cnn_baseline", "data.val_per_class=4", "data.batch_size=8",
    "data.subset.normal=12", "data.subset.pneumonia=12", "data.development_per_class=0",
    "data.image_size=32", "trainer.max_epochs=1", "hydra.run.dir=out",
)  # fmt: skip
STUDY = (
    "+study=seed_protocol", *TINY, *QUALITY, "data.internal_per_class=10", "model.width=4",
    "classifier.width=4", "classifier.hidden=16", "study.count.pneumonia=10", "study.steps=10",
    "study.validate_every=10", "study.gan_batches=8", "study.repeats=1", "quality.use=[kid]",
    "study_dir=s",
)  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command, with a cache of its own."""
    kept = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}
    return kept | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}


def write_image(path: Path, seed: int) -> None:
    """Write an image of noise that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50), np.uint8)
    Image.fromarray(pixels).save(path)


def make(base: Path) -> None:
    """Make all sound files in a folder, by the commands themselves where there are such."""
    seed = 0
    for split, n in (("train", 20), ("test", 8)):
        for i in range(n):
            patient = 500 * (split == "test") + i
            write_image(base / "xrays" / split / "NORMAL" / f"IM-{patient:04d}-0001.png", seed)
            name = f"person{patient}_virus_{i}.png"
            write_image(base / "xrays" / split / "PNEUMONIA" / name, seed + 1)
            seed += 2
    random = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 40), ("val", 20), ("test", 20)):
        arrays[f"{split}_images"] = random.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2)[:, None]
    (base / "mnist").mkdir()
    np.savez(base / "mnist" / "pneumoniamnist.npz", **arrays)
    for command in (("train", *GAN), ("study", *STUDY)):
        subprocess.run(
            [sys.executable, "-m", f"gan_aug.{command[0]}", *command[1:]],
            cwd=base,
            env=environment(base),
            check=True,
            capture_output=True,
        )
