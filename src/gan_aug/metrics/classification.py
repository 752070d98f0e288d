"""How good a classifier's probabilities are."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_calibration_error,
    binary_confusion_matrix,
)


def best_threshold(probabilities: Tensor, labels: Tensor) -> float:
    """Choose the threshold with the largest sensitivity + specificity (Youden 1950).

    Args:
        probabilities: (N,) of pneumonia, in [0, 1].
        labels: (N,) 0 normal, 1 pneumonia; both must occur.

    Returns:
        A threshold in [0, 1]; an image counts as pneumonia at or above it. It lies midway between
        the two neighbouring probabilities it parts; of several equally good ones it is the one
        nearest to 0.5.
    """
    scores = torch.tensor(sorted(set(probabilities.double().tolist())), dtype=torch.float64)
    midway = torch.cat([scores[:1], (scores[1:] + scores[:-1]) / 2, scores[-1:] + 1e-9])
    positive, negative = (probabilities[labels == k].double() for k in (1, 0))
    sensitivity = (positive[None] >= midway[:, None]).double().mean(dim=1)
    specificity = (negative[None] < midway[:, None]).double().mean(dim=1)
    youden = sensitivity + specificity
    best = midway[youden >= youden.max() - 1e-12]
    return float(best[(best - 0.5).abs().argmin()])


def classification_metrics(
    probabilities: Tensor, labels: Tensor, threshold: float
) -> dict[str, float]:
    """Measure a binary classifier; pneumonia is the positive class.

    Args:
        probabilities: (N,) of pneumonia, in [0, 1].
        labels: (N,) 0 normal, 1 pneumonia; both must occur.
        threshold: an image counts as pneumonia at or above it.

    Returns:
        accuracy, balanced_accuracy, sensitivity, specificity, auroc, auprc (average precision),
        calibration_error (over 15 equal bins, the mean gap between the probability of pneumonia
        and its share, weighted by images), and the counts tn, fp, fn, tp. All rates are shares
        in [0, 1].
    """
    predicted = (probabilities.double() >= threshold).long()
    (tn, fp), (fn, tp) = binary_confusion_matrix(predicted, labels).tolist()
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    return {
        "accuracy": (tp + tn) / (tp + tn + fp + fn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auroc": binary_auroc(probabilities, labels).item(),
        "auprc": binary_average_precision(probabilities, labels).item(),
        "calibration_error": binary_calibration_error(probabilities, labels, n_bins=15).item(),
        "tn": tn,
        "fp": fp,
        "fn": fn,
        "tp": tp,
    }


def to_probabilities(logits: Tensor) -> Tensor:
    """Turn logits (N, 2) into probabilities (N,) of pneumonia."""
    return torch.softmax(logits.double(), dim=1)[:, 1]
