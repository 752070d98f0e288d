"""Tuning trials of the GAN family: as many for each, of learning rates and steps alone.

    python experiments/gan_family/tune.py run runs/tuning data.root=DIR
    python experiments/gan_family/tune.py table runs/tuning --output tuning.csv

All trials take about as long, on a draw that the study does not use, and is scored at its end
against that draw's validation images; test images are not read.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Start:
    """Where a GAN's trials start from: papers' rates and steps, some rates raised for short runs.

    Attributes:
        rate: of both players.
        d_steps: of the discriminator, before one of the generator.
        epochs: take about four minutes of one core of the machine named in README.md.
    """

    rate: float
    d_steps: int
    epochs: int


STARTS = {
    "cdcgan": Start(2e-4, 1, 186),
    "pggan": Start(1e-3, 1, 108),
    "fastgan": Start(2e-4, 1, 106),
    "r3gan": Start(5e-4, 1, 50),
    "stargan": Start(2e-4, 5, 47),
    "cyclegan": Start(2e-4, 1, 15),
    "wgan_gp": Start(2e-4, 5, 305),
    "pix2pix": Start(2e-4, 1, 82),
    "gan": Start(2e-4, 1, 525),
    "dcgan": Start(2e-4, 1, 475),
}
TRIALS = ("base", "twice", "gfast")
DRAW = 10
CLASS = "pneumonia"


def command(model: str, trial: str, folder: Path, given: list[str]) -> list[str]:
    start = STARTS[model]
    rate = start.rate * (2 if trial == "twice" else 1)
    d_steps, g_steps, share = start.d_steps, 1, 1.0
    if trial == "gfast":  # more of the steps are the generator's, and take longer
        d_steps, g_steps, share = (2, 1, 0.75) if d_steps > 1 else (1, 2, 0.7)
    epochs = int(start.epochs * share)
    return [
        *(sys.executable, "-m", "gan_aug.train", f"+experiment={model}_{CLASS}", f"draw={DRAW}"),
        *(f"model.lr_g={rate:g}", f"model.lr_d={rate:g}"),
        *(f"model.d_steps={d_steps}", f"model.g_steps={g_steps}"),
        *(f"trainer.max_epochs={epochs}", f"quality.every_n_epochs={epochs // 2}"),
        *(f"hydra.run.dir={folder.resolve()}", *given),
    ]


def finished(folder: Path) -> bool:
    record = folder / "run.json"
    return record.exists() and json.loads(record.read_text())["status"] == "finished"


def run(folder: Path, jobs: int, given: list[str]) -> None:
    """Run the trials that are not finished, each on one thread."""

    def one(model: str, trial: str) -> None:
        to = folder / f"{model}-{trial}"
        if not finished(to):
            log = folder / f"{model}-{trial}.log"
            with log.open("w") as file:
                code = subprocess.run(
                    command(model, trial, to, given), stdout=file, stderr=file, check=False,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                ).returncode  # fmt: skip
            print(f"{to.name}: exit {code}", flush=True)

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda pair: one(*pair), ((m, t) for t in TRIALS for m in STARTS)))


def last_quality(folder: Path) -> dict[str, float]:
    """Return the last value of each metric of the class."""
    found = {}
    with (folder / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            if row["name"].startswith("quality") and row["name"].endswith(f" {CLASS}"):
                found[row["name"].split("/")[1].split()[0]] = float(row["value"])
    return found


def score(quality: dict[str, float]) -> float:
    """Weigh KID in doublings, MS-SSIM and recall in units of the gate: less is better."""
    kid = math.log2(1 + max(0, quality["kid"]) / 0.05)
    return kid + quality["ms_ssim"] / 0.05 - quality["recall"] / 0.1


def table(folder: Path, output: Path) -> None:
    """Write all trials, and which of each GAN's is best."""
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "trial", "kid", "recall", "ms_ssim", "score", "chosen"])
        for model in sorted(STARTS):
            found = {trial: last_quality(folder / f"{model}-{trial}") for trial in TRIALS}
            best = min(TRIALS, key=lambda trial: score(found[trial]))
            for trial, quality in found.items():
                values = (*(quality[k] for k in ("kid", "recall", "ms_ssim")), score(quality))
                writer.writerow([model, trial, *(f"{v:.3f}" for v in values), trial == best])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", nargs="*", help="of gan_aug.train, for all trials")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("tuning.csv"))
    given = parser.parse_args()
    if given.what == "run":
        run(given.folder, given.jobs, given.settings)
    else:
        table(given.folder, given.output)


if __name__ == "__main__":
    main()
