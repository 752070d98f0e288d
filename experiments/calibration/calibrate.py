"""Is the instrument right? python experiments/calibration/calibrate.py AGAIN.csv PLANTED.csv

Parts the draws of the two calibration studies into small studies, runs the report's own comparison
on each, and counts how often it errs. Prints the tables of README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import polars as pl
from scipy import stats

from gan_aug.report.statistics import Comparison, compare, correct, t_interval

EQUAL = ["real_again_1", "real_again_2", "real_again_3"]
PLANTED = "more_real"
METRICS = {
    "test_accuracy": "accuracy",
    "test_accuracy_at_validation_threshold": "accuracy, validation threshold",
    "test_auroc": "AUROC",
}
SIZES = (6, 10, 20)


def share(hits: int, n: int) -> str:
    """Return a share with its exact 95% interval (Clopper-Pearson)."""
    low, high = stats.binomtest(hits, n).proportion_ci()
    return f"{hits}/{n} = {100 * hits / n:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def families(values: pl.DataFrame, size: int) -> Iterator[dict[str, Comparison]]:
    """Compare every arm with `real` in each run of `size` draws, as the report does."""
    arms = [arm for arm in values.columns if arm not in ("draw", "real")]
    for start in range(0, len(values) - size + 1, size):
        part = values[start : start + size]
        real = part["real"].to_numpy()
        found = correct([compare(part[arm].to_numpy(), real) for arm in arms], arms)
        yield dict(zip(arms, found, strict=True))


def by_draw(results: pl.DataFrame, endpoint: str) -> pl.DataFrame:
    """Return a row for each draw, a column for each arm; repeats are averaged."""
    means = results.pivot("arm", index="draw", values=endpoint, aggregate_function="mean")
    return means.select("draw", *sorted(set(means.columns) - {"draw"})).sort("draw")


def equal_arms(results: pl.DataFrame) -> None:
    """Print how often arms that are equal are called different."""
    print(
        "| metric | draws | studies that call any of 3 equal arms different | one test, p < 0.05 |"
    )
    print("| --- | --- | --- | --- |")
    for metric, title in METRICS.items():
        for size in SIZES:
            studies = list(families(by_draw(results, metric), size))
            called = sum(any(_below(s[arm].p_holm) for arm in EQUAL) for s in studies)
            single = sum(_below(s[arm].p) for s in studies for arm in EQUAL)
            shares = f"{share(called, len(studies))} | {share(single, len(EQUAL) * len(studies))}"
            print(f"| {title} | {size} | {shares} |")
    values = by_draw(results, "test_accuracy")
    for arm in EQUAL:
        d = 100 * (values[arm] - values["real"]).to_numpy()
        error = d.std(ddof=1) / np.sqrt(len(d))
        print(f"\n{arm}, {len(d)} draws: {d.mean():+.2f} points, standard error {error:.2f}")


def planted(results: pl.DataFrame, images: str) -> None:
    """Print how often a true effect is found, and its interval covers it."""
    for metric, title in METRICS.items():
        values = by_draw(results, metric)
        d = (values[PLANTED] - values["real"]).to_numpy()
        low, high = t_interval(d)
        true = f"{100 * d.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"
        for size in SIZES:
            studies = [s[PLANTED] for s in families(values, size)]
            found = sum(_below(c.p_holm) and c.mean > 0 for c in studies)
            covered = sum(c.low <= d.mean() <= c.high for c in studies if c.low is not None)
            shares = f"{share(found, len(studies))} | {share(covered, len(studies))}"
            print(f"| {images} | {title} | {true} | {size} | {shares} |")


def _below(p: float | None) -> bool:
    return p is not None and p < 0.05


def main() -> None:
    """Print both tables."""
    again, strong = (pl.read_csv(path, infer_schema_length=None) for path in sys.argv[1:])
    equal_arms(again)
    print("\n| images | metric | effect over all draws | draws | found | interval covers it |")
    print("| --- | --- | --- | --- | --- | --- |")
    planted(strong, "15 + 400 of each class")
    planted(again, "50 + 50 of each class")


if __name__ == "__main__":
    main()
