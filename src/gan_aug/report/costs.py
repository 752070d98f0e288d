"""What a study took: the time of its GANs and of its fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_aug.report.records import GANFacts
from gan_aug.report.study import FinishedDraw, Study, Swept


@dataclass(frozen=True)
class GANCosts:
    """What the GANs of a condition took."""

    condition: Swept
    gans: int  # those that `study.gan_fits` fits for one count as one
    seconds: float  # mean of each
    batches: float | None  # mean that each was trained on; None of generators that are no GANs
    diverged: int  # how many diverged after their weights had been chosen
    chosen: float | None  # mean after which the weights were taken, where that was chosen


@dataclass(frozen=True)
class Costs:
    """Seconds: of each GAN, counted once, in all and by condition, and of each arm's fits."""

    gans: int
    gan_seconds_mean: float
    gan_seconds_total: float
    by_condition: list[GANCosts]
    fit_seconds_mean: dict[str, float]
    fits: int
    fit_seconds_total: float


def costs_of(study: Study) -> Costs:
    """Return what the GANs and fits of a study took, each counted once."""
    by_condition = []
    for condition in study.conditions:
        if of_condition := _gans(study.of(condition)):
            chosen = [gan.chosen for gan in of_condition if gan.chosen is not None]
            batches = [gan.batches for gan in of_condition if gan.batches is not None]
            by_condition.append(
                GANCosts(
                    condition=study.named(condition),
                    gans=len(of_condition),
                    seconds=float(np.mean([gan.seconds for gan in of_condition])),
                    batches=float(np.mean(batches)) if batches else None,
                    diverged=sum(gan.diverged for gan in of_condition),
                    chosen=float(np.mean(chosen)) if chosen else None,
                )
            )
    gans = [gan.seconds for gan in _gans(study.jobs)]
    fits = [fit for job in study.jobs for fit in job.result.fits]
    done = [fit for fit in fits if not fit.reused]
    there = {fit.predictions for fit in done}
    # Of one that another job did and that is not in the report, too: the time was spent.
    done += {fit.predictions: fit for fit in fits if fit.predictions not in there}.values()
    return Costs(
        gans=len(gans),
        gan_seconds_mean=float(np.mean(gans)) if gans else 0.0,
        gan_seconds_total=float(sum(gans)),
        by_condition=by_condition,
        fit_seconds_mean={
            arm: float(np.mean([fit.seconds for fit in fits if fit.arm == arm]))
            for arm in study.arms
        },
        fits=len(done),
        fit_seconds_total=float(sum(fit.seconds for fit in done)),
    )


def _gans(jobs: list[FinishedDraw]) -> list[GANFacts]:
    """Return the GANs of some draws, each once."""
    gans = (gan for job in jobs for gan in job.result.gans.values())
    return list({gan.checkpoint_sha256: gan for gan in gans}.values())
