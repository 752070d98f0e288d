"""From the study `gan_family` to results.csv, a table and a figure.

    python experiments/gan_family/compare.py runs/study/gan_family_chest_xray

Means over draws; intervals are those of the t distribution over differences paired by draw.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from gan_aug.evaluation.gate import misses
from gan_aug.report.results import read_study

CLASS = "pneumonia"
BESIDE = "dcgan"
QUALITY = {
    "kid": "KID", "fid": "FID", "precision": "precision", "recall": "recall",
    "coverage": "coverage", "ms_ssim": "MS-SSIM", "copying_pixel": "nearer to training: pixels",
    "copying_feature": "features", "gan_test": "GAN-test",
    "gan_train_auroc": "GAN-train, AUROC",
}  # fmt: skip
PANELS = ("kid", "recall", "ms_ssim")
GAIN = "gain_internal_auroc"

Row = dict[str, Any]
Values = dict[int, float]
"""By draw."""


def read(folder: Path) -> list[Row]:
    """Return a row for every GAN and draw, and one of unseen real images for every draw."""
    rows: list[Row] = []
    real: dict[int, Row] = {}
    for job in read_study(folder).jobs:
        found = job.result
        assert found.quality is not None
        values = found.quality.classes[CLASS].values
        auroc = {
            arm: float(
                np.mean(
                    [f.splits["internal"]["at_0.5"]["auroc"] for f in found.fits if f.arm == arm]
                )
            )
            for arm in ("real", "duplicate", "gan")
        }
        rows.append(
            {
                "model": found.condition["model"],
                "draw": found.draw,
                "minutes": found.gans[CLASS].seconds / 60,
                "passes": int(not misses(found.quality, CLASS)),
                GAIN: auroc["gan"] - auroc["real"],
                "gain_of_copies_internal_auroc": auroc["duplicate"] - auroc["real"],
                **values["generated"],
            }
        )
        real.setdefault(found.draw, {"model": "real", "draw": found.draw, **values["real"]})
    return [*real.values(), *rows]


def by_draw(rows: list[Row], model: str, value: str) -> Values:
    return {r["draw"]: r[value] for r in rows if r["model"] == model and value in r}


def difference(values: Values, beside: Values) -> tuple[float, float, float]:
    """Return the mean difference paired by draw, and its 95 % interval."""
    found = np.array(
        [values[draw] - beside[draw] for draw in sorted(values.keys() & beside.keys())]
    )
    half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean()), float(found.mean() - half), float(found.mean() + half)


def table(rows: list[Row], models: list[str]) -> list[str]:
    shown = ("minutes", *QUALITY, "passes", GAIN)
    lines = [
        "| | " + " | ".join(QUALITY.get(v, v) for v in shown) + " |",
        "| --- " * (len(shown) + 1) + "|",
    ]
    for model in ("real", *models):
        cells = []
        for value in shown:
            found = list(by_draw(rows, model, value).values())
            if value == "passes" and found:
                cells.append(f"{sum(found)} of {len(found)}")
            else:
                cells.append(f"{np.mean(found):.3f}" if found else "")
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    lines += ["", f"Less {BESIDE}, paired by draw, with 95 % intervals:", ""]
    lines += [
        "| | " + " | ".join(QUALITY[v] for v in PANELS) + " |",
        "| --- " * (len(PANELS) + 1) + "|",
    ]
    for model in models:
        if model != BESIDE:
            cells = [
                "{:+.3f} ({:+.3f} to {:+.3f})".format(
                    *difference(by_draw(rows, model, v), by_draw(rows, BESIDE, v))
                )
                for v in PANELS
            ]
            lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return lines


def picture(rows: list[Row], models: list[str], output: Path) -> None:
    """Draw every draw of every GAN beside the range of unseen real images."""
    figure = Figure(
        figsize=(4.2 * len(PANELS), 0.36 * len(models) + 1.2), layout="constrained", dpi=140
    )
    for i, (axes, value) in enumerate(zip(figure.subplots(1, len(PANELS)), PANELS, strict=True)):
        real = list(by_draw(rows, "real", value).values())
        axes.axvspan(min(real), max(real), color="0.85", label="unseen real images, all draws")
        for y, model in enumerate(models):
            found = list(by_draw(rows, model, value).values())
            axes.plot(found, [y] * len(found), "o", color="C0", alpha=0.5, markersize=4)
            axes.plot(np.mean(found), y, "|", color="C0", markersize=14)
        axes.set_title(QUALITY[value], fontsize=9, loc="left")
        axes.set_yticks(range(len(models)), models if i == 0 else [])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        if value == "kid":
            axes.set_xscale("symlog", linthresh=0.05)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
    figure.savefig(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder of the study")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    rows = read(given.study)
    models = sorted(
        {r["model"] for r in rows} - {"real"},
        key=lambda m: -np.mean(list(by_draw(rows, m, "recall").values())),
    )
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (given.output / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(table(rows, models)))
    picture(rows, models, given.output / "draws.png")


if __name__ == "__main__":
    main()
