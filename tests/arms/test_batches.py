"""How an arm's batches are mixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from support import BINARY, ROOT
from torch import nn

from gan_aug.arms.base import ArmImages
from gan_aug.data.batches import Batches, Plan, Pool
from gan_aug.data.image_table import ClassImages, ImageTable
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.arms import ArmSettings
from gan_aug.study.batches import ArmPlan, pool_of, used

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
    return ArmSettings.model_validate(base | changes | {"added": base["added"] | (added or {})})


@dataclass(frozen=True)
class Made:
    """An arm's images and how they are mixed."""

    pool: Pool
    plan: Plan

    def rows(self, k: int) -> torch.Tensor:
        return self.plan.rows(k)

    def batch(self, k: int = 0) -> dict[str, torch.Tensor]:
        return self.plan.combine(self.pool.batch(self.rows(k)), k)


def real_images() -> ImageTable:
    labels = np.repeat([0, 1], [N_NORMAL, N_PNEUMONIA]).astype(np.int64)
    names = np.arange(len(labels)).astype(str)
    images = np.full((len(labels), 1, 8, 8), 100, np.uint8)
    return ImageTable(images, labels, names, names, names, BINARY)


def arm_images(normal: int, pneumonia: int) -> ArmImages:
    """The real images, and so many added ones of each class."""
    numbers = {"normal": normal, "pneumonia": pneumonia}
    added = {k: ClassImages(np.full((n, 1, 8, 8), 200, np.uint8)) for k, n in numbers.items()}
    return ArmImages.of(real_images(), added)


def batches(
    settings: ArmSettings,
    images: ArmImages,
    seed: int = 3,
    augment: nn.Module | None = None,
    augment_added: nn.Module | None = None,
) -> Made:
    pool = pool_of(images, settings, augment, augment_added)
    return Made(pool, ArmPlan(settings, images, SIZE, 10, seed))


def rows(made: Made, n: int = 40) -> torch.Tensor:
    return torch.stack([made.rows(k) for k in range(n)])


def test_no_setting_of_an_arm_is_overlooked() -> None:
    """Each key of base.yaml is a field, and each field stands there."""
    settings = arm()
    assert settings.model_dump() == base_arm()
    assert not settings.model_extra
    assert not settings.added.model_extra


def test_two_arms_with_the_same_images_get_the_same_batches() -> None:
    one, two = batches(arm(), arm_images(0, 0)), batches(arm(), arm_images(0, 0))
    assert torch.equal(rows(one), rows(two))
    other = batches(arm(), arm_images(0, 0), seed=4)
    assert not torch.equal(rows(one), rows(other))


def test_all_images_are_used_equally_often() -> None:
    n = N_NORMAL + N_PNEUMONIA + 8
    counts = rows(batches(arm(), arm_images(3, 5)), n).flatten().bincount(minlength=n)
    assert counts.tolist() == [SIZE] * n


@pytest.mark.parametrize(("ratio", "expected"), [(0.25, 2), (0.5, 4)])
def test_a_ratio_holds_in_every_batch(ratio: float, expected: int) -> None:
    made = rows(batches(arm(added={"ratio": ratio}), arm_images(3, 4)))
    assert ((made >= N_NORMAL + N_PNEUMONIA).sum(dim=1) == expected).all()


def test_a_ratio_without_added_images_is_real_images_only() -> None:
    made = rows(batches(arm(added={"ratio": 0.5}), arm_images(0, 0)))
    assert torch.equal(made, rows(batches(arm(), arm_images(0, 0))))


