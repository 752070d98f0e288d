"""FastGAN: a light GAN for a few hundred images, whose discriminator has to describe them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.networks.blocks import draw_weights, sides, widths

MAX_MULTIPLE = 16
"""Feature maps stop doubling at this multiple of the width."""
SKIP = 3
"""Doublings of the side from a map to the one that it excites."""
MIDDLE, LAST = 16, 8
"""Sides of the discriminator's maps that images are reconstructed from."""


class FastGAN(LatentGAN):
    """Skip-layer excitation, self-supervised discriminator (Liu et al. 2021, arXiv:2101.04775).

    Two decoders reconstruct real images from the discriminator's maps (eq. 2): the whole at half
    its side from the last ones, 8x8, and a random quarter at full resolution from those before,
    16x16. So its maps have to tell what is in an image, which makes it hard to learn a few hundred
    by heart. The adversarial loss is the hinge loss on logits of 5x5 parts (eq. 3 and 4).

    Changed from the paper, whose images have 256 to 1024 pixels a side:

    - L1 is the distance of eq. 2; the paper's is that of a network pretrained on photographs.
    - Maps excite those 8 times as large, not 16: images of 32 and 64 have no more room.
    - The decoders make half of the image's side, which is what the paper's do with 256.
    - No noise is added to the generator's maps: an image follows from its latent vector alone.
      Synthesis is fixed by its seed and `explain` looks at latents, and at 64 pixels there is
      little detail that noise would be needed for.
    - The networks are narrower, and the EMA forgets sooner, as the training is shorter.
    """

    discriminator: Discriminator

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits (B, 5, 5) of parts of images."""
        return self.discriminator.logits(self.discriminator.features(images)[1])

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real`, `fake`, and of real images `whole` and `part`."""
        images = self.augment(batch["image"])
        middle, last = self.discriminator.features(images)
        real_logits = self.discriminator.logits(last)
        self.adapt(real_logits)
        return {
            "real": self.loss.real(real_logits),
            "fake": self.loss.fake(self.seen_logits(fakes, batch)),
            **self._reconstruction(images, middle, last),
        }

    def _reconstruction(self, images: Tensor, middle: Tensor, last: Tensor) -> Losses:
        """Compare what the decoders make of maps with the images that they are of."""
        row, column = torch.randint(0, MIDDLE - LAST + 1, (2,)).tolist()
        whole = self.discriminator.whole(last)
        part = self.discriminator.part(middle[:, :, row : row + LAST, column : column + LAST])
        cell, half = images.shape[-1] // MIDDLE, images.shape[-1] // 2
        quarter = images[:, :, row * cell :, column * cell :][:, :, :half, :half]
        return {
            "whole": (whole.float() - F.avg_pool2d(images, 2)).abs().mean(),
            "part": (part.float() - quarter).abs().mean(),
        }


class GatedLinearUnit(nn.Module):
    """One half of the maps times the sigmoid of the other, as `nn.GLU`.

    The gradient of nn.GLU leaves channels_last memory, and batch norm's then takes far longer.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, 2 F, H, W) to (B, F, H, W)."""
        values, gates = maps.chunk(2, dim=1)
        return values * torch.sigmoid(gates)


def _up(before: int, after: int) -> nn.Sequential:
    """Double the side (figure 3); the gated linear unit halves the maps again."""
    convolution = nn.Conv2d(before, 2 * after, 3, 1, 1, bias=False)
    gated = nn.BatchNorm2d(2 * after), GatedLinearUnit()
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution, *gated)


