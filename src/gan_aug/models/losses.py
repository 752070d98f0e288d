"""Adversarial losses on logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_aug.runtime.errors import GanAugError


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator pays for its logits (B,) of real and of generated images, as scalars.

    And what the generator pays for those of generated ones.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    score: Callable[[Tensor], Tensor] = lambda logits: logits
    """Logits to the D(x) that is logged: a probability where the loss has one."""


def adversarial_loss(name: str, real_label: float) -> AdversarialLoss:
    """Build a loss by name.

    That is `non_saturating` (Goodfellow et al. 2014, arXiv:1406.2661, section 3), `hinge` (Miyato
    et al. 2018, arXiv:1802.05957, eq. 16 and 17), `least_squares` (Mao et al. 2017,
    arXiv:1611.04076, eq. 9, a=0 and c=1) or `wasserstein` (Arjovsky et al. 2017, arXiv:1701.07875,
    eq. 2 and 3), whose discriminator needs something to bound its slope. A `real_label` below 1 is
    one-sided label smoothing (Salimans et al. 2016, arXiv:1606.03498, section 3.4).

    Raises:
        GanAugError: smoothing is asked of a loss without a target.
    """
    if name in ("hinge", "wasserstein") and real_label != 1.0:
        raise GanAugError(
            f"model.real_label={real_label}: the {name} loss has no label; set model.real_label=1"
        )

    def entropy(target: float) -> Callable[[Tensor], Tensor]:
        cost = F.binary_cross_entropy_with_logits
        return lambda logits: cost(logits, torch.full_like(logits, target))

    def squares(target: float) -> Callable[[Tensor], Tensor]:
        return lambda logits: 0.5 * (logits - target).square().mean()

    def minus_mean(logits: Tensor) -> Tensor:
        return -logits.mean()

    losses = {
        "non_saturating": AdversarialLoss(
            entropy(real_label), entropy(0.0), entropy(1.0), torch.sigmoid
        ),
        "hinge": AdversarialLoss(
            lambda logits: F.relu(1.0 - logits).mean(),
            lambda logits: F.relu(1.0 + logits).mean(),
            minus_mean,
        ),
        "least_squares": AdversarialLoss(squares(real_label), squares(0.0), squares(1.0)),
        "wasserstein": AdversarialLoss(minus_mean, Tensor.mean, minus_mean),
    }
    return losses[name]


def squared_gradient(outputs: Tensor, images: Tensor) -> Tensor:
    """Return the squared length (B,) of each output's gradient with respect to its image, float32.

    What comes of image i in `outputs` (B, ...) depends on no other image. The length can be
    differentiated again; the images (B, C, H, W) require gradients.
    """
    (gradient,) = torch.autograd.grad(outputs.float().sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3))


def gradient_penalty(critic: Callable[[Tensor], Tensor], reals: Tensor, fakes: Tensor) -> Tensor:
    """Return the penalty on a critic whose slope between real and generated images is not 1.

    Gulrajani et al. 2017 (arXiv:1704.00028, eq. 3), without its weight: the mean over pairs of
    (||gradient of D at x|| - 1)^2, where x lies anywhere between the two images, evenly drawn from
    torch's global random numbers. Only the critic's weights receive gradients. Its logits (B, ...)
    of image i depend on no other image; of several the sum's gradient counts. Images are
    (B, C, H, W), fakes of any floating-point type; the scalar is float32 whatever the critic
    computes in.
    """
    share = torch.rand(len(reals), 1, 1, 1, device=reals.device)
    between = share * reals.detach() + (1.0 - share) * fakes.detach()
    between.requires_grad_(True)
    # The root's slope is infinite at 0, which a critic with dead units reaches.
    norms = (squared_gradient(critic(between), between) + 1e-12).sqrt()
    return (norms - 1.0).square().mean()
