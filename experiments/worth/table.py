"""Prints a README's tables from its archived draws: python experiments/worth/table.py ZIP ...

The functions are the report's own; what they are given comes from the draws' metrics.json.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gan_aug.report.draw_result import RulerFacts
from gan_aug.report.exchange import exchange, sensitivity
from gan_aug.report.statistics import Comparison, compare
from gan_aug.report.worth import further_images, words
from gan_aug.run.typed import from_plain

METRICS = {"auroc": "AUROC", "accuracy": "accuracy"}
PAIRS = (("gan", "duplicate"), ("classic_gan", "classic_duplicate"), ("mixup", "mixup_control"))


def read_draws(archives: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield the metrics.json of every draw in some archives of a study."""
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("/metrics.json"):
                    yield json.loads(archive.read(name))


def read_endpoints(archive: Path) -> dict[str, tuple[str, str]]:
    """Return what the study declared as its endpoints, split and metric by title, primary first."""
    with zipfile.ZipFile(archive) as opened:
        declared = json.loads(opened.read("declaration.json"))["endpoints"]
    return {
        f"{one['split']} {METRICS[one['metric']]}": (one["split"], one["metric"])
        for one in declared
    }


def values(draws: list[dict[str, Any]], split: str, metric: str) -> pd.DataFrame:
    """Return a row for each draw, a column for each arm; repeats are averaged."""
    rows = [
        (found["draw"], fit["arm"], fit[split]["at_0.5"][metric])
        for found in draws
        for fit in found["fits"]
    ]
    frame = pd.DataFrame(rows, columns=["draw", "arm", "value"])
    return frame.pivot_table(index="draw", columns="arm", values="value")


def points(found: Comparison) -> str:
    """Return a difference in percentage points."""
    mean = f"{100 * found.mean:+.2f}"
    if found.low is None or found.high is None:
        return mean
    return f"{mean} ({100 * found.low:+.2f} to {100 * found.high:+.2f})"


def doubling(table: pd.DataFrame, facts: RulerFacts) -> str:
    """Return what a doubling of the real images that the arms have gains, in points."""
    further = further_images(facts)
    found = sensitivity(np.array([*further.values()], float), table[[*further]].to_numpy())
    if found.interval is None:
        return f"{100 * found.gain:+.2f}"
    low, high = found.interval
    return f"{100 * found.gain:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def differences(tables: dict[str, pd.DataFrame], arm: str, reference: str) -> str:
    """Return what an arm differs from another by, a cell an endpoint."""
    found = (compare(t[arm].to_numpy(), t[reference].to_numpy()) for t in tables.values())
    return " | ".join(points(one) for one in found)


def worth(table: pd.DataFrame, arm: str, facts: RulerFacts) -> str:
    """Return how many further real images of each class an arm is worth."""
    sizes = np.array([*facts.arms.values()], float)
    return words(exchange(sizes, table[[*facts.arms]].to_numpy(), table[arm].to_numpy()), facts)


def print_condition(draws: list[dict[str, Any]], endpoints: dict[str, tuple[str, str]]) -> None:
    """Print the table of one condition."""
    facts = from_plain(RulerFacts, draws[0]["ruler"])
    tables = {title: values(draws, *key) for title, key in endpoints.items()}
    arms = [arm for arm in draws[0]["arms"] if arm not in ("real", *facts.arms)]
    primary = tables[next(iter(endpoints))]
    model = draws[0]["condition"]["model"]
    print(f"\n{len(primary)} draws:\n")
    print(
        f"| {model}, on {facts.own} real images of each class "
        f"| worth, further real images of each class | {' | '.join(tables)} |"
    )
    print("| --- " * (2 + len(tables)) + "|")
    for arm in arms:
        print(f"| `{arm}` | {worth(primary, arm, facts)} | {differences(tables, arm, 'real')} |")
    for arm, other in PAIRS:
        print(f"| `{arm}` less `{other}` | | {differences(tables, arm, other)} |")
    (most, _) = max(facts.arms.items(), key=lambda item: item[1])
    (_, more) = min((size, arm) for arm, size in facts.arms.items() if size > facts.own)
    for arm, other in ((more, "real"), ("classic", most)):
        print(f"| `{arm}` less `{other}` | | {differences(tables, arm, other)} |")
    gains = " | ".join(doubling(table, facts) for table in tables.values())
    print(f"| a doubling of the real images | | {gains} |")


def main() -> None:
    """Print the tables of every condition."""
    archives = [Path(path) for path in sys.argv[1:]]
    by_condition: dict[str, list[dict[str, Any]]] = {}
    for found in read_draws(archives):
        by_condition.setdefault(str(found["condition"]), []).append(found)
    for key in sorted(by_condition, key=lambda key: (len(key), key)):
        print_condition(by_condition[key], read_endpoints(archives[0]))


if __name__ == "__main__":
    main()
