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
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from gan_aug.run.command_line import conf_dir

EPOCHS = {
    "cdcgan": 186, "pggan": 108, "fastgan": 106, "r3gan": 50, "stargan": 47, "cyclegan": 15,
    "wgan_gp": 305, "pix2pix": 82, "gan": 525, "dcgan": 475,
}  # fmt: skip
"""What takes about four minutes of one core of the machine named in README.md."""
TRIALS = ("base", "twice", "gfast")
DRAW = 10
CLASS = "pneumonia"


def settings(model: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", [f"+experiment={model}_{CLASS}"])


def changes(trial: str, model: DictConfig) -> tuple[dict[str, object], float]:
    """Return what a trial sets, and its share of the batches: a cycle may take longer."""
    if trial == "gfast":  # the generator has more of the steps
        if model.d_steps > 1:
            return {"model.d_steps": 2}, 0.75
        return {"model.g_steps": 2}, 0.7
    by = {"base": 1, "twice": 2}[trial]
    return {"model.lr_g": model.lr_g * by, "model.lr_d": model.lr_d * by}, 1


def command(model: str, trial: str, folder: Path, given: list[str]) -> list[str]:
    cfg = settings(model)
    own, share = changes(trial, cfg.model)
    epochs = int(EPOCHS[model] * share)
    return [
        *(sys.executable, "-m", "gan_aug.train", f"+experiment={model}_{CLASS}", f"draw={DRAW}"),
        *(f"trainer.max_epochs={epochs}", f"quality.every_n_epochs={max(1, epochs // 2)}"),
        *(f"{key}={value}" for key, value in own.items()),
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
        list(pool.map(lambda pair: one(*pair), ((m, t) for t in TRIALS for m in EPOCHS)))


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
        for model in sorted(EPOCHS):
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
