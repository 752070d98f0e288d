"""How good a classifier's probabilities are."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_calibration_error,
    multiclass_auroc,
    multiclass_average_precision,
    multiclass_calibration_error,
)

from gan_aug.data.classes import Classes
from gan_aug.settings.design import METRICS

Measured = dict[str, float]
BINS = 15
"""Of the calibration error."""
UNCHECKED: dict[str, Any] = {"validate_args": False}
"""For torchmetrics, whose own checks of what is checked before take half of a measurement."""
AT_HALF, AT_VALIDATION, AT_LARGEST = "at_0.5", "at_validation_threshold", "at_largest"


def decisions(classes: Classes) -> tuple[str, ...]:
    """Return how a class is read off probabilities, the usual way first.

    With a positive class: where its probability reaches 0.5, or the threshold that validation
    chose. Without one: the class with the largest probability.
    """
    return (AT_LARGEST,) if classes.positive is None else (AT_HALF, AT_VALIDATION)


def metric_names(classes: Classes) -> tuple[str, ...]:
    """Return the names of the shares among the metrics, the counts left out."""
    if classes.positive is not None:
        return METRICS
    before, after = METRICS[: METRICS.index("sensitivity")], METRICS[METRICS.index("auroc") :]
    return (*before, *(f"sensitivity_{name}" for name in classes), *after)


def choose_threshold(probabilities: Tensor, labels: Tensor, classes: Classes) -> float | None:
    """Choose the threshold with the largest sensitivity + specificity (Youden 1950).

    Probabilities (N, 2) are of validation images, in [0, 1]; of the int64 labels (N,) both occur.

    Returns:
        A threshold in [0, 1]; an image counts as positive at or above it. It lies midway between
        the two probabilities it parts; of several equally good ones it is the nearest to 0.5. None
        where no class is the positive one.
    """
    positive = classes.positive_label
    if positive is None:
        return None
    of_positive = probabilities[:, positive].double()
    scores = torch.tensor(sorted(set(of_positive.tolist())), dtype=torch.float64)
    midway = torch.cat([scores[:1], (scores[1:] + scores[:-1]) / 2, scores[-1:] + 1e-9])
    inside, outside = of_positive[labels == positive], of_positive[labels != positive]
    below = [torch.searchsorted(one.sort().values, midway).double() for one in (inside, outside)]
    youden = (len(inside) - below[0]) / len(inside) + below[1] / len(outside)
    best = midway[youden >= youden.max() - 1e-12]
    return float(best[(best - 0.5).abs().argmin()])


def measure(
    probabilities: Tensor, labels: Tensor, classes: Classes, threshold: float | None
) -> dict[str, Measured]:
    """Measure a classifier on one split, by each of `decisions`.

    Args:
        probabilities: (N, K), in [0, 1].
        labels: int64 (N,); every class must occur.
        classes: K of them.
        threshold: from `choose_threshold` on validation images.

    Returns:
        Decision to metrics. All rates are shares in [0, 1].

        With a positive class: accuracy, balanced_accuracy, sensitivity, specificity, auroc, auprc
        (average precision), calibration_error (over 15 equal bins, the mean gap between the
        probability of the positive class and its share, weighted by images), and the counts tn,
        fp, fn, tp.

        Without one: accuracy, balanced_accuracy (mean sensitivity), sensitivity_CLASS of each,
        auroc and auprc (means over classes, each against the rest; Hand & Till's pairwise AUROC
        is another number), calibration_error (of the largest probability: Guo et al. 2017,
        arXiv:1706.04599, equation 3), and count_TRUE_PREDICTED, by the numbers of the classes.

    Raises:
        ValueError: there is a positive class and no threshold, or one of the two does not occur.
    """
    positive = classes.positive_label
    if positive is None:
        every = probabilities, labels, len(classes)
        error = multiclass_calibration_error(*every, n_bins=BINS, **UNCHECKED)
        beside = {
            "auroc": multiclass_auroc(*every, **UNCHECKED).item(),
            "auprc": multiclass_average_precision(*every, **UNCHECKED).item(),
            "calibration_error": error.item(),
        }
        return {AT_LARGEST: _counted(probabilities.argmax(dim=1), labels, classes, beside)}
    if threshold is None:
        raise ValueError("two classes with a positive one need a threshold")
    of_positive = probabilities[:, positive].contiguous()
    is_positive = (labels == positive).long()
    if not 0 < int(is_positive.sum()) < len(labels):
        raise ValueError("images of both classes are needed")
    both = of_positive, is_positive
    beside = {
        "auroc": binary_auroc(*both, **UNCHECKED).item(),
        "auprc": binary_average_precision(*both, **UNCHECKED).item(),
        "calibration_error": binary_calibration_error(*both, n_bins=BINS, **UNCHECKED).item(),
    }
    return {
        decision: _counted(
            torch.where(of_positive.double() >= at, positive, 1 - positive), labels, classes, beside
        )
        for decision, at in ((AT_HALF, 0.5), (AT_VALIDATION, threshold))
    }


def _counted(predicted: Tensor, labels: Tensor, classes: Classes, beside: Measured) -> Measured:
    """Return shares and counts of predicted labels (N,), with what is measured beside them."""
    k, positive = len(classes), classes.positive_label
    counts = torch.bincount(k * labels.long() + predicted, minlength=k * k).reshape(k, k)
    right = counts.diagonal()
    rates = (right.double() / counts.sum(dim=1)).tolist()
    if positive is None:
        named = {f"sensitivity_{name}": rate for name, rate in zip(classes, rates, strict=True)}
    else:
        named = {"sensitivity": rates[positive], "specificity": rates[1 - positive]}
    shares = {"accuracy": int(right.sum()) / len(labels), "balanced_accuracy": sum(rates) / k}
    cells = zip(_cells(classes), counts.flatten().tolist(), strict=True)
    return shares | named | beside | dict(cells)


def _cells(classes: Classes) -> list[str]:
    """Return the names of the counts: of each true class those of the predicted ones."""
    if classes.positive is None:
        return [f"count_{i}_{j}" for i, j in product(range(len(classes)), repeat=2)]
    names = ["tn", "fp", "fn", "tp"]
    return names if classes.positive_label == 1 else names[::-1]


def predicted_classes(
    probabilities: NDArray[np.floating[Any]], classes: Classes
) -> NDArray[np.integer[Any]]:
    """Return the label that the first of `decisions` finds in each row of (N, K)."""
    positive = classes.positive_label
    if positive is None:
        largest: NDArray[np.integer[Any]] = probabilities.argmax(axis=1)
        return largest
    return np.where(probabilities[:, positive] >= 0.5, positive, 1 - positive)


def confusion_matrix(measured: Measured, classes: Classes) -> list[list[int]]:
    """Return the counts of a measurement: true classes in rows, predicted in columns."""
    counts = [int(measured[name]) for name in _cells(classes)]
    return [counts[i : i + len(classes)] for i in range(0, len(counts), len(classes))]


def to_probabilities(logits: Tensor) -> Tensor:
    """Turn logits (N, K) into float64 probabilities (N, K)."""
    return torch.softmax(logits.double(), dim=1)
