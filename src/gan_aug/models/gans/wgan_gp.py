"""WGAN-GP: a critic of slope 1 that measures how far apart images are, fitted on one class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.losses import gradient_penalty
from gan_aug.models.networks.blocks import SMALLEST, halving_layers, inner_widths

SLOPE = 0.2


class WGANGP(LatentGAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1).

    The generator is DCGAN's, with batch norm, and the critic has layer norm in its place. Changed:

    - What the critic sees is augmented, so the straight lines of its penalty join augmented images:
      it is between those that its slope is to be 1.
    - Samples come from averaged weights.
    - A sixtieth of the paper's generator steps. So that there are as many: two critic steps before
      each in place of five, batches of 32 in place of 64, a quarter of the width; and twice the
      learning rates.

    `penalty` is lambda of eq. 3.

    Raises:
        GanAugError: an adaptive augmentation.
    """

    def __init__(self, penalty: float, **settings: Any) -> None:
        super().__init__(loss="wasserstein", real_label=1.0, **settings)
        self.penalty = penalty

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real`, `fake` and `penalty` (eq. 3)."""
        ends = self.augment(batch["image"]), self.augment(fakes)
        penalty = gradient_penalty(lambda images: self.logits(images, batch), *ends)
        return super().discriminator_losses(batch, fakes) | {"penalty": self.penalty * penalty}

    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return the critic's means, and its estimate of the Wasserstein distance between them."""
        scores = super().diagnostics(batch, fakes)
        distance = scores["score/D(x)"] - scores["score/D(G(z)) before g step"]
        return scores | {"score/wasserstein distance": distance}


class LayerNorm(nn.GroupNorm):
    """All maps of an image together to mean 0 and variance 1 (Ba et al. 2016, arXiv:1607.06450).

    Scaled and shifted for each map. No image's result depends on the others of the batch, without
    which the penalty on each image's gradient would mean nothing (section 4).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)


class Critic(nn.Module):
    """Images to unbounded scores: strided convolutions, layer norm, leaky ReLU 0.2.

    The discriminator of DCGAN with layer norm in place of batch norm; weights are drawn as He et
    al. 2015 (arXiv:1502.01852) do.
    """

    def __init__(self, image_size: int, channels: int, width: int) -> None:
        super().__init__()
        layers = halving_layers(image_size, channels, width, LayerNorm, slope=SLOPE)
        features = inner_widths(image_size, width)[0]
        self.layers = nn.Sequential(*layers, nn.Conv2d(features, 1, SMALLEST))
        for module in self.layers:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to scores (B,): large means real."""
        return torch.flatten(self.layers(images))
