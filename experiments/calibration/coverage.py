"""How often does the report's interval cover the mean? python experiments/calibration/coverage.py

Simulated studies of differences with mean 0; beside it the BCa bootstrap, plain as scipy has it and
with its percentiles moved outwards (expanded percentiles, Hesterberg 2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gan_aug.report.statistics import t_interval

STUDIES = 1000
SIZES = (6, 10, 20)
RESAMPLES = 9999


def bca(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval of the mean (Efron 1987)."""
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=level,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def expanded(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the BCa interval with the level at which a normal sample's would be the t interval."""
    n = len(values)
    outwards = np.sqrt(n / (n - 1)) * stats.t.ppf(0.025, n - 1)
    return bca(values, 1 - 2 * stats.norm.cdf(outwards))


def main() -> None:
    """Print the table of README.md."""
    random = np.random.default_rng(1)
    shapes = {"normal": random.standard_normal, "exponential": random.standard_exponential}
    print("| differences | draws | BCa | BCa, expanded | t (the report) |")
    print("| --- | --- | --- | --- | --- |")
    for name, sample in shapes.items():
        for size in SIZES:
            values = sample((STUDIES, size)) - (name == "exponential")
            shares = []
            for interval in (bca, expanded, t_interval):
                ends = np.array([interval(v) for v in values])
                shares.append(np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)))
            print(f"| {name} | {size} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |")


if __name__ == "__main__":
    main()
