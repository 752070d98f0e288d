"""The quality of a study's GANs, and whether better ones gave a larger gain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import stats

from gan_aug.evaluation.measured import BASELINE, GENERATED, Quality, Values, misses, real_share
from gan_aug.report.predictions import Numbers
from gan_aug.report.statistics import LEAST_DRAWS, holm_once
from gan_aug.report.study import Condition, FinishedDraw, Study

NAMES = {
    "kid": "KID",
    "fid": "FID",
    "swd": "sliced Wasserstein distance",
    "ms_ssim": "MS-SSIM between pairs",
    "nearest_pixel": "distance to the nearest training image, pixels",
    "copying_pixel": "nearer to training than unseen real, pixels",
    "copying_source_pixel": "nearer to its source than unseen real to training, pixels",
    "nearest_feature": "distance to the nearest training image, features",
    "copying_feature": "nearer to training than unseen real, features",
    "copying_source_feature": "nearer to its source than unseen real to training, features",
    "judged_as_class": "share the reference classifier takes for its class",
    "gan_test": "GAN-test",
    "gan_train_auroc": "GAN-train, AUROC",
    "gan_train_accuracy": "GAN-train, balanced accuracy",
    "membership_auc": "discriminator's test of membership, AUC",
}


def name_of(value: str) -> str:
    """Return what a value is called in a report."""
    return NAMES.get(value, value)


@dataclass(frozen=True)
class QualityRow:
    """A value of the images of a class under a condition, over draws.

    The baseline is that of unseen real images; None of what only generated images can have, such as
    a distance to their sources. A standard deviation of one draw is None.
    """

    class_: Annotated[str, Field(serialization_alias="class")]
    value: str
    good: str  # lower, higher, or baseline, as near to it as possible
    n: list[int]  # fewest and most images of a draw
    extractor: str  # where features come from
    generated: float  # mean over draws
    generated_sd: float | None
    baseline: float | None
    baseline_sd: float | None
    rho: float | None  # Spearman's, with the gain; None where nothing varies, or with few draws
    p: float | None  # of the correlation
    condition: Condition
    p_holm: float | None  # `p` after Holm's correction over the rows of the condition and class


def summarise_quality(study: Study) -> list[QualityRow]:
    """Return a row for each condition, class and value; empty where a draw was not measured."""
    if any(job.result.quality is None for job in study.jobs):
        return []
    rows: list[QualityRow] = []
    for condition in study.conditions:
        jobs, gains = study.of(condition), gains_of(study, condition)
        first, *others = _qualities(jobs)
        for name in first.classes:
            # Draws may have been measured with other settings.
            common = [
                _row(condition, jobs, gains, name, value)
                for value in first.good
                if all(
                    name in one.classes and value in one.classes[name].values[GENERATED]
                    for one in (first, *others)
                )
            ]
            corrected = holm_once([row.p for row in common], range(len(common)))
            rows += [replace(row, p_holm=p) for row, p in zip(common, corrected, strict=True)]
    return rows


@dataclass(frozen=True)
class GateRow:
    """How many draws' GANs of a class pass the gate under a condition.

    `real` is how often the unseen real images of one draw pass the gate that those of another set,
    over all pairs of draws. Draws may have some of these images in common, which makes them more
    alike, not less.
    """

    condition: Condition
    class_: Annotated[str, Field(serialization_alias="class")]
    gate: Values  # value to its largest distance from that of unseen real images
    draws: int  # that were measured
    passed: int  # draws whose GAN passes
    missed: dict[str, int]  # value to the draws whose GAN misses the gate by it
    real: float | None  # None where no two draws were measured alike


def summarise_gate(study: Study) -> list[GateRow]:
    """Return a row for each condition and class; none where a draw was not measured by the gate."""
    rows = []
    for condition in study.conditions:
        measured = _qualities(study.of(condition))
        for name in measured[0].classes if measured else ():
            gate = measured[0].gate
            of_draws = [misses(one, name) for one in measured if one.gate == gate]
            gated = [missed for missed in of_draws if missed is not None]
            if gate and len(gated) == len(study.of(condition)):
                missed = {value: sum(value in one for one in gated) for value in gate}
                passed = sum(not one for one in gated)
                baselines = [(one, one.classes[name].values[BASELINE]) for one in measured]
                real = real_share(
                    [
                        (one, theirs, own)
                        for (one, own), (other, theirs) in permutations(baselines, 2)
                        # Features of two extractors are two scales: no two sets can be compared.
                        if one.extractor == other.extractor
                    ]
                )
                rows.append(GateRow(condition, name, gate, len(gated), passed, missed, real))
    return rows


def gains_of(study: Study, condition: Condition) -> Numbers:
    """Return each draw's gain in the primary endpoint: the asked arm less its reference."""
    asked, values = study.first.question, study.main_by_draw(condition)
    return (values[asked.arm] - values[asked.reference]).to_numpy()


def values_of(jobs: list[FinishedDraw], name: str, images: str, value: str) -> Numbers:
    """Return a value of a class's `GENERATED` or `BASELINE` images; none where a draw lacks it."""
    values = [one.classes[name].values[images].get(value) for one in _qualities(jobs)]
    return np.array([] if None in values else values, np.float64)


def _qualities(jobs: list[FinishedDraw]) -> list[Quality]:
    return [job.result.quality for job in jobs if job.result.quality is not None]


def _row(
    condition: Condition, jobs: list[FinishedDraw], gains: Numbers, name: str, value: str
) -> QualityRow:
    measured = _qualities(jobs)
    generated, baseline = (values_of(jobs, name, i, value) for i in (GENERATED, BASELINE))
    counts = [one.classes[name].images["measured"] for one in measured]
    extractors = sorted({one.extractor for one in measured})
    rho = p = None
    varies = np.ptp(generated) > 0 and np.ptp(gains) > 0
    # Features of two extractors are two scales, which no correlation may mix.
    if len(measured) >= LEAST_DRAWS and varies and len(extractors) == 1:
        test = stats.spearmanr(generated, gains)
        rho, p = float(test.statistic), float(test.pvalue)
    return QualityRow(
        class_=name,
        value=value,
        good=measured[0].good[value],
        n=[min(counts), max(counts)],
        extractor=", ".join(extractors),
        generated=float(generated.mean()),
        generated_sd=float(generated.std(ddof=1)) if len(measured) > 1 else None,
        baseline=float(baseline.mean()) if len(baseline) else None,
        baseline_sd=float(baseline.std(ddof=1)) if len(baseline) > 1 else None,
        rho=rho,
        p=p,
        condition=condition,
        p_holm=None,
    )
