"""From the study `gan_family` to results.csv, curves.csv and the pictures of one draw.

    python experiments/gan_family/collect.py runs/study/gan_family_chest_xray

Run it where the study was run. The study may go on on another machine, from draws.zip; what is
known only while a GAN's own folder is there, its curve and samples, is kept from before.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from gan_aug.evaluation.measured import misses
from gan_aug.report.read import read_study
from gan_aug.report.records import DrawResult
from gan_aug.report.study import FinishedDraw, Study

CLASS = "pneumonia"
REAL = "unseen real"
CURVES = ("kid", "recall", "ms_ssim")
COLUMNS = 12

Row = dict[str, Any]


def rows_of(study: Study, job: FinishedDraw) -> list[Row]:
    """Return a row for the GAN of a draw, and one of unseen real images."""
    found = job.result
    assert found.quality is not None
    values = found.quality.classes[CLASS].values
    auroc = {
        arm: np.mean(
            [
                study.measured[fit.predictions][0].value("internal", "auroc")
                for fit in found.fits_of(arm)
            ]
        )
        for arm in ("real", "duplicate", "gan")
    }
    missed = misses(found.quality, CLASS)
    assert missed is not None
    known = {"draw": found.draw, "extractor": found.quality.extractor}
    return [
        {"model": REAL, **known, **values["real"]},
        {
            "model": found.condition["model"],
            **known,
            "trained_on": job.record.config["trainer"]["accelerator"],
            "minutes": found.gans[CLASS].seconds / 60,
            "passes": int(not missed),
            "gain_internal_auroc": auroc["gan"] - auroc["real"],
            "gain_of_copies_internal_auroc": auroc["duplicate"] - auroc["real"],
            **values["generated"],
        },
    ]


def curves_of(found: DrawResult) -> Iterator[Row]:
    """Yield what was measured on validation images while the GAN of a draw was fitted."""
    points: dict[int, Row] = {}
    path = Path(found.gans[CLASS].folder) / "metrics.csv"
    if not path.exists():
        return
    with path.open() as file:
        for row in csv.DictReader(file):
            value = row["name"].rpartition("/")[2].removesuffix(f" {CLASS}")
            if row["name"].startswith("quality") and value in CURVES:
                batch = int(row["batch"])
                points.setdefault(batch, {"batch": batch})[value] = float(row["value"])
    for point in points.values():
        yield {
            "model": found.condition["model"],
            "draw": found.draw,
            "share": point["batch"] / max(points),
            **point,
        }


def update(path: Path, rows: list[Row]) -> None:
    """Write rows, and those of the file there whose model and draw are not among them."""
    new = {(row["model"], str(row["draw"])) for row in rows}
    old: list[Row] = []
    if path.exists():
        with path.open(newline="") as file:
            old = [r for r in csv.DictReader(file) if (r["model"], r["draw"]) not in new]
    every = sorted([*old, *rows], key=lambda row: (row["model"], int(row["draw"])))
    names = list(dict.fromkeys(name for row in every for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(every)


def sheet(draws: list[DrawResult], output: Path) -> None:
    """Put the first images of each GAN below each other; none is picked."""
    lines: list[tuple[str, list[np.ndarray]]] = []
    for found in draws:
        folder = Path(found.gans[CLASS].folder) / "synthetic"
        manifest = json.loads((folder / "manifest.json").read_text())
        files = sorted(f for f in manifest["files"] if f.startswith(f"{CLASS}/"))[:COLUMNS]
        images = [np.asarray(Image.open(folder / file)) for file in files]
        lines.append((found.condition["model"], images))
    side = lines[0][1][0].shape[0]
    figure = Figure(figsize=(COLUMNS + 1.6, len(lines)), dpi=side * 1.5, layout="constrained")
    for (title, images), cells in zip(
        lines, figure.subplots(len(lines), COLUMNS, squeeze=False), strict=True
    ):
        for axes, image in zip(cells, images, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
        cells[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    figure.savefig(output)


def translations(draws: list[DrawResult], output: Path) -> None:
    """Put the last grid of each GAN that translates below each other: left sources."""
    grids = []
    for found in draws:
        folder = Path(found.gans[CLASS].folder)
        manifest = json.loads((folder / "synthetic" / "manifest.json").read_text())
        if manifest.get("sources"):
            last = max((folder / "samples").glob("*.png"))
            grids.append((found.condition["model"], np.asarray(Image.open(last))))
    if not grids:
        return
    figure = Figure(figsize=(8, 4.2 * len(grids)), dpi=100, layout="constrained")
    for (title, grid), (axes,) in zip(
        grids, figure.subplots(len(grids), 1, squeeze=False), strict=True
    ):
        axes.imshow(grid, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, loc="left", fontsize=10)
        axes.axis("off")
    figure.savefig(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder of the study")
    parser.add_argument("--draw", type=int, default=0, help="whose images are shown")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    study = read_study(given.study)
    jobs = study.jobs
    draws = [job.result for job in jobs]
    rows = {(row["model"], row["draw"]): row for job in jobs for row in rows_of(study, job)}
    update(given.output / "results.csv", list(rows.values()))
    update(given.output / "curves.csv", [row for found in draws for row in curves_of(found)])
    shown = [found for found in draws if found.draw == given.draw]
    if shown and all(Path(found.gans[CLASS].folder).is_dir() for found in shown):
        shown.sort(key=lambda found: str(found.condition["model"]))
        sheet(shown, given.output / "samples.png")
        translations(shown, given.output / "translations.png")


if __name__ == "__main__":
    main()