class SkipExcitation(nn.Module):
    """Skip-layer excitation (eq. 1): small maps say how much each large map counts.

    y = F(x_low) x_high, where F is a mean over 4x4 cells, a 4x4 convolution to one cell, leaky
    ReLU, a 1x1 convolution and a sigmoid. There are `low` small maps, `high` large ones.
    """

    def __init__(self, low_side: int, low: int, high: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AvgPool2d(low_side // 4),
            nn.Conv2d(low, high, 4, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(high, high, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Gate maps `high` (B, H, S, S) by maps `low` (B, L, s, s)."""
        return high * self.gate(low)


class Generator(nn.Module):
    """Latent vectors to images: one convolution a side, batch norm, gated linear units, tanh.

    Maps of side s excite those of side 8 s; in the paper, whose images are larger, those of 16 s.
    """

    def __init__(self, image_size: int, channels: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        there = sides(image_size)
        maps = widths(there, width, MAX_MULTIPLE)
        self.first = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, 2 * maps[0], 4, bias=False),
            nn.BatchNorm2d(2 * maps[0]),
            GatedLinearUnit(),
        )
        self.ups = nn.ModuleList(map(_up, maps, maps[1:]))
        self.skips = nn.ModuleList(map(SkipExcitation, there, maps, maps[SKIP:]))
        self.last = nn.Conv2d(maps[-1], channels, 3, 1, 1)
        self.apply(draw_weights)

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents (B, latent_dim) to images (B, C, H, W) in [-1, 1]."""
        maps = [self.first(latents[:, :, None, None])]
        for i, up in enumerate(self.ups, 1):
            high = up(maps[-1])
            low = i - SKIP
            maps.append(high if low < 0 else self.skips[low](maps[low], high))
        return torch.tanh(self.last(maps[-1]))


def _normed(before: int, after: int, size: int, step: int = 1, edge: int = 0) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, size, step, edge, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)]


class _Down(nn.Module):
    """Halve the side: the mean of two paths, one with a strided convolution and one with means."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        main = _normed(before, after, 4, 2, 1) + _normed(after, after, 3, 1, 1)
        self.main = nn.Sequential(*main)
        self.direct = nn.Sequential(nn.AvgPool2d(2), *_normed(before, after, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return (self.main(maps) + self.direct(maps)) / 2


def _decoder(image_size: int, channels: int, before: int, width: int) -> nn.Sequential:
    """Return what makes images of half the side from maps of 8x8."""
    after = widths(sides(image_size)[2:-1], width, MAX_MULTIPLE)
    ups = map(_up, [before, *after], after)
    return nn.Sequential(*ups, nn.Conv2d(after[-1], channels, 3, 1, 1), nn.Tanh())


class Discriminator(nn.Module):
    """Images to logits of 5x5 overlapping parts, and back to images by two decoders (figure 4).

    From half the image's resolution, with twice `width` feature maps, they double down to 8x8.
    The decoders `whole` and `part` map (B, F, 8, 8) to images (B, C, H / 2, W / 2) in [-1, 1].
    """

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        maps = widths(sides(image_size), width, MAX_MULTIPLE)[1:-1][::-1]  # of half the side to 8x8
        # As is usual, no batch norm next to the image.
        stem = [nn.Conv2d(channels, maps[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        downs = list(map(_Down, maps, maps[1:]))
        self.to_middle = nn.Sequential(*stem, *downs[:-1])
        self.to_last = downs[-1]
        head = [*_normed(maps[-1], maps[-1], 1), nn.Conv2d(maps[-1], 1, 4, bias=False)]
        self.head = nn.Sequential(*head)
        self.part = _decoder(image_size, channels, maps[-2], width)
        self.whole = _decoder(image_size, channels, maps[-1], width)
        self.apply(draw_weights)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [-1, 1] to maps (B, F, 16, 16) and (B, G, 8, 8)."""
        middle = self.to_middle(images)
        return middle, self.to_last(middle)

    def logits(self, last: Tensor) -> Tensor:
        """Map the maps (B, G, 8, 8) of `features` to logits (B, 5, 5): large means real."""
        return self.head(last)[:, 0].float()  # their mean is not to be rounded to bfloat16

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to the means (B,) of their logits."""
        return self.logits(self.features(images)[1]).mean(dim=(1, 2))
