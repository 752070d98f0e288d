"""Adversarial losses against their papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch

from gan_aug.models.losses import adversarial_loss
from gan_aug.run.errors import GanAugError

LOGITS = torch.tensor([-1.5, 0.0, 2.0], dtype=torch.float64)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def test_non_saturating() -> None:
    loss = adversarial_loss("non_saturating", 0.9)
    x = LOGITS.tolist()
    real = mean([-(0.9 * log_sigmoid(v) + 0.1 * log_sigmoid(-v)) for v in x])
    assert loss.real(LOGITS).item() == pytest.approx(real)
    assert loss.fake(LOGITS).item() == pytest.approx(mean([-log_sigmoid(-v) for v in x]))
    # One-sided: the generator's target is not smoothed.
    assert loss.generator(LOGITS).item() == pytest.approx(mean([-log_sigmoid(v) for v in x]))
    torch.testing.assert_close(loss.score(LOGITS), torch.sigmoid(LOGITS))


def test_hinge() -> None:
    loss = adversarial_loss("hinge", 1.0)
    assert loss.real(LOGITS).item() == pytest.approx((2.5 + 1.0 + 0.0) / 3)
    assert loss.fake(LOGITS).item() == pytest.approx((0.0 + 1.0 + 3.0) / 3)
    assert loss.generator(LOGITS).item() == pytest.approx(-0.5 / 3)


def test_least_squares() -> None:
    loss = adversarial_loss("least_squares", 0.9)
    assert loss.real(LOGITS).item() == pytest.approx((2.4**2 + 0.9**2 + 1.1**2) / 6)
    assert loss.fake(LOGITS).item() == pytest.approx((1.5**2 + 2.0**2) / 6)
    assert loss.generator(LOGITS).item() == pytest.approx((2.5**2 + 1.0 + 1.0) / 6)


def test_large_logits_stay_finite() -> None:
    extreme = torch.tensor([-1e4, 1e4])
    loss = adversarial_loss("non_saturating", 0.9)
    for part in (loss.real, loss.fake, loss.generator):
        assert torch.isfinite(part(extreme))


def test_refusals() -> None:
    with pytest.raises(GanAugError, match=r"model\.loss=nonsense"):
        adversarial_loss("nonsense", 1.0)
    with pytest.raises(GanAugError, match=r"model\.real_label=0\.9"):
        adversarial_loss("hinge", 0.9)
