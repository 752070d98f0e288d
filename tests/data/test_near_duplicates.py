"""Many pictures that are nearly one: frames of a film, masks."""

from __future__ import annotations

import tracemalloc

import numpy as np

from gan_aug.data.near_duplicates import near_duplicates, nearest_alike


def test_frames_of_two_films_are_two_groups() -> None:
    """A million pairs: one by one they would take 30 GB."""
    random = np.random.default_rng(0)
    films = random.integers(0, 256, (2, 1, 64, 64), np.uint8)
    frames = np.repeat(films, 700, axis=0)
    frames[:, :, 0] = random.integers(0, 256, (1400, 1, 64), np.uint8)
    other = random.integers(0, 256, (3, 1, 64, 64), np.uint8)
    order = random.permutation(1403)
    images = np.concatenate([frames, other])[order]
    tracemalloc.start()
    groups = near_duplicates(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**28
    which = np.empty(1403, int)
    which[order] = groups
    assert sorted(np.bincount(groups).tolist()) == [1, 1, 1, 700, 700]
    assert len({*which[:700].tolist()}) == len({*which[700:1400].tolist()}) == 1
    # Numbered by their first image: names of unknown patients, and so every cut, come from these.
    assert groups[np.unique(groups, return_index=True)[1]].tolist() == [0, 1, 2, 3, 4]
    assert np.diff(np.unique(groups, return_index=True)[1]).min() > 0


def test_images_that_are_like_none_of_others() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 1, 64, 64), np.uint8)
    assert [len(part) for part in nearest_alike(images[:3], images[3:])] == [0, 0, 0]
    others = np.concatenate([images[3:], images[1:2]])
    rows, other, alike = nearest_alike(images[:3], others)
    assert (rows.tolist(), other.tolist()) == ([1], [3])
    assert alike[0] > 0.999


def test_near_duplicates_are_images_saved_again() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 1, 32, 32), np.uint8)
    brighter = (images[3] * 0.8 + 40).astype(np.uint8)
    noisy = (images[7].astype(int) + random.integers(-6, 7, (1, 32, 32))).clip(0, 255)
    flat = np.full((2, 1, 32, 32), 7, np.uint8)
    groups = near_duplicates(
        np.concatenate([images, brighter[None], noisy[None].astype(np.uint8), flat])
    )
    assert groups[40] == groups[3]
    assert groups[41] == groups[7]
    assert len(set(groups.tolist())) == 42  # two flat images are not alike: they show nothing
