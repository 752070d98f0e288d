"""Is the instrument right on real X-rays? python experiments/calibration/real_xrays.py REAL.csv N

Makes N small studies of the draws of `calibration_real`, each of draws taken at random, and judges
each with the report's own functions, an endpoint at a time: two GANs of the same draw are equal,
100 true images of each class are worth 100, and an interval should hold what the draws that it has
not seen give. Prints the tables of it.

Studies have draws in common, so that few draws say as much as they can: a share of studies is a
U-statistic (Hoeffding 1948), its variance that of a jackknife over draws, and its interval that of
as many studies apart as would vary as much (Korn & Graubard 1998, Survey Methodology 24:193). Near
0 and 100 % the jackknife says too little, and the interval is too narrow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from calibrate import by_draw
from numpy.typing import NDArray
from scipy import stats

from gan_aug.report.crossed import Means
from gan_aug.report.statistics import compare, correct, t_interval
from gan_aug.report.worth import Rate, exchange, sensitivity

ENDPOINTS = {
    "internal_auroc": "internal AUROC",
    "test_auroc": "test AUROC",
    "test_accuracy": "test accuracy",
}
RULER = {"ruler_25": 25, "ruler_50": 50, "ruler_100": 100, "ruler_200": 200, "ruler_400": 400}
ARMS = ("planted", "gan", "gan_twin")
PLANTED = 150
"""Real images of each class that `planted` has: 50 of the draw and 100 more."""
FURTHER = {"real": 50, "ruler_100": 100, "ruler_200": 200, "ruler_400": 400}
"""From what the arms have on."""
OWN = 50
SIZES = (6, 10)


@dataclass(frozen=True)
class Studies:
    """Small studies of some of the draws.

    Attributes:
        rows: int (N, size), the draws of each.
        draws: how many there are.
    """

    rows: NDArray[np.int64]
    draws: int

    def share(self, hits: Sequence[bool]) -> str:
        """Return the share of studies that something holds of, with its 95 % interval.

        As an interval for what such studies of draws not seen would give.
        """
        held, (count, size) = np.array(hits, float), self.rows.shape
        mean, apart = held.mean(), self.draws // size
        spread = mean * (1 - mean)
        without = [held[(self.rows != i).all(axis=1)].mean() for i in range(self.draws)]
        jackknife = (self.draws - 1) * np.var(without)
        # What it would be if no draw mattered: there are so many studies, not all that could be.
        chance = (self.draws - 1) * (size / (self.draws - size)) ** 2
        chance *= spread * (self.draws / size - 1) / count
        variance = max(jackknife - chance, 0) + spread / count
        n = spread / variance if spread else apart
        low = stats.beta.ppf(0.025, mean * n, n - mean * n + 1) if mean > 0 else 0.0
        high = stats.beta.ppf(0.975, mean * n + 1, n - mean * n) if mean < 1 else 1.0
        return f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def studies(draws: int, size: int, count: int) -> Studies:
    """Return `count` studies of `size` draws each, taken at random."""
    random = np.random.default_rng([draws, size])
    return Studies(random.random((count, draws)).argsort(axis=1)[:, :size], draws)


def differ(part: pl.DataFrame) -> bool:
    """Return whether a study of these draws calls its two GANs different at the 5 % level."""
    p = compare(part["gan"].to_numpy(), part["gan_twin"].to_numpy()).p
    return p is not None and p < 0.05


def found(part: pl.DataFrame) -> bool:
    """Return whether a study shows the planted images to help, after Holm over its three arms."""
    real = part["real"].to_numpy()
    planted, *_ = correct([compare(part[arm].to_numpy(), real) for arm in ARMS], ARMS)
    return planted.p_holm is not None and planted.p_holm < 0.05 and planted.mean > 0


def sees(part: pl.DataFrame) -> bool:
    """Return whether a study shows further real images to help; else it cannot tell of others."""
    ruler = Means(part.select(*FURTHER).to_numpy())
    return sensitivity(np.array([*FURTHER.values()], float), ruler).seen


def rate_of(part: pl.DataFrame) -> Rate:
    """Return how many real images the planted arm performs like."""
    sizes = np.array([*RULER.values()], float)
    return exchange(sizes, OWN, Means(part.select(*RULER, "planted").to_numpy()))


def holds(rate: Rate, images: int) -> bool:
    """Return whether an exchange rate's interval holds a number of images."""
    return (rate.low or 0) <= images <= (rate.high or np.inf)


