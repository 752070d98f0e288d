"""How an arm's batches are mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from support import BINARY, ROOT
from torch import nn

from gan_aug.run.errors import GanAugError
from gan_aug.run.typed import from_plain, to_plain
from gan_aug.settings.draw import ArmSettings
from gan_aug.study.batches import AddedImages, ArmBatches

N_NORMAL, N_PNEUMONIA, SIZE = 20, 12, 8


class Blacken(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full_like(images, -1.0)


def base_arm() -> dict[str, Any]:
    """conf/arm/base.yaml, with a title."""
    base: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "arm" / "base.yaml"))
    base["added"]["augment"] = None  # an interpolation
    base["title"] = "t"
    return dict(base)


def arm(added: dict[str, Any] | None = None, **changes: Any) -> ArmSettings:
    """The base arm, changed."""
    base = base_arm()
    return from_plain(ArmSettings, base | changes | {"added": base["added"] | (added or {})})


def added_images(normal: int, pneumonia: int) -> AddedImages:
    n = normal + pneumonia
    labels = np.repeat([0, 1], [normal, pneumonia]).astype(np.int64)
    return AddedImages(np.full((n, 1, 8, 8), 200, np.uint8), labels, BINARY)


def batches(settings: ArmSettings, added: AddedImages, **changes: Any) -> ArmBatches:
    labels = np.repeat([0, 1], [N_NORMAL, N_PNEUMONIA]).astype(np.int64)
    images = np.full((len(labels), 1, 8, 8), 100, np.uint8)
    given = {
        "augment": None,
        "augment_added": None,
        "batch_size": SIZE,
        "steps": 10,
        "seed": 3,
        "position": lambda: 0,
    } | changes
    return ArmBatches(images, labels, added, settings, **given)


def rows(made: ArmBatches, n: int = 40) -> torch.Tensor:
    return torch.stack([made.rows(k) for k in range(n)])


def test_no_setting_of_an_arm_is_overlooked() -> None:
    assert to_plain(arm()) == base_arm()


def test_two_arms_with_the_same_images_get_the_same_batches() -> None:
    one, two = batches(arm(), added_images(0, 0)), batches(arm(), added_images(0, 0))
    assert torch.equal(rows(one), rows(two))
    other = batches(arm(), added_images(0, 0), seed=4)
    assert not torch.equal(rows(one), rows(other))


def test_all_images_are_used_equally_often() -> None:
    n = N_NORMAL + N_PNEUMONIA + 8
    counts = rows(batches(arm(), added_images(3, 5)), n).flatten().bincount(minlength=n)
    assert counts.tolist() == [SIZE] * n


@pytest.mark.parametrize(("ratio", "expected"), [(0.25, 2), (0.5, 4)])
def test_a_ratio_holds_in_every_batch(ratio: float, expected: int) -> None:
    made = rows(batches(arm(added={"ratio": ratio}), added_images(3, 4)))
    assert ((made >= N_NORMAL + N_PNEUMONIA).sum(dim=1) == expected).all()


def test_a_ratio_without_added_images_is_real_images_only() -> None:
    made = rows(batches(arm(added={"ratio": 0.5}), added_images(0, 0)))
    assert torch.equal(made, rows(batches(arm(), added_images(0, 0))))


def test_oversampling_balances_every_batch() -> None:
    made = rows(batches(arm(balanced=True), added_images(0, 0)))
    assert ((made < N_NORMAL).sum(dim=1) == SIZE // 2).all()


def test_pretraining_comes_first_and_alone() -> None:
    made = rows(batches(arm(pretrain=0.3), added_images(3, 4)), 10)
    added = made >= N_NORMAL + N_PNEUMONIA
    assert added[:3].all()
    assert not added[3:].any()


def test_pretraining_needs_both_classes() -> None:
    with pytest.raises(GanAugError, match="each class"):
        batches(arm(pretrain=0.3), added_images(0, 5))


def test_only_added_images_are_down_weighted_and_smoothed() -> None:
    settings = arm(added={"ratio": 0.5, "weight": 0.25, "label_smoothing": 0.2})
    batch = next(iter(batches(settings, added_images(5, 5))))
    added = batch["image"][:, 0, 0, 0] > 0
    assert added.sum() == 4
    assert (batch["weight"][added] == 0.25).all()
    assert (batch["weight"][~added] == 1).all()
    assert batch["target"].sum(dim=1).tolist() == pytest.approx([1.0] * SIZE)
    of_label = batch["target"].gather(1, batch["label"][:, None])[:, 0]
    assert of_label[added].tolist() == pytest.approx([0.9] * 4)
    assert (of_label[~added] == 1).all()


def test_augmentation_of_real_and_of_added_images_is_separate() -> None:
    settings = arm(added={"ratio": 0.5})
    for key, changed in (("augment", 100), ("augment_added", 200)):
        batch = next(iter(batches(settings, added_images(5, 5), **{key: Blacken()})))
        value = changed / 127.5 - 1
        assert not torch.isclose(batch["image"], torch.tensor(value)).any()
        assert (batch["image"] == -1).all(dim=(1, 2, 3)).sum() == 4
