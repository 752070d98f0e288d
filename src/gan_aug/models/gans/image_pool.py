"""Generated images that a discriminator is shown again later."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """A history of generated images (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3).

    Until it is full, images are kept and shown as they come. Then each new image has an even chance
    to take the place of a kept one, which is shown in its stead. Its content is saved with the
    weights; choices come from torch's global generator.

    Args:
        size: images kept, 50 in CycleGAN.
        channels: of the images.
        image_size: their side.
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
