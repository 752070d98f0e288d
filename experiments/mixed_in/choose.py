"""Apply the rule that chooses what is confirmed: python experiments/mixed_in/choose.py RESULTS.csv

The rule is in README.md. It was written down before the first draw of the search had ended. It
reads development and internal images; the search does not measure on test images.
"""

from __future__ import annotations

import sys

import polars as pl

DEVELOPMENT = "development"
ACCURACIES = ("accuracy", "accuracy_at_validation_threshold")
LEAST_INTERNAL = -0.01
"""A way may lose this much internal accuracy against real images alone, no more."""
WEIGHTS = {"chosen": "", "last": "_last"}


def score(split: str) -> pl.Expr:
    """Return the mean of the accuracy at 0.5 and at the validation threshold."""
    return pl.mean_horizontal(f"{split}_{name}" for name in ACCURACIES)


def by_draw(results: pl.DataFrame, weights: str) -> pl.DataFrame:
    """Return what the rule reads of each arm, condition and draw, of one step's weights."""
    development, internal = (one + WEIGHTS[weights] for one in (DEVELOPMENT, "internal"))
    return results.group_by("normal", "pneumonia", "model", "draw", "arm").agg(
        score(development).mean().alias("score"),
        pl.col(f"{development}_auroc").mean().alias("auroc"),
        score(internal).mean().alias("internal"),
    )


def less(table: pl.DataFrame, arm: str, reference: str) -> pl.DataFrame:
    """Return an arm's values less those of another, by condition: means over draws."""
    keys = ["normal", "pneumonia", "model", "draw"]
    values = ["score", "auroc", "internal"]
    own, other = (table.filter(pl.col("arm") == one) for one in (arm, reference))
    paired = own.join(other, on=keys, suffix="_other")
    apart = paired.select(*keys, *(pl.col(v) - pl.col(f"{v}_other") for v in values))
    return apart.group_by(keys[:3]).agg(pl.col(values).mean(), pl.len().alias("draws"))


def ranked(results: pl.DataFrame) -> pl.DataFrame:
    """Return every way of mixing GAN images in, the allowed ones first, then by score."""
    ways = sorted({arm for arm in results["arm"] if "gan_" in arm})
    rows = []
    for weights in WEIGHTS:
        table = by_draw(results, weights)
        for arm in ways:
            classic = arm.startswith("classic_")
            over = {
                "real": less(table, arm, "real"),
                "control": less(table, arm, arm.replace("gan_", "copies_")),
                "plain": less(table, arm, "classic" if classic else "real"),
            }
            keys = ["normal", "pneumonia", "model"]
            joined = over["real"]
            for name in ("control", "plain"):
                joined = joined.join(over[name].select(*keys, pl.col("score").alias(name)), on=keys)
            rows.append(
                joined.with_columns(
                    arm=pl.lit(arm), weights=pl.lit(weights), classic=pl.lit(classic)
                )
            )
    allowed = (
        (pl.col("control") > 0)
        & (pl.col("plain") > 0)
        & (pl.col("auroc") >= 0)
        & (pl.col("internal") >= LEAST_INTERNAL)
    )
    return (
        pl.concat(rows)
        .with_columns(allowed.alias("allowed"))
        .sort("allowed", "score", descending=True)
    )


def main() -> None:
    """Print the rankings; the first row of each, where it is allowed, is the choice."""
    results = pl.read_csv(sys.argv[1], infer_schema_length=None)
    every = ranked(results)
    for title, rows in (
        ("400 + 300, without classic augmentation", (pl.col("normal") == 400) & ~pl.col("classic")),
        ("200 + 200, without classic augmentation", (pl.col("normal") == 200) & ~pl.col("classic")),
        ("either, with classic augmentation", pl.col("classic")),
    ):
        shown = every.filter(rows).drop("pneumonia", "classic")
        print(f"\n{title}\n{shown.write_csv(separator=' ', float_precision=4)}")


if __name__ == "__main__":
    main()
