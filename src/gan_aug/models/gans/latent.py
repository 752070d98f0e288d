"""GANs that make images from latent vectors, of one class or of several."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_aug.models.adaptive_augment import refuse_adaptive
from gan_aug.models.gans.base import AT_ONCE, GAN, Batch
from gan_aug.models.losses import adversarial_loss


class LatentGAN(GAN):
    """Latent vectors from N(0, 1) to images.

    As it stands, it is a GAN with a loss of its discriminator's logits (`adversarial_loss`); a
    subclass overrides losses that are others. Where it is `FITTED_ON` several classes, both
    networks are given int64 labels (B,) as their second argument. Latents of synthesis beyond
    `truncation` standard deviations are drawn again (Brock et al. 2019, arXiv:1809.11096, section
    3.1): less variety for better images.

    Raises:
        GanAugError: adaptive augmentation with a loss that it is not for.
    """

    def __init__(
        self, loss: str, real_label: float, truncation: float | None, **players: Any
    ) -> None:
        super().__init__(**players)
        if loss in ("least_squares", "wasserstein"):
            refuse_adaptive(self.augment, f"the {loss} loss's")
        self.loss = adversarial_loss(loss, real_label)
        self.truncation = truncation
        self.latent_dim = int(self.generator.latent_dim)  # type: ignore[arg-type]
        self._latents: Tensor | None = None

    def _ask(self, network: nn.Module, inputs: Tensor, batch: Batch) -> Tensor:
        """Ask one of the networks, as of the batch's classes where it is told them."""
        return network(inputs) if self.FITTED_ON == "one" else network(inputs, batch["label"])

    def fake(self, batch: Batch) -> Tensor:
        """Generate from fresh latents."""
        self._latents = torch.randn(len(batch["image"]), self.latent_dim, device=self.device)
        return self._ask(self.generator, self._latents, batch)

    def logits(self, images: Tensor, batch: Batch) -> Tensor:
        """Ask the discriminator."""
        return self._ask(self.discriminator, images, batch)

    def realness(self, images: Tensor, batch: Batch) -> Tensor:
        """Return the D(x) of images that is logged: a probability where the loss has one."""
        return self.loss.score(self.logits(images, batch)).mean()

    @torch.no_grad()
    def diagnostics(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        """Return D(x), and D(G(z)) for one z before and after the generator's step."""
        assert self._latents is not None
        buffers = [*self.generator.buffers(), *self.discriminator.buffers()]
        kept = [buffer.clone() for buffer in buffers]
        again = self._ask(self.generator, self._latents, batch)
        scores = {
            "score/D(x)": self.realness(batch["image"], batch),
            "score/D(G(z)) before g step": self.realness(fakes, batch),
            "score/D(G(z)) after g step": self.realness(again, batch),
        }
        for buffer, value in zip(buffers, kept, strict=True):  # running statistics and the like
            buffer.copy_(value)
        return scores

    @torch.no_grad()
    def synthesise(
        self, label: int, count: int, random: torch.Generator, sources: Tensor | None
    ) -> Tensor:
        """Generate from fresh latents; there are no sources."""
        self.ema_generator.eval()
        images, truncation, decode = [], self.truncation, self.decoder(label)
        for start in range(0, count, AT_ONCE):
            latents = torch.randn(AT_ONCE, self.latent_dim, generator=random)
            while truncation is not None and (beyond := latents.abs() > truncation).any():
                latents[beyond] = torch.randn(int(beyond.sum()), generator=random)
            images.append(decode(latents.to(self.device))[: count - start].cpu())
        return torch.cat(images)

    def critic(self, label: int) -> nn.Module:
        """Return the discriminator of one class: images (N, C, H, W) to logits (N,)."""
        return self._of_class(self.discriminator, label)

    def decoder(self, label: int) -> nn.Module:
        """Return the EMA generator of one class."""
        return self._of_class(self.ema_generator, label)

    def _of_class(self, network: nn.Module, label: int) -> nn.Module:
        return network if self.FITTED_ON == "one" else _OfClass(network, label)


class _OfClass(nn.Module):
    """A network that is told classes, for one of them."""

    def __init__(self, network: nn.Module, label: int) -> None:
        super().__init__()
        self.network, self.label = network, label

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs, torch.full((len(inputs),), self.label, device=inputs.device))
