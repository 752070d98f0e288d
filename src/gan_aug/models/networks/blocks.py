"""What the networks of several GANs are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.runtime.errors import GanAugError

SMALLEST, MIN_SIZE = 4, 32
"""Side of the smallest maps, and of the smallest images, of networks that halve or double it."""
EPSILON = 1e-5
DCGAN_MULTIPLE, PATCH_MULTIPLE = 16, 8
"""Feature maps stop doubling at these multiples of the width: large images would need thousands."""


def sides(image_size: int) -> list[int]:
    """Return 4, 8, ... up to the image's side; GanAugError: it is not a power of two from 32."""
    if image_size < MIN_SIZE or image_size & (image_size - 1):
        raise GanAugError(
            f"data.image_size={image_size}: this GAN takes powers of two from {MIN_SIZE}"
        )
    return [2**i for i in range(SMALLEST.bit_length() - 1, image_size.bit_length())]


def widths(sides: Sequence[int], width: int, most: int) -> list[int]:
    """Return the number of feature maps at each side: `width` at the last, doubling to the first.

    They stop doubling at `most` times the width; each side is twice as large as the one before.
    """
    return [width * min(sides[-1] // side, most) for side in sides]


def inner_widths(image_size: int, width: int) -> list[int]:
    """Return DCGAN's feature maps at each side from 4x4 to half the image's, which has `width`."""
    return widths(sides(image_size)[:-1], width, DCGAN_MULTIPLE)


def draw_weights(module: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 0.02) and the gains of a batch norm from N(1, 0.02).

    After Radford et al. 2015 (arXiv:1511.06434, section 4).
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def draw_without_bias(module: nn.Module) -> None:
    """Draw weights as `draw_weights` does; a convolution's bias begins at zero."""
    draw_weights(module)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def halving_layers(
    image_size: int,
    channels: int,
    width: int,
    norm: Callable[[int], nn.Module] | None,
    bias: bool = True,
    slope: float = 0.2,
) -> list[nn.Module]:
    """Return strided convolutions from images to 4x4 maps, each with a leaky ReLU.

    There are `width` feature maps at half the image's resolution; they double towards 4x4. `norm`
    makes the normalisation of so many maps, of all but the layer next to the image.
    """
    layers: list[nn.Module] = []
    maps = inner_widths(image_size, width)[::-1]
    for i, (before, after) in enumerate(pairwise([channels, *maps])):
        layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=bias))
        if i > 0 and norm is not None:
            layers.append(norm(after))
        layers.append(nn.LeakyReLU(slope, inplace=True))
    return layers


class Residual(nn.Module):
    """What layers make of maps, added to the maps."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Map maps (B, F, H, W) to as many."""
        return maps + self.layers(maps)


class InstanceNorm(nn.Module):
    """Each map of each image to mean 0, variance 1 (Ulyanov et al. 2016, arXiv:1607.08022, eq. 2).

    What `nn.InstanceNorm2d(affine=True)` computes. On a CPU that one leaves the channels_last
    format; batch norm of one image after the other does not, and is nearly as fast as batch norm of
    them all (experiments/speed, Normalization). On a GPU so many small kernels would be slower.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W), of more than one pixel."""
        if maps.device.type != "cpu":
            return F.instance_norm(maps, weight=self.weight, bias=self.bias, eps=EPSILON)
        made = [
            F.batch_norm(one, None, None, self.weight, self.bias, True, 0.0, EPSILON)
            for one in torch.split(maps, 1)
        ]
        return torch.cat(made)


def normed(
    convolution: nn.Conv2d | nn.ConvTranspose2d, norm: Callable[[int], nn.Module] = InstanceNorm
) -> list[nn.Module]:
    """Return a convolution, the normalisation of its maps, and a ReLU."""
    return [convolution, norm(convolution.out_channels), nn.ReLU(inplace=True)]


class PatchGAN(nn.Module):
    """Images to a map of logits, one a patch (Isola et al. 2017, arXiv:1611.07004, section 3.2.2).

    Each logit sees a patch of `9 * 2**patch_layers - 2` pixels a side: 16, 34 or 70. The paper's 70
    are a quarter of its 256 pixels; at 64 pixels 34 hold a lung, 16 are its texture. All is
    convolution, so that any image size will do; at 32 pixels 34 are the whole image.

    The first convolution gives `width` feature maps, each further one twice as many.
    `patch_layers` have a stride of 2, then two follow with a stride of 1. Spectral norm takes the
    place of instance norm.
    """

    def __init__(self, channels: int, width: int, patch_layers: int, spectral_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for i in range(patch_layers + 1):
            after = width * min(2**i, PATCH_MULTIPLE)
            normalised = i > 0 and not spectral_norm  # the papers: no norm on the input layer
            stride = 2 if i < patch_layers else 1
            layers.append(nn.Conv2d(before, after, 4, stride, 1, bias=not normalised))
            if normalised:
                layers.append(InstanceNorm(after))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            before = after
        layers.append(nn.Conv2d(before, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers).apply(draw_without_bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) to logits (B, h, w), float32: large means real."""
        return self.layers(images)[:, 0].float()


class PatchMean(nn.Module):
    """One logit for an image: the mean over its patches, of logits (N, 1, h, w)."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to logits (N,): large means real."""
        return self.layers(images).float().mean(dim=(1, 2, 3))
