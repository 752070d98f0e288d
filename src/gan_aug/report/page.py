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
from gan_aug.report.worth import Measure

CAPTIONS = {
    "ruler": "Above: a declared endpoint against real images, mean over draws and the monotone "
    "curve through it; dotted: the draw's own images. Below: how many real images each arm "
    "performs like, with 95% intervals; an arrow: at or beyond the ruler's end. Of "
    "several conditions the primary endpoint is drawn.",
    "paired_differences": "Each draw's difference from the arm real. An interval that covers 0 "
    "shows no difference. Bars: over draws, and over patients too where these are known.",
    "accuracy_by_count": "The primary endpoint against the number of images added; bands are 95% t "
    "intervals.",
    "gain_by_size": "Left: the primary endpoint against the size of the training set (bands: 95% t "
    "intervals). Right: difference from real in the same draws.",
    "roc": "Mean ROC curve over draws with its 95% band; dotted: the arm real.",
    "learning_curves": "Mean and standard deviation over draws and repeats.",
    "quality_against_gain": "Each dot is a draw: the quality of its GAN's images against the gain "
    "of the asked arm. Dashed: the mean of unseen real images. rho: Spearman; p after Holm.",
}
MAIN = ("ruler", "paired_differences", "accuracy_by_count", "gain_by_size")
"""Figures that stand with the answer; the others come after the tables."""


def render(study: Study, summary: Summary, figures: dict[str, bytes]) -> str:
    """Return the page as HTML.

    Args:
        study: the study.
        summary: its numbers, with `answer`.
        figures: name to PNG.
    """
    filters: dict[str, Callable[..., str]] = {
        "percent": _percent,
        "points": _points,
        "p": _p,
        "minutes": minutes,
        "titled": name_of,
        "counts": _counts,
    }
    declared = {(one.split, one.name) for one in summary.endpoints}
    worth: tuple[list[Measure], list[Measure]] = ([], [])
    for one in summary.worth:
        worth[(one.split, one.metric) not in declared].append(one)
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
        captions=CAPTIONS,
        main=MAIN,
        grids=_grids(study),
        least=LEAST_DRAWS,
        declared=declared,
        declared_worth=worth[0],
        other_worth=worth[1],
        fixed=study.primary in FIXED,
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _points(share: float | None) -> str:
    return "" if share is None else points(share)


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())


def _grids(study: Study) -> dict[str, str]:
    """Return the first draw's sheets of real and generated images, by what they show."""
    job = study.jobs[0]
    found = {}
    for path in sorted((job.folder / "grids").glob("*.png")):
        kind, _, name = path.stem.partition("_")
        title = f"real, {name}" if kind == "real" else f"generated, {_made_from(job, name)}"
        picture = data_uri(png_of(Image.open(path, formats=["PNG"])))
        found[f"{title}; draw {job.result.draw}"] = picture
    return found


def _made_from(job: FinishedDraw, name: str) -> str:
    """Return a class of generated images; of translated ones `from -> to`."""
    gan = job.result.gans.get(name)
    return f"{', '.join(gan.sources)} -> {name}" if gan and gan.sources else name


@dataclass(frozen=True)
class Row:
    """What the asked arm gives on a declared endpoint under one condition.

    Attributes:
        verdict: of it against its reference, with the difference.
        blind: whether more real images are not shown to move the endpoint either.
        worth: in words, the further real images that it is worth; None without a ruler, and where
            the endpoint cannot tell.
        copies: likewise, of as many copies of real images.
    """

    verdict: Verdict
    blind: bool
    worth: str | None
    copies: str | None


def overview(summary: Summary) -> list[Row]:
    """Return the rows, endpoints as they were declared; none where there is only one condition."""
    if len(summary.splits[summary.primary][summary.endpoints[0].name]) < 2:
        return []
    rows = []
    for verdict in asked_verdicts(summary):
        measure = measure_of(summary, verdict)
        rows.append(
            Row(
                verdict,
                measure is not None and not measure.sensitivity.seen,
                worth_of(summary, verdict, summary.question.arm),
                worth_of(summary, verdict, summary.control),
            )
        )
    return rows
