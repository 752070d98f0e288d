"""CycleGAN: translation between two classes, learnt without pairs of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import GAN, Batch, Losses
from gan_aug.models.gans.translation import TranslationGAN
from gan_aug.models.networks.blocks import PatchGAN, PatchMean, Residual, draw_without_bias, normed

ENDS = 5
"""Side of the first and the last kernel of a generator."""


class CycleGAN(TranslationGAN):
    """Two generators, each other's inverse, and a discriminator of each class.

    Zhu et al. 2017, arXiv:1703.10593: least-squares losses (section 4), cycle consistency (eq. 2),
    the identity loss (section 5.2), a pool of generated images for the discriminators.

    `source` of a batch, its first half, is of the pair's first class, `target` of its second. The
    images of `fake` have the same order: the first half is of the first class, made from `target`.

    Changed for some 700 images of 64 pixels and minutes on a CPU: a width of 16 and 3 residual
    blocks (64, and 6 for 128 pixels); patches of 34 pixels (70 at 256); 4 images of each class in a
    batch (1), which is faster an image, about 40 passes over the images (200), twice the learning
    rates; samples come from an average of the weights.

    Generated images keep the geometry of their sources, which the cycle loss asks for: the disease
    may change, the patient does not. So a set of them is as varied as its sources, and no more.

    Augmentation, off by default, reaches the discriminators alone: the cycle and the identity loss
    compare images as they are. With 196 patches an image and a pool, the discriminators should
    overfit less than one of whole images does.

    `pair` are two of the data set's classes; None: its only two. `pool` images are kept for each
    discriminator. `cycle_weight` is lambda of eq. 3, `identity_weight` a share of it. The networks
    are `Generators` and `Discriminators`.

    Raises:
        GanAugError: an adaptive augmentation.
    """

    FITTED_ON = "two"
    ONLY_TRAINED_WITH = (*GAN.ONLY_TRAINED_WITH, "pools.")

    def __init__(
        self,
        classes: Sequence[str],
        pair: Sequence[str] | None,
        image_size: int,
        channels: int,
        pool: int,
        cycle_weight: float,
        identity_weight: float,
        **players: Any,
    ) -> None:
        super().__init__(**players)
        refuse_adaptive(self.augment, "the least-squares loss's")
        self.pair = [classes.index(name) for name in pair or classes]
        self.pools = nn.ModuleList(ImagePool(pool, channels, image_size) for _ in range(2))
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight

    def fake(self, batch: Batch) -> Tensor:
        """Translate `target` to the first class and `source` to the second."""
        return torch.cat([self.generator(batch["target"], 0), self.generator(batch["source"], 1)])

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Ask the first class's discriminator about the first half, the second's about the rest."""
        halves = images.chunk(2)
        return torch.cat([self.discriminator(half, which) for which, half in enumerate(halves)])

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real` and `fake`, of both discriminators together.

        Each one's loss is halved (section 4). A mean over both is half of the sum of their means.
        """
        halves = zip(self.pools, fakes.chunk(2), strict=True)
        shown = torch.cat([pool(half) for pool, half in halves])
        return {
            "real": (self.real_logits(batch) - 1).square().mean(),
            "fake": self.seen_logits(shown, batch).square().mean(),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `adversarial`, `cycle` and `identity`, of both generators together."""
        first, second = fakes.chunk(2)
        cycle, identity = [], []
        for which, (real, fake) in enumerate([(batch["source"], second), (batch["target"], first)]):
            # Both are to become `real`: the translation of itself, and the image as it was.
            again, same = self.generator(torch.cat([fake, real]), which).chunk(2)
            cycle.append((again - real).abs().mean())
            identity.append((same - real).abs().mean())
        return {
            "adversarial": 2 * (self.seen_logits(fakes, batch) - 1).square().mean(),
            "cycle": self.cycle_weight * torch.stack(cycle).sum(),
            "identity": self.cycle_weight * self.identity_weight * torch.stack(identity).sum(),
        }

    def translate(
        self, generator: nn.Module, images: Tensor, label: int, random: torch.Generator
    ) -> Tensor:
        """Translate images to a class of the pair; nothing is random."""
        return generator(images, self.pair.index(label))

    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of a class, averaged over patches."""
        own = cast(Discriminators, self.discriminator).networks[self.pair.index(label)]
        return PatchMean(cast(PatchGAN, own).layers)


class ImagePool(nn.Module):
    """A history of generated images (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3).

    Until it is full, images are kept and shown as they come. Then each new image has an even chance
    to take the place of a kept one, which is shown in its stead. Its content is saved with the
    weights; choices come from torch's global generator. The paper keeps 50 images.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, channels: int, image_size: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, channels, image_size, image_size))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Take images (B, C, H, W), float32; return as many to show."""
        shown = images.clone()
        size = len(self.images)
        for i, image in enumerate(images):
            filled = int(self.filled)
            if filled < size:
                self.images[filled] = image
                self.filled += 1
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(size, ()))
                shown[i] = self.images[place]
                self.images[place] = image
        return shown


class _Reflect(nn.Module):
    """Reflection padding in the maps' own precision: autocast's is in float32, and slower."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            return F.pad(maps, (self.pixels,) * 4, mode="reflect")


def _convolution(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
    layer = nn.Conv2d(before, after, kernel, stride, bias=False)
    return [_Reflect(kernel // 2), *normed(layer)]


class Generator(nn.Module):
    """Images of one class to images of another: down to a quarter, residual blocks, up again.

    In the words of appendix 7.2 c5s1-w, d2w, d4w, R4w times `blocks`, u2w, uw, c5s1-C. The image's
    side must be a multiple of 4. Changed: the first and the last kernel have 5 pixels a side (7 for
    images of 128 or more), instance norm has a scale and a shift of its own. The paper's `width` is
    64, its `blocks` are 6 for 128 pixels.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        layers = _convolution(channels, width, ENDS, 1)
        for maps in (width, 2 * width):
            layers += _convolution(maps, 2 * maps, 3, 2)
        same = (4 * width, 4 * width, 3, 1)
        for _ in range(blocks):
            layers.append(Residual(*_convolution(*same), *_convolution(*same)[:-1]))
        for maps in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(maps, maps // 2, 3, 2, 1, output_padding=1, bias=False)
            layers += normed(up)
        layers += [_Reflect(ENDS // 2), nn.Conv2d(width, channels, ENDS)]
        self.layers = nn.Sequential(*layers).apply(draw_without_bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to such images, float32."""
        return torch.tanh(self.layers(images).float())


class _Pair(nn.Module):
    """Two networks, each for the images of one class of a pair."""

    def __init__(self, kind: type[nn.Module], *arguments: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(kind(*arguments) for _ in range(2))

    def forward(self, images: Tensor, which: int) -> Tensor:
        """Ask the network of the pair's class `which`, 0 or 1, about images (B, C, H, W)."""
        return self.networks[which](images)


class Generators(_Pair):
    """Two generators, each to the images of one class of a pair; arguments of `Generator`."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__(Generator, channels, width, blocks)


class Discriminators(_Pair):
    """Two discriminators, each of the images of one class of a pair; arguments of `PatchGAN`."""

    def __init__(self, channels: int, width: int, patch_layers: int, spectral_norm: bool) -> None:
        super().__init__(PatchGAN, channels, width, patch_layers, spectral_norm)
