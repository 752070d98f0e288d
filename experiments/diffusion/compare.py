"""The tables of README.md: `python experiments/diffusion/compare.py`.

The GANs were fitted on the same images, but measured with a reference classifier that was fitted on
another machine. What it supplies the features of is therefore compared as the difference from
unseen real images, which either classifier measured for its own; MS-SSIM needs no classifier.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from gan_aug.report.statistics import holm

HERE = Path(__file__).parent
REAL = "unseen real"
SHOWN = {
    "minutes": "minutes", "kid": "KID", "fid": "FID", "precision": "precision", "recall": "recall",
    "coverage": "coverage", "ms_ssim": "MS-SSIM", "copying_pixel": "nearer to training: pixels",
    "copying_feature": "features", "gan_test": "GAN-test", "gan_train_auroc": "GAN-train, AUROC",
}  # fmt: skip
PAIRED = ("precision", "recall", "ms_ssim")


def read(folder: str) -> pl.DataFrame:
    """Return results.csv of an experiment."""
    return pl.read_csv(HERE.parent / folder / "results.csv", infer_schema_length=None)


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def beside_real(results: pl.DataFrame) -> list[str]:
    """Return the draws and their mean, beside unseen real images."""
    lines = [line(["", *SHOWN.values(), "gate"]), "| --- " * (len(SHOWN) + 2) + "|"]
    for model in (REAL, "ddpm"):
        own = results.filter(pl.col("model") == model)
        rows = [(f"{model}, draw {row['draw']}", row) for row in own.rows(named=True)]
        # The time of a draw that was stopped and resumed is not known, so there is no mean of it.
        means = own.select(pl.col(SHOWN).mean()).row(0, named=True) | {"minutes": None}
        for title, row in [*rows, (f"**{model}, mean**", means)]:
            cells = ["" if row[v] is None else f"{row[v]:.2f}" for v in SHOWN]
            gate = "" if row.get("passes") is None else ("passed" if row["passes"] else "missed")
            lines.append(line([title, *cells, gate]))
    return lines


def from_real(results: pl.DataFrame, model: str) -> pl.DataFrame:
    """Return a model's values less those of unseen real images, by draw."""
    real = results.filter(pl.col("model") == REAL).select("draw", *PAIRED)
    own = results.filter(pl.col("model") == model).join(real, on="draw", suffix="_real")
    return own.sort("draw").select("draw", *(pl.col(v) - pl.col(f"{v}_real") for v in PAIRED))


def beside_gans(ours: pl.DataFrame, gans: pl.DataFrame) -> list[str]:
    """Return the diffusion model less each GAN in the same draws, both less unseen real images.

    p is of the paired t-test, after Holm's correction over the GANs, each metric by itself.
    """
    titles = [cell for v in PAIRED for cell in (SHOWN[v], "p (Holm)")]
    lines = [line(["ddpm less", *titles]), "| --- " * (len(titles) + 1) + "|"]
    own = from_real(ours, "ddpm")
    others = {model: from_real(gans, model) for model in sorted(set(gans["model"]) - {REAL})}
    assert all(other["draw"].equals(own["draw"]) for other in others.values())
    cells: list[list[str]] = []
    for v in PAIRED:
        apart = [(own[v] - other[v]).to_numpy() for other in others.values()]
        corrected = holm([float(stats.ttest_1samp(one, 0).pvalue) for one in apart])
        cells.append([interval(one) for one in apart])
        cells.append(["< 0.001" if p < 0.001 else f"{p:.2g}" for p in corrected])
    rows = zip(others, *cells, strict=True)
    return lines + [line([f"`{model}`", *row]) for model, *row in rows]


def interval(differences: np.ndarray) -> str:
    """Return a mean with its 95 % t interval over draws."""
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    mean = differences.mean()
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"


def main() -> None:
    ours, gans = read("diffusion"), read("gan_family")
    print("\n".join([*beside_real(ours), "", *beside_gans(ours, gans)]))


if __name__ == "__main__":
    main()