def told(rate: Rate) -> str:
    """Return a rate in words."""
    place = "outside" if rate.images is None else f"{rate.images:.0f}"
    low = "25 or less" if rate.low is None else f"{rate.low:.0f}"
    high = "400 or more" if rate.high is None else f"{rate.high:.0f}"
    return f"{place} ({low} to {high})"


def expected(size: int, others: int) -> float:
    """Return how often a right interval holds the mean of other draws, which is not the truth."""
    t = stats.t.ppf(0.975, size - 1) / np.sqrt(1 + size / others)
    return float(1 - 2 * stats.t.sf(t, size - 1))


def equal_gans(results: pl.DataFrame, count: int) -> None:
    """Print how often two GANs of the same draws are called different."""
    print("| endpoint | difference over all draws | draws | called different |")
    print("| --- | --- | --- | --- |")
    for endpoint, title in ENDPOINTS.items():
        values = by_draw(results, endpoint)
        difference = 100 * (values["gan"] - values["gan_twin"]).to_numpy()
        low, high = t_interval(difference)
        over_all = f"{difference.mean():+.2f} ({low:+.2f} to {high:+.2f})"
        for size in SIZES:
            of = studies(len(values), size, count)
            called = of.share([differ(values[rows]) for rows in of.rows])
            print(f"| {title} | {over_all} | {size} | {called} |")


def planted(results: pl.DataFrame, count: int) -> None:
    """Print how often the planted images are found to help, and to be worth their number."""
    head = "| endpoint | performs like, all draws | draws | found to help "
    print(head + "| endpoint sees further real images | interval has two ends | holds 150 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for endpoint, title in ENDPOINTS.items():
        values = by_draw(results, endpoint)
        over_all = told(rate_of(values))
        for size in SIZES:
            of = studies(len(values), size, count)
            parts = [values[rows] for rows in of.rows]
            rates = [rate_of(part) for part in parts]
            held = (
                [found(part) for part in parts],
                [sees(part) for part in parts],
                [rate.low is not None and rate.high is not None for rate in rates],
                [holds(rate, PLANTED) for rate in rates],
            )
            shares = " | ".join(of.share(hits) for hits in held)
            print(f"| {title} | {over_all} | {size} | {shares} |")


def unused_draws(results: pl.DataFrame, count: int) -> None:
    """Print how often an interval holds the mean over the draws that were not used."""
    print("| difference | endpoint | draws | interval holds the mean of the others | if right |")
    print("| --- | --- | --- | --- | --- |")
    for arm in ("gan", "planted"):
        for endpoint, title in ENDPOINTS.items():
            values = by_draw(results, endpoint)
            differences = (values[arm] - values["real"]).to_numpy()
            for size in SIZES:
                of = studies(len(differences), size, count)
                held = []
                for rows in of.rows:
                    low, high = t_interval(differences[rows])
                    held.append(bool(low <= np.delete(differences, rows).mean() <= high))
                right = f"{100 * expected(size, len(values) - size):.1f} %"
                print(f"| `{arm}` less `real` | {title} | {size} | {of.share(held)} | {right} |")


def main() -> None:
    """Print the tables."""
    results, count = pl.read_csv(sys.argv[1], infer_schema_length=None), int(sys.argv[2])
    print(f"{results['draw'].n_unique()} draws\n")
    for table in (equal_gans, planted, unused_draws):
        table(results, count)
        print()


if __name__ == "__main__":
    main()
