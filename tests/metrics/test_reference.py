"""The metrics of generated images against other implementations, on the same features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from scipy import linalg, ndimage
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from support import BINARY
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.image.kid import poly_mmd

from gan_aug.data.image_table import Images
from gan_aug.metrics.density_coverage import density_coverage
from gan_aug.metrics.fid import fid
from gan_aug.metrics.gan_test import gan_test
from gan_aug.metrics.gan_train import gan_train
from gan_aug.metrics.judged import judged
from gan_aug.metrics.kid import kid
from gan_aug.metrics.membership import membership
from gan_aug.metrics.memorisation import closer, closest_pairs, memorisation
from gan_aug.metrics.ms_ssim import KERNEL, WEIGHTS, ms_ssim, scales
from gan_aug.metrics.precision_recall import precision_recall
from gan_aug.metrics.sample import Context, Predict, Sample
from gan_aug.metrics.sliced_wasserstein import (
    PATCHES_PER_IMAGE,
    descriptors,
    directions,
    distance,
    pyramid,
    sliced_wasserstein,
)
from gan_aug.runtime.errors import GanAugError

SIDE, FEATURES = 32, 12
CLOSE = 1e-4


def images(n: int, seed: int, brightness: float = 120.0, side: int = SIDE) -> Images:
    """Blurred noise whose brightness differs from image to image."""
    random = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(random.normal(0, 120, (n, side, side)), (0, 2, 2))
    noise += brightness + random.normal(0, 15, (n, 1, 1))
    clipped: Images = noise[:, None].clip(0, 255).astype(np.uint8)
    return clipped


def projected(features: int) -> Callable[[Images], Tensor]:
    """Return an extractor: flatten, then a fixed random projection."""
    directions = torch.randn(SIDE**2, features, generator=torch.Generator().manual_seed(7))
    return lambda x: torch.from_numpy(x).flatten(1).float() / 255 @ directions / 4


def opinion(x: Images) -> Tensor:
    """Return a reference classifier's opinion: the brighter, the more pneumonia."""
    bright = torch.sigmoid(torch.from_numpy(x).double().mean(dim=(1, 2, 3)) / 10 - 12.5)
    return torch.stack([1 - bright, bright], dim=1)


def sample(content: Images, features: int = FEATURES) -> Sample:
    return Sample(content, projected(features), opinion)


def logistic(by_label: Mapping[int, Images], purpose: str) -> Predict:
    """Fit a logistic regression on flattened images."""
    x = np.concatenate([v.reshape(len(v), -1) for v in by_label.values()]) / 255
    y = np.repeat(list(by_label), [len(v) for v in by_label.values()])
    fitted = LogisticRegression(max_iter=2000).fit(x, y)
    return lambda new: torch.tensor(fitted.predict_proba(new.reshape(len(new), -1) / 255))


REAL, FAKE, TRAIN = sample(images(90, 1)), sample(images(90, 2, 126)), sample(images(70, 3))
OTHER_TRAIN, OTHER_REAL = images(60, 4, 130), images(80, 5, 130)


def context(**changes: Any) -> Context:
    settings = {
        "classes": BINARY,
        "label": 0,
        "train": TRAIN,
        "members": TRAIN,
        "other_train": {1: OTHER_TRAIN},
        "other_real": {1: OTHER_REAL},
        "fit": logistic,
        "discriminator": None,
        "seed": 0,
    }
    return Context(**(settings | changes))


