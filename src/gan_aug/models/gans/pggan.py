"""PGGAN: both networks grow from 4x4 to the images' size while they are trained, on one class.

Stage 0 is 4x4 and every further one has twice the side. How far a network has grown is one number,
its buffer `growth`: 2 is stage 2, and 2.3 is stage 3 faded in by 0.3 over stage 2.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.wgan_gp import WGANGP
from gan_aug.models.losses import gradient_penalty
from gan_aug.models.networks.blocks import SMALLEST, sides, widths
from gan_aug.runtime.errors import GanAugError

MAX_MULTIPLE = 8
"""Feature maps stop doubling at this multiple of the width."""
EPSILON = 1e-8
GROUP = 4
MOMENTUM = 0.1
HE = math.sqrt(2.0)
"""Gain before a ReLU, which halves the mean square (He et al. 2015, arXiv:1502.01852, eq. 10)."""


class PGGAN(WGANGP):
    """Progressive growing (Karras et al. 2018, arXiv:1710.10196).

    The networks are the paper's (sections 2 to 4 and appendix A.1), with equalised learning rates,
    pixel norm and the standard deviation of the minibatch; latents are points of a hypersphere.
    Stage 0 makes images of 4x4. Each stage is trained as it is for a while, then the next is faded
    in, in real images too; the last has the rest of the training. All that is computed is of the
    stage's size, and so are the images at which the critic is to have slope 1. How far the networks
    have grown is a function of `share_done`, and kept in a buffer of each: a checkpoint alone makes
    images of the stage that it was saved in.

    Adam's state is kept when a stage is added, where the published code clears it: with betas
    (0, 0.99) it remembers some hundred steps. Weights that are not reached yet, or left behind, get
    no gradient and no step; as Adam counts the steps of each weight, new ones start afresh.

    The penalty is on the gradient of all logits' sum, as in the published code: the images of a
    group reach each other's logits through the standard deviation of the minibatch.

    Changed from the paper:

    - At most 8 times `width` feature maps, where it has 512; they double from the image on.
    - Stages take shares of a few thousand steps; each fade and each stage has 800 000 images there.
    - Twice the learning rates; averaged weights forget sooner than with 0.999.
    - One batch size, where it has 16 images up to 128x128 and then fewer.
    - The discriminator's cells of 2x2 are averaged before the activation instead of after it: so
      it is one step with the convolution, a quarter faster.
    - What the discriminator sees is augmented, at the stage's size: a few hundred images are soon
      known by heart. It has no augmentation.

    Each fade takes the share `fade` of the training; 4x4, and each later stage but the last, is
    trained on as it is for the share `stable`. `drift` weighs the mean square of the logits of real
    images (appendix A.1).

    Raises:
        GanAugError: shares that leave nothing for the last stage, or see `WGANGP`.
    """

    discriminator: Discriminator

    def __init__(
        self, fade: float, stable: float, penalty: float, drift: float, **settings: Any
    ) -> None:
        super().__init__(penalty=penalty, truncation=None, **settings)
        self.fade, self.stable, self.drift = fade, stable, drift
        self.top = int(self.generator.top)  # type: ignore[arg-type]
        if self.top * (fade + stable) >= 1:
            raise GanAugError(
                f"model.growth.fade={fade:g}, model.growth.stable={stable:g}: the {self.top} "
                f"stages before the last take {self.top * (fade + stable):g} of the training; set "
                f"them so that both together stay below 1/{self.top}"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Grow, fade the real images too, and do the step."""
        growth = growth_at(self.share_done, self.fade, self.stable, self.top)
        # The EMA's as well: averaging numbers that are equal keeps them so.
        for network in (self.generator, self.discriminator, self.ema_generator):
            network.growth.fill_(growth)  # type: ignore[operator]
        images = self.discriminator.faded(batch["image"])
        super().training_step(batch | {"image": images}, batch_idx)

    def seen_logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of images that are augmented at the stage's size."""
        return self.logits(self._seen(images), batch)

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real`, `fake`, `penalty` and `drift` (appendix A.1)."""
        critic = self.discriminator
        seen_reals, seen_fakes = self._seen(batch["image"]), self._seen(fakes)
        reals = critic(seen_reals)
        return {
            "real": self.loss.real(reals),
            "fake": self.loss.fake(critic(seen_fakes)),
            "penalty": self.penalty * gradient_penalty(critic, seen_reals, seen_fakes),
            "drift": self.drift * reals.float().square().mean(),
        }

    def _seen(self, images: Tensor) -> Tensor:
        return self.augment(self.discriminator.reduced(images))


def growth_at(share_done: float, fade: float, stable: float, top: int) -> float:
    """Return how far the networks have grown; `top` is the last stage, for the rest see `PGGAN`."""
    stage, place = divmod(share_done, stable + fade)
    return min(stage + max(0.0, place - stable) / fade, float(top))


def _in_use(growth: Tensor) -> tuple[int, float]:
    """Return the largest stage in use, and how far it is faded in: 1 is wholly, never 0."""
    value = float(growth)
    stage = math.ceil(value)
    return stage, 1.0 - (stage - value)


def _doubled(images: Tensor) -> Tensor:
    # On a GPU, autocast enlarges in float32, and lerp wants both of one type.
    return F.interpolate(images, scale_factor=2.0, mode="nearest").to(images.dtype)


class PixelNorm(nn.Module):
    """Feature vectors to a mean square of 1 (section 4.2)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W) at each place, or vectors (B, C)."""
        mean_square = maps.square().mean(dim=1, keepdim=True, dtype=torch.float32)
        return maps * torch.rsqrt(mean_square + EPSILON).to(maps.dtype)


class MinibatchStd(nn.Module):
    """One more map that says how much images differ from each other (section 3).

    It holds the standard deviation over a group of images, averaged over features and places. As in
    the published code, groups are of 4 images; the whole batch is one group where 4 does not
    divide it. In evaluation it holds the running mean of training, so that what is made of an image
    does not depend on those beside it, and of a single one can be told.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + 1, H, W)."""
        count = len(maps)
        if self.training:
            size = count if count % GROUP else GROUP
            groups = maps.float().reshape(-1, size, *maps.shape[1:])
            variance = groups.var(dim=1, correction=0)
            spread = (variance + EPSILON).sqrt().mean(dim=(1, 2, 3))
            self.usual.lerp_(spread.detach().mean(), MOMENTUM)
            spread = spread.repeat_interleave(count // len(spread))
        else:
            spread = self.usual.expand(count)
        new = spread.to(maps.dtype)[:, None, None, None].expand(-1, 1, *maps.shape[2:])
        return torch.cat([maps, new], dim=1)


class EqualConv2d(nn.Conv2d):
    """A convolution with an equalised learning rate (section 4.1).

    Weights start from N(0, 1) and are multiplied by He's constant wherever they are used. Steps of
    Adam, which are of one size whatever the gradient's, then move every layer by the same share of
    it. `gain` is the standard deviation of what goes out at the start, for inputs of mean square 1.
    """

    def __init__(
        self, before: int, after: int, kernel_size: int = 3, padding: int = 0, gain: float = HE
    ) -> None:
        super().__init__(before, after, kernel_size, padding=padding)
        self.scale = gain / math.sqrt(before * kernel_size**2)

    def reset_parameters(self) -> None:
        """Draw the weights from N(0, 1)."""
        nn.init.normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, H', W')."""
        return F.conv2d(maps, self.weight * self.scale, self.bias, padding=self.padding)


class EqualUpConv2d(EqualConv2d):
    """Images doubled in size, every pixel four times, and an `EqualConv2d` of 3x3: as one step."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, 2 H, 2 W)."""
        kernel = _of_pairs(self.weight.flip(2, 3) * self.scale).transpose(0, 1)
        return F.conv_transpose2d(maps, kernel, self.bias, stride=2, padding=1)


class EqualDownConv2d(EqualConv2d):
    """An `EqualConv2d` of 3x3 and the means of 2x2 cells: as one step."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, H / 2, W / 2)."""
        kernel = _of_pairs(self.weight * (self.scale / 4.0))
        return F.conv2d(maps, kernel, self.bias, stride=2, padding=1)


def _of_pairs(kernel: Tensor) -> Tensor:
    """Return the 4x4 kernel that sums a 3x3 one at the four places of a cell of 2x2."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[..., 1:] + rows[..., :-1]


class EqualLinear(nn.Linear):
    """A linear layer whose weights are scaled where they are used, as those of `EqualConv2d`."""

    def __init__(self, before: int, after: int, gain: float = HE) -> None:
        super().__init__(before, after)
        self.scale = gain / math.sqrt(before)

    def reset_parameters(self) -> None:
        """Draw the weights from N(0, 1)."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, before) to (B, after)."""
        return F.linear(inputs, self.weight * self.scale, self.bias)


def _active(layer: nn.Module) -> list[nn.Module]:
    return [layer, nn.LeakyReLU(0.2, inplace=True)]


def _from_latents(latent_dim: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        EqualLinear(latent_dim, after * SMALLEST**2),
        *_active(nn.Unflatten(1, (after, SMALLEST, SMALLEST))),
        PixelNorm(),
        *_active(EqualConv2d(after, after, padding=1)),
        PixelNorm(),
    )


def _up(before: int, after: int) -> nn.Sequential:
    layers = [*_active(EqualUpConv2d(before, after)), PixelNorm()]
    return nn.Sequential(*layers, *_active(EqualConv2d(after, after, padding=1)), PixelNorm())


def _down(before: int, after: int) -> nn.Sequential:
    layers = _active(EqualConv2d(before, before, padding=1)) + _active(
        EqualDownConv2d(before, after)
    )
    return nn.Sequential(*layers)


def _to_logit(before: int) -> nn.Sequential:
    return nn.Sequential(
        MinibatchStd(),
        *_active(EqualConv2d(before + 1, before, padding=1)),
        *_active(EqualConv2d(before, before, SMALLEST)),
        nn.Flatten(),
        EqualLinear(before, 1, gain=1.0),
    )


class Generator(nn.Module):
    """Latent vectors to images of the stage in use, enlarged (table 2, left)."""

    growth: Tensor

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        maps = widths(sides(image_size), width, MAX_MULTIPLE)
        self.image_size, self.latent_dim, self.top = image_size, latent_dim, len(maps) - 1
        self.normalise = PixelNorm()
        self.blocks = nn.ModuleList(
            [_from_latents(latent_dim, maps[0]), *(_up(a, b) for a, b in pairwise(maps))]
        )
        self.to_image = nn.ModuleList(EqualConv2d(w, channels, 1, gain=1.0) for w in maps)
        self.register_buffer("growth", torch.zeros(()))

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim), whose length does not count, to images (B, C, H, W).

        The last layer is linear, as in the paper; in evaluation images are clamped to [-1, 1].
        """
        stage, fade = _in_use(self.growth)
        maps = self.normalise(latents)
        for older in range(stage):
            maps = self.blocks[older](maps)
        images: Tensor = self.to_image[stage](self.blocks[stage](maps))
        if fade < 1.0:
            images = torch.lerp(_doubled(self.to_image[stage - 1](maps)), images, fade)
        images = F.interpolate(images, size=self.image_size, mode="nearest")
        return images if self.training else images.clamp(-1.0, 1.0)


class Discriminator(nn.Module):
    """Images, reduced to the stage in use, to logits (table 2, right)."""

    growth: Tensor

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        maps = widths(sides(image_size), width, MAX_MULTIPLE)
        self.from_image = nn.ModuleList(
            nn.Sequential(*_active(EqualConv2d(channels, w, 1))) for w in maps
        )
        self.blocks = nn.ModuleList([_to_logit(maps[0]), *(_down(b, a) for a, b in pairwise(maps))])
        self.register_buffer("growth", torch.zeros(()))

    def reduced(self, images: Tensor) -> Tensor:
        """Average images (B, C, H, W) over cells, down to the stage in use: (B, C, h, w)."""
        stage, _ = _in_use(self.growth)
        cell = images.shape[-1] // (SMALLEST * 2**stage)
        return F.avg_pool2d(images, cell) if cell > 1 else images

    def faded(self, images: Tensor) -> Tensor:
        """Reduce real images, with what the new stage adds as strong as it is in generated ones."""
        images = self.reduced(images)
        _, fade = _in_use(self.growth)
        if fade < 1.0:
            images = torch.lerp(_doubled(F.avg_pool2d(images, 2)), images, fade)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W), of any stage from the one in use, to logits (B,)."""
        stage, fade = _in_use(self.growth)
        images = self.reduced(images)
        maps = self.blocks[stage](self.from_image[stage](images))
        if fade < 1.0:
            maps = torch.lerp(self.from_image[stage - 1](F.avg_pool2d(images, 2)), maps, fade)
        for older in reversed(range(stage)):
            maps = self.blocks[older](maps)
        return maps.flatten()
