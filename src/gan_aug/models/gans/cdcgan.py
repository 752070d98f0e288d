"""A DCGAN of all classes at once, whose networks are given the class of each image."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.gans.dcgan import discriminator_layers
from gan_aug.models.gans.latent import LatentGAN
from gan_aug.models.networks.blocks import draw_weights, inner_widths


class CDCGAN(LatentGAN):
    """Latent vectors and a class to images (Miyato & Koyama 2018, arXiv:1802.05637).

    The generator gets the class by conditional batch norm, the discriminator by a projection.
    Generated images take the classes of the batch's real ones.

    Changed: DCGAN's convolutions in place of the paper's ResNets, which are for 1000 classes at
    128x128 and cost many times as much; features averaged over places, not summed, since with sums
    the discriminator of a small set soon has nothing left to learn; batch norm in the discriminator
    and DCGAN's loss, since with spectral norm and the hinge loss it learned more slowly; one
    discriminator step for two of the generator, where the paper has five for one: in a short
    training the generator needs its steps; and Adam with 0.5 and 0.999, DCGAN's, in place of 0 and
    0.9.
    """

    FITTED_ON = "all"


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a gain and a bias of each class.

    Dumoulin et al. 2017 (arXiv:1610.07629) have such tables for instance norm; de Vries et al. 2017
    (arXiv:1707.00683) condition batch norm, on a text. The statistics are those of the whole batch,
    whatever its classes.
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
    """Latent vectors and classes to images: DCGAN's generator with conditional batch norm."""

    def __init__(
        self, image_size: int, channels: int, latent_dim: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        maps = inner_widths(image_size, width)
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, *((1, 0) if i == 0 else (2, 1)), bias=False)
            for i, (a, b) in enumerate(pairwise([latent_dim, *maps]))
        )
        self.norms = nn.ModuleList(ConditionalBatchNorm(after, classes) for after in maps)
        self.last = nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1, bias=False)
        self.convolutions.apply(draw_weights)
        self.last.apply(draw_weights)

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
    """

    def __init__(
        self, image_size: int, channels: int, width: int, classes: int, spectral_norm: bool
    ) -> None:
        super().__init__()
        layers = discriminator_layers(image_size, channels, width, spectral_norm)
        features = inner_widths(image_size, width)[0]
        self.layers = nn.Sequential(*layers).apply(draw_weights)
        self.embedding, self.linear = nn.Embedding(classes, features), nn.Linear(features, 1)
        for module in (self.embedding, self.linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Map images (B, C, H, W) in [-1, 1] and int64 labels (B,) to logits (B,)."""
        features = self.layers(images).float().mean(dim=(2, 3))
        projection = (self.embedding(labels) * features).sum(dim=1)
        return projection + self.linear(features)[:, 0]
