"""Is the instrument right on real X-rays? python experiments/calibration/real_xrays.py REAL.csv

Parts the draws of `calibration_real` into small studies and judges each with the report's own
functions, an endpoint at a time: two GANs of the same draw are equal, 100 true images of each class
are worth 100, and an interval should hold what the draws that it has not seen give. Prints
the tables of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
from calibrate import by_draw, share
from scipy import stats

from gan_aug.report.exchange import Rate, exchange, sensitivity
from gan_aug.report.statistics import compare, correct, t_interval

ENDPOINTS = {
    "internal_auroc": "internal AUROC",
    "test_auroc": "test AUROC",
    "test_accuracy": "test accuracy",
}
RULER = {"ruler_25": 25, "ruler_50": 50, "ruler_100": 100, "ruler_200": 200, "ruler_400": 400}
ARMS = ("planted", "gan", "gan_twin")
PLANTED = 150
"""Real images of each class that `planted` has: 50 of the draw and 100 more."""
SIZES = (6, 10)


def studies(values: pd.DataFrame, size: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield each run of `size` draws, and all other draws."""
    for start in range(0, len(values) - size + 1, size):
        part = values.iloc[start : start + size]
        yield part, values.drop(index=part.index)


def differ(part: pd.DataFrame) -> bool:
    """Return whether a study of these draws calls its two GANs different at the 5 % level."""
    p = compare(part["gan"].to_numpy(), part["gan_twin"].to_numpy()).p
    return p is not None and p < 0.05


def found(part: pd.DataFrame) -> bool:
    """Return whether a study shows the planted images to help, after Holm over its three arms."""
    real = part["real"].to_numpy()
    planted, *_ = correct([compare(part[arm].to_numpy(), real) for arm in ARMS], ARMS)
    return planted.p_holm is not None and planted.p_holm < 0.05 and planted.mean > 0


def sees(part: pd.DataFrame) -> bool:
    """Return whether a study shows real images to help at all; else it cannot tell of others."""
    return sensitivity(np.array([*RULER.values()], float), part[[*RULER]].to_numpy()).seen


def rate_of(part: pd.DataFrame) -> Rate:
    """Return how many real images the planted arm performs like."""
    sizes = np.array([*RULER.values()], float)
    return exchange(sizes, part[[*RULER]].to_numpy(), part["planted"].to_numpy())


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


def equal_gans(results: pd.DataFrame) -> None:
    """Print how often two GANs of the same draws are called different."""
    print("| endpoint | difference over all draws | draws | called different |")
    print("| --- | --- | --- | --- |")
    for endpoint, title in ENDPOINTS.items():
        values = by_draw(results, endpoint)
        difference = 100 * (values["gan"] - values["gan_twin"]).to_numpy()
        low, high = t_interval(difference)
        over_all = f"{difference.mean():+.2f} ({low:+.2f} to {high:+.2f})"
        for size in SIZES:
            called = [differ(part) for part, _ in studies(values, size)]
            print(f"| {title} | {over_all} | {size} | {share(sum(called), len(called))} |")


def planted(results: pd.DataFrame) -> None:
    """Print how often the planted images are found to help, and to be worth their number."""
    head = "| endpoint | performs like, all draws | draws | found to help "
    print(head + "| endpoint sees real images | interval has two ends | holds 150 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for endpoint, title in ENDPOINTS.items():
        values = by_draw(results, endpoint)
        over_all = told(rate_of(values))
        for size in SIZES:
            parts = [part for part, _ in studies(values, size)]
            rates = [rate_of(part) for part in parts]
            ended = [rate.low is not None and rate.high is not None for rate in rates]
            counts = (
                sum(map(found, parts)),
                sum(map(sees, parts)),
                sum(ended),
                sum(holds(rate, PLANTED) for rate in rates),
            )
            shares = " | ".join(share(count, len(parts)) for count in counts)
            print(f"| {title} | {over_all} | {size} | {shares} |")


def unused_draws(results: pd.DataFrame) -> None:
    """Print how often an interval holds the mean over the draws that were not used."""
    print("| difference | endpoint | draws | interval holds the mean of the others | if right |")
    print("| --- | --- | --- | --- | --- |")
    for arm in ("gan", "planted"):
        for endpoint, title in ENDPOINTS.items():
            values = by_draw(results, endpoint)
            differences = values[[arm]].sub(values["real"], axis=0)
            for size in SIZES:
                held = []
                for part, others in studies(differences, size):
                    low, high = t_interval(part[arm].to_numpy())
                    held.append(low <= others[arm].mean() <= high)
                right = f"{100 * expected(size, len(values) - size):.1f} %"
                shares = share(sum(held), len(held))
                print(f"| `{arm}` less `real` | {title} | {size} | {shares} | {right} |")


def main() -> None:
    """Print the tables."""
    results = pd.read_csv(sys.argv[1])
    print(f"{results['draw'].nunique()} draws\n")
    for table in (equal_gans, planted, unused_draws):
        table(results)
        print()


if __name__ == "__main__":
    main()
