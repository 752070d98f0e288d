"""DCGAN networks that are told the class: conditional batch norm, projection discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.networks.dcgan import halving_layers, initialise, map_widths


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a gain and a bias of each class.

    Dumoulin et al. 2017 (arXiv:1610.07629) have such tables for instance norm; de Vries et al. 2017
    (arXiv:1707.00683) condition batch norm, on a text. The statistics are those of the whole batch,
    whatever its classes.

    Args:
        maps: feature maps.
        classes: how many.
    """

    def __init__(self, maps: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False)
        self.gain, self.bias = nn.Embedding(classes, maps), nn.Embedding(classes, maps)
        nn.init.normal_(self.gain.weight, 1.0, 0.02)  # as DCGAN's batch norm
        nn.init.zeros_(self.bias.weight)

    def forward(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Normalise maps (B, F, H, W) of images with int64 labels (B,)."""
        normal = self.norm(maps)
        # In the maps' own type: float32 gains would turn bfloat16 maps into float32 ones.
        gain, bias = (
            table(labels)[:, :, None, None].to(normal.dtype) for table in (self.gain, self.bias)
        )
        return torch.addcmul(bias, normal, gain)


class Generator(nn.Module):
    """Latent vectors and classes to images: DCGAN's generator with conditional batch norm.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        latent_dim: length of the latent vectors.
        width: feature maps at half the image's resolution; doubles towards 4x4.
        classes: how many.

    Raises:
        GanAugError: an image size the network cannot make.
    """

    def __init__(
        self, image_size: int, channels: int, latent_dim: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        widths = map_widths(image_size, width)[::-1]
        before = [latent_dim, *widths[:-1]]
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, *((1, 0) if i == 0 else (2, 1)), bias=False)
            for i, (a, b) in enumerate(zip(before, widths, strict=True))
        )
        self.norms = nn.ModuleList(ConditionalBatchNorm(maps, classes) for maps in widths)
        self.last = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)
        for module in (self.convolutions, self.last):
            module.apply(initialise)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Map latents (B, latent_dim) and int64 labels (B,) to images (B, C, H, W) in [-1, 1]."""
        maps = latents[:, :, None, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            maps = F.relu(norm(convolution(maps), labels), inplace=True)
        return torch.tanh(self.last(maps))


class Discriminator(nn.Module):
    """Images and classes to logits (Miyato & Koyama 2018, arXiv:1802.05637, eq. 5).

    With phi(x), the mean over places of the maps of DCGAN's discriminator, and a vector v_y of each
    class, the logit is v_y . phi(x) + psi(phi(x)), where psi is linear. The paper has the sum over
    places: logits 16 times as steep as spectral norm means them to be.

    Args:
        image_size: a power of two from 32.
        channels: of the images.
        width: feature maps at half the image's resolution; doubles towards 4x4.
        classes: how many.
        spectral_norm: its weights are going to be normalised, which takes the place of batch norm.

    Raises:
        GanAugError: an image size the network cannot take.
    """

    def __init__(
        self, image_size: int, channels: int, width: int, classes: int, spectral_norm: bool
    ) -> None:
        super().__init__()
        layers = halving_layers(image_size, channels, width, spectral_norm)
        features = map_widths(image_size, width)[-1]
        self.layers = nn.Sequential(*layers).apply(initialise)
        self.embedding, self.linear = nn.Embedding(classes, features), nn.Linear(features, 1)
        for module in (self.embedding, self.linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] and int64 labels (B,) to logits (B,)."""
        features = self.layers(images).float().mean(dim=(2, 3))
        projection = (self.embedding(labels) * features).sum(dim=1)
        logits: Tensor = projection + self.linear(features)[:, 0]
        return logits