def unbiased_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Return MMD^2 as a mean over pairs of different rows (Gretton et al. 2012, eq. 3)."""
    n = len(x)
    total = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                pairs = [(x[i], x[j], 1), (y[i], y[j], 1)]
                total += sum(s * (a @ b / len(a) + 1) ** 3 for a, b, s in pairs) / (n * (n - 1))
            total -= 2 * (x[i] @ y[j] / len(x[i]) + 1) ** 3 / n**2
    return float(total)


def test_kid_is_the_unbiased_mmd() -> None:
    x, y = REAL.features, FAKE.features
    found = kid(REAL, FAKE, context())["kid"]
    assert found == pytest.approx(unbiased_mmd(x.numpy(), y.numpy()), abs=CLOSE)
    assert found == pytest.approx(poly_mmd(x, y).item(), abs=CLOSE)
    assert found > 10 * CLOSE


def test_kid_of_unequal_sets_is_that_of_the_first_n() -> None:
    few = sample(FAKE.images[:40])
    expected = unbiased_mmd(REAL.features[:40].numpy(), few.features.numpy())
    assert kid(REAL, few, context())["kid"] == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize("features", [FEATURES, 200])
def test_fid_is_the_frechet_distance(features: int) -> None:
    """Also with more features than images, where the covariances have no full rank."""
    real, fake = (sample(s.images, features) for s in (REAL, FAKE))
    (m, a), (n, b) = (
        (s.features.numpy().mean(axis=0), np.cov(s.features.numpy(), rowvar=False))
        for s in (real, fake)
    )
    found = fid(real, fake, context())["fid"]
    means, spread = ((m - n) ** 2).sum(), np.trace(a + b)
    # The trace of the root of a b is the sum of singular values of a^(1/2) b^(1/2).
    roots = [(c - s.features.numpy()) / np.sqrt(len(s) - 1) for s, c in ((real, m), (fake, n))]
    singular = linalg.svdvals(roots[0] @ roots[1].T).sum()
    assert found == pytest.approx(means + spread - 2 * singular, abs=CLOSE)
    if features < len(REAL):
        root = linalg.sqrtm(a @ b).real
        assert found == pytest.approx(means + spread - 2 * np.trace(root), abs=CLOSE)
    assert found > 10 * CLOSE


@pytest.mark.parametrize("k", [3, 5])
def test_precision_recall_density_coverage_are_those_of_prdc(k: int) -> None:
    expected = compute_prdc(REAL.features.numpy(), FAKE.features.numpy(), nearest_k=k)
    found = precision_recall(REAL, FAKE, context(), k=k)
    found |= density_coverage(REAL, FAKE, context(), k=k)
    assert found == pytest.approx(expected, abs=CLOSE)
    assert 0 < found["precision"] < 1
    assert 0 < found["coverage"] < 1


def test_copying_is_a_probability_in_which_ties_count_half() -> None:
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 9, n).astype(np.float64) for n in (40, 60))
    pairs = [(x < y) + (x == y) / 2 for x in a for y in b]
    assert closer(a, b) == pytest.approx(np.mean(pairs), abs=CLOSE)
    scores, of_b = np.concatenate([a, b]), np.repeat([0, 1], [40, 60])
    assert closer(a, b) == pytest.approx(roc_auc_score(of_b, scores), abs=CLOSE)
    assert closer(a, a) == pytest.approx(0.5)
    assert closer(np.zeros(5), np.zeros(7)) == pytest.approx(0.5)
    assert closer(np.zeros(5), np.ones(7)) == pytest.approx(1.0)


def rows_of(s: Sample, space: str) -> np.ndarray:
    """Return rows whose distance is the root mean square of pixels, or that of features."""
    if space == "feature":
        return s.features.numpy()
    return s.images.reshape(len(s), -1).astype(np.float64) / SIDE


@pytest.mark.parametrize("space", ["pixel", "feature"])
def test_memorisation_looks_at_the_nearest_training_image(space: str) -> None:
    train, fake, real = (rows_of(s, space) for s in (TRAIN, FAKE, REAL))
    of_fake, of_real = (cdist(x, train).min(axis=1) for x in (fake, real))
    found = memorisation(REAL, FAKE, context())
    assert found[f"nearest_{space}"] == pytest.approx(np.median(of_fake), abs=CLOSE)
    nearer = np.mean([x < y for x in of_fake for y in of_real])
    assert found[f"copying_{space}"] == pytest.approx(nearer, abs=CLOSE)


@pytest.mark.parametrize("space", ["pixel", "feature"])
def test_copying_of_sources_compares_each_image_with_its_own(space: str) -> None:
    sources = sample(images(90, 6, 124))
    own, train, real = (rows_of(s, space) for s in (sources, TRAIN, REAL))
    to_own = np.linalg.norm(rows_of(FAKE, space) - own, axis=1)
    of_real = cdist(real, train).min(axis=1)
    found = memorisation(REAL, FAKE, context(sources=sources))
    nearer = np.mean([x < y for x in to_own for y in of_real])
    assert found[f"copying_source_{space}"] == pytest.approx(nearer, abs=CLOSE)
    # The others are what they are without sources.
    assert memorisation(REAL, FAKE, context()).items() < found.items()


@pytest.mark.parametrize("space", ["pixel", "feature"])
def test_unchanged_sources_are_copies(space: str) -> None:
    """Also where they are no training images of the class that they are to be of."""
    sources = sample(OTHER_TRAIN)
    key = f"copying_source_{space}"
    assert memorisation(REAL, sources, context(sources=sources))[key] == 1
    swapped = sample(OTHER_TRAIN[::-1].copy())
    assert memorisation(REAL, swapped, context(sources=sources))[key] < 0.9


@pytest.mark.parametrize("space", ["pixel", "feature"])
def test_the_closest_pairs_are_the_closest(space: str) -> None:
    between = cdist(rows_of(FAKE, space), rows_of(TRAIN, space))
    generated, neighbours, apart = closest_pairs(FAKE, TRAIN, space, 5)
    assert apart == pytest.approx(np.sort(between.min(axis=1))[:5], abs=CLOSE)
    assert between[generated, neighbours] == pytest.approx(apart, abs=CLOSE)
    assert len(set(generated.tolist())) == 5


def test_membership_is_the_share_of_pairs_told_apart() -> None:
    def logits(x: Images) -> Tensor:
        return torch.from_numpy(x).float().mean(dim=(1, 2, 3)).round()  # some are equal

    members, new = (logits(s.images).tolist() for s in (TRAIN, REAL))
    pairs = [(a > b) + (a == b) / 2 for a in members for b in new]
    found = membership(REAL, FAKE, context(discriminator=logits))
    assert found == {"membership_auc": pytest.approx(np.mean(pairs), abs=CLOSE)}
    assert len({*members, *new}) < len(members) + len(new)
    assert membership(REAL, FAKE, context()) == {}


def test_wasserstein_distances_are_those_of_scipy() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(80, 49, generator=random) * s for s in (1.0, 1.3))
    along = directions(49, seed=0)
    assert along.norm(dim=1).numpy() == pytest.approx(np.ones(len(along)), abs=1e-6)
    single = [wasserstein_distance((a @ d).numpy(), (b @ d).numpy()) for d in along]
    assert distance(a, b, along) == pytest.approx(np.mean(single), abs=CLOSE)


def test_swd_is_that_distance_on_each_level() -> None:
    real, fake = (sample(s.images[:6]) for s in (REAL, FAKE))
    found = sliced_wasserstein(real, fake, context(seed=4))
    along = directions(49, 4).numpy()
    for a, b in zip(pyramid(real.images), pyramid(fake.images), strict=True):
        x, y = descriptors(a, 4).numpy(), descriptors(b, 4).numpy()
        single = [wasserstein_distance(x @ d, y @ d) for d in along]
        size = a.shape[-1]
        assert found[f"swd_{size}"] / 1000 == pytest.approx(np.mean(single), abs=CLOSE)
    assert found["swd"] == pytest.approx((found["swd_32"] + found["swd_16"]) / 2)


def test_the_pyramid_blurs_halves_and_keeps_what_is_lost() -> None:
    content = images(3, 0, side=64)
    levels = pyramid(content)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    row = np.array([1, 4, 6, 4, 1]) / 16
    small = [content[:, 0] / 127.5 - 1]
    for _ in range(2):
        blurred = ndimage.convolve(small[-1], np.outer(row, row)[None], mode="mirror")
        small.append(blurred[:, ::2, ::2])
    assert levels[2][:, 0].numpy() == pytest.approx(small[2], abs=1e-5)
    for (fine, coarse), level in zip(pairwise(small), levels, strict=False):
        size = fine.shape[-2:]
        large = torch.nn.functional.interpolate(
            torch.tensor(coarse)[:, None], size=size, mode="bilinear", align_corners=False
        )
        assert (level + large)[:, 0].numpy() == pytest.approx(fine, abs=1e-5)


def test_descriptors_are_windows_of_seven_by_seven_normalised_by_channel() -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    level = torch.stack([100 * y + x, 5 - x])[None].repeat(3, 1, 1, 1)
    rows = descriptors(level, 0).reshape(-1, 2, 7, 7)
    assert len(rows) == 3 * PATCHES_PER_IMAGE
    down, right = (rows.diff(dim=d) for d in (2, 3))
    assert torch.allclose(right[:, 1], right[0, 1, 0, 0], atol=1e-4)
    assert torch.allclose(down[:, 1], torch.tensor(0.0), atol=1e-4)
    assert torch.allclose(down[:, 0] / 100, right[0, 0, 0, 0], atol=1e-4)
    for channel in (0, 1):
        assert rows[:, channel].mean().item() == pytest.approx(0, abs=CLOSE)
        assert rows[:, channel].std().item() == pytest.approx(1, abs=CLOSE)


def of_pair(a: Images, b: Images) -> float:
    """Return torchmetrics' MS-SSIM of two images."""
    return multiscale_structural_similarity_index_measure(
        *(torch.tensor(x)[None].double() for x in (a, b)),
        kernel_size=KERNEL,
        data_range=255.0,
        betas=scales(SIDE),
        normalize="relu",
    ).item()


