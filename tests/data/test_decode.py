"""Every kind of image file that real copies hold."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import write_image

from gan_aug.data.decode import decode, decode_files
from gan_aug.errors import GanAugError


def gradient(width: int = 97, height: int = 61) -> np.ndarray:
    return np.linspace(0, 255, width)[None, :].repeat(height, 0).round().astype(np.uint8)


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


GREY = Image.fromarray(gradient())
FORMS = {
    "grey png": encode(GREY),
    "grey jpeg": encode(GREY, "JPEG"),
    "rgb jpeg": encode(GREY.convert("RGB"), "JPEG"),
    "cmyk jpeg": encode(GREY.convert("RGB").convert("CMYK"), "JPEG"),
    "rgb png": encode(GREY.convert("RGB")),
    "palette": encode(GREY.convert("P")),
    "alpha": encode(GREY.convert("RGBA")),
    "grey alpha": encode(GREY.convert("LA")),
    "16-bit": encode(Image.fromarray(gradient().astype(np.uint16) * 257)),
    "large jpeg": encode(GREY.resize((970, 610)), "JPEG"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_picture(form: str, channels: int) -> None:
    image = decode(FORMS[form], 32, channels)
    assert image.shape == (channels, 32, 32)
    assert image.dtype == np.uint8
    expected = decode(FORMS["grey png"], 32, 1).astype(int)
    assert np.abs(image.astype(int) - expected).max() <= 4


def test_black_and_white() -> None:
    image = decode(encode(GREY.convert("1")), 32, 1)
    assert image.min() == 0
    assert image.max() == 255


@pytest.mark.parametrize("data", [b"", b"hello", FORMS["grey png"][:90], FORMS["rgb jpeg"][:300]])
def test_bad_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"empty|not an image|cannot be decoded"):
        decode(data, 32, 1)


def test_the_cache_is_used_until_a_file_changes(tmp_path: Path) -> None:
    names = ["a.png", "b.png"]
    for i, name in enumerate(names):
        write_image(tmp_path / name, i)

    def read() -> tuple[np.ndarray, list[str | None]]:
        images, hashes, bad = decode_files(tmp_path, names, 16, 1, tmp_path / "cache", "error")
        assert not bad
        assert isinstance(images, np.memmap)
        return images, hashes

    first, hashes = read()
    (entry,) = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    built = (entry / "images.npy").stat().st_mtime_ns
    again, _ = read()
    assert (entry / "images.npy").stat().st_mtime_ns == built
    np.testing.assert_array_equal(first, again)
    write_image(tmp_path / "b.png", 7)
    changed, new_hashes = read()
    assert not np.array_equal(changed[1], first[1])
    np.testing.assert_array_equal(changed[0], first[0])
    assert new_hashes[0] == hashes[0]
    assert new_hashes[1] != hashes[1]


def test_a_file_that_could_not_be_read_is_read_once_it_can(tmp_path: Path) -> None:
    """What the cache remembers must come from the file's content."""
    write_image(tmp_path / "a.png", 0)
    (tmp_path / "b.png").symlink_to(tmp_path / "later.png")

    def read() -> tuple[int, dict[str, str]]:
        images, _, bad = decode_files(
            tmp_path, ["a.png", "b.png"], 16, 1, tmp_path / "cache", "skip"
        )
        return len(images), bad

    count, bad = read()
    assert count == 1
    assert "cannot be read" in bad["b.png"]
    write_image(tmp_path / "later.png", 1)
    assert read() == (2, {})


def test_damage_never_escapes_as_another_error() -> None:
    """Random bytes changed in every kind of file: an image, or ValueError."""
    random = np.random.default_rng(0)
    refused = 0
    for form in ("palette", "grey jpeg", "16-bit", "alpha"):
        for _ in range(300):
            data = bytearray(FORMS[form])
            for place in random.integers(0, len(data), random.integers(1, 8)):
                data[place] = random.integers(256)
            try:
                assert decode(bytes(data), 16, 1).shape == (1, 16, 16)
            except ValueError:
                refused += 1
    assert refused > 100


def test_a_large_sound_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_aug.data.decode.MAX_PIXELS", 97 * 61 - 1)
    with pytest.raises(ValueError, match="97x61 pixels"):
        decode(FORMS["grey png"], 32, 1)


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    write_image(tmp_path / "a.png", 0)
    with pytest.raises(GanAugError, match="data.cache_dir"):
        decode_files(tmp_path, ["a.png"], 16, 1, tmp_path / "cache", "error")
