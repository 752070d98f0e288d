"""A generator's latent space: ways through it, its middle, and what lies nearest to an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from gan_aug.interpret.sheets import projection_figure, strips_figure
from gan_aug.metrics.memorisation import closer
from gan_aug.settings.base import Plain

BATCH = 64
CANDIDATES = 1024
LEARNING_RATE = 0.1
ROWS, STEPS = 6, 9
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
SPREAD_OVER = 64
PROJECTED, PROJECTED_SHOWN, PROJECTION_STEPS = 16, 5, 200


def latent_sheets(
    generator: nn.Module, latent_dim: int, groups: Mapping[str, Tensor], seed: int
) -> tuple[Plain, dict[str, Figure]]:
    """Walk through a generator's latent space, and look for real images in it.

    The generator is frozen, in evaluation mode. Groups are `unseen real`, `training` and
    `generated` images (N, C, H, W) in [-1, 1], to project; all latents follow from the seed.
    Returned are numbers, and figures by the name of their sheet.
    """
    random = torch.Generator().manual_seed(seed)
    starts, ends = torch.randn(2, ROWS, latent_dim, generator=random)
    images = images_from(generator, slerp(starts, ends, STEPS).flatten(0, 1))
    strips = images.reshape(ROWS, STEPS, *images.shape[1:])
    latents = torch.randn(SPREAD_OVER, latent_dim, generator=random)
    scaled = torch.stack([images_from(generator, scale * latents) for scale in SCALES], dim=1)
    spread = 127.5 * scaled.std(dim=0).flatten(1).mean(dim=1)
    images = torch.cat(list(groups.values()))
    projected = project(generator, latent_dim, images, PROJECTION_STEPS, random)
    sizes = [len(group) for group in groups.values()]
    columns = zip(*(torch.split(column, sizes) for column in projected), strict=True)
    parts = {name: Projection(*part) for name, part in zip(groups, columns, strict=True)}
    projection: Plain = {
        name: {
            "rms_mean": float(part.rms.mean()),
            "rms_sd": float(part.rms.std()),
            "latent_length": float(part.lengths.mean()),
            "images": len(part.rms),
        }
        for name, part in parts.items()
    }
    nearer = closer(*(parts[name].rms.double().numpy() for name in ("training", "unseen real")))
    numbers = {
        "interpolation": {"largest_step_over_mean": largest_jump(strips), "steps": STEPS - 1},
        "truncation": {
            "spread": {str(s): float(v) for s, v in zip(SCALES, spread, strict=True)},
            "latents": SPREAD_OVER,
        },
        "projection": projection | {"share_of_pairs_training_nearer": nearer},
    }
    few = slice(PROJECTED_SHOWN)
    shown = {
        f"{name} (mean of {len(part.rms)}: {part.rms.mean():.1f})": (
            groups[name][few],
            part.images[few],
            part.rms[few].tolist(),
        )
        for name, part in parts.items()
    }
    above = ["one latent", *[""] * (STEPS - 2), "another"]
    scales = [f"x {scale:g}" for scale in SCALES]
    figures = {
        "interpolation": strips_figure("Ways between two random latents", strips, above),
        "truncation": strips_figure("Latents scaled", scaled[:ROWS], scales),
        "projection": projection_figure(shown),
    }
    return numbers, figures


@torch.no_grad()
def images_from(generator: nn.Module, latents: Tensor) -> Tensor:
    """Map latents (N, d) to images (N, C, H, W) in [-1, 1]."""
    return torch.cat([generator(batch) for batch in torch.split(latents, BATCH)])


def slerp(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Interpolate along the great circle (Shoemake 1985; for latents White 2016, arXiv:1609.04468).

    A straight line would cross lengths that N(0, 1) latents of many dimensions never have. From
    (N, d), neither 0 nor parallel, to (N, d): (N, steps, d), both ends among the steps.
    """
    cosine = torch.cosine_similarity(a, b, dim=1).clamp(-1, 1)
    angle = torch.arccos(cosine)[:, None, None]
    share = torch.linspace(0, 1, steps)[None, :, None]
    weights = torch.sin((1 - share) * angle), torch.sin(share * angle)
    return (weights[0] * a[:, None] + weights[1] * b[:, None]) / torch.sin(angle)


def largest_jump(strips: Tensor) -> float:
    """Return the largest step of a strip over its mean step, as a mean over (rows, steps, C, H, W).

    1 is an even walk; a walk from one remembered image to the next would have one large step.
    """
    step = strips.diff(dim=1).flatten(2).square().mean(dim=2).sqrt()
    return float((step.amax(dim=1) / step.mean(dim=1).clamp_min(1e-12)).mean())


class Projection(NamedTuple):
    """The generator's nearest images.

    The lengths are those of the latents, over the root of their dimensions: about 1 where the
    generator draws them.
    """

    images: Tensor  # (N, C, H, W) in [-1, 1]
    rms: Tensor  # (N,) root mean square errors, in grey levels of 0 to 255
    lengths: Tensor  # (N,)


def project(
    generator: nn.Module, latent_dim: int, images: Tensor, steps: int, random: torch.Generator
) -> Projection:
    """Look for the latents whose images are nearest, by Adam on the mean square error of pixels.

    The generator is frozen, in evaluation mode, the images (N, C, H, W) in [-1, 1]. The steps of
    Adam start from the nearest of `CANDIDATES` random latents.
    """
    candidates = torch.randn(CANDIDATES, latent_dim, generator=random)
    distances = [
        torch.cdist(images.flatten(1), images_from(generator, batch).flatten(1))
        for batch in torch.split(candidates, BATCH)
    ]
    latents = candidates[torch.cat(distances, dim=1).argmin(dim=1)].clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latents], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        # The sum over images: each one's steps do not depend on the others.
        (generator(latents) - images).square().mean(dim=(1, 2, 3)).sum().backward()
        optimizer.step()
        schedule.step()
    latents = latents.detach()
    nearest = images_from(generator, latents)
    return Projection(
        nearest,
        127.5 * (nearest - images).square().mean(dim=(1, 2, 3)).sqrt(),
        latents.norm(dim=1) / math.sqrt(latent_dim),
    )
