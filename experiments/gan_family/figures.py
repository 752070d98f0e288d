"""Samples, and curves of quality, from run folders of `gan_aug.train`; and a table
of what `gan_aug.evaluate` measured of the GANs of these runs, from folders of the same names."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from compare import QUALITY
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gan_aug.evaluation.gate import misses
from gan_aug.evaluation.measured import Quality
from gan_aug.run.typed import from_plain

COLUMNS = 12
PANELS = {"kid": "KID, lower is better", "recall": "recall, higher is better", "ms_ssim": "MS-SSIM"}


def config_of(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "run.json").read_text())["config"]
    return found


def model_of(run: Path) -> str:
    return str(config_of(run)["model"]["name"])  # type: ignore[index]


def curves(runs: list[Path], class_name: str, output: Path) -> None:
    """Draw quality on validation images against the share of the training that is done.

    The default trainings take about as long as each other; the time of a run depends on what else
    the machine did.
    """
    figure = Figure(figsize=(4.2 * len(PANELS), 4.0), layout="constrained", dpi=140)
    panels: list[Axes] = list(figure.subplots(1, len(PANELS)))
    for run in runs:
        found = quality_by_batch(run / "metrics.csv", class_name)
        for axes, value in zip(panels, PANELS, strict=True):
            batches, values = zip(*found[value], strict=True)
            done = [100 * batch / batches[-1] for batch in batches]
            axes.plot(done, values, label=model_of(run), linewidth=1.4)
    for axes, (value, title) in zip(panels, PANELS.items(), strict=True):
        axes.set_title(f"{title} ({class_name})", fontsize=9, loc="left")
        axes.set_xlabel("share of the training, %", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        if value == "kid":
            axes.set_yscale("symlog", linthresh=0.05)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(output)


def quality_by_batch(path: Path, class_name: str) -> dict[str, list[tuple[int, float]]]:
    """Return (batch, value) of every metric of a class."""
    values: dict[str, list[tuple[int, float]]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            name = row["name"]
            if name.startswith("quality") and name.endswith(f" {class_name}"):
                points = values.setdefault(name.split("/")[1].split()[0], [])
                points.append((int(row["batch"]), float(row["value"])))
    return values


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


def table(runs: list[Path], class_name: str, evaluated: Path, output: Path) -> None:
    """Write all values of a class to a CSV file, unseen real images first, and print some."""
    rows: list[dict[str, object]] = []
    for run in runs:
        found = json.loads((evaluated / run.name / "metrics.json").read_text())
        quality = from_plain(Quality, found)
        values = quality.classes[class_name].values
        if not rows:
            rows.append({"model": "unseen real", **values["real"]})
        missed = misses(quality, class_name)
        assert missed is not None
        rows.append(
            {"model": model_of(run), **values["generated"]}
            | {"gate": "passes" if not missed else "misses " + ", ".join(missed)}
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    with output.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    shown = ["model", *QUALITY, "gate"]
    print("| " + " | ".join(QUALITY.get(name, name) for name in shown) + " |")
    print("| --- " * len(shown) + "|")
    for row in rows:
        cells = (row.get(name, "") for name in shown)
        print(
            "| " + " | ".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells) + " |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("curves", "sheet", "table"))
    parser.add_argument("runs", nargs="+", type=Path, help="run folders of gan_aug.train")
    parser.add_argument("--class", dest="class_name", default="pneumonia")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--evaluated", type=Path, help="for the table: folders of gan_aug.evaluate")
    given = parser.parse_args()
    if given.what == "table":
        table(given.runs, given.class_name, given.evaluated, given.output)
    else:
        {"curves": curves, "sheet": sheet}[given.what](given.runs, given.class_name, given.output)


if __name__ == "__main__":
    main()
