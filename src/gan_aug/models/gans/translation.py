"""GANs that make images from real ones."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from gan_aug.models.gans.base import AT_ONCE, GAN


class TranslationGAN(GAN):
    """Images of other classes to those of a class. It adds `translate` to what a `GAN` needs."""

    TRANSLATES = True

    @abstractmethod
    def translate(
        self, generator: nn.Module, images: Tensor, label: int, random: torch.Generator
    ) -> Tensor:
        """Return images of the class `label` from at most `AT_ONCE` images (N, C, H, W) in [-1, 1].

        The generator is the one that samples come from, in evaluation mode; `random` is on the CPU.
        """

    @torch.no_grad()
    def synthesise(
        self, label: int, count: int, random: torch.Generator, sources: Tensor | None
    ) -> Tensor:
        """Translate the sources."""
        assert sources is not None
        generator = self.ema_generator.eval()
        made = [
            self.translate(generator, part.to(self.device), label, random).cpu()
            for part in torch.split(sources, AT_ONCE)
        ]
        return torch.cat(made)
