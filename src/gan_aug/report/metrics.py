"""The metrics of a study's fit, computed from its predictions by `metrics.classification`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import (
    AT_VALIDATION,
    BINS,
    Measured,
    choose_threshold,
    measure,
    metric_names,
    predicted_classes,
)
from gan_aug.report.predictions import Numbers, Predictions
from gan_aug.settings.design import AT_VALIDATION_THRESHOLD

LOWER_IS_BETTER = {"calibration_error"}
LAST = "_last"
"""After a split's name: what is of the last step, where validation chose another's weights."""


def last_of(images: str) -> str:
    """Return how numbers of the last step's weights go by: `test_last`, `test_last (sex=F)`."""
    split, bracket, group = images.partition(" (")
    return f"{split}{LAST}{bracket}{group}"


def read_name(images: str) -> tuple[str, str, bool]:
    """Return the split of some images, their name without what `last_of` adds, and if it did."""
    split, bracket, group = images.partition(" (")
    own = split.removesuffix(LAST)
    return own, f"{own}{bracket}{group}", own != split


@dataclass(frozen=True)
class MeasuredFit:
    """What a fit's weights give on each split."""

    threshold: float | None  # chosen on validation; None where no class is the positive one
    splits: dict[str, dict[str, Measured]]  # of each: decision to metrics, as `measure` returns

    def value(self, split: str, metric: str) -> float:
        """Return a metric of `titles_of` on a split."""
        of_split = self.splits[split]
        if metric == AT_VALIDATION_THRESHOLD:
            return float(of_split[AT_VALIDATION]["accuracy"])
        return float(next(iter(of_split.values()))[metric])


def measure_fit(predictions: Predictions, classes: Classes, last: bool = False) -> MeasuredFit:
    """Measure a fit on every split; where there is a threshold, validation chooses it.

    `last` takes the last step's weights where validation chose others.
    """
    tensors = {
        split: (torch.from_numpy(one.probabilities(last)), torch.from_numpy(one.labels))
        for split, one in predictions.items()
    }
    threshold = choose_threshold(*tensors["validation"], classes)
    measured = {split: measure(*one, classes, threshold) for split, one in tensors.items()}
    return MeasuredFit(threshold, measured)


def titles_of(classes: Classes) -> dict[str, str]:
    """Return what is reported of every split, with its title."""
    averaged = " (mean over classes, each against the rest)" if classes.positive is None else ""
    titles = {name: name.replace("_", " ") for name in metric_names(classes)}
    titles |= {name: name.upper() + averaged for name in ("auroc", "auprc")}
    if len(classes) == 2:  # either class has the same one
        titles["auroc"] = "AUROC"
    if classes.positive is None:
        return titles | {f"sensitivity_{name}": f"sensitivity, {name}" for name in classes}
    also = (AT_VALIDATION_THRESHOLD, "accuracy at the validation threshold")
    return dict([("accuracy", "accuracy at 0.5"), also, *list(titles.items())[1:]])


def contributions(
    probabilities: Numbers, labels: NDArray[np.int64], classes: Classes, threshold: float | None
) -> dict[str, Numbers]:
    """Return what each image contributes to the metrics, which are means of that, or nearly so.

    Rates are linearised as ratios, since the number of images of a class is itself a sample's; the
    AUROC by the structural components of DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44:837),
    the average precision by its derivative in the images' weights, and the calibration error with
    each bin's gap on the side where it is.

    Probabilities are (N, K), labels (N,) with every class; the threshold was chosen on validation,
    and is None where no class is the positive one. Returned is metric to (N,), whose mean is the
    metric.
    """
    right = (predicted_classes(probabilities, classes) == labels).astype(float)
    positive = classes.positive_label
    sensitivities = {k: _rate(right, labels == k) for k in range(len(classes))}
    every = {
        "accuracy": right,
        "balanced_accuracy": np.mean(list(sensitivities.values()), axis=0),
    }
    if positive is None:
        each = [(probabilities[:, k], labels == k) for k in range(len(classes))]
        every |= {f"sensitivity_{classes.names[k]}": v for k, v in sensitivities.items()}
        return every | {
            "auroc": np.mean([_auroc(*one) for one in each], axis=0),
            "auprc": np.mean([_auprc(*one) for one in each], axis=0),
            "calibration_error": _calibration_error(probabilities.max(axis=1), right),
        }
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
    return np.asarray(np.where(among, rate + (right - rate) / among.mean(), rate))


def _auroc(scores: Numbers, is_positive: NDArray[np.bool_]) -> Numbers:
    """DeLong's components, from ranks as Sun & Xu (2014, doi:10.1109/LSP.2014.2337313) do."""
    inside, outside = scores[is_positive], scores[~is_positive]
    ranks = stats.rankdata(scores)
    above = (ranks[is_positive] - stats.rankdata(inside)) / len(outside)
    below = 1 - (ranks[~is_positive] - stats.rankdata(outside)) / len(inside)
    area = above.mean()
    parts = np.empty(len(scores))
    parts[is_positive] = area + (above - area) / is_positive.mean()
    parts[~is_positive] = area + (below - area) / (~is_positive).mean()
    return parts


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
        return np.append(np.cumsum((values * positive)[::-1])[::-1], 0.0)[first]

    gain, loss = below(outside / every**2), below(inside / every**2)
    slopes = np.where(positive, inside / every - area + gain, -loss) / n
    parts = np.empty(len(scores))
    parts[order] = area + len(scores) * slopes
    return parts


def _calibration_error(confidences: Numbers, right: Numbers) -> Numbers:
    """Return each image's part in the mean gap of its bin, on the side that the bin is."""
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1), confidences, side="right") - 1
    gaps = right - confidences
    return gaps * np.sign(np.bincount(bins, gaps, BINS + 1))[bins]
