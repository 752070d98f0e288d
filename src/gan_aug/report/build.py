"""The report of a study: report.html, results.csv, summary.json and figures/."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl
from PIL import Image

from gan_aug.pages import html
from gan_aug.pages.figure import figure_png, numbered_names
from gan_aug.report.answer import answer_of, asked_verdicts, measure_of, worth_of
from gan_aug.report.archive import files_to_keep, write_archive
from gan_aug.report.comparisons import Verdict, shown_difference
from gan_aug.report.crossed import fixed
from gan_aug.report.done import minutes, what_was_done
from gan_aug.report.external import careful_of
from gan_aug.report.figures import all_figures
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.phrases import points
from gan_aug.report.quality import name_of
from gan_aug.report.read import read_study
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import LEFT_OUT, FinishedDraw, Study
from gan_aug.report.summary import Answer, Summary, plain, summarise
from gan_aug.runtime.errors import warn
from gan_aug.runtime.files import refuse_links, replace_file, write_json, write_text
from gan_aug.runtime.terminal import cell


def answered(study: Study) -> tuple[Summary, Answer]:
    """Return all numbers of a study's report, and what is said of them first."""
    summary = summarise(study)
    titles = {arm: facts.title for arm, facts in study.first.arms.items()}
    answer = answer_of(summary, titles, what_was_done(study, summary.costs))
    return replace(summary, answer=answer), answer


def as_csv(table: pl.DataFrame) -> str:
    """Return a table as CSV that spreadsheets may open: see `gan_aug.runtime.terminal`."""
    texts = pl.col(pl.String).map_elements(cell, return_dtype=pl.String)
    return table.with_columns(texts).rename(cell).write_csv()


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        page: where it lies.
        answer: what it says first.
        of_external: what external sets make all else to be read with.
    """

    page: Path
    answer: Answer
    of_external: list[str]


def write_report(
    study_dir: Path, archive: Path | None = None, say: Callable[[str], object] = lambda _: None
) -> Report:
    """Write the report of all finished draws under a folder.

    Args:
        study_dir: of `gan_aug.study`.
        archive: where to write the draws that the report is made from; None: nowhere.
        say: is told what is being done.

    Raises:
        GanAugError: no sound finished draw, draws that do not belong together, or a link in what
            the archive would hold.
    """
    started = time.time()
    study = read_study(study_dir, lambda done, of: say(f"reading draw {done + 1} of {of}"))
    kept = [] if archive is None else files_to_keep(study)  # refused before anything is written
    say("comparing the arms")
    summary, answer = answered(study)
    for left_out in (u for u in study.unfinished if u["status"] == LEFT_OUT):
        warn(f"left out of the report: {left_out['reason']}")
    say("drawing the figures")
    drawn, figures = all_figures(study, summary), {}
    for name, figure in drawn.items():
        path = study_dir / "figures" / f"{name}.png"
        refuse_links(path, study_dir)  # nothing is removed through one either
        if figure is None:
            path.unlink(missing_ok=True)  # drawn when there were other draws
        else:
            figures[name] = figure_png(figure)
            replace_file(path, partial(Path.write_bytes, data=figures[name]), study_dir)
    write_text(study_dir / "results.csv", as_csv(study.table))
    write_json(study_dir / "summary.json", plain(summary))
    page = study_dir / "report.html"
    of_figures = numbered_names(figure for figure in drawn.values() if figure is not None)
    write_text(page, render(study, summary, figures, of_figures))
    os.utime(page, (started, started))  # a draw that ended since then is not in it
    if archive is not None:
        write_archive(study, kept, archive)
    return Report(page, answer, [said for one in summary.external for said in careful_of(one)])


def render(study: Study, summary: Summary, figures: dict[str, bytes], of_figures: str) -> str:
    """Return the page as HTML, from a summary with `answer` and figures, name to PNG."""
    filters: dict[str, Callable[..., str]] = {
        "percent": lambda share: "" if share is None else f"{100 * share:.2f}",
        "points": lambda share: "" if share is None else points(share),
        "p": _p,
        "minutes": minutes,
        "titled": name_of,
        "counts": lambda counts: ", ".join(f"{n} {name}" for name, n in counts.items()),
    }
    declared = {one.where for one in summary.endpoints}
    return html.render(
        Path(__file__).with_name("report.html.j2"),
        filters,
        of_figures,
        shown_difference=shown_difference,
        study=study,
        summary=summary,
        overview=overview(summary),
        metrics=study.metrics,
        lower_is_better=LOWER_IS_BETTER,
        labels=[study.label(condition) for condition in study.conditions],
        arms={arm: study.first.arms[arm] for arm in study.arms},
        figures={name: html.data_uri(png) for name, png in figures.items()},
        grids=_grids(study),
        least=LEAST_DRAWS,
        declared=declared,
        declared_worth=[m for m in summary.worth if (m.split, m.metric) in declared],
        other_worth=[m for m in summary.worth if (m.split, m.metric) not in declared],
        fixed=fixed(study.primary),
        tests=study.side_by_side,
        external_tests=study.external_tests,
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
        picture = html.data_uri(html.png_of(Image.open(path, formats=["PNG"])))
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