def test_ms_ssim_of_two_images_is_that_of_torchmetrics() -> None:
    two = images(2, 0)
    found = ms_ssim(REAL, sample(two), context(), pairs=7)["ms_ssim"]
    assert found == pytest.approx(of_pair(*two), abs=CLOSE)


def test_ms_ssim_is_the_mean_over_pairs_of_different_images() -> None:
    content = images(6, 0)
    content[3] = content[2] // 2 + 60  # much like another
    random = np.random.default_rng(5)
    first = random.integers(0, 6, 20)
    second = (first + random.integers(1, 6, 20)) % 6
    assert (first != second).all()
    single = [of_pair(content[i], content[j]) for i, j in zip(first, second, strict=True)]
    found = ms_ssim(REAL, sample(content), context(seed=5), pairs=20)
    assert found["ms_ssim"] == pytest.approx(np.mean(single), abs=CLOSE)
    assert max(single) - min(single) > 0.1


@pytest.mark.parametrize(
    ("side", "count"), [(16, 2), (28, 2), (32, 2), (64, 3), (128, 4), (224, 5), (256, 5)]
)
def test_small_images_have_fewer_scales(side: int, count: int) -> None:
    used = scales(side)
    assert len(used) == count
    assert sum(used) == pytest.approx(1)
    assert np.array(used) / used[0] == pytest.approx(np.array(WEIGHTS[:count]) / WEIGHTS[0])
    blank = torch.full((1, 1, side, side), 9.0, dtype=torch.float64)
    same = multiscale_structural_similarity_index_measure(
        blank, blank, kernel_size=KERNEL, data_range=255.0, betas=used
    )
    assert same.item() == pytest.approx(1)


