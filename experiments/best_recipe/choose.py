"""Apply the rule that chooses the recipe: python experiments/best_recipe/choose.py RESULTS.csv...

The rule was written down before the search had finished. It reads validation and development images
of draws 0 to 9, of one or more rounds of the search; the search does not measure on test images.
"""

from __future__ import annotations

import sys

import polars as pl

LEAST_VALIDATION = -0.01
"""A recipe may lose this much validation accuracy against its reference, no more."""


def rank(results: pl.DataFrame, arms: list[str], reference: str) -> pl.DataFrame:
    """Rank arms by development accuracy at 0.5, then by development AUROC; means over draws."""
    columns = ["development_accuracy", "development_auroc", "validation_accuracy"]
    by_draw = results.group_by("draw", "arm").agg(pl.col(columns).mean())
    of_reference = by_draw.filter(pl.col("arm") == reference).drop("arm")
    paired = by_draw.filter(pl.col("arm").is_in(arms)).join(of_reference, on="draw")
    less = [pl.col(name) - pl.col(f"{name}_right") for name in columns]
    means = paired.select("arm", *less).group_by("arm").agg(pl.all().mean())
    allowed = (pl.col("validation_accuracy") >= LEAST_VALIDATION).alias("allowed")
    return means.with_columns(allowed).sort("allowed", *columns[:2], descending=True)


def main() -> None:
    """Print both rankings; the first row of each is the choice."""
    files = [pl.read_csv(path, infer_schema_length=None) for path in sys.argv[1:]]
    rounds = pl.concat(files, how="diagonal_relaxed")
    # real and classic are in every round, with the same numbers
    results = rounds.unique(["draw", "arm", "repeat"], keep="first", maintain_order=True)
    arms = set(results["arm"])
    plain = sorted(a for a in arms if a.startswith(("pretrain", "few", "quarter", "half")))
    classic = sorted(a for a in arms if a.startswith("classic_gan"))
    print(f"{results['draw'].n_unique()} draws; differences of means, shares")
    for title, chosen, reference in (
        ("without classic augmentation of real images, against real", plain, "real"),
        ("with it, against classic", classic, "classic"),
    ):
        ranked = rank(results, chosen, reference)
        print(f"\n{title}\n{ranked.write_csv(separator=' ', float_precision=4)}")


if __name__ == "__main__":
    main()
