"""Prints a README's tables from its archived draws: python experiments/worth/table.py ZIP ...

The numbers are the report's own: metrics, intervals, p and verdicts come from the same functions.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gan_aug.report.comparisons import BETTER, WORSE, Verdict, Where, compare_on, verdicts
from gan_aug.report.crossed import Means, OverPatients, over_patients
from gan_aug.report.metrics import LAST
from gan_aug.report.phrases import with_interval
from gan_aug.report.read import read_study
from gan_aug.report.statistics import Comparison
from gan_aug.report.study import Condition, Study
from gan_aug.report.summary import declared_families
from gan_aug.report.worth import Measure, measure_on, measure_worth

PAIRS = (
    ("gan", "duplicate"),
    ("classic_gan", "classic"),
    ("classic_gan", "classic_duplicate"),
    ("mixup", "mixup_control"),
)
POOLED = (("gan", "real"), ("mixup", "mixup_control"), ("classic_gan", "classic"))
"""Pairs whose mean over all conditions is printed."""


def read(archives: Sequence[Path], folder: Path) -> Study:
    """Unpack a study's archives into a folder and read it."""
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    return read_study(folder)


def p_of(value: float | None) -> str:
    """Return a p value."""
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.2g}"


class Tables:
    """The tables of a study."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.over = OverPatients(study)
        splits = list(dict.fromkeys(one.split for one in study.endpoints))
        self.worth = measure_worth(study, splits, self.over)
        self.families = declared_families(study, self.over)
        self.verdicts = verdicts(study, self.families, self.worth)

    def verdict(self, condition: Condition, arm: str, reference: str) -> Verdict | None:
        """Return what is said of two arms on the primary endpoint; None: they are not compared."""
        wanted = (condition, self.study.endpoints[0], arm, reference)
        found = (
            v for v in self.verdicts if (v.condition, v.endpoint, v.arm, v.reference) == wanted
        )
        return next(found, None)

    def measure(self, condition: Condition, split: str, metric: str) -> Measure:
        """Return the ruler under a condition on an endpoint."""
        found = measure_on(self.worth, condition, (split, metric))
        assert found is not None
        return found

    def comparison(self, condition: Condition, where: Where, *arms: str) -> Comparison:
        """Compare two arms, of the ruler too."""
        pairs = compare_on(self.study, where, self.over, [arms])
        return next(pair for pair in pairs if pair.condition == condition)

    def differences(self, condition: Condition, arm: str, reference: str) -> str:
        """Return a pair's cells: difference, p and verdict on the primary endpoint, then others."""
        cells = []
        for endpoint in self.study.endpoints:
            where = (endpoint.split, endpoint.name)
            found = self.comparison(condition, where, arm, reference)
            cells.append(with_interval(found.mean, found.interval))
        judged = self.verdict(condition, arm, reference)
        beside = [p_of(judged.p_holm), judged.word] if judged else ["", ""]
        return " | ".join([cells[0], *beside, *cells[1:]])

    def of_condition(self, condition: Condition) -> Iterator[str]:
        """Yield the table of one condition."""
        study = self.study
        facts = study.of(condition)[0].result.ruler
        assert facts is not None
        first, *others = study.endpoints
        primary = self.measure(condition, first.split, first.name)
        titles = [study.title_of(one).removesuffix(" at 0.5") for one in (first, *others)]
        yield f"\n{primary.draws} draws:\n"
        yield (
            f"| {condition['model']}, on {facts.own} real images of each class "
            "| worth, further real images of each class "
            f"| {titles[0]} | p (Holm) | verdict | {' | '.join(titles[1:])} |"
        )
        yield "| --- " * (5 + len(others)) + "|"
        for arm in study.arms:
            if arm != "real":
                cells = self.differences(condition, arm, "real")
                yield f"| `{arm}` | {primary.arms[arm].worth} | {cells} |"
        (end, _) = max(facts.arms.items(), key=lambda item: item[1])
        steps = list(facts.further)
        for arm, other in (*PAIRS, *zip(steps[1:], steps, strict=False), ("classic", end)):
            yield f"| `{arm}` less `{other}` | | {self.differences(condition, arm, other)} |"
        gains = [
            with_interval(found.gain, found.interval)
            for one in study.endpoints
            for found in [self.measure(condition, one.split, one.name).sensitivity]
        ]
        yield f"| a doubling of the real images | | {' | '.join([gains[0], '', '', *gains[1:]])} |"

    def pooled(self, split: str, arm: str, reference: str) -> tuple[float, tuple[float, float]]:
        """Return the mean over all conditions of a difference on the primary endpoint.

        Conditions share draws and test patients: the means are taken within a draw first.
        """
        metric = self.study.endpoints[0].name
        of_draws, of_images = [], []
        for condition in self.study.conditions:
            arms = (arm, reference)
            values = self.study.by_draw(condition, split, metric)
            of_draws.append(values.select(arms).to_numpy())
            draws = values["draw"].to_list()
            of_images.append(self.over.by_image(condition, split, metric, arms, draws))
        known = [one for one in of_images if one is not None]
        means = Means(np.mean(of_draws, axis=0))
        if len(known) == len(of_images):
            means = over_patients(np.mean([found for found, _ in known], axis=0), known[0][1])
        less = np.array([1.0, -1.0])
        return float(means.mean(less)), means.interval(less)

    def of_all(self) -> Iterator[str]:
        """Yield the means over all conditions, with the chosen steps' weights and the last's."""
        first = self.study.endpoints[0]
        title = f"{first.split} {self.study.metrics[first.name]}"
        yield f"\n| mean of the {len(self.study.conditions)} tables, {title} | chosen | last step |"
        yield "| --- | --- | --- |"
        for arm, reference in POOLED:
            chosen, last = (
                with_interval(*self.pooled(first.split + after, arm, reference))
                for after in ("", LAST)
            )
            yield f"| `{arm}` less `{reference}` | {chosen} | {last} |"

    def shown(self) -> Iterator[str]:
        """Yield what is shown on any declared endpoint, after correction."""
        yield "\nShown after correction:\n"
        for one in self.verdicts:
            if one.word in (BETTER, WORSE):
                where = f"{self.study.title_of(one.endpoint)}, {one.label}"
                difference = with_interval(one.mean, one.interval)
                yield (
                    f"- {where}: {one.arm} {one.word} than {one.reference}, {difference}, "
                    f"p = {p_of(one.p_holm)} of {one.corrected_over}"
                )

    def lines(self) -> Iterator[str]:
        """Yield the tables of all conditions, and that over them."""
        for condition in self.study.conditions:
            yield from self.of_condition(condition)
        yield from self.of_all()
        yield from self.shown()


def main() -> None:
    """Print the tables of every condition."""
    with tempfile.TemporaryDirectory() as folder:
        tables = Tables(read([Path(path) for path in sys.argv[1:]], Path(folder)))
        print("\n".join(tables.lines()))


if __name__ == "__main__":
    main()