def test_oversampling_balances_every_batch() -> None:
    made = rows(batches(arm(balanced=True), arm_images(0, 0)))
    assert ((made < N_NORMAL).sum(dim=1) == SIZE // 2).all()


def test_pretraining_comes_first_and_alone() -> None:
    made = rows(batches(arm(pretrain=0.3), arm_images(3, 4)), 10)
    added = made >= N_NORMAL + N_PNEUMONIA
    assert added[:3].all()
    assert not added[3:].any()


def test_only_added_images_are_down_weighted_and_smoothed() -> None:
    settings = arm(added={"ratio": 0.5, "weight": 0.25, "label_smoothing": 0.2})
    batch = batches(settings, arm_images(5, 5)).batch()
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
        batch = batches(settings, arm_images(5, 5), **{key: Blacken()}).batch()
        value = changed / 127.5 - 1
        assert not torch.isclose(batch["image"], torch.tensor(value)).any()
        assert (batch["image"] == -1).all(dim=(1, 2, 3)).sum() == 4


def mixing(balanced: bool = False) -> Made:
    """The base arm with mixup; real images are 100, added ones 200."""
    return batches(arm({"mixup": 0.8}, balanced=balanced), arm_images(6, 6))


@pytest.mark.parametrize("balanced", [False, True])
def test_mixup_mixes_an_added_image_into_every_real_one(balanced: bool) -> None:
    partners = set()
    made = mixing(balanced)
    for at in range(30):
        batch, found = made.batch(at), made.rows(at)
        own, others = found[:SIZE], found[SIZE:]
        assert (own < N_NORMAL + N_PNEUMONIA).all()
        assert (others >= N_NORMAL + N_PNEUMONIA).all()
        assert batch["image"].shape == (SIZE, 1, 8, 8)
        pixels = (batch["image"][:, 0, 0, 0] + 1) * 127.5
        share = (200 - pixels) / 100  # of the real image
        assert ((share >= -1e-4) & (share <= 1 + 1e-4)).all()
        real = torch.nn.functional.one_hot((own >= N_NORMAL).long(), 2)
        added = torch.nn.functional.one_hot((others >= N_NORMAL + N_PNEUMONIA + 6).long(), 2)
        rest = batch["target"] - share[:, None] * real  # (1 - share) of the partner's class
        assert rest.sum(dim=1).numpy() == pytest.approx((1 - share).numpy(), abs=1e-3)
        taken = rest[:, 1] > rest[:, 0]
        told = (1 - share) > 0.05  # where the partner hardly counts nobody can tell its class
        assert (rest.abs().min(dim=1).values < 1e-3).all()
        assert taken[told].sum() <= added[:, 1].sum()
        partners |= set(zip(real[:, 1].tolist(), taken.long().tolist(), strict=True))
    assert partners == {(0, 0), (0, 1), (1, 0), (1, 1)}


def within(key: str, balanced: bool = False) -> Made:
    """An arm that mixes its real images with each other: 20 of one value and 12 of another."""
    made = batches(arm(**{key: 0.8}, balanced=balanced), arm_images(0, 0))
    made.pool.images[N_NORMAL:] = 200
    return made


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
@pytest.mark.parametrize("balanced", [False, True])
def test_images_of_a_batch_are_mixed_as_their_targets_are(key: str, balanced: bool) -> None:
    made, mixed, plain = within(key, balanced), 0, within(key, balanced).pool
    for k in range(30):
        batch, found = made.batch(k), made.rows(k)
        pixels = (batch["image"] + 1) * 127.5
        of_pneumonia = (pixels.mean(dim=(1, 2, 3)) - 100) / 100
        assert batch["target"][:, 1].numpy() == pytest.approx(of_pneumonia.numpy(), abs=1e-4)
        assert batch["target"].sum(dim=1).numpy() == pytest.approx(1, abs=1e-5)
        # As often as they stand in the batch: nothing is lost but to another's place.
        share = (found >= N_NORMAL).float().mean()
        assert batch["target"][:, 1].mean().item() == pytest.approx(share.item(), abs=1e-5)
        assert (batch["weight"] == 1).all()
        assert sorted(batch["label"].tolist()) == sorted(plain.labels[found].tolist())
        values = pixels.round().unique().tolist()
        assert key == "mixup" or set(values) <= {100, 200}  # patches, whole
        mixed += int(((of_pneumonia > 0.05) & (of_pneumonia < 0.95)).sum())
        assert batch["image"].stride() == (64, 1, 8, 1)
    assert mixed > 40  # classes meet, also in balanced batches, which are in their order


@pytest.mark.parametrize("key", ["mixup", "cutmix", "added.mixup"])
def test_mixing_depends_on_a_batch_s_place_alone(key: str) -> None:
    def made() -> Made:
        return mixing() if key == "added.mixup" else within(key)

    torch.manual_seed(1)
    one = made().batch(7)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    two, other = made().batch(7), made().batch(8)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["image"], other["image"])


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_mixing_within_a_batch_changes_no_order(key: str) -> None:
    assert torch.equal(within(key).rows(7), batches(arm(), arm_images(0, 0)).rows(7))


