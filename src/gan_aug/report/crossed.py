"""Intervals over draws and test patients at once: would other patients show it too?

A test folder is itself a sample. Every draw is measured on the same test patients, so draws and
patients are crossed, and a difference between two arms varies with both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import found_classes
from gan_aug.report.results import AT_VALIDATION_THRESHOLD
from gan_aug.report.statistics import CONFIDENCE

Numbers = NDArray[np.float64]


def contributions(
    probabilities: Numbers, labels: NDArray[np.int64], classes: Classes, threshold: float | None
) -> dict[str, Numbers]:
    """Return what each image contributes to the metrics that are means, or nearly so.

    Rates are linearised as ratios, since the number of images of a class is itself a sample's; the
    AUROC by the structural components of DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44:837).

    Args:
        probabilities: (N, K).
        labels: (N,); every class occurs.
        classes: K of them.
        threshold: chosen on validation, of the positive class; None where there is none.

    Returns:
        Metric to (N,), whose mean is the metric.
    """
    found = found_classes(probabilities, classes)
    right = (found == labels).astype(float)
    positive = classes.positive_label
    sensitivities = {k: _rate(right, labels == k) for k in range(len(classes))}
    every = {
        "accuracy": right,
        "balanced_accuracy": np.mean(list(sensitivities.values()), axis=0),
    }
    if positive is None:
        each = [_auroc(probabilities[:, k], labels == k) for k in range(len(classes))]
        of_class = {f"sensitivity_{classes.names[k]}": v for k, v in sensitivities.items()}
        return every | of_class | {"auroc": np.mean(each, axis=0)}
    assert threshold is not None
    scores, is_positive = probabilities[:, positive], labels == positive
    return every | {
        "sensitivity": sensitivities[positive],
        "specificity": sensitivities[1 - positive],
        AT_VALIDATION_THRESHOLD: ((scores >= threshold) == is_positive).astype(float),
        "auroc": _auroc(scores, is_positive),
    }


def _rate(right: Numbers, among: NDArray[np.bool_]) -> Numbers:
    rate = right[among].mean()
    found: Numbers = np.where(among, rate + (right - rate) / among.mean(), rate)
    return found


def _auroc(scores: Numbers, is_positive: NDArray[np.bool_]) -> Numbers:
    """DeLong's components, from ranks as Sun & Xu (2014, doi:10.1109/LSP.2014.2337313) do."""
    inside, outside = scores[is_positive], scores[~is_positive]
    ranks = stats.rankdata(scores)
    above = (ranks[is_positive] - stats.rankdata(inside)) / len(outside)
    below = 1 - (ranks[~is_positive] - stats.rankdata(outside)) / len(inside)
    area = above.mean()
    found = np.empty(len(scores))
    found[is_positive] = area + (above - area) / is_positive.mean()
    found[~is_positive] = area + (below - area) / (~is_positive).mean()
    return found


def crossed_interval(differences: Numbers, patients: NDArray[Any]) -> tuple[float, float]:
    """Return the 95% interval of a mean difference over draws and patients.

    A crossed model with random draws, random patients and what is between the two. Its variances
    are estimated as in an analysis of variance, those of patients from sums over a patient's
    images, as in the clustered DeLong method (Obuchowski 1997, Biometrics 53:567); degrees of
    freedom after Satterthwaite. It is never narrower than the t interval over draws.

    Args:
        differences: (draws, images) `contributions` to one arm less those to another, repeats
            averaged; at least 2 draws.
        patients: (images,) the patient of each; at least 2.
    """
    n_draws = len(differences)
    of_draws = differences.mean(axis=1)
    mean = of_draws.mean()
    _, numbers = np.unique(patients, return_inverse=True)
    n_patients = numbers.max() + 1
    off = (differences - of_draws[:, None]) / differences.shape[1]
    sums = np.stack([np.bincount(numbers, row, n_patients) for row in off])
    by_patient = sums.mean(axis=0)
    sampled = n_patients / (n_patients - 1)
    over_draws = of_draws.var(ddof=1) / n_draws
    over_patients = sampled * (by_patient**2).sum()
    # Both hold what is between draws and patients, which therefore counts once too often.
    between = sampled * ((sums - by_patient) ** 2).sum() / (n_draws * (n_draws - 1))
    variance = over_draws + max(0.0, over_patients - between)

    def quantile(freedom: float) -> float:
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))

    half = quantile(n_draws - 1) * np.sqrt(over_draws)
    if over_patients > between:
        freedom = variance**2 / (
            over_draws**2 / (n_draws - 1)
            + over_patients**2 / (n_patients - 1)
            + between**2 / ((n_draws - 1) * (n_patients - 1))
        )
        # Where one part is taken off another, the formula may fall below either's freedom.
        freedom = max(freedom, min(n_draws - 1, n_patients - 1))
        half = max(half, quantile(freedom) * np.sqrt(variance))
    return float(mean - half), float(mean + half)