def test_too_small_images_and_too_few_are_refused() -> None:
    with pytest.raises(GanAugError, match="ms_ssim takes images of 11 pixels a side or more"):
        ms_ssim(REAL, sample(FAKE.images[..., :10, :10]), context())
    few = sample(REAL.images[:5])
    for metric in (precision_recall, density_coverage):
        with pytest.raises(GanAugError, match="k=5 nearest neighbours are asked for among 5 im"):
            metric(few, FAKE, context(), k=5)


@pytest.mark.parametrize("label", [0, 1])
def test_judged_is_the_share_taken_for_the_class(label: int) -> None:
    share = ((opinion(FAKE.images)[:, 1].numpy() >= 0.5) == label).mean()
    found = judged(REAL, FAKE, context(label=label))["judged_as_class"]
    assert found == pytest.approx(share, abs=CLOSE)
    assert 0 < share < 1


@pytest.mark.parametrize("label", [0, 1])
def test_gan_test_and_gan_train_are_those_of_scikit_learn(label: int) -> None:
    other = 1 - label
    others = {"other_train": {other: OTHER_TRAIN}, "other_real": {other: OTHER_REAL}}
    asked = context(label=label, **others)
    predict = logistic({label: TRAIN.images, 1 - label: OTHER_TRAIN}, "")
    share = ((predict(FAKE.images)[:, 1].numpy() >= 0.5) == label).mean()
    assert gan_test(REAL, FAKE, asked)["gan_test"] == pytest.approx(share, abs=CLOSE)
    predict = logistic({label: FAKE.images, 1 - label: OTHER_TRAIN}, "")
    scores = predict(np.concatenate([REAL.images, OTHER_REAL]))[:, 1].numpy()
    truth = np.repeat([label, 1 - label], [len(REAL), len(OTHER_REAL)])
    assert gan_train(REAL, FAKE, asked) == {
        "gan_train_auroc": pytest.approx(roc_auc_score(truth, scores), abs=CLOSE),
        "gan_train_accuracy": pytest.approx(
            balanced_accuracy_score(truth, scores >= 0.5), abs=CLOSE
        ),
    }
