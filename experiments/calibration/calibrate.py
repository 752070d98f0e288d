"""Is the instrument right? python experiments/calibration/calibrate.py STUDY_DIR

Parts the draws of the calibration study into small studies, runs the report's own comparison on
each, and counts how often it errs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from gan_aug.reporting.statistics import bca_interval, compare, correct

AGAIN = ["real_again_1", "real_again_2", "real_again_3"]
METRICS = ("accuracy", "accuracy_at_validation_threshold", "balanced_accuracy", "auroc")


def share(hits: int, n: int) -> str:
    """Return a share with its exact 95% interval (Clopper-Pearson)."""
    low, high = stats.binomtest(hits, n).proportion_ci()
    return f"{hits}/{n} = {100 * hits / n:.1f} % (95% interval {100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Print the table of experiments/calibration/README.md."""
    results = pd.read_csv(Path(sys.argv[1]) / "results.csv")
    for size in (5, 10, 20):
        for metric in METRICS:
            values = results.pivot_table(index="draw", columns="arm", values=f"test_{metric}")
            _print(values, size, metric)


def _print(values: pd.DataFrame, size: int, metric: str) -> None:
    true = float((values["more_real"] - values["real"]).mean())
    parts = [values.iloc[i : i + size] for i in range(0, len(values) - size + 1, size)]
    called = uncorrected = found = covered = 0
    for part in parts:
        family = correct(
            [compare(part[a].to_numpy(), part["real"].to_numpy()) for a in (*AGAIN, "more_real")]
        )
        null = family[:-1]
        called += any(c.p_holm < 0.05 for c in null if c.p_holm is not None)
        uncorrected += sum(c.p < 0.05 for c in null if c.p is not None)
        planted = family[-1]
        found += planted.p_holm is not None and planted.p_holm < 0.05 and planted.mean > 0
        low, high = bca_interval((part["more_real"] - part["real"]).to_numpy())
        covered += low <= true <= high
    n = len(parts)
    print(f"{metric}, {n} studies of {size} draws")
    print(f"  A/A: studies that call any of 3 equal arms different  {share(called, n)}")
    print(f"  A/A: single comparisons with p < 0.05, uncorrected    {share(uncorrected, 3 * n)}")
    low, high = bca_interval((values["more_real"] - values["real"]).to_numpy())
    print(
        f"  planted: {100 * true:+.2f} points over all {len(values)} draws "
        f"({100 * low:+.2f} to {100 * high:+.2f})"
    )
    print(f"  planted: studies that find it                         {share(found, n)}")
    print(f"  planted: intervals that cover that value              {share(covered, n)}")
    if metric == "accuracy":
        for arm in AGAIN:
            difference = values[arm] - values["real"]
            p = stats.ttest_1samp(difference, 0).pvalue
            mean, error = 100 * difference.mean(), 100 * difference.std() / np.sqrt(len(values))
            print(f"  {arm}, all draws: {mean:+.2f} points (standard error {error:.2f}, p {p:.2f})")


if __name__ == "__main__":
    main()
