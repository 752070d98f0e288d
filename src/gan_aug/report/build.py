"""The report of a study: report.html, results.csv, summary.json and figures/."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from gan_aug.pages.figure import figure_png
from gan_aug.report.answer import answer_of
from gan_aug.report.archive import files_to_keep, write_archive
from gan_aug.report.done import what_was_done
from gan_aug.report.figures import all_figures
from gan_aug.report.page import render
from gan_aug.report.study import LEFT_OUT, Study, read_study
from gan_aug.report.summary import Answer, Summary, plain, summarise
from gan_aug.run.errors import warn
from gan_aug.run.files import replace_file, write_json, write_text
from gan_aug.run.terminal import cell


def answered(study: Study) -> tuple[Summary, Answer]:
    """Return all numbers of a study's report, and what is said of them first."""
    summary = summarise(study)
    titles = {arm: facts.title for arm, facts in study.first.arms.items()}
    answer = answer_of(summary, titles, what_was_done(study, summary.costs))
    return replace(summary, answer=answer), answer


def as_csv(table: pl.DataFrame) -> str:
    """Return a table as CSV that spreadsheets may open: see `gan_aug.run.terminal`."""
    texts = pl.col(pl.String).map_elements(cell, return_dtype=pl.String)
    return table.with_columns(texts).rename(cell).write_csv()


@dataclass(frozen=True)
class Report:
    """A report that was written: where its page lies, and what it says first."""

    page: Path
    answer: Answer


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
    figures = {}
    for name, figure in all_figures(study, summary).items():
        path = study_dir / "figures" / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)  # drawn when there were other draws
        else:
            figures[name] = figure_png(figure)
            replace_file(path, partial(Path.write_bytes, data=figures[name]), study_dir)
    write_text(study_dir / "results.csv", as_csv(study.table))
    write_json(study_dir / "summary.json", plain(summary))
    page = study_dir / "report.html"
    write_text(page, render(study, summary, figures))
    os.utime(page, (started, started))  # a draw that ended since then is not in it
    if archive is not None:
        write_archive(study, kept, archive)
    return Report(page, answer)
