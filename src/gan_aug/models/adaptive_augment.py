"""Augmentation of what a discriminator sees, as strong as its overfitting asks for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.augment import affine
from gan_aug.runtime.errors import GanAugError

ADJUST_EVERY = 4
"""Discriminator steps from one adjustment to the next, as in the paper."""


class AdaptiveAugment(nn.Module):
    """Adaptive discriminator augmentation (Karras et al. 2020, arXiv:2006.06676, section 3).

    Every change is made to an image with probability p, independently of the others. p rises while
    the discriminator gives more than `target` = E[sign(D(x))] of the real images a positive logit,
    which is a sign of overfitting, and falls otherwise. So it is for losses whose logits are
    positive for real images, which smoothed labels do not alter: non_saturating and hinge.

    The changes are those of appendix B for grey images: flip, shift by whole pixels, isotropic and
    anisotropic scaling, rotation, shift by fractions, brightness and contrast. Changed: no turns by
    90 degrees and no inversion (p stays low enough on a few hundred X-rays to make them rare, and
    nothing of theirs is like an X-ray); one bilinear resampling in place of low-pass filters; p may
    run from 0 to 1 within `ramp_images`, 500 000 in the paper, whose trainings are longer.

    Args:
        target: of E[sign(D(x))], 0.6 in the paper.
        ramp_images: real images that p needs at least from 0 to 1.
        most: p goes no higher: from 0.8 on changes leak into the generated images (section 3.1).
    """

    p: Tensor
    """The probability now; saved with the weights, as are the counters."""
    signs: Tensor
    seen: Tensor
    steps: Tensor

    def __init__(self, target: float, ramp_images: int, most: float) -> None:
        super().__init__()
        self.target, self.ramp_images, self.most = target, ramp_images, most
        for name in ("p", "signs", "seen", "steps"):
            kind = torch.float64 if name in ("p", "signs") else torch.int64
            self.register_buffer(name, torch.zeros((), dtype=kind))

    def observe(self, real_logits: Tensor) -> None:
        """Take note of logits (B, ...) of augmented real images; adjust p every few steps."""
        self.signs += real_logits.sign().double().mean() * len(real_logits)
        self.seen += len(real_logits)
        self.steps += 1
        if int(self.steps) % ADJUST_EVERY == 0:
            direction = torch.sign(self.signs / self.seen - self.target)
            self.p.add_(direction * self.seen / self.ramp_images).clamp_(0, self.most)
            self.signs.zero_()
            self.seen.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Change images (B, C, H, W) in [-1, 1]; the result can leave that range."""
        if not self.p:
            return images
        n, side, device = len(images), images.shape[-1], images.device

        def hit() -> Tensor:
            return torch.rand(n, device=device) < self.p

        def normal(sd: float) -> Tensor:
            return torch.where(hit(), torch.randn(n, device=device) * sd, 0.0)

        def uniform(reach: float) -> Tensor:
            drawn = (torch.rand(n, device=device) * 2 - 1) * reach
            return torch.where(hit(), drawn, 0.0)

        mirrored = hit() & (torch.rand(n, device=device) < 0.5)
        mirror = torch.where(mirrored, -1.0, 1.0)
        pixels = [torch.round(uniform(0.125) * side) / side for _ in range(2)]
        scale = torch.exp2(normal(0.2))
        stretch = torch.exp2(normal(0.2))
        # Twice with 1 - sqrt(1 - p) in the paper, before and after the stretching; once here.
        angle = uniform(math.pi)
        fractions = normal(0.125), normal(0.125)
        x, y = (2 * (a + b) for a, b in zip(pixels, fractions, strict=True))
        theta = affine(angle, 1 / (scale * stretch), stretch / scale, mirror, x, y)
        images = images.float()
        grid = F.affine_grid(theta, list(images.shape), align_corners=False).float()
        moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        untouched = (theta == torch.eye(2, 3, device=device)).flatten(1).all(dim=1)
        images = torch.where(untouched[:, None, None, None], images, moved)
        shift, gain = normal(0.2), torch.exp2(normal(0.5))
        return images * gain.view(n, 1, 1, 1) + shift.view(n, 1, 1, 1)


def refuse_adaptive(augment: nn.Module | None, logits: str) -> None:
    """Refuse, with a GanAugError, augmentation by the sign of logits that say nothing by it."""
    if isinstance(augment, AdaptiveAugment):
        raise GanAugError(
            "model.augment: adaptive augmentation goes by the sign of logits, which says nothing "
            f"of {logits}; set gan_augment@model.augment=diff, or model.augment=null"
        )
