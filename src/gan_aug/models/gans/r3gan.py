"""R3GAN: a relativistic loss and penalties on both kinds of images, and nothing else."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.losses import squared_gradient
from gan_aug.models.networks.blocks import SMALLEST, Residual, sides, widths
from gan_aug.runtime.errors import GanAugError

MAX_MULTIPLE = 8
"""Feature maps stop doubling at this multiple of the width."""
EXPANSION = 2
"""Times as many maps between the 1x1 convolutions of a block as outside."""
GROUP_SIZE = 16
"""Maps in a group of the 3x3 convolution."""
SLOPE = 0.2
"""Of leaky ReLU for negative inputs."""


class R3GAN(LatentGAN):
    """A regularised relativistic GAN (Huang et al. 2024, arXiv:2501.05441).

    Each generated image is compared with the real image at its place in the batch (eq. 2), so that
    it does not help the generator to leave real images out. The gradient of the discriminator is
    penalised at real images (R1) and at generated ones (R2), in every step (eq. 3). There is no
    normalisation, and no other trick.

    Changed from the paper: the networks are narrower and have one block at each resolution; two
    generator steps follow each of the discriminator's, in place of one; gamma,
    the learning rates and Adam's betas stay what they are, where the paper moves them over 20
    million images; images are augmented by DiffAugment. As in the paper, generated images are not
    bounded while the networks are trained.

    `gamma` is the weight of R1 and R2; what is best depends on the size of the images.

    Raises:
        GanAugError: spectral norm, another R1, or an adaptive augmentation.
    """

    def __init__(self, gamma: float, **settings: Any) -> None:
        if settings["spectral_norm"]:
            raise GanAugError(
                "model.spectral_norm=true: r3gan begins with weights of zero, which cannot be "
                "normalised; set model.spectral_norm=false"
            )
        if settings["r1_gamma"]:
            raise GanAugError(
                f"model.r1.gamma={settings['r1_gamma']}: r3gan has R1 in every step, weighed by "
                "model.gamma; set model.r1.gamma=0"
            )
        refuse_adaptive(settings["augment"], "a relativistic discriminator's")
        # f of eq. 1 and 2 is the non-saturating loss; it is given differences of logits.
        super().__init__(loss="non_saturating", real_label=1.0, **settings)
        self.gamma = gamma

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `adversarial`, `r1` and `r2`."""
        reals = batch["image"].detach().requires_grad_(True)
        fakes = fakes.detach().requires_grad_(True)
        real_logits, fake_logits = self.seen_logits(reals, batch), self.seen_logits(fakes, batch)
        return {
            "adversarial": self.loss.generator(real_logits - fake_logits),
            "r1": self.gamma / 2 * squared_gradient(real_logits, reals).mean(),
            "r2": self.gamma / 2 * squared_gradient(fake_logits, fakes).mean(),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the term `adversarial`."""
        real_logits = self.seen_logits(batch["image"], batch)  # augmented before the generated ones
        return {"adversarial": self.loss.generator(self.seen_logits(fakes, batch) - real_logits)}

    def realness(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the probability that an image, and not the real one at its place, is the real."""
        difference = self.logits(images, batch) - self.logits(batch["image"], batch)
        return self.loss.score(difference).mean()

    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return D(G(z)) for one z before and after the generator's step, and D(x) beside it."""
        scores = super().diagnostics(batch, fakes)
        return scores | {"score/D(x)": 1 - scores["score/D(G(z)) before g step"]}


def _convolution(
    before: int, after: int, kernel: int, gain: float = 1.0, bias: bool = False, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution whose weights are from N(0, gain / sqrt(inputs))."""
    layer = nn.Conv2d(before, after, kernel, 1, kernel // 2, groups=groups, bias=bias)
    inputs = before // groups * kernel**2
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(Residual):
    """Maps plus what an inverted bottleneck makes of them: 1x1, grouped 3x3, 1x1.

    In place of normalisation, weights begin so that the variance of the maps does not grow with the
    number of blocks in the network (Zhang et al. 2019, arXiv:1901.09321, section 3): the last
    convolution with zeros, the others smaller by blocks^(-1/4).

    Raises:
        GanAugError: maps that cannot be cut into groups.
    """

    def __init__(self, width: int, multiple: int, blocks: int) -> None:
        least = GROUP_SIZE // EXPANSION
        if width > least and width % least:
            raise GanAugError(
                f"model.width={width}: r3gan cuts its maps into groups of {GROUP_SIZE}; set a "
                f"multiple of {least}, or less than {least}"
            )
        maps, inner = multiple * width, multiple * width * EXPANSION
        groups = multiple * max(1, width // least)
        gain = nn.init.calculate_gain("leaky_relu", SLOPE) * blocks**-0.25
        super().__init__(
            _convolution(maps, inner, 1, gain, bias=True),
            nn.LeakyReLU(SLOPE, inplace=True),
            _convolution(inner, inner, 3, gain, bias=True, groups=groups),
            nn.LeakyReLU(SLOPE, inplace=True),
            _convolution(inner, maps, 1, gain=0.0),
        )


def _stages(multiples: list[int], width: int, blocks: int, up: bool) -> list[nn.Module]:
    """Return the blocks at each resolution, with what leads from one to the next."""
    layers: list[nn.Module] = []
    for before, multiple in pairwise([multiples[0], *multiples]):
        wider = [_convolution(width * before, width * multiple, 1)] if multiple != before else []
        if layers and up:
            layers += [*wider, nn.Upsample(scale_factor=2, mode="bilinear")]
        elif layers:
            layers += [nn.AvgPool2d(2), *wider]
        layers += [Block(width, multiple, blocks * len(multiples)) for _ in range(blocks)]
    return layers


class _Start(nn.Module):
    """Latent vectors to maps of 4x4: learned patterns, each times a number."""

    def __init__(self, latent_dim: int, maps: int) -> None:
        super().__init__()
        self.patterns = nn.Parameter(torch.randn(maps, SMALLEST, SMALLEST))
        self.strength = nn.Linear(latent_dim, maps, bias=False)
        nn.init.normal_(self.strength.weight, 0.0, 1 / math.sqrt(latent_dim))

    def forward(self, latents: Tensor) -> Tensor:
        return self.patterns * self.strength(latents)[:, :, None, None]


class Generator(nn.Module):
    """Latent vectors to images: residual blocks, bilinear upsampling, no normalisation.

    While it is trained nothing bounds the images, as in the paper: the discriminator teaches it
    what they are like. (A tanh would end the training of dark images: where it is nearly -1 it
    passes no gradient, and without normalisation nothing brings it back.) In evaluation mode what
    lies outside [-1, 1] is cut off.
    """

    def __init__(
        self, image_size: int, channels: int, latent_dim: int, width: int, blocks: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        multiples = widths(sides(image_size), 1, MAX_MULTIPLE)
        self.stages = nn.Sequential(
            _Start(latent_dim, width * multiples[0]),
            *_stages(multiples, width, blocks, up=True),
            _convolution(width * multiples[-1], channels, 1),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to images (B, C, H, W), in evaluation mode in [-1, 1]."""
        images: Tensor = self.stages(latents)
        return images if self.training else images.clamp(-1, 1)


class Discriminator(nn.Module):
    """Images to logits: the generator in reverse; bilinear halving is the mean of 2x2 cells."""

    def __init__(self, image_size: int, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        multiples = widths(sides(image_size), 1, MAX_MULTIPLE)[::-1]
        entry, maps = _convolution(channels, width, 1), width * multiples[-1]
        self.stages = nn.Sequential(entry, *_stages(multiples, width, blocks, up=False))
        self.patterns = nn.Parameter(torch.randn(maps, SMALLEST, SMALLEST) / SMALLEST)
        self.last = nn.Linear(maps, 1, bias=False)
        nn.init.normal_(self.last.weight, 0.0, 1 / math.sqrt(maps))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B,): large means more real than others."""
        maps = self.stages(images)
        # Only differences of logits count, and their common level is free to drift: bfloat16 would
        # round the differences away.
        with torch.autocast(maps.device.type, enabled=False):
            features = (maps.float() * self.patterns).sum(dim=(2, 3))
            return torch.flatten(self.last(features))
