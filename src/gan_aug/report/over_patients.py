"""The per-image predictions of a study's arms, for intervals over draws and test patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gan_aug.report.crossed import contributions, crossed_interval
from gan_aug.report.results import Condition, Job, Study
from gan_aug.report.statistics import LEAST_DRAWS

FIXED = ("test", "development")
"""Splits of the same patients in every draw; validation chooses, internal ones are drawn anew."""

Numbers = NDArray[np.float64]


class OverPatients:
    """What the images of a split contribute to each arm's metrics under one condition.

    Args:
        study: the study.
        condition: which of its conditions.
        split: which of its splits.
    """

    def __init__(self, study: Study, condition: Condition, split: str) -> None:
        self._classes, self._split = study.classes, split
        self._patients: NDArray[np.int64] | None = None
        self._found: dict[str, dict[int, Mapping[str, Numbers]]] = {}
        if split not in FIXED:
            return
        jobs = study.of(condition)
        for job in jobs:
            fit = job.result.fits[0]
            self._patients = job.arrays(fit.arm, fit.repeat).get(f"{split}_patients")
            if self._patients is not None:
                break
        else:  # all of an early version
            return
        self._found = {
            arm: {job.result.draw: found for job in jobs if (found := self._of(job, arm))}
            for arm in study.arms
        }

    def _of(self, job: Job, arm: str) -> dict[str, Numbers]:
        """Return the means over an arm's repeats in a draw; none where it has no fit."""
        assert self._patients is not None
        of_fits = []
        for fit in job.result.fits_of(arm):
            arrays = job.arrays(arm, fit.repeat)
            patients = arrays.get(f"{self._split}_patients")
            if patients is None or not np.array_equal(patients, self._patients):
                return {}
            labels = arrays[f"{self._split}_labels"]
            scores = arrays[self._split].astype(np.float64)
            of_fits.append(contributions(scores, labels, self._classes, fit.threshold))
        metrics = of_fits[0] if of_fits else {}
        return {metric: np.mean([one[metric] for one in of_fits], axis=0) for metric in metrics}

    def interval(
        self, metric: str, arm: str, reference: str, draws: int
    ) -> tuple[float, float] | None:
        """Return the 95% interval of a difference.

        Args:
            metric: of the endpoint.
            arm: name.
            reference: of the arm it is compared with.
            draws: how many both have; with some that know no patients there is no interval.

        Returns:
            Its ends; None: too few draws, patients not known in all of them, or no such metric.
        """
        one, other = self._found.get(arm, {}), self._found.get(reference, {})
        both = [draw for draw in one if draw in other and metric in one[draw]]
        if len(both) < max(draws, LEAST_DRAWS):
            return None
        assert self._patients is not None
        differences = np.stack([one[draw][metric] - other[draw][metric] for draw in both])
        return crossed_interval(differences, self._patients)
