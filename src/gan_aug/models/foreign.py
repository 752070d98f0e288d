"""Random changes of images by other libraries: torchvision's transforms, kornia's, one's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_aug.runtime.errors import GanAugError, innermost, said
from gan_aug.settings.base import Node


class Foreign(nn.Module):
    """Another library's random changes, for images in [-1, 1].

    They are given what torchvision's transforms (v2) and kornia's both take: float32 in [0, 1],
    (1, C, H, W), an image at a time, since many draw what they do once a call. They return as much,
    or uint8. Where the result leaves [0, 1] it is clipped. Random numbers are torch's global ones.
    """

    def __init__(self, change: Callable[[Tensor], Tensor], key: str) -> None:
        super().__init__()
        self.change, self.key = change, key

    def forward(self, images: Tensor) -> Tensor:
        """Change images (B, C, H, W) in [-1, 1]; the result stays in that range.

        Raises:
            GanAugError: what comes back is no image of the same shape; the line names the setting.
        """
        changed = torch.empty_like(images)
        for i, image in enumerate(torch.split(images.add(1).div_(2), 1)):
            changed[i] = self._back(self.change(image), image)[0]
        return changed.mul_(2).sub_(1).clamp_(-1, 1)

    def _back(self, result: object, image: Tensor) -> Tensor:
        if not isinstance(result, Tensor):
            raise self._refused(f"returns {type(result).__name__}, not images")
        if result.shape != image.shape:
            raise self._refused(f"makes {tuple(result.shape)} of images {tuple(image.shape)}")
        if result.dtype == torch.uint8:
            return result / 255
        if not result.is_floating_point():
            raise self._refused(f"returns {result.dtype}, not float in [0, 1] or uint8")
        return result

    def _refused(self, what: str) -> GanAugError:
        return GanAugError(
            f"{self.key}: {what}; choose changes that keep shape and range of images"
        )


def build_augment(node: Node | None, key: str) -> nn.Module | None:
    """Return random changes of images (B, C, H, W) in [-1, 1]; None where there are none.

    Those of this package take and return that range themselves, all others are `Foreign`.

    Raises:
        GanAugError: it cannot be built; the line names the setting `key`.
    """
    if node is None:
        return None
    made = node.build(key)
    ours = type(made).__module__.partition(".")[0] == "gan_aug"
    if ours and isinstance(made, nn.Module):
        return made
    if not callable(made):
        raise GanAugError(
            f"{key}: {node.class_path} makes {type(made).__name__}, which changes no images; "
            "choose one of conf/augment, or a transform of torchvision.transforms.v2"
        )
    return Foreign(made, key)


def try_augment(node: Node | None, key: str, channels: int, image_size: int) -> None:
    """Change two images once; global random numbers stay as they are.

    Raises:
        GanAugError: it cannot be built, or does not take such images; the line names `key`.
    """
    augment = build_augment(node, key)
    if augment is None:
        return
    with torch.random.fork_rng(devices=[]):
        images = torch.rand(2, channels, image_size, image_size) * 2 - 1
        try:
            changed = augment(images)
        except Exception as error:
            if (ours := innermost(error)) is not None:
                raise ours from error
            raise GanAugError(
                f"{key}: cannot change images of {channels} channels, {image_size}x{image_size} "
                f"({said(error) or type(error).__name__}); choose other changes"
            ) from error
    if not changed.isfinite().all():
        raise GanAugError(f"{key}: makes numbers that are not finite; choose other changes")
