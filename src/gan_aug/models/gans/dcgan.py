"""DCGAN: an unconditional GAN, fitted on one class."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from gan_aug.models.gans.base import GAN, Batch, Losses, without_side_effects
from gan_aug.models.losses import adversarial_loss

SYNTHESIS_BATCH = 64
"""Images generated at once; fixed, so that a seed gives the same images for any count."""


class DCGAN(GAN):
    """Latent vectors from N(0, 1) to images (Radford et al. 2015, arXiv:1511.06434).

    The paper draws latents uniformly; the normal distribution of later practice is used here.

    Args:
        loss: see `adversarial_loss`.
        real_label: see `adversarial_loss`.
        **players: see `GAN`.
    """

    conditioning: ClassVar[Literal["none", "label", "image"]] = "none"

    def __init__(self, loss: str, real_label: float, **players: Any) -> None:
        super().__init__(**players)
        self.loss = adversarial_loss(loss, real_label)
        self.latent_dim = int(self.generator.latent_dim)  # type: ignore[arg-type]
        self._latents: Tensor | None = None

    def fake(self, batch: Batch) -> Tensor:
        """Generate from fresh latents."""
        latents = torch.randn(len(batch["image"]), self.latent_dim, device=self.device)
        self._latents = latents
        images: Tensor = self.generator(latents)
        return images

    def discriminator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the terms `real` and `fake`."""
        # Two passes, so that batch norm sees real and generated images apart, as is usual.
        real_logits, fake_logits = self.discriminator(batch["image"]), self.discriminator(fakes)
        return {"real": self.loss.real(real_logits), "fake": self.loss.fake(fake_logits)}

    def generator_losses(self, batch: Batch, fakes: Tensor) -> Losses:
        """Return the term `adversarial`."""
        return {"adversarial": self.loss.generator(self.discriminator(fakes))}

    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return D(x), and D(G(z)) for one z before and after the generator's step."""

        def score(images: Tensor) -> Tensor:
            return self.loss.score(without_side_effects(self.discriminator, images)).mean()

        assert self._latents is not None
        again = without_side_effects(self.generator, self._latents)
        return {
            "score/D(x)": score(batch["image"]),
            "score/D(G(z)) before g step": score(fakes),
            "score/D(G(z)) after g step": score(again),
        }

    @torch.no_grad()
    def synthesise(self, n: int, random: torch.Generator) -> Tensor:
        """Generate from the EMA generator, in evaluation mode."""
        self.ema_generator.eval()
        images = []
        for start in range(0, n, SYNTHESIS_BATCH):
            latents = torch.randn(SYNTHESIS_BATCH, self.latent_dim, generator=random)
            made: Tensor = self.ema_generator(latents.to(self.device))
            images.append(made[: n - start].cpu())
        return torch.cat(images)
