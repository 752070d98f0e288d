"""The per-image predictions of a study's arms, for intervals over draws and test patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gan_aug.report.crossed import Means, contributions, over_patients
from gan_aug.report.draw_result import LAST
from gan_aug.report.results import Condition, Job, Study

FIXED = ("test", "development")
"""Splits of the same patients in every draw; validation chooses, internal ones are drawn anew."""

Numbers = NDArray[np.float64]


class OverPatients:
    """What the images of a study's fixed splits contribute to the metrics of its arms.

    Predictions of a condition and split are read when they are first asked for.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._read: dict[tuple[Condition, str], _OfSplit] = {}

    def means(
        self, condition: Condition, split: str, metric: str, arms: Sequence[str], draws: list[int]
    ) -> Means | None:
        """Return the means of some arms over draws and test patients; see `by_image`."""
        found = self.by_image(condition, split, metric, arms, draws)
        return found and over_patients(*found)

    def by_image(
        self, condition: Condition, split: str, metric: str, arms: Sequence[str], draws: list[int]
    ) -> tuple[Numbers, NDArray[np.int64]] | None:
        """Return what every image contributes to a metric of some arms, repeats averaged.

        Args:
            condition: which of the study's.
            split: which; with `LAST` after it, of the last step's weights.
            metric: which.
            arms: names.
            draws: of all arms.

        Returns:
            (arms, draws, images), and the patients of the images. None: draws have patients of
            their own, or in some of them they are not known.
        """
        if split.removesuffix(LAST) not in FIXED or len(draws) < 2:
            return None
        key = (condition, split)
        if key not in self._read:
            self._read[key] = _OfSplit(self._study, condition, split)
        return self._read[key].by_image(metric, arms, draws)


class _OfSplit:
    def __init__(self, study: Study, condition: Condition, split: str) -> None:
        self._study, self._split = study, split
        self._jobs = {job.result.draw: job for job in study.of(condition)}
        self._patients: NDArray[np.int64] | None = None
        self._found: dict[tuple[str, int], Mapping[str, Numbers] | None] = {}

    def by_image(
        self, metric: str, arms: Sequence[str], draws: list[int]
    ) -> tuple[Numbers, NDArray[np.int64]] | None:
        found = [[self._of(arm, draw) for draw in draws] for arm in arms]
        if any(one is None for of_arm in found for one in of_arm):
            return None
        assert self._patients is not None
        by_image = [[one[metric] for one in of_arm if one is not None] for of_arm in found]
        return np.array(by_image), self._patients

    def _of(self, arm: str, draw: int) -> Mapping[str, Numbers] | None:
        key = (arm, draw)
        if key not in self._found:
            self._found[key] = self._read(self._jobs[draw], arm)
        return self._found[key]

    def _read(self, job: Job, arm: str) -> dict[str, Numbers] | None:
        """Return the means over an arm's repeats in a draw; None: its patients are not known."""
        split = self._split.removesuffix(LAST)
        of_fits = []
        for fit in job.result.fits_of(arm):
            arrays = job.arrays(arm, fit.repeat)
            patients = arrays.get(f"{split}_patients")
            if patients is None:
                return None
            if self._patients is None:
                self._patients = patients
            if not np.array_equal(patients, self._patients):
                return None
            of_weights = fit if split == self._split or fit.last is None else fit.last
            scores = arrays[self._split].astype(np.float64)
            labels = arrays[f"{split}_labels"]
            of_fits.append(contributions(scores, labels, self._study.classes, of_weights.threshold))
        if not of_fits:
            return None
        return {metric: np.mean([one[metric] for one in of_fits], axis=0) for metric in of_fits[0]}
