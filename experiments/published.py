"""Recompute what docs/index.md says from committed results: experiments/published.py [DIR].

With DIR, a copy of the X-rays, also how many test files have the patient number of a training file.

Differences are in percentage points, paired within draws, with the 95 % intervals of the reports;
for the five draws of size_sweep the report gives none, and they are made here in the same way.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from gan_aug.data.sources.chest_xray import find_root, parse_name
from gan_aug.report.statistics import Comparison, compare

HERE = Path(__file__).parent
STUDIES = ("seed_protocol", "best_recipe", "size_sweep")
AT_VALIDATION = "test_accuracy_at_validation_threshold"


def read(study: str, name: str = "results.csv") -> pl.DataFrame:
    """Read every draw, arm and repeat of a study."""
    return pl.read_csv(HERE / study / name, infer_schema_length=None)


def difference(table: pl.DataFrame, arm: str, reference: str, column: str) -> Comparison:
    """Compare two arms over the draws that have both; repeats are averaged first."""
    means = _by_draw(table, "arm", column).drop_nulls([arm, reference])
    return compare(means[arm].to_numpy(), means[reference].to_numpy())


def larger(column: str, few: int, many: int) -> Comparison:
    """Compare real images only, `many` of each class with `few`, in the same draws."""
    table = read("size_sweep")
    means = _by_draw(table.filter(pl.col("arm") == "real"), "per_class", column)
    return compare(means[str(many)].to_numpy(), means[str(few)].to_numpy())


def _by_draw(table: pl.DataFrame, columns: str, values: str) -> pl.DataFrame:
    return table.pivot(columns, index="draw", values=values, aggregate_function="mean").sort("draw")


def fits_in(archive: str) -> int:
    """Return how many fits there are in an archive; what draws have in common counts once."""
    with zipfile.ZipFile(HERE / archive) as opened:
        names = (name for name in opened.namelist() if name.endswith("/metrics.json"))
        draws = [json.loads(opened.read(name)) for name in names]
        return len({fit["predictions"] for draw in draws for fit in draw["fits"]})


def words(c: Comparison) -> str:
    """Return a difference as it is published."""
    low, high = c.low, c.high
    if c.draws < 6 and c.sd is not None:
        half = stats.t.ppf(0.975, c.draws - 1) * c.sd / c.draws**0.5
        low, high = c.mean - half, c.mean + half
    mean, low, high = (100 * np.array([c.mean, low, high], float)).round(1) + 0.0
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def figures() -> dict[str, str]:
    """Return every figure by what it is."""
    found: dict[str, str] = {}
    for study in STUDIES[:2]:
        table = read(study)
        for arm, reference in (
            ("gan", "real"), ("gan", "duplicate"), ("duplicate", "real"), ("classic", "real"),
            ("classic_gan", "classic"),
        ):  # fmt: skip
            for title, column in (
                ("at 0.5", "test_accuracy"),
                ("internal accuracy", "internal_accuracy"),
                ("at the validation threshold", AT_VALIDATION),
                ("AUROC", "test_auroc"),
                ("sensitivity", "test_sensitivity"),
                ("specificity", "test_specificity"),
            ):
                compared = difference(table, arm, reference, column)
                found[f"{study}: {arm} against {reference}, {title}"] = words(compared)
    for column in ("test_accuracy", AT_VALIDATION, "test_auroc", "internal_accuracy"):
        found[f"size_sweep: 300 against 50 real images of each class, {column}"] = words(
            larger(column, 50, 300)
        )
    sizes = read("size_sweep")
    for per_class in sizes["per_class"].drop_nulls().unique().sort():
        of_size = sizes.filter(pl.col("per_class") == per_class)
        compared = difference(of_size, "gan", "real", "test_accuracy")
        found[f"size_sweep: gan against real with {per_class} of each class"] = words(compared)
    searched = [read("best_recipe", f"search_{i}.csv") for i in (1, 2)]
    tried = pl.concat(searched, how="diagonal_relaxed")
    for title, table, arm in (
        ("draws 0 to 9", tried, "pretrain_classic"),
        ("draws 100 to 119", read("best_recipe"), "gan"),
    ):
        compared = difference(table, arm, "real", "development_accuracy")
        found[f"best_recipe: the chosen recipe on 60 development images, {title}"] = words(compared)
    fits = {study: len(read(study)) for study in (*STUDIES, "sweeps/count_sweep")}
    calibration = read("calibration", "real.csv")
    fits |= {
        "calibration": int((calibration["arm"] != "ruler_50").sum()),  # which are those of real
        "dcgan_pneumonia": len(read("dcgan_pneumonia")),
        "worth": fits_in("worth/draws.zip"),
        "mixed_in": fits_in("mixed_in/confirm.zip"),
    }
    found["fits that share the test images"] = f"{sum(fits.values())} ({fits})"
    return found


def patients_of_both(root: Path) -> str:
    """Return how many files of the official test folder share a patient number with training."""
    found = {}
    for split in ("train", "test"):
        files = list((find_root(root) / split).rglob("*.jpeg"))
        found[split] = [(path.parent.name, parse_name(path.stem)[0]) for path in files]
    shared = sum(one in set(found["train"]) for one in found["test"])
    return f"{shared} of {len(found['test'])}"


if __name__ == "__main__":
    if sys.argv[1:]:
        print(f"{patients_of_both(Path(sys.argv[1]))} test files have the number of a training one")
    for title, figure in figures().items():
        print(f"{title:<95} {figure}")
