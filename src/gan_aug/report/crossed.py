"""Intervals over draws and test patients at once: would other patients show it too?

A test folder is itself a sample. Every draw is measured on the same test patients, so draws and
patients are crossed, and a difference between two arms varies with both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gan_aug.report.metrics import contributions, read_name
from gan_aug.report.predictions import Numbers
from gan_aug.report.statistics import CONFIDENCE, Error
from gan_aug.report.study import Condition, FinishedDraw, Study
from gan_aug.settings.design import OF_DRAW


def fixed(split: str) -> bool:
    """Tell whether a split holds the same patients in every draw, as external tests do."""
    return split not in OF_DRAW


@dataclass(frozen=True)
class Means:
    """The means of some arms over draws, and what they vary by together.

    A crossed model with random draws, random patients and what is between the two. Its variances
    are estimated as in an analysis of variance, those of patients from sums over a patient's
    images, as in the clustered DeLong method (Obuchowski 1997, Biometrics 53:567); degrees of
    freedom after Satterthwaite. An interval is never narrower than the t interval over draws; it is
    that one where draws have patients of their own, or none are known.
    """

    values: Numbers  # (draws, arms), at least 2 draws
    of_patients: Numbers | None = None  # (arms, arms) covariances of the means over patients
    between: Numbers | None = None  # likewise, of what is between draws and patients
    patients: int | None = None  # how many

    def mean(self, weights: Numbers) -> Numbers:
        """Return a combination of the means: (..., arms) to (...)."""
        return np.asarray(weights @ self.values.mean(axis=0))

    def half(self, weights: Numbers) -> Numbers:
        """Return half the width of the interval of a combination: (..., arms) to (...)."""
        n = len(self.values)
        of_draws = _combined(weights, np.atleast_2d(np.cov(self.values.T))) / n
        quantile = (1 + CONFIDENCE) / 2
        half = np.asarray(stdtrit(n - 1, quantile) * np.sqrt(of_draws))
        if self.of_patients is None:
            return half
        se, freedom = self._crossed(weights, of_draws)
        return np.asarray(np.maximum(half, stdtrit(freedom, quantile) * se))

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
    return np.asarray(np.maximum(0, ((weights @ covariances) * weights).sum(axis=-1)))


def over_patients(by_image: Numbers, patients: NDArray[Any]) -> Means:
    """Return the means of some arms over draws and patients.

    `by_image` is (arms, draws, images) `contributions`, repeats averaged, of at least 2 draws;
    `patients` (images,) the patient of each, the same in every draw; at least 2.
    """
    n_draws, n_images = by_image.shape[1:]
    of_draws = by_image.mean(axis=2)
    _, numbers = np.unique(patients, return_inverse=True)
    n_patients = int(numbers.max()) + 1
    order = np.argsort(numbers, kind="stable")
    firsts = np.searchsorted(numbers[order], np.arange(n_patients))
    off_mean = (by_image - of_draws[..., None])[..., order]
    # Another hospital may have a hundred thousand of either: no matrix of images by patients.
    sums = np.add.reduceat(off_mean, firsts, axis=2) / n_images
    by_patient = sums.mean(axis=1)
    sampled = n_patients / (n_patients - 1)
    off = sums - by_patient[:, None]
    between = sampled * np.einsum("adp,bdp->ab", off, off) / (n_draws * (n_draws - 1))
    return Means(of_draws.T, sampled * by_patient @ by_patient.T, between, n_patients)


class OverPatients:
    """What the images of a study's fixed splits contribute to the metrics of its arms.

    Predictions of a condition and split are read when they are first asked for.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        # By the number of the condition.
        self._kept: dict[tuple[int, str, str, int], Mapping[str, Numbers] | None] = {}
        self._patients: dict[tuple[int, str], NDArray[np.int64]] = {}

    def means(
        self, condition: Condition, split: str, metric: str, arms: Sequence[str], draws: list[int]
    ) -> Means | None:
        """Return the means of some arms over draws and test patients; see `by_image`."""
        images = self.by_image(condition, split, metric, arms, draws)
        return images and over_patients(*images)

    def by_image(
        self, condition: Condition, split: str, metric: str, arms: Sequence[str], draws: list[int]
    ) -> tuple[Numbers, NDArray[np.int64]] | None:
        """Return what every image contributes to a metric of some arms, repeats averaged.

        It is (arms, draws, images), with the patients of the images. None: draws have patients of
        their own, or some of them other ones. Of `last_of` it is of the last step's weights; the
        draws are those that all arms have.
        """
        if not fixed(read_name(split)[0]) or len(draws) < 2:
            return None
        number = self._study.conditions.index(condition)
        jobs = {job.result.draw: job for job in self._study.of(condition)}
        kept = [[self._of(number, split, arm, jobs[draw]) for draw in draws] for arm in arms]
        by_image = [[one[metric] for one in of_arm if one is not None] for of_arm in kept]
        if any(len(of_arm) < len(draws) for of_arm in by_image):
            return None
        patients = self._patients[number, split]
        return (np.array(by_image), patients) if len({*patients.tolist()}) > 1 else None

    def _of(
        self, number: int, split: str, arm: str, job: FinishedDraw
    ) -> Mapping[str, Numbers] | None:
        """Return the means over an arm's repeats in a draw; None: it has other patients."""
        key = (number, split, arm, job.result.draw)
        if key in self._kept:
            return self._kept[key]
        self._kept[key] = None
        _, name, of_last = read_name(split)
        of_fits = []
        for fit in job.result.fits_of(arm):
            predictions = job.predictions(fit)
            if name not in predictions:
                predictions = job.with_groups(predictions)
            if (one := predictions.get(name)) is None:
                return None
            patients = self._patients.setdefault((number, split), one.patients)
            if not np.array_equal(one.patients, patients):
                return None
            measured, last = self._study.measured[fit.predictions]
            threshold = (last if of_last and last is not None else measured).threshold
            scores = one.probabilities(of_last)
            of_fits.append(contributions(scores, one.labels, self._study.classes, threshold))
        if of_fits:
            self._kept[key] = {
                metric: np.mean([one[metric] for one in of_fits], axis=0) for metric in of_fits[0]
            }
        return self._kept[key]
