"""Apply the rule that chooses the recipe: python experiments/best_recipe/choose.py RESULTS.csv...

The rule was written down before the search had finished. It reads validation and development images
of draws 0 to 9, of one or more rounds of the search; the search does not measure on test images.
"""

from __future__ import annotations

import sys

import pandas as pd

LEAST_VALIDATION = -0.01
"""A recipe may lose this much validation accuracy against its reference, no more."""


def rank(results: pd.DataFrame, arms: list[str], reference: str) -> pd.DataFrame:
    """Rank arms by development accuracy at 0.5, then by development AUROC; means over draws."""
    columns = ["development_accuracy", "development_auroc", "validation_accuracy"]
    by_draw = results.pivot_table(index="draw", columns="arm", values=columns)
    differences = {
        arm: by_draw.xs(arm, axis=1, level="arm") - by_draw.xs(reference, axis=1, level="arm")
        for arm in arms
    }
    table = pd.DataFrame({arm: d.dropna()[columns].mean() for arm, d in differences.items()}).T
    table["allowed"] = table["validation_accuracy"] >= LEAST_VALIDATION
    return table.sort_values(["allowed", *columns[:2]], ascending=False)


def main() -> None:
    """Print both rankings; the first row of each is the choice."""
    rounds = pd.concat(pd.read_csv(path) for path in sys.argv[1:])
    # real and classic are in every round, with the same numbers
    results = rounds.drop_duplicates(["draw", "arm", "repeat"])
    arms = set(results["arm"])
    plain = sorted(a for a in arms if a.startswith(("pretrain", "few", "quarter", "half")))
    classic = sorted(a for a in arms if a.startswith("classic_gan"))
    print(f"{results['draw'].nunique()} draws; differences of means, shares")
    for title, chosen, reference in (
        ("without classic augmentation of real images, against real", plain, "real"),
        ("with it, against classic", classic, "classic"),
    ):
        print(f"\n{title}\n{rank(results, chosen, reference).round(4).to_string()}")


if __name__ == "__main__":
    main()
