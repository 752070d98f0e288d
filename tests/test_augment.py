"""Differentiable augmentation: what it changes, and that gradients pass."""

from __future__ import annotations

import torch

from gan_aug.augment import DiffAugment

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


def test_translation_moves_whole_pixels_and_fills_with_zeros() -> None:
    image = torch.zeros(200, 1, 16, 16)
    image[:, :, 8, 8] = 1.0
    moved = DiffAugment(**OFF | {"translation": 0.125})(image)
    found = moved.nonzero()
    assert len(found) == 200
    assert moved.sum() == 200
    for axis in (2, 3):
        assert sorted(found[:, axis].unique().tolist()) == [6, 7, 8, 9, 10]


def test_translation_is_a_shift_of_the_picture() -> None:
    torch.manual_seed(3)
    source = images(50)
    moved = DiffAugment(**OFF | {"translation": 0.125})(source)
    padded = torch.nn.functional.pad(source, (2, 2, 2, 2))
    for i in range(50):
        shifts = [padded[i, :, r : r + 16, c : c + 16] for r in range(5) for c in range(5)]
        assert any(torch.equal(moved[i], shift) for shift in shifts)


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
