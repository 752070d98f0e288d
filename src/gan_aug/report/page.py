"""report.html: one self-contained page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gan_aug.pages import html
from gan_aug.pages.html import data_uri, png_of
from gan_aug.report.answer import asked_verdicts, measure_of, points, worth_of
from gan_aug.report.comparisons import Verdict, shown_difference
from gan_aug.report.crossed import FIXED
from gan_aug.report.done import minutes
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.quality import name_of
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import FinishedDraw, Study
from gan_aug.report.summary import Summary


def render(study: Study, summary: Summary, figures: dict[str, bytes]) -> str:
    """Return the page as HTML, from a summary with `answer` and figures, name to PNG."""
    filters: dict[str, Callable[..., str]] = {
        "percent": lambda share: "" if share is None else f"{100 * share:.2f}",
        "points": lambda share: "" if share is None else points(share),
        "p": _p,
        "minutes": minutes,
        "titled": name_of,
        "counts": lambda counts: ", ".join(f"{n} {name}" for name, n in counts.items()),
    }
    declared = {(one.split, one.name) for one in summary.endpoints}
    return html.render(
        Path(__file__).with_name("report.html.j2"),
        filters,
        shown_difference=shown_difference,
        study=study,
        summary=summary,
        overview=overview(summary),
        metrics=study.metrics,
        lower_is_better=LOWER_IS_BETTER,
        labels=[study.label(condition) for condition in study.conditions],
        arms={arm: study.first.arms[arm] for arm in study.arms},
        figures={name: data_uri(png) for name, png in figures.items()},
        grids=_grids(study),
        least=LEAST_DRAWS,
        declared=declared,
        declared_worth=[m for m in summary.worth if (m.split, m.metric) in declared],
        other_worth=[m for m in summary.worth if (m.split, m.metric) not in declared],
        fixed=study.primary in FIXED,
    )


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _grids(study: Study) -> dict[str, str]:
    """Return the first draw's sheets of real and generated images, by what they show."""
    job = study.jobs[0]
    sheets = {}
    for path in sorted((job.folder / "grids").glob("*.png")):
        kind, _, name = path.stem.partition("_")
        title = f"real, {name}" if kind == "real" else f"generated, {_made_from(job, name)}"
        picture = data_uri(png_of(Image.open(path, formats=["PNG"])))
        sheets[f"{title}; draw {job.result.draw}"] = picture
    return sheets


def _made_from(job: FinishedDraw, name: str) -> str:
    """Return a class of generated images; of translated ones `from -> to`."""
    gan = job.result.gans.get(name)
    return f"{', '.join(gan.sources)} -> {name}" if gan and gan.sources else name


@dataclass(frozen=True)
class Row:
    """What the asked arm gives on a declared endpoint under one condition."""

    verdict: Verdict  # of it against its reference, with the difference
    blind: bool  # whether more real images are not shown to move the endpoint either
    worth: str | None  # further real images that it is worth; None where that cannot be told
    copies: str | None  # likewise, of as many copies of real images


def overview(summary: Summary) -> list[Row]:
    """Return the rows, endpoints as they were declared; none where there is only one condition."""
    if len(summary.splits[summary.primary][summary.endpoints[0].name]) < 2:
        return []
    rows = []
    for one in asked_verdicts(summary):
        measure = measure_of(summary, one)
        blind = measure is not None and not measure.sensitivity.seen
        worth, copies = (worth_of(summary, one, arm) for arm in (one.arm, summary.control))
        rows.append(Row(one, blind, worth, copies))
    return rows
