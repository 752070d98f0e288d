"""The report of a study: report.html, results.csv, summary.json and figures/."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from gan_aug.pages import html
from gan_aug.pages.figure import figure_png, numbered_names
from gan_aug.report.answer import answer_of, asked_verdicts, blind, worth_of
from gan_aug.report.archive import check_archive, files_to_keep, write_archive
from gan_aug.report.comparisons import shown_difference
from gan_aug.report.crossed import fixed
from gan_aug.report.done import minutes, what_was_done
from gan_aug.report.external import careful_of
from gan_aug.report.figures import all_figures
from gan_aug.report.metrics import LOWER_IS_BETTER
from gan_aug.report.phrases import ends_of, leading, points, with_interval
from gan_aug.report.quality import name_of
from gan_aug.report.read import read_study
from gan_aug.report.statistics import LEAST_DRAWS
from gan_aug.report.study import LEFT_OUT, FinishedDraw, Study, label_of
from gan_aug.report.summary import Answer, Summary, plain, summarise
from gan_aug.runtime.errors import warn
from gan_aug.runtime.files import refuse_links, replace_file, write_json, write_text
from gan_aug.runtime.terminal import cell


def answered(study: Study) -> tuple[Summary, Answer]:
    """Return all numbers of a study's report, and what is said of them first."""
    summary = summarise(study)
    done = what_was_done(study, summary.external, summary.costs)
    return summary, answer_of(summary, study.titles, done)


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
        GanAugError: no sound finished draw, draws that do not belong together, an archive that is
            no .zip, or a link in what it would hold.
    """
    if archive is not None:
        check_archive(archive)
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
    write_json(study_dir / "summary.json", plain(summary, answer))
    page = study_dir / "report.html"
    of_figures = numbered_names(figure for figure in drawn.values() if figure is not None)
    write_text(page, render(study, summary, answer, figures, of_figures))
    os.utime(page, (started, started))  # a draw that ended since then is not in it
    if archive is not None:
        write_archive(study, kept, archive)
    return Report(page, answer, [said for one in summary.external for said in careful_of(one)])


def render(
    study: Study, summary: Summary, answer: Answer, figures: dict[str, bytes], of_figures: str
) -> str:
    """Return the page as HTML; figures are name to PNG."""
    filters: dict[str, Callable[..., Any]] = {
        "percent": lambda share: "" if share is None else f"{100 * share:.2f}",
        "points": points,
        "ends": ends_of,
        "interval": with_interval,
        "p": _p,
        "label": label_of,
        "leading": leading,
        "worth": partial(worth_of, summary),
        "blind": partial(blind, summary),
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
        answer=answer,
        # Numbers of each condition come before words, where there are several.
        overview=asked_verdicts(summary) if len(study.conditions) > 1 else [],
        metrics=study.metrics,
        lower_is_better=LOWER_IS_BETTER,
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
