"""What the random changes of images do, and that gradients pass the differentiable ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gan_aug.models.augment import ClassicAugment, DiffAugment

OFF = {"brightness": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}


def images(n: int = 64) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(n, 1, 16, 16) * 2 - 1


def test_off_changes_nothing() -> None:
    torch.testing.assert_close(DiffAugment(**OFF)(images()), images())


def test_brightness_shifts_each_image_by_its_own_amount() -> None:
    difference = DiffAugment(**OFF | {"brightness": 0.3})(images()) - images()
    per_image = difference.flatten(1)
    assert per_image.std(dim=1).max() < 1e-6
    shifts = per_image.mean(dim=1)
    assert shifts.abs().max() <= 0.3
    assert shifts.std() > 0.1


def test_contrast_keeps_the_mean() -> None:
    changed = DiffAugment(**OFF | {"contrast": 0.5})(images())
    torch.testing.assert_close(changed.mean((1, 2, 3)), images().mean((1, 2, 3)))
    ratio = changed.std((1, 2, 3)) / images().std((1, 2, 3))
    assert 0.5 <= ratio.min() < 0.7
    assert 1.3 < ratio.max() <= 1.5


def test_translation_shifts_by_whole_pixels_and_fills_with_zeros() -> None:
    torch.manual_seed(3)
    source = images(200)
    moved = DiffAugment(**OFF | {"translation": 0.125})(source)
    padded = torch.nn.functional.pad(source, (2, 2, 2, 2))
    places = [(row, column) for row in range(5) for column in range(5)]
    found = [
        next((r, c) for r, c in places if torch.equal(one, pad[:, r : r + 16, c : c + 16]))
        for one, pad in zip(moved, padded, strict=True)
    ]
    for axis in (0, 1):
        assert {place[axis] for place in found} == {0, 1, 2, 3, 4}


def test_cutout_blanks_a_square() -> None:
    changed = DiffAugment(**OFF | {"cutout": 0.5})(torch.ones(300, 1, 16, 16))
    blank = (changed == 0).sum((1, 2, 3))
    assert blank.max() == 64
    assert 0 < blank.min() < 64
    assert ((changed == 0) | (changed == 1)).all()


def test_gradients_and_memory_format() -> None:
    source = images().to(memory_format=torch.channels_last).requires_grad_()
    augment = DiffAugment(brightness=0.2, contrast=0.2, translation=0.125, cutout=0.25)
    changed = augment(source)
    changed.sum().backward()
    assert source.grad is not None
    assert (source.grad != 0).float().mean() > 0.7
    assert changed.is_contiguous(memory_format=torch.channels_last)


STILL: dict[str, Any] = {
    "flip": 0.0,
    "degrees": 0.0,
    "shift": 0.0,
    "scale": (1.0, 1.0),
    "contrast": 0.0,
    "brightness": 0.0,
}


def classic(**changes: Any) -> torch.Tensor:
    torch.manual_seed(1)
    return ClassicAugment(**STILL | changes)(images())


def test_classic_off_changes_nothing() -> None:
    torch.testing.assert_close(classic(), images(), atol=1e-5, rtol=0)


def test_classic_flip_mirrors_left_and_right() -> None:
    torch.testing.assert_close(classic(flip=1.0), images().flip(-1), atol=1e-5, rtol=0)
    half = torch.isclose(classic(flip=0.5), images(), atol=1e-5).flatten(1).all(dim=1)
    assert 16 < half.sum() < 48


def test_classic_shift_stays_within_its_reach() -> None:
    ramp = (torch.arange(16) / 16 - 0.5).expand(200, 1, 16, 16).contiguous()
    moved = ClassicAugment(**STILL | {"shift": 0.25})(ramp)
    pixels = ((moved - ramp) * 16)[:, 0, 8, 8]
    assert pixels.abs().max() <= 4.01
    assert pixels.max() > 3
    assert pixels.min() < -3


def test_classic_rotation_and_scale_keep_the_centre() -> None:
    spot = torch.full((50, 1, 17, 17), -1.0)
    spot[:, :, 7:10, 7:10] = 1.0
    turned = ClassicAugment(**STILL | {"degrees": 45.0, "scale": (0.8, 1.25)})(spot)
    assert (turned[:, 0, 8, 8] > 0.9).all()
    sizes = (turned > 0).sum(dim=(1, 2, 3))
    assert sizes.min() < 9 < sizes.max()


@pytest.mark.parametrize("change", [{"contrast": 0.5}, {"brightness": 0.5}, {"degrees": 20.0}])
def test_classic_changes_every_image_differently_and_stays_in_range(change: dict[str, Any]) -> None:
    torch.manual_seed(2)
    same = images(1).expand(32, -1, -1, -1)
    changed = ClassicAugment(**STILL | change)(same)
    assert changed.std(dim=0).max() > 0.05
    assert changed.abs().max() <= 1
