"""Make the statistics and figures of a published study again from its committed results.

    python experiments/recompute.py experiments/seed_protocol experiments/size_sweep ...

results.csv holds every fit; summary.json what was asked. Its arms, comparisons, power and answer
are written anew by the report's own functions, and those figures that need no predictions.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from gan_aug.data.classes import Classes
from gan_aug.report import figures
from gan_aug.report.answer import answer_of
from gan_aug.report.comparisons import Verdict, verdicts
from gan_aug.report.study import Condition, Study
from gan_aug.report.summary import Block, blocks, declared_families, power
from gan_aug.runtime.files import write_json
from gan_aug.settings.design import Endpoint

OVER_DRAWS: Any = SimpleNamespace(means=lambda *_: None)
"""In place of predictions, which were not kept: intervals are over draws alone."""
Splits = dict[str, dict[str, list[Block]]]
DRAWN = ("paired_differences", "accuracy_by_count", "gain_by_size")


class Published(Study):
    """A study of which its results.csv and summary.json are left."""

    def __init__(self, folder: Path) -> None:
        self.__dict__ |= {"folder": folder, "jobs": [], "unfinished": []}
        self.__dict__["summary"] = json.loads((folder / "summary.json").read_text())

    @cached_property
    def table(self) -> pl.DataFrame:
        return pl.read_csv(self.folder / "results.csv", infer_schema_length=None)

    @cached_property
    def blocks(self) -> list[dict[str, Any]]:
        splits = self.__dict__["summary"]["splits"]
        return next(iter(next(iter(splits.values())).values()))

    @property
    def first(self) -> Any:
        summary = self.__dict__["summary"]
        named = {(c["arm"], c["reference"]): None for b in self.blocks for c in b["comparisons"]}
        counts = {arm: re.search(r"_(\d+)$", arm) for arm in self.blocks[0]["arms"]}
        return SimpleNamespace(
            question=SimpleNamespace(**summary["question"]),
            comparisons=[pair for pair in named if pair[1] not in ("real", "duplicate")],
            condition=self.blocks[0]["condition"],
            ruler=None,
            control=summary["control"],
            arms={
                a: SimpleNamespace(added={"all": int(n[1])} if n else {}) for a, n in counts.items()
            },
            data_classes=Classes(("normal", "pneumonia"), "pneumonia"),
        )

    @property
    def primary(self) -> str:
        return str(self.__dict__["summary"]["primary"])

    @property
    def endpoints(self) -> list[Endpoint]:
        return [Endpoint(split=self.primary, metric="accuracy")]

    @cached_property
    def conditions(self) -> list[Condition]:
        return [block["condition"] for block in self.blocks]

    def rows(self, condition: Condition) -> pl.DataFrame:
        wanted = [pl.col(key).eq_missing(value) for key, value in condition.items()]
        return self.table.filter(wanted) if wanted else self.table

    def of(self, condition: Condition) -> list[Any]:
        return [SimpleNamespace(data=SimpleNamespace(used={"train": {}}))]


def recompute(folder: Path) -> None:
    study = Published(folder)
    summary = study.__dict__["summary"]
    primary, secondary = families = declared_families(study, OVER_DRAWS)
    splits = {
        split: {
            metric: blocks(study, (split, metric), primary.pairs, OVER_DRAWS) for metric in of_split
        }
        for split, of_split in summary["splits"].items()
    }
    judged = verdicts(study, families, [])
    corrected_over = {"primary": primary.size, "secondary": secondary.size}
    new = SimpleNamespace(
        **{
            "warnings": [],
            "further_real": [],
            "positive": "pneumonia",
            "declaration": None,
            "worth": [],
            "gate": [],
            "quality": [],
        }
        | summary
        | {"splits": splits, "question": study.first.question, "rules": [], "unfinished": []}
        | {"external": [], "adds": "gan", "maker": "GAN"}
        | {"units": dict.fromkeys(splits, "patients")}  # file names tell them
        | {"endpoints": study.endpoints, "title": study.title, "verdicts": judged}
        | {"corrected_over": corrected_over, "data_classes": study.classes, "declared": False}
    )
    before, asked = summary["answer"], summary["question"]["arm"]
    title = re.search(rf"\b{asked} \((.+?)\) better", before["question"])
    assert title is not None
    answer = answer_of(new, {asked: title[1]}, before["done"])
    # Rules are of the draws' files, which are not kept: what was said of them stands.
    careful = [line for line in before["careful"] if line.startswith("Careful: broken")]
    summary |= {
        "splits": TypeAdapter(Splits).dump_python(splits, mode="json"),
        "power": to_jsonable_python(power(study, primary)),
        "verdicts": TypeAdapter(list[Verdict]).dump_python(judged, mode="json"),
        "corrected_over": corrected_over,
        "answer": to_jsonable_python(replace(answer, careful=[*careful, *answer.careful])),
    }
    write_json(folder / "summary.json", summary)
    for name in DRAWN:
        if (folder / f"{name}.png").exists():
            draw: Any = getattr(figures, name)
            figure = draw(study) if name == "accuracy_by_count" else draw(study, new)
            assert figure is not None
            figure.savefig(folder / f"{name}.png")


if __name__ == "__main__":
    for given in sys.argv[1:]:
        recompute(Path(given))
