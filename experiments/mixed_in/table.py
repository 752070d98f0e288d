"""Print README's tables of a confirmation: python experiments/mixed_in/table.py CONFIRM.zip

The numbers are the report's own: metrics, intervals, p and verdicts come from the same functions.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gan_aug.report.comparisons import Verdict, compare_on, verdicts
from gan_aug.report.crossed import OverPatients
from gan_aug.report.metrics import LAST
from gan_aug.report.phrases import p_value, with_interval
from gan_aug.report.read import read_study
from gan_aug.report.study import Study
from gan_aug.report.summary import declared_families

PAIRS = (
    ("gan", "real"), ("gan", "copies"), ("gan", "within"), ("copies", "real"), ("within", "real"),
    ("classic", "real"), ("oversample", "real"), ("more_real", "real"),
)  # fmt: skip
HOPED_FOR = 0.03


class Tables:
    """The tables of a study under one condition."""

    def __init__(self, study: Study) -> None:
        self.study, self.over = study, OverPatients(study)
        (self.condition,) = study.conditions
        judged = verdicts(study, declared_families(study, self.over), [])
        self.judged = {(v.arm, v.reference, v.endpoint.where): v for v in judged}
        self.titles = [study.title_of(one) for one in study.endpoints]

    def verdict(self, arm: str, reference: str, endpoint: int = 0) -> Verdict:
        """Return what is said of two arms on the endpoint of this number."""
        return self.judged[arm, reference, self.study.endpoints[endpoint].where]

    def means(self) -> Iterator[str]:
        """Yield each arm's means over draws, with their standard deviations."""
        yield f"| arm | {' | '.join(self.titles)} |"
        yield "| --- " * (1 + len(self.titles)) + "|"
        for arm in self.study.arms:
            cells = []
            for one in self.study.endpoints:
                of_draws = 100 * self.study.by_draw(self.condition, *one.where)[arm].to_numpy()
                cells.append(f"{of_draws.mean():.2f} ({of_draws.std(ddof=1):.2f})")
            yield f"| `{arm}` | {' | '.join(cells)} |"

    def differences(self) -> Iterator[str]:
        """Yield the pairs on every endpoint; p and verdict are of the first."""
        first, *others = self.titles
        yield f"| | {first} | p (Holm) | verdict | {' | '.join(others)} |"
        yield "| --- " * (4 + len(others)) + "|"
        for pair in PAIRS:
            found = [self.verdict(*pair, number) for number in range(len(self.titles))]
            cells = [with_interval(one.mean, one.interval) for one in found]
            p = p_value(found[0]).removeprefix("p ").removeprefix("= ")
            cells[1:1] = [p, found[0].word]
            yield f"| `{pair[0]}` less `{pair[1]}` | {' | '.join(cells)} |"

    def compared(self, split: str, metric: str, *arms: str) -> str:
        """Compare two arms on what is no endpoint."""
        (found,) = compare_on(self.study, (split, metric), self.over, [arms])
        return with_interval(found.mean, found.interval)

    def undeclared(self) -> Iterator[str]:
        """Yield what nothing declares: against classic augmentation, and by the last step."""
        yield f"| not declared | {' | '.join(self.titles)} |"
        yield "| --- " * (1 + len(self.titles)) + "|"
        rows = [("gan", "classic", ""), *((*pair, LAST) for pair in PAIRS[:3])]
        for arm, reference, after in rows:
            cells = [
                self.compared(one.split + after, one.name, arm, reference)
                for one in self.study.endpoints
            ]
            step = ", last step" if after else ""
            yield f"| `{arm}` less `{reference}`{step} | {' | '.join(cells)} |"

    def by_class(self) -> Iterator[str]:
        """Yield what accuracy at 0.5 is made of; nothing declares it."""
        yield "| not declared | test sensitivity | test specificity |\n| --- | --- | --- |"
        for arm in (one for one, reference in PAIRS if reference == "real"):
            cells = [
                self.compared("test", of, arm, "real") for of in ("sensitivity", "specificity")
            ]
            yield f"| `{arm}` less `real` | {' | '.join(cells)} |"

    def claim(self) -> Iterator[str]:
        """Yield what the claim of 3 points asks for, and whether it holds."""
        over_real, over_copies = self.verdict("gan", "real"), self.verdict("gan", "copies")
        auroc = self.verdict("gan", "real", [e.name for e in self.study.endpoints].index("auroc"))
        for asked, holds in (
            ("a mean of 3 points or more over `real`", over_real.mean >= HOPED_FOR),
            ("an interval over `real` above 0", bool(over_real.interval and over_real.low > 0)),
            ("an interval over copies above 0", bool(over_copies.interval and over_copies.low > 0)),
            ("an AUROC that is not lower", auroc.mean >= 0),
        ):
            yield f"- {asked}: {'yes' if holds else 'no'}"

    def lines(self) -> Iterator[str]:
        """Yield all of it."""
        yield f"{self.verdict('gan', 'real').draws} draws\n"
        for part in (self.means, self.differences, self.undeclared, self.by_class, self.claim):
            yield from part()
            yield ""


def read(archive: Path, folder: Path) -> Study:
    """Unpack an archive into a folder and read its study."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return read_study(folder)


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(Tables(read(Path(sys.argv[1]), Path(folder))).lines()))


if __name__ == "__main__":
    main()
