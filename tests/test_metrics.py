"""Classification metrics against numbers worked out by hand or by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from support import BINARY
from torch import Tensor

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import (
    choose_threshold,
    confusion_matrix,
    decisions,
    measure,
    metric_names,
    predicted_classes,
)

Sample = tuple[Tensor, Tensor]
TURNED = Classes(BINARY.names, BINARY.names[0])
THREE = Classes(("one", "two", "three"))


def two(scores: Tensor | list[float]) -> Tensor:
    """Return probabilities (N, 2) from those of the second class."""
    of_second = torch.as_tensor(scores)
    return torch.stack([1 - of_second, of_second], dim=1)


def at(scores: Tensor, labels: Tensor, threshold: float) -> dict[str, float]:
    return measure(two(scores), labels, BINARY, threshold)["at_validation_threshold"]


@pytest.fixture
def sample() -> Sample:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300)
    scores = np.clip(random.normal(0.45 + 0.2 * labels, 0.2), 0, 1)
    return torch.tensor(scores), torch.tensor(labels)


@pytest.fixture
def of_three() -> Sample:
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [40, 90, 20])
    logits = random.normal(0, 1, (150, 3)) + 1.2 * np.eye(3)[labels]
    return torch.softmax(torch.tensor(logits), dim=1), torch.tensor(labels)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_against_scikit_learn(sample: Sample, threshold: float) -> None:
    scores, labels = sample
    found = at(scores, labels, threshold)
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
    found = at(scores, labels, 0.5)["calibration_error"]
    assert found == pytest.approx(0.5 * 0.45 + 0.5 * 0.05, abs=1e-6)


def test_the_threshold_is_the_best_of_all(sample: Sample) -> None:
    scores, labels = sample
    threshold = choose_threshold(two(scores), labels, BINARY)
    assert threshold is not None
    chosen = at(scores, labels, threshold)
    every = [at(scores, labels, t) for t in scores.tolist()]
    best = max(metrics["balanced_accuracy"] for metrics in every)
    assert chosen["balanced_accuracy"] == pytest.approx(best)


def test_the_threshold_lies_midway_in_its_gap() -> None:
    scores, labels = torch.tensor([0.1, 0.2, 0.998, 0.999]), torch.tensor([0, 0, 1, 1])
    assert choose_threshold(two(scores), labels, BINARY) == pytest.approx(0.599)


def test_of_equal_thresholds_the_one_nearest_to_a_half() -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    # 0.15 and 0.35 and 0.75 are equally good: one error in each class, or two in one.
    assert choose_threshold(two(scores), labels, BINARY) == pytest.approx(0.35)


def test_an_image_at_the_threshold_counts_as_positive() -> None:
    scores, labels = torch.tensor([0.2, 0.7, 0.7, 0.9]), torch.tensor([0, 1, 1, 1])
    edge = scores[1].double().item()
    assert at(scores, labels, edge)["accuracy"] == 1.0
    assert at(scores, labels, edge + 1e-9)["accuracy"] == 0.5


def test_the_positive_class_may_be_the_first(sample: Sample) -> None:
    scores, labels = sample
    one, other = (
        measure(two(scores), labels, BINARY, 0.4),
        measure(two(scores), labels, TURNED, 0.6),
    )
    for name, value in one["at_0.5"].items():
        swapped = {"sensitivity": "specificity", "specificity": "sensitivity"} | {
            "tn": "tp",
            "tp": "tn",
            "fp": "fn",
            "fn": "fp",
        }
        if name not in ("auprc", "calibration_error"):
            assert other["at_0.5"][swapped.get(name, name)] == pytest.approx(value, abs=1e-6), name
    assert confusion_matrix(one["at_0.5"], BINARY) == confusion_matrix(other["at_0.5"], TURNED)


@pytest.mark.parametrize("label", [0, 1])
def test_both_of_two_classes_are_needed(label: int) -> None:
    with pytest.raises(ValueError, match="images of both classes are needed"):
        at(torch.tensor([0.2, 0.7]), torch.full((2,), label), 0.5)


def test_three_classes_against_scikit_learn(of_three: Sample) -> None:
    probabilities, labels = of_three
    assert decisions(THREE) == ("at_largest",)
    found = measure(probabilities, labels, THREE, None)["at_largest"]
    p, y = probabilities.numpy(), labels.numpy()
    predicted = predicted_classes(p, THREE)
    assert confusion_matrix(found, THREE) == sk.confusion_matrix(y, predicted).tolist()
    hot = np.eye(3)[y]
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "auroc": sk.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "auprc": np.mean([sk.average_precision_score(hot[:, k], p[:, k]) for k in range(3)]),
    } | {
        f"sensitivity_{name}": value
        for name, value in zip(THREE, sk.recall_score(y, predicted, average=None), strict=True)
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    assert set(metric_names(THREE)) == {*expected, "calibration_error"}


def test_labels_of_one_byte_count_alike() -> None:
    """Classes times labels, which number the cells of the table, are beyond what a byte holds."""
    k = 30
    probabilities, labels = torch.eye(k, dtype=torch.float64), torch.arange(k)
    classes = Classes(tuple(f"class{i}" for i in range(k)), None)
    one, other = (measure(probabilities, y, classes, None) for y in (labels, labels.to(torch.int8)))
    assert one == other


def test_calibration_error_of_three_classes_by_hand() -> None:
    """Both sure at 0.8, one of them right: |0.8 - 0.5|; the third at 0.5 and right: |0.5 - 1|."""
    p = torch.tensor([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.4, 0.5]])
    found = measure(p, torch.tensor([0, 1, 2]), THREE, None)["at_largest"]["calibration_error"]
    assert found == pytest.approx(2 / 3 * 0.3 + 1 / 3 * 0.5, abs=1e-6)


def test_two_classes_of_which_none_is_positive(sample: Sample) -> None:
    scores, labels = sample
    neither = Classes(BINARY.names)
    found = measure(two(scores), labels, neither, None)["at_largest"]
    usual = measure(two(scores), labels, BINARY, 0.5)["at_0.5"]
    for name in ("accuracy", "balanced_accuracy", "auroc"):
        assert found[name] == pytest.approx(usual[name], abs=1e-6)
    assert found["sensitivity_pneumonia"] == pytest.approx(usual["sensitivity"])
    assert found["sensitivity_normal"] == pytest.approx(usual["specificity"])
