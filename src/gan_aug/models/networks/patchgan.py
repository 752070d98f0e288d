"""PatchGAN: a discriminator that judges each patch of an image by itself."""

from __future__ import annotations

from torch import Tensor, nn

from gan_aug.models.networks.instance_norm import InstanceNorm

MAX_MULTIPLE = 8
"""Feature maps stop doubling at this multiple of the width, as in the paper."""


def draw_weights(module: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 0.02), as both papers' appendices say."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class PatchGAN(nn.Module):
    """Images to a map of logits (Isola et al. 2017, arXiv:1611.07004, section 3.2.2).

    Each logit sees a patch of `9 * 2**patch_layers - 2` pixels a side: 16, 34 or 70. The paper's 70
    are a quarter of its 256 pixels; at 64 pixels 34 hold a lung, 16 are its texture. All is
    convolution, so that any image size will do; at 32 pixels 34 are the whole image.

    Args:
        channels: of what it sees.
        width: feature maps after the first convolution; doubles with each further one.
        patch_layers: convolutions of stride 2; two of stride 1 follow.
        spectral_norm: its weights are going to be normalised, which takes the place of instance
            norm.
    """

    def __init__(self, channels: int, width: int, patch_layers: int, spectral_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for i in range(patch_layers + 1):
            after = width * min(2**i, MAX_MULTIPLE)
            normalised = i > 0 and not spectral_norm  # the papers: no norm on the input layer
            stride = 2 if i < patch_layers else 1
            layers.append(nn.Conv2d(before, after, 4, stride, 1, bias=not normalised))
            if normalised:
                layers.append(InstanceNorm(after))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            before = after
        layers.append(nn.Conv2d(before, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers).apply(draw_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) to logits (B, h, w), float32: large means real."""
        logits: Tensor = self.layers(images)
        return logits[:, 0].float()


class PatchMean(nn.Module):
    """One logit for an image: the mean over its patches.

    Args:
        layers: images (N, C, H, W) to logits (N, 1, h, w).
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to logits (N,): large means real."""
        logits: Tensor = self.layers(images)
        return logits.float().mean(dim=(1, 2, 3))
