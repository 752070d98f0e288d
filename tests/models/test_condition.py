"""What pix2pix derives from an image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_aug.models.gans.pix2pix import CONDITIONS, hidden


def images(n: int = 3, channels: int = 1, size: int = 64) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(n, channels, size, size) * 2 - 1


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_condition_is_a_function_of_its_image_alone(kind: str, size: int, channels: int) -> None:
    condition = CONDITIONS[kind]
    x = images(3, channels, size)
    found = condition(x)
    assert found.shape == x.shape
    torch.testing.assert_close(condition(x), found, rtol=0, atol=0)
    torch.testing.assert_close(condition(x[1:2]), found[1:2])
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(condition(x), found, rtol=0, atol=0)


@pytest.mark.parametrize("kind", CONDITIONS)
def test_images_that_are_even_have_finite_gradients(kind: str) -> None:
    even = torch.zeros(1, 1, 32, 32, requires_grad=True)
    CONDITIONS[kind](even).sum().backward()
    assert even.grad is not None
    assert even.grad.isfinite().all()


def test_the_mask_hides_the_lung_fields_and_nothing_else() -> None:
    x = images()
    found = CONDITIONS["lung_mask"](x)
    mask = hidden(64, x.device)
    assert (found[:, :, mask] == 0).all()
    assert torch.equal(found[:, :, ~mask], x[:, :, ~mask])
    assert torch.equal(mask, mask.flip(1))  # left and right alike
    assert mask[30, 20]
    assert mask[30, 44]
    kept = torch.ones(64, 64, dtype=torch.bool)
    kept[8:52, 7:57] = False  # around the lungs ...
    kept[:, 31:33] = True  # ... and between them: the spine
    assert not (mask & kept).any()
    assert 0.3 < mask.float().mean() < 0.45


def test_what_is_hidden_does_not_matter() -> None:
    x, mask = images(), hidden(64, torch.device("cpu"))
    other = torch.where(mask, -x, x)
    condition = CONDITIONS["lung_mask"]
    assert torch.equal(condition(x), condition(other))


def test_edges_are_sobels_magnitude() -> None:
    x = images()
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    padded = F.pad((x + 1) / 2, (1, 1, 1, 1), mode="reflect")
    across, down = (F.conv2d(padded, k[None, None]) for k in (sobel, sobel.T))
    expected = (across**2 + down**2).sqrt()
    torch.testing.assert_close(CONDITIONS["edges"](x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [-1.0, 0.3])
def test_an_even_image_has_no_edges_and_stays_even_when_blurred(value: float) -> None:
    even = torch.full((1, 1, 32, 32), value)
    assert torch.equal(CONDITIONS["edges"](even), torch.zeros_like(even))
    torch.testing.assert_close(CONDITIONS["blur"](even), even)


def test_blur_is_a_gaussian_of_a_sixteenth_of_the_side() -> None:
    point = torch.zeros(1, 1, 65, 65)
    point[0, 0, 32, 32] = 1.0
    found = CONDITIONS["blur"](point)[0, 0]
    places = torch.arange(65.0) - 32
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    rows = found.sum(dim=1)
    assert (rows * places**2).sum().sqrt().item() == pytest.approx(65 / 16, rel=0.02)
    torch.testing.assert_close(found, torch.outer(rows, rows))
