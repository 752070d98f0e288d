"""Predictions as they are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gan_aug.metrics.classification import to_probabilities
from gan_aug.report.predictions import Predicted, to_keep, write_predictions
from gan_aug.runtime.errors import GanAugError


def probabilities_of(kept: np.ndarray) -> np.ndarray:
    labels = np.zeros(len(kept), np.int64)
    return Predicted(labels, labels, kept).probabilities()


@pytest.mark.parametrize("classes", [2, 5])
def test_probabilities_come_back(classes: int) -> None:
    logits = 3 * torch.randn(200, classes, generator=torch.Generator().manual_seed(0))
    kept = to_keep(logits)
    assert kept.dtype == np.float32
    assert kept.shape == ((200,) if classes == 2 else (200, classes))
    expected = to_probabilities(logits).numpy()
    np.testing.assert_allclose(probabilities_of(kept), expected, rtol=1e-5)


def test_nearly_certain_ones_keep_their_order() -> None:
    """Float32 probabilities of these would all be 1."""
    logits = torch.stack([torch.zeros(50), torch.linspace(18, 30, 50)], dim=1)
    of_second = probabilities_of(to_keep(logits))[:, 1]
    assert (np.diff(of_second) > 0).all()
    assert len(np.unique(of_second.astype(np.float32))) == 1
    of_first = probabilities_of(to_keep(logits.flip(1)))[:, 1]
    assert (np.diff(of_first) < 0).all()


def test_no_predictions_are_written_through_a_link_out_of_the_study(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()
    (study / ".fits").symlink_to(elsewhere)
    with pytest.raises(GanAugError, match="is a link that leads out of"):
        write_predictions(study / ".fits" / "k.npz", {}, study)
    assert not list(elsewhere.iterdir())
