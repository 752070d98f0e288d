"""GANs that make images from real ones."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from gan_aug.models.gans.base import GAN
from gan_aug.models.gans.request import Request, Synthesised

TRANSLATED_AT_ONCE = 64
"""Images made at once; fixed, so that a seed gives the same images for any count."""


class TranslationGAN(GAN):
    """Real images to images of a class. A subclass adds `translate` to what a `GAN` needs."""

    SOURCES = "other"

    @abstractmethod
    def translate(
        self, generator: nn.Module, images: Tensor, label: int, random: torch.Generator
    ) -> Tensor:
        """Return images of a class.

        Args:
            generator: the one that samples come from, in evaluation mode.
            images: (N, C, H, W) in [-1, 1], at most `TRANSLATED_AT_ONCE`.
            label: of the class.
            random: on the CPU.
        """

    @torch.no_grad()
    def synthesise(self, request: Request) -> Synthesised:
        """Translate the sources."""
        assert request.sources is not None
        self.ema_generator.eval()
        made = [
            self.translate(
                self.ema_generator, part.to(self.device), request.label, request.random
            ).cpu()
            for part in torch.split(request.sources.images, TRANSLATED_AT_ONCE)
        ]
        return Synthesised(torch.cat(made), request.sources.hashes)
