"""Adversarial losses against their papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch

from gan_aug.models.losses import adversarial_loss, gradient_penalty
from gan_aug.runtime.errors import GanAugError

LOGITS = torch.tensor([-1.5, 0.0, 2.0], dtype=torch.float64)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


X = LOGITS.tolist()
FORMULAS = {  # of real images, of generated ones, and for the generator
    ("non_saturating", 0.9): (
        mean([-(0.9 * log_sigmoid(x) + 0.1 * log_sigmoid(-x)) for x in X]),
        mean([-log_sigmoid(-x) for x in X]),
        mean([-log_sigmoid(x) for x in X]),  # one-sided: its target is not smoothed
    ),
    ("hinge", 1.0): ((2.5 + 1.0 + 0.0) / 3, (0.0 + 1.0 + 3.0) / 3, -0.5 / 3),
    ("least_squares", 0.9): (
        (2.4**2 + 0.9**2 + 1.1**2) / 6,
        (1.5**2 + 2.0**2) / 6,
        (2.5**2 + 1.0 + 1.0) / 6,
    ),
    ("wasserstein", 1.0): (-0.5 / 3, 0.5 / 3, -0.5 / 3),
}


@pytest.mark.parametrize(("name", "real_label"), FORMULAS)
def test_every_loss_is_its_formula(name: str, real_label: float) -> None:
    loss = adversarial_loss(name, real_label)
    found = [part(LOGITS).item() for part in (loss.real, loss.fake, loss.generator)]
    assert found == pytest.approx(FORMULAS[name, real_label])
    shown = torch.sigmoid(LOGITS) if name == "non_saturating" else LOGITS
    torch.testing.assert_close(loss.score(LOGITS), shown)


def test_large_logits_stay_finite() -> None:
    extreme = torch.tensor([-1e4, 1e4])
    loss = adversarial_loss("non_saturating", 0.9)
    for part in (loss.real, loss.fake, loss.generator):
        assert torch.isfinite(part(extreme))


def test_refusals() -> None:
    for name in ("hinge", "wasserstein"):
        with pytest.raises(GanAugError, match=r"model\.real_label=0\.9"):
            adversarial_loss(name, 0.9)


REALS, FAKES = torch.rand(2, 5, 2, 4, 4, generator=torch.Generator().manual_seed(0))


def test_penalty_reaches_the_critic_alone() -> None:
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 1))
    reals, fakes = REALS.clone().requires_grad_(True), FAKES.clone().requires_grad_(True)
    penalty = gradient_penalty(critic, reals, fakes)
    penalty.backward()
    assert reals.grad is None
    assert fakes.grad is None
    # A linear critic's slope is its weights; d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    weights = critic[1].weight
    length = weights.norm()
    torch.testing.assert_close(penalty, (length - 1) ** 2)
    torch.testing.assert_close(weights.grad, 2 * (length - 1) * weights / length)


def test_penalty_of_a_flat_critic_can_be_learned_from() -> None:
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 1))
    torch.nn.init.zeros_(critic[1].weight)
    penalty = gradient_penalty(critic, REALS, FAKES)
    penalty.backward()
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)
    assert torch.isfinite(critic[1].weight.grad).all()


def test_penalty_is_float32_in_mixed_precision() -> None:
    """The critic's own numbers have eight binary digits; the slope's length has more."""
    slopes = torch.linspace(1 / 128, 1 / 32, 4096).bfloat16()
    critic = torch.nn.Linear(4096, 1, bias=False)
    critic.weight.data.copy_(slopes[None])
    images = torch.rand(3, 1, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(
            lambda x: critic(x.flatten(1)), images, torch.rand(3, 1, 64, 64).bfloat16()
        )
    assert penalty.dtype == torch.float32
    expected = (slopes.double().square().sum().sqrt().item() - 1) ** 2
    assert penalty.item() == pytest.approx(expected, rel=1e-4)
