"""Samples, and curves of quality against time, from run folders of `gan_aug.train`."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

COLUMNS = 12
PANELS = {"kid": "KID, lower is better", "recall": "recall, higher is better", "ms_ssim": "MS-SSIM"}


def config_of(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "run.json").read_text())["config"]
    return found


def model_of(run: Path) -> str:
    return str(config_of(run)["model"]["name"])  # type: ignore[index]


def curves(runs: list[Path], class_name: str, output: Path) -> None:
    """Draw quality on validation images against the time spent in training alone."""
    figure = Figure(figsize=(4.2 * len(PANELS), 4.0), layout="constrained", dpi=140)
    panels: list[Axes] = list(figure.subplots(1, len(PANELS)))
    for run in runs:
        batch_size = int(config_of(run)["data"]["batch_size"])  # type: ignore[index]
        minutes, found = _read(run / "metrics.csv", batch_size, class_name)
        for axes, value in zip(panels, PANELS, strict=True):
            points = [(minutes[batch], y) for batch, y in found.get(value, [])]
            if points:
                axes.plot(*zip(*points, strict=True), label=model_of(run), linewidth=1.4)
    for axes, (value, title) in zip(panels, PANELS.items(), strict=True):
        axes.set_title(f"{title} ({class_name})", fontsize=9, loc="left")
        axes.set_xlabel("minutes of training, one thread", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        if value == "kid":
            axes.set_yscale("symlog", linthresh=0.05)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(output)


def _read(
    path: Path, batch_size: int, class_name: str
) -> tuple[dict[int, float], dict[str, list[tuple[int, float]]]]:
    """Return minutes of training by batch, and the values of a class by batch."""
    seconds, before = 0.0, 0
    minutes: dict[int, float] = {}
    values: dict[str, list[tuple[int, float]]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            batch, name, value = int(row["batch"]), row["name"], float(row["value"])
            if name == "speed/images_per_second":
                seconds += (batch - before) * batch_size / value
                before = batch
            elif name.startswith("quality") and name.endswith(f" {class_name}"):
                minutes[batch] = seconds / 60
                values.setdefault(name.split("/")[1].split()[0], []).append((batch, value))
    return minutes, values


def sheet(runs: list[Path], class_name: str, output: Path) -> None:
    """Put the first images of each synthetic set below each other; none is picked."""
    rows: list[tuple[str, list[np.ndarray]]] = []
    for run in runs:
        folder = run / "synthetic"
        manifest = json.loads((folder / "manifest.json").read_text())
        files = sorted(f for f in manifest["files"] if f.startswith(f"{class_name}/"))[:COLUMNS]
        images = [np.asarray(Image.open(folder / file)) for file in files]
        rows.append((model_of(run), images))
    side = rows[0][1][0].shape[0]
    figure = Figure(figsize=(COLUMNS + 1.6, len(rows)), dpi=side * 1.5, layout="constrained")
    grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for (title, images), line in zip(rows, grid, strict=True):
        for axes, image in zip(line, images, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        for axes in line:
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    figure.savefig(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("curves", "sheet"))
    parser.add_argument("runs", nargs="+", type=Path, help="run folders of gan_aug.train")
    parser.add_argument("--class", dest="class_name", default="pneumonia")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    {"curves": curves, "sheet": sheet}[given.what](given.runs, given.class_name, given.output)


if __name__ == "__main__":
    main()
