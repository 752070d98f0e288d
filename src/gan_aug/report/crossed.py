"""Intervals over draws and test patients at once: would other patients show it too?

A test folder is itself a sample. Every draw is measured on the same test patients, so draws and
patients are crossed, and a difference between two arms varies with both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import stdtrit

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import BINS, found_classes
from gan_aug.report.results import AT_VALIDATION_THRESHOLD
from gan_aug.report.statistics import CONFIDENCE, Error

Numbers = NDArray[np.float64]


def contributions(
    probabilities: Numbers, labels: NDArray[np.int64], classes: Classes, threshold: float | None
) -> dict[str, Numbers]:
    """Return what each image contributes to the metrics, which are means of that, or nearly so.

    Rates are linearised as ratios, since the number of images of a class is itself a sample's; the
    AUROC by the structural components of DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44:837),
    the average precision by its derivative in the images' weights, and the calibration error with
    each bin's gap on the side where it is.

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
        each = [(probabilities[:, k], labels == k) for k in range(len(classes))]
        of_class = {f"sensitivity_{classes.names[k]}": v for k, v in sensitivities.items()}
        return (
            every
            | of_class
            | {
                "auroc": np.mean([_auroc(*one) for one in each], axis=0),
                "auprc": np.mean([_auprc(*one) for one in each], axis=0),
                "calibration_error": _calibration_error(probabilities.max(axis=1), right),
            }
        )
    assert threshold is not None
    scores, is_positive = probabilities[:, positive], labels == positive
    return every | {
        "sensitivity": sensitivities[positive],
        "specificity": sensitivities[1 - positive],
        AT_VALIDATION_THRESHOLD: ((scores >= threshold) == is_positive).astype(float),
        "auroc": _auroc(scores, is_positive),
        "auprc": _auprc(scores, is_positive),
        "calibration_error": _calibration_error(scores, is_positive.astype(float)),
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


def _auprc(scores: Numbers, is_positive: NDArray[np.bool_]) -> Numbers:
    """Linearise the average precision in the images' weights."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], is_positive[order]
    # Images of equal scores come in together: each counts where the last of them stands.
    last = np.searchsorted(-ranked, -ranked, side="right") - 1
    inside = np.cumsum(positive)[last].astype(float)
    outside = np.cumsum(~positive)[last].astype(float)
    every, n = inside + outside, float(positive.sum())
    area = float((inside / every)[positive].sum() / n)
    # An image counts in the precision at every positive one that is ranked as high or lower.
    first = np.searchsorted(-ranked, -ranked, side="left")

    def below(values: Numbers) -> Numbers:
        sums = np.append(np.cumsum((values * positive)[::-1])[::-1], 0.0)
        found: Numbers = sums[first]
        return found

    gain, loss = below(outside / every**2), below(inside / every**2)
    slopes = np.where(positive, inside / every - area + gain, -loss) / n
    found = np.empty(len(scores))
    found[order] = area + len(scores) * slopes
    return found


def _calibration_error(confidences: Numbers, right: Numbers) -> Numbers:
    """Return each image's part in the mean gap of its bin, on the side that the bin is."""
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1), confidences, side="right") - 1
    gaps = right - confidences
    found: Numbers = gaps * np.sign(np.bincount(bins, gaps, BINS + 1))[bins]
    return found


@dataclass(frozen=True)
class Means:
    """The means of some arms over draws, and what they vary by together.

    A crossed model with random draws, random patients and what is between the two. Its variances
    are estimated as in an analysis of variance, those of patients from sums over a patient's
    images, as in the clustered DeLong method (Obuchowski 1997, Biometrics 53:567); degrees of
    freedom after Satterthwaite. An interval is never narrower than the t interval over draws.

    Attributes:
        values: (draws, arms), at least 2 draws.
        of_patients: (arms, arms) covariances of the means over patients; None where draws have
            patients of their own, or none are known: intervals are over draws then.
        between: likewise, of what is between draws and patients.
        patients: how many.
    """

    values: Numbers
    of_patients: Numbers | None = None
    between: Numbers | None = None
    patients: int | None = None

    def mean(self, weights: Numbers) -> Numbers:
        """Return a combination of the means: (..., arms) to (...)."""
        found: Numbers = np.asarray(weights @ self.values.mean(axis=0))
        return found

    def half(self, weights: Numbers, confidence: float = CONFIDENCE) -> Numbers:
        """Return half the width of the interval of a combination: (..., arms) to (...)."""
        n = len(self.values)
        of_draws = _combined(weights, np.atleast_2d(np.cov(self.values.T))) / n
        quantile = (1 + confidence) / 2
        half = np.asarray(stdtrit(n - 1, quantile) * np.sqrt(of_draws))
        if self.of_patients is None:
            return half
        se, freedom = self._crossed(weights, of_draws)
        widest: Numbers = np.maximum(half, stdtrit(freedom, quantile) * se)
        return widest

    def _crossed(self, weights: Numbers, of_draws: Numbers) -> tuple[Numbers, Numbers]:
        assert self.of_patients is not None
        assert self.between is not None
        assert self.patients is not None
        n = len(self.values)
        of_patients = _combined(weights, self.of_patients)
        between = _combined(weights, self.between)
        # Both hold what is between draws and patients, which therefore counts once too often.
        added = np.maximum(0, of_patients - between)
        variance = of_draws + added
        apart = (
            of_draws**2 / (n - 1)
            + of_patients**2 / (self.patients - 1)
            + between**2 / ((n - 1) * (self.patients - 1))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = variance**2 / apart
        # Where one part is taken off another, the formula may fall below either's freedom.
        freedom = np.maximum(freedom, min(n - 1, self.patients - 1))
        return np.sqrt(variance), np.where(added > 0, freedom, n - 1.0)

    def error(self, weights: Numbers) -> Error | None:
        """Return a combination's error over draws and patients; None: these are not known."""
        if self.of_patients is None:
            return None
        of_draws = np.asarray((self.values @ weights).var(ddof=1) / len(self.values))
        se, freedom = self._crossed(weights, of_draws)
        return Error(float(se), float(freedom), self.patients)

    def interval(self, weights: Numbers) -> tuple[float, float]:
        """Return the 95% interval of a combination of the means: weights (arms,)."""
        mean, half = float(self.mean(weights)), float(self.half(weights))
        return mean - half, mean + half


def _combined(weights: Numbers, covariances: Numbers) -> Numbers:
    """Return the variances of combinations: (..., arms) and (arms, arms) to (...)."""
    found: Numbers = np.maximum(0, ((weights @ covariances) * weights).sum(axis=-1))
    return found


def over_patients(by_image: Numbers, patients: NDArray[Any]) -> Means:
    """Return the means of some arms over draws and patients.

    Args:
        by_image: (arms, draws, images) `contributions`, repeats averaged; at least 2 draws.
        patients: (images,) the patient of each, the same in every draw; at least 2.
    """
    n_draws, n_images = by_image.shape[1:]
    of_draws = by_image.mean(axis=2)
    _, numbers = np.unique(patients, return_inverse=True)
    n_patients = int(numbers.max()) + 1
    whose = np.zeros((n_images, n_patients))
    whose[np.arange(n_images), numbers] = 1
    sums = (by_image - of_draws[..., None]) @ whose / n_images
    by_patient = sums.mean(axis=1)
    sampled = n_patients / (n_patients - 1)
    off = sums - by_patient[:, None]
    between = sampled * np.einsum("adp,bdp->ab", off, off) / (n_draws * (n_draws - 1))
    return Means(of_draws.T, sampled * by_patient @ by_patient.T, between, n_patients)
