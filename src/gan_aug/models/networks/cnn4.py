"""Four convolutions for few labels: weight norm, dropout of maps, averaged weights."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gan_aug.models.networks.base import ImageClassifier

SLOPE = 0.2


class PooledCNN(ImageClassifier):
    """Strided convolutions with leaky ReLUs, the mean of each map, linear.

    Of the kind that Salimans et al. 2016 (arXiv:1606.03498, section 5) train beside a generator,
    smaller. All weights are normalised (Salimans & Kingma 2016, arXiv:1602.07868, equation 2):
    unlike batch norm, that treats each image alone. There are `width` feature maps at half the
    image's resolution; they double twice. In training a share `dropout` of the maps that a
    convolution is given is left out, images excepted. Outside of training the weights are an
    exponential moving average with `ema_decay`; 0: those of the last step.
    """

    MIN_SIZE = 16

    def __init__(
        self, channels: int, classes: int, width: int, dropout: float, ema_decay: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        maps = [channels, *(width * multiple for multiple in (1, 2, 4, 4))]
        for i, (before, after) in enumerate(pairwise(maps)):
            convolution = nn.Conv2d(before, after, 3, stride=2, padding=1)
            nn.init.kaiming_normal_(convolution.weight, SLOPE)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            layers += [nn.Dropout2d(dropout)] if i else []
            layers += [weight_norm(convolution), nn.LeakyReLU(SLOPE, inplace=True)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), weight_norm(nn.Linear(maps[-1], classes))]
        self.layers = nn.Sequential(*layers)
        self.averaged = copy.deepcopy(self.layers).requires_grad_(False)
        self.ema_decay = ema_decay

    @property
    def _in_use(self) -> nn.Sequential:
        return self.layers if self.training else self.averaged

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self._in_use(images)

    def features(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] to the means of the last maps (B, 4 width)."""
        return self._in_use[:-1](images)

    @torch.no_grad()
    def after_step(self) -> None:
        """Let the average follow the weights."""
        for mean, weight in zip(self.averaged.parameters(), self.layers.parameters(), strict=True):
            mean.lerp_(weight, 1 - self.ema_decay)
