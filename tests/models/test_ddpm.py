"""The diffusion model: it learns, a class each or all, and goes on bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gan_aug.models.generators.ddpm import CHECKPOINT, DDPM
from gan_aug.runtime.errors import Diverged, GanAugError

pytest.importorskip("diffusers")

SIZE = 16


def model(**changed: Any) -> DDPM:
    settings: dict[str, Any] = {
        "widths": [16, 24], "patch": 2, "layers": 1, "steps": 150, "batch_size": 16, "lr": 3e-3,
        "ema_decay": 0.9, "sampling_steps": 10, "precision": "32-true", "accelerator": "cpu",
    }  # fmt: skip
    return DDPM(**(settings | changed))


def half_bright(label: int, n: int = 32) -> NDArray[np.uint8]:
    """Images of a class: its left half is bright, or its right half."""
    images = np.random.default_rng(label).integers(20, 40, (n, 1, SIZE, SIZE))
    half = slice(0, SIZE // 2) if label == 0 else slice(SIZE // 2, SIZE)
    images[..., half] += 180
    return images.astype(np.uint8)


def contrast(images: NDArray[np.uint8]) -> float:
    """Return how much brighter the left half is than the right one, in grey levels."""
    left, right = np.split(images.astype(float), 2, axis=-1)
    return float(left.mean() - right.mean())


def test_it_learns_a_class() -> None:
    fitted = model()
    fitted.fit(half_bright(0), np.zeros(32, np.int64), seed=0)
    made = fitted.sample(0, 20, seed=1)
    assert (made.shape, made.dtype) == ((20, 1, SIZE, SIZE), np.uint8)
    assert contrast(made) > 120  # real ones: 180
    assert len(np.unique(made, axis=0)) == 20


def test_told_the_class_it_makes_that_one() -> None:
    images = np.concatenate([half_bright(0), half_bright(1)])
    fitted = model()
    fitted.fit(images, np.repeat([0, 1], 32), seed=0)
    assert contrast(fitted.sample(0, 8, seed=1)) > 60
    assert contrast(fitted.sample(1, 8, seed=1)) < -60


def test_a_stopped_fit_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = half_bright(0), np.zeros(32, np.int64)
    whole = model(steps=6)
    whole.fit(images, labels, seed=0)

    class Killed(Exception):
        pass

    kept = []

    def keep_and_die(self: DDPM, done: int, *parts: Any) -> None:
        keep(self, done, *parts)
        kept.append(done)
        if done == 4:
            raise Killed

    keep = DDPM._keep
    monkeypatch.setattr(DDPM, "_keep", keep_and_die)
    first = model(steps=6, every_n_seconds=0)
    first.keep_in(tmp_path)
    with pytest.raises(Killed):
        first.fit(images, labels, seed=0)
    second = model(steps=6, every_n_seconds=0)
    second.keep_in(tmp_path)
    second.fit(images, labels, seed=0)
    assert kept == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(second.sample(0, 4, seed=1), whole.sample(0, 4, seed=1))
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_loss_that_is_not_finite_is_told() -> None:
    with pytest.raises(Diverged, match="lower lr"):
        model(steps=30, lr=1e30).fit(half_bright(0), np.zeros(32, np.int64), seed=0)


def test_a_damaged_state_is_fitted_again_from_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = half_bright(0), np.zeros(32, np.int64)
    whole = model(steps=2)
    whole.fit(images, labels, seed=0)
    (tmp_path / CHECKPOINT).write_bytes(b"PK damaged")
    again = model(steps=2)
    again.keep_in(tmp_path)
    again.fit(images, labels, seed=0)
    assert "ddpm.pt: cannot be read" in capsys.readouterr().err
    assert np.array_equal(again.sample(0, 4, seed=1), whole.sample(0, 4, seed=1))


def test_a_size_that_its_resolutions_do_not_divide_is_told() -> None:
    images = np.zeros((4, 1, 18, 18), np.uint8)
    with pytest.raises(GanAugError, match=r"data\.image_size=18: .* takes multiples of \d+"):
        model(patch=2, widths=[8, 16]).fit(images, np.zeros(4, np.int64), seed=0)
