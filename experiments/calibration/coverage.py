"""How often does the report's interval cover the mean? python experiments/calibration/coverage.py

Simulated studies of differences with mean 0; beside it the plain BCa interval of scipy and the t
interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gan_aug.report.statistics import RESAMPLES, bca_interval

STUDIES = 1000
SIZES = (5, 10, 20)


def plain(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the BCa interval without widening."""
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


def by_t(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the t interval."""
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return float(low), float(high)


def main() -> None:
    """Print the table of README.md."""
    random = np.random.default_rng(1)
    shapes = {"normal": random.standard_normal, "exponential": random.standard_exponential}
    print("| differences | draws | plain BCa | the report's | t |\n| --- | --- | --- | --- | --- |")
    for name, sample in shapes.items():
        for size in SIZES:
            values = sample((STUDIES, size)) - (name == "exponential")
            shares = []
            for interval in (plain, bca_interval, by_t):
                ends = np.array([interval(v) for v in values])
                shares.append(np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)))
            print(f"| {name} | {size} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |")


if __name__ == "__main__":
    main()
