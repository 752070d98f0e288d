"""Other libraries' random changes get the images that they expect, and give back ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from support import ROOT
from torch import Tensor
from torchvision.transforms import v2

from gan_aug.models.augment import ClassicAugment
from gan_aug.models.foreign import Foreign, build_augment, try_augment
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Node


class Crops:
    def __call__(self, images: Tensor) -> Tensor:
        return images[..., 1:]


class Labels:
    def __call__(self, images: Tensor) -> Tensor:
        return images.long()


class Halves:
    def __call__(self, images: Tensor) -> list[Tensor]:
        return [images]


class WantsColours:
    def __call__(self, images: Tensor) -> Tensor:
        raise TypeError("needs 3 channels,\nnot 1")


class NoChange:
    pass


def batch(n: int = 8) -> Tensor:
    images = torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return images.to(memory_format=torch.channels_last)


def node(name: str) -> Node:
    """A group of conf/augment."""
    plain: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "augment" / f"{name}.yaml"))
    return Node.model_validate(plain)


def own(kind: type) -> Node:
    return Node.model_validate({"_target_": f"{__name__}.{kind.__name__}"})


def test_it_is_given_one_image_at_a_time_in_0_to_1() -> None:
    """As kornia's changes and torchvision's take them."""
    seen: list[Tensor] = []

    def flip(image: Tensor) -> Tensor:
        seen.append(image.clone())
        return image.flip(-1)

    changed = Foreign(flip, "augment")(batch())
    assert [tuple(image.shape) for image in seen] == [(1, 1, 16, 16)] * 8
    torch.testing.assert_close(torch.cat(seen), (batch() + 1) / 2)
    torch.testing.assert_close(changed, batch().flip(-1))
    assert changed.stride() == batch().stride()


def test_the_images_given_stay_as_they_are() -> None:
    images = batch()
    Foreign(lambda x: x.zero_(), "augment")(images)
    assert torch.equal(images, batch())


def test_what_leaves_the_range_is_clipped() -> None:
    changed = Foreign(lambda images: images + 0.7, "augment")(batch())
    torch.testing.assert_close(changed, (batch() + 1.4).clamp(-1, 1))


def test_uint8_is_taken_too() -> None:
    to_bytes = Foreign(lambda images: (images * 255).round().to(torch.uint8), "augment")
    assert (to_bytes(batch()) - batch()).abs().max() <= 1 / 255 + 1e-6


@pytest.mark.parametrize("name", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_changed_in_its_own_way_and_reproducibly(name: str, channels: int) -> None:
    augment = build_augment(node(name), "augment")
    assert isinstance(augment, Foreign)
    same = batch(1).expand(32, channels, -1, -1)
    torch.manual_seed(5)
    changed = augment(same)
    torch.manual_seed(5)
    assert torch.equal(augment(same), changed)
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 12
    assert changed.dtype == torch.float32
    assert changed.abs().max() <= 1


def test_a_policy_is_the_librarys_own() -> None:
    """Torchvision's, asked for one image, gives the same numbers."""
    augment = build_augment(node("randaugment"), "augment")
    assert augment is not None
    torch.manual_seed(3)
    changed = augment(batch(1))
    torch.manual_seed(3)
    torch.testing.assert_close(changed, v2.RandAugment()((batch(1) + 1) / 2).clamp(0, 1) * 2 - 1)


def test_our_own_changes_are_asked_as_they_were() -> None:
    classic = build_augment(node("classic"), "augment")
    assert isinstance(classic, ClassicAugment)
    assert build_augment(None, "augment") is None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Crops, r"makes \(1, 1, 16, 15\) of images \(1, 1, 16, 16\); choose changes that keep"),
        (Labels, "returns torch.int64, not float in"),
        (Halves, "returns list, not images"),
        (WantsColours, "cannot change images of 1 channels, 16x16 .needs 3 channels, not 1.;"),
        (NoChange, "NoChange makes NoChange, which changes no images; choose one of conf/augment"),
    ],
)
def test_what_cannot_change_images_is_one_line(kind: type, said: str) -> None:
    with pytest.raises(GanAugError, match=f"arms.x.augment: .*{said}") as refused:
        try_augment(own(kind), "arms.x.augment", 1, 16)
    assert "\n" not in str(refused.value)


def test_trying_leaves_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    try_augment(node("randaugment"), "arms.x.augment", 1, 16)
    assert torch.equal(torch.get_rng_state(), before)