def test_weights_of_added_images_are_mixed_too() -> None:
    settings = arm({"weight": 0.5}, mixup=0.8)
    batch = batches(settings, arm_images(20, 12)).batch(1)
    added = (batch["image"][:, 0, 0, 0] + 1) * 127.5 / 100 - 1  # the share that is no real image
    assert batch["weight"].numpy() == pytest.approx((1 - 0.5 * added).numpy(), abs=1e-4)
    assert batch["weight"].unique().numel() > 2


def test_a_mixed_batch_is_laid_out_as_any_other() -> None:
    """Of grey images is_contiguous() says yes to both layouts; convolutions are slow in one."""
    plain = batches(arm(), arm_images(0, 1)).batch()
    assert mixing().batch()["image"].stride() == plain["image"].stride() == (64, 1, 8, 1)


def test_a_mixed_batch_counts_the_images_of_both_sides() -> None:
    made = mixing()
    served = Batches(made.pool, made.plan, 10, lambda: 0)
    next(iter(served))
    found = used(served.shown, made.pool, BINARY)
    assert (found.real.total, found.added.total) == (SIZE, SIZE)


def test_added_images_may_be_learned_by_probabilities() -> None:
    soft = np.array([[0.9, 0.1], [0.25, 0.75]], np.float32)
    made = batches(arm(), replace(arm_images(1, 1), soft=soft))
    seen = set()
    for at in range(20):
        batch = made.batch(at)
        for row, target in zip(made.rows(at), batch["target"], strict=True):
            place = int(row) - N_NORMAL - N_PNEUMONIA
            wanted = soft[place] if place >= 0 else np.eye(2)[int(row >= N_NORMAL)]
            assert target.numpy() == pytest.approx(wanted)
            seen.add(place >= 0)
    assert seen == {True, False}


def test_a_paired_batch_holds_what_was_made_of_its_real_images() -> None:
    n = N_NORMAL + N_PNEUMONIA
    sources = np.concatenate([np.arange(n), np.arange(n)])[::-1].copy()  # two of each
    added = replace(arm_images(n, n), sources=sources)
    made, seen = batches(arm({"paired": True}), added), set()
    for found in rows(made, 2 * n):
        real, others = found[: SIZE // 2], found[SIZE // 2 :] - n
        assert (real < n).all()
        assert sources[others].tolist() == real.tolist()
        seen |= set(others.tolist())
    assert len(seen) == 2 * n


def test_an_image_without_a_partner_is_told() -> None:
    added = replace(arm_images(3, 3), sources=np.arange(6))
    with pytest.raises(GanAugError, match="26 of 32 real images have no added one"):
        batches(arm({"paired": True}), added)


def test_a_fit_of_real_images_alone_can_be_as_an_arm_that_mixes_in_others() -> None:
    """The arm real may add copies; the fit on its draw's images that is asked about others not."""
    made = batches(arm({"source": "duplicate", "mixup": 0.3}), arm_images(0, 0))
    assert len(made.batch()["label"]) == SIZE // 2
    with pytest.raises(GanAugError, match=r"arm 't': pretrain=0\.5 needs added images"):
        batches(arm({"source": "duplicate"}, pretrain=0.5), arm_images(0, 0))
