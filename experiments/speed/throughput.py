"""Jobs of a multirun on all cores against one after another, in one run: part of `make bench`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS = 2 * len(os.sched_getaffinity(0))
EPOCHS = 60
"""Of 5 batches of 64: starting a process is a small part of it, as it is of a real GAN."""
ROUNDS = 3
GANS = (
    "-m", "+experiment=dcgan_pneumonia", "data=phantom", "data.subset.pneumonia=320",
    "model.width=32", f"trainer.max_epochs={EPOCHS}", "quality.every_n_epochs=null",
    "generate.count=8", f"seed={','.join(map(str, range(JOBS)))}",
)  # fmt: skip


def seconds(launcher: str, folder: Path) -> float:
    """Return how long JOBS fits of a DCGAN take."""
    command = [sys.executable, "-m", "gan_aug.train", *GANS, f"hydra/launcher={launcher}"]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Print both times and their ratio; the launchers take turns."""
    found: dict[str, list[float]] = {"basic": [], "local": []}
    for _ in range(ROUNDS):
        for launcher, times in found.items():
            with tempfile.TemporaryDirectory() as folder:
                times.append(seconds(launcher, Path(folder)))
    ratios = [b / own for b, own in zip(*found.values(), strict=True)]
    images = JOBS * EPOCHS * 5 * 64
    rates = {launcher: images / statistics.median(times) for launcher, times in found.items()}
    print(
        f"{JOBS} DCGANs of width 32 by -m, whole command: one process {rates['basic']:.0f} "
        f"images/s, hydra/launcher=local {rates['local']:.0f} images/s; "
        f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
