"""StarGAN: one generator that translates images between any two classes."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.translation import TranslationGAN
from gan_aug.models.losses import gradient_penalty
from gan_aug.models.networks.blocks import PatchMean, Residual, halving_layers, inner_widths, normed


class StarGAN(TranslationGAN):
    """Images and a class to images of that class (Choi et al. 2018, arXiv:1711.09020).

    In training each image is translated to a class drawn at random, its own among them, and back.
    A discriminator tells real images from translated ones, patch by patch, and the classes apart.

    Changed, for a few hundred images of 64x64 and a short training:

    - Networks a quarter as wide, with half as many residual blocks; batches of half the size;
      four times the learning rates.
    - The discriminator halves images down to 4x4, the paper's down to 2x2.
    - The source logit of an image is the mean over its patches, in the gradient penalty too.
    - One class an image, so the class loss is softmax cross entropy, as for the paper's facial
      expressions; its attributes, which go together, have one sigmoid each.
    - Augmentation of what the discriminator sees takes the place of mirrored images, and samples
      come from averaged weights.

    Raises:
        GanAugError: an adaptive augmentation.
    """

    FITTED_ON = "all"

    def __init__(
        self, class_weight: float, cycle_weight: float, penalty: float, **players: Any
    ) -> None:
        super().__init__(**players)
        refuse_adaptive(self.augment, "a Wasserstein critic's")
        self.class_weight, self.cycle_weight, self.penalty = class_weight, cycle_weight, penalty
        self._wanted: Tensor | None = None

    def fake(self, batch: Batch) -> Tensor:
        """Translate the batch's images to classes drawn at random, each as likely as any other."""
        classes = int(self.generator.classes)  # type: ignore[arg-type]
        self._wanted = torch.randint(classes, batch["label"].shape, device=self.device)
        return self.generator(batch["image"], self._wanted)

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits (B, 4, 4) of being real; the class does not count."""
        return self.discriminator(images)[0]

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return `real`, `fake` and `gradient_penalty` (eq. 8) and `class` (eq. 2)."""
        reals, fakes = self.augment(batch["image"]), self.augment(fakes)
        real_logits, class_logits = self.discriminator(reals)
        critic = self.critic(0)
        return {
            "real": -real_logits.mean(),
            "fake": critic(fakes).mean(),
            "gradient_penalty": self.penalty * gradient_penalty(critic, reals, fakes),
            "class": self.class_weight * F.cross_entropy(class_logits, batch["label"]),
        }

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return `adversarial` (eq. 8), `class` (eq. 3) and `reconstruction` (eq. 4)."""
        assert self._wanted is not None
        logits, class_logits = self.discriminator(self.augment(fakes))
        again = self.generator(fakes, batch["label"])
        return {
            "adversarial": -logits.mean(),
            "class": self.class_weight * F.cross_entropy(class_logits, self._wanted),
            "reconstruction": self.cycle_weight * F.l1_loss(again, batch["image"]),
        }

    def translate(
        self, generator: nn.Module, images: Tensor, label: int, random: torch.Generator
    ) -> Tensor:
        """Translate images to a class; nothing is random."""
        return generator(images, torch.full((len(images),), label, device=self.device))

    def critic(self, label: int) -> nn.Module:
        """Return what tells real images, of any class: (N, C, H, W) to the patches' mean (N,)."""
        trunk, source = self.discriminator.trunk, self.discriminator.source
        return PatchMean(nn.Sequential(*cast(nn.Sequential, trunk), cast(nn.Module, source)))


class Generator(nn.Module):
    """Images and the classes they are to have to images (table 4).

    Each class has a map beside the image's channels, 1 where it is asked for and 0 where another
    is. Two halvings, residual blocks, two doublings.
    """

    def __init__(self, channels: int, width: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        layers = normed(nn.Conv2d(channels + classes, width, 7, 1, 3, bias=False))
        for maps in (2 * width, 4 * width):
            layers += normed(nn.Conv2d(maps // 2, maps, 4, 2, 1, bias=False))
        same = (4 * width, 4 * width, 3, 1, 1)
        for _ in range(blocks):
            first, second = (normed(nn.Conv2d(*same, bias=False)) for _ in range(2))
            layers.append(Residual(*first, *second[:-1]))
        for maps in (2 * width, width):
            layers += normed(nn.ConvTranspose2d(2 * maps, maps, 4, 2, 1, bias=False))
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels, 7, 1, 3, bias=False))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Translate images (B, C, H, W) in [-1, 1] to classes (B,), int64; float32 as they are."""
        wanted = F.one_hot(labels, self.classes).to(images.dtype)[:, :, None, None]
        maps = wanted.expand(-1, -1, *images.shape[2:])
        return torch.tanh(self.layers(torch.cat([images, maps], dim=1)).float())


class Discriminator(nn.Module):
    """Images to logits of being real, one for each patch, and of the classes (table 5).

    Halvings down to 4x4 without normalisation, then a convolution for each of the two.
    """

    def __init__(self, image_size: int, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*halving_layers(image_size, channels, width, None, slope=0.01))
        features = inner_widths(image_size, width)[0]
        self.source = nn.Conv2d(features, 1, 3, 1, 1, bias=False)
        self.classes = nn.Conv2d(features, classes, 4, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, 4, 4) of real and (B, K) of classes."""
        maps = self.trunk(images)
        return self.source(maps)[:, 0], self.classes(maps)[:, :, 0, 0]
