"""FastGAN: a light GAN for a few hundred images, whose discriminator has to describe them."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_aug.models.gans.base import Batch, Losses
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.networks.fastgan import LAST, MIDDLE, Discriminator, part_of, whole_of


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

    Args:
        **settings: see `LatentGAN` and `GAN`; the discriminator is `networks.fastgan`'s.
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
            "fake": self.loss.fake(self.judge(fakes, batch)),
            **self._reconstruction(images, middle, last),
        }

    def _reconstruction(self, images: Tensor, middle: Tensor, last: Tensor) -> Losses:
        """Compare what the decoders make of maps with the images that they are of."""
        row, column = torch.randint(0, MIDDLE - LAST + 1, (2,)).tolist()
        whole = self.discriminator.decode_whole(last)
        part = self.discriminator.decode_part(middle, row, column)
        return {
            "whole": (whole.float() - whole_of(images)).abs().mean(),
            "part": (part.float() - part_of(images, row, column)).abs().mean(),
        }
