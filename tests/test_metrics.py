"""Classification metrics against numbers worked out by hand or by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from gan_aug.metrics.classification import best_threshold, classification_metrics


@pytest.fixture
def sample() -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300)
    scores = np.clip(random.normal(0.45 + 0.2 * labels, 0.2), 0, 1)
    return torch.tensor(scores), torch.tensor(labels)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_against_scikit_learn(sample: tuple[torch.Tensor, torch.Tensor], threshold: float) -> None:
    scores, labels = sample
    found = classification_metrics(scores, labels, threshold)
    s, y = scores.numpy(), labels.numpy()
    predicted = s >= threshold
    tn, fp, fn, tp = sk.confusion_matrix(y, predicted).ravel()
    assert [found[k] for k in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "sensitivity": sk.recall_score(y, predicted),
        "specificity": sk.recall_score(y, predicted, pos_label=0),
        "auroc": sk.roc_auc_score(y, s),
        "auprc": sk.average_precision_score(y, s),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_calibration_error_by_hand() -> None:
    """Four images in two bins: |0.95 - 0.5| and |0.05 - 0|, each half of the images."""
    scores, labels = torch.tensor([0.95, 0.95, 0.05, 0.05]), torch.tensor([1, 0, 0, 0])
    found = classification_metrics(scores, labels, 0.5)["calibration_error"]
    assert found == pytest.approx(0.5 * 0.45 + 0.5 * 0.05, abs=1e-6)


def test_the_threshold_is_the_best_of_all(sample: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores, labels = sample
    chosen = classification_metrics(scores, labels, best_threshold(scores, labels))
    every = [classification_metrics(scores, labels, t) for t in scores.tolist()]
    best = max(metrics["balanced_accuracy"] for metrics in every)
    assert chosen["balanced_accuracy"] == pytest.approx(best)


def test_the_threshold_lies_midway_in_its_gap() -> None:
    scores, labels = torch.tensor([0.1, 0.2, 0.998, 0.999]), torch.tensor([0, 0, 1, 1])
    assert best_threshold(scores, labels) == pytest.approx(0.599)


def test_of_equal_thresholds_the_one_nearest_to_a_half() -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    # 0.15 and 0.35 and 0.75 are equally good: one error in each class, or two in one.
    assert best_threshold(scores, labels) == pytest.approx(0.35)


def test_an_image_at_the_threshold_counts_as_pneumonia() -> None:
    scores, labels = torch.tensor([0.2, 0.7, 0.7, 0.9]), torch.tensor([0, 1, 1, 1])
    at = scores[1].double().item()
    assert classification_metrics(scores, labels, at)["accuracy"] == 1.0
    assert classification_metrics(scores, labels, at + 1e-9)["accuracy"] == 0.5
