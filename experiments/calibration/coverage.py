"""How often does the report's interval cover the mean? python experiments/calibration/coverage.py

Simulated studies of differences with mean 0; beside it the BCa bootstrap, plain as scipy has it and
with its percentiles moved outwards (expanded percentiles, Hesterberg 2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gan_aug.report.crossed import over_patients
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


SHARED = {
    "classic augmentation, 50 images": (1.5, 17.0, 14.0),
    "classic augmentation, 150 images": (0.7, 16.5, 10.0),
}
"""Standard deviations in points, about as in worth_nih: of draws, of patients, and of the rest."""
PATIENTS = 300


def shared_patients() -> None:
    """Print how often intervals cover the mean over all patients, who are the same in all draws."""
    random = np.random.default_rng(2)
    print("| as in worth_nih, 10 draws of 300 patients | t over draws | over draws and patients |")
    print("| --- | --- | --- |")
    for name, (draw, patient, rest) in SHARED.items():
        held = np.zeros(2)
        for _ in range(STUDIES):
            values = random.normal(0, draw, (10, 1)) + random.normal(0, patient, PATIENTS)
            values = values + random.normal(0, rest, (10, PATIENTS))
            crossed = over_patients(values[None], np.arange(PATIENTS)).interval(np.ones(1))
            both = (t_interval(values.mean(axis=1)), crossed)
            held += [low <= 0 <= high for low, high in both]
        print(f"| {name} | " + " | ".join(f"{100 * h / STUDIES:.1f} %" for h in held) + " |")


def main() -> None:
    """Print the tables of README.md."""
    shared_patients()
    print()
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
