"""Every kind of image file that real copies hold."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import write_image

from gan_aug.data.decode import decode, decode_files
from gan_aug.run.errors import GanAugError


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


def sixteen_bit(largest: int) -> Image.Image:
    """A gradient from black to `largest` of 65535."""
    return Image.fromarray((gradient() / 255 * largest).round().astype(np.uint16))


def deep_colour(largest: int, kind: int) -> bytes:
    """A 16-bit PNG of colour type 2 (RGB), 4 (grey and alpha) or 6 (RGBA)."""
    samples = {2: 3, 4: 2, 6: 4}[kind]
    grey = (gradient() / 255 * largest).round().astype(">u2")
    pixels = np.repeat(grey[..., None], samples, axis=2)
    if kind != 2:
        pixels[..., -1] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    height, width = grey.shape
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_unscaled_values_in_a_16_bit_file_are_refused(bits: int) -> None:
    """They would come out nearly black."""
    with pytest.raises(ValueError, match=f"16-bit samples up to {2**bits - 1} of 65535"):
        decode(encode(sixteen_bit(2**bits - 1)), 32, 1)


@pytest.mark.parametrize("kind", [2, 4, 6])
def test_deep_colour_is_read_in_its_full_range_only(kind: int) -> None:
    expected = decode(FORMS["grey png"], 32, 1).astype(int)
    image = decode(deep_colour(65535, kind), 32, 1).astype(int)
    assert np.abs(image - expected).max() <= 4
    with pytest.raises(ValueError, match="probably 10- to 14-bit values"):
        decode(deep_colour(4095, kind), 32, 1)


def test_a_colour_tiff_of_12_bits_is_refused() -> None:
    """Pillow reads 16-bit colour TIFFs too, and keeps the high byte."""
    tags = ((256, 4, 8), (257, 4, 8), (258, 3, 16), (259, 3, 1), (262, 3, 2), (277, 3, 3))
    pixels = np.full((8, 8, 3), 4095, "<u2").tobytes()
    entries = (*tags[:2], (258, 3, (16, 16, 16)), *tags[3:5], (273, 4, 200), *tags[5:],
               (278, 4, 8), (279, 4, len(pixels)))  # fmt: skip
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, kind, value in entries:
        if isinstance(value, tuple):
            head += struct.pack("<HHII", tag, kind, 3, 190)
        else:
            head += struct.pack("<HHII", tag, kind, 1, value)
    data = (head + bytes(4)).ljust(190, b"\0") + struct.pack("<3H", 16, 16, 16) + bytes(4) + pixels
    with pytest.raises(ValueError, match="probably 10- to 14-bit values"):
        decode(data, 8, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_without_a_stated_range_are_refused(dtype: type) -> None:
    data = encode(Image.fromarray(gradient().astype(dtype)), "TIFF")
    with pytest.raises(ValueError, match="black and white the file does not say"):
        decode(data, 32, 1)


@pytest.mark.parametrize("data", [b"", b"hello", FORMS["grey png"][:90], FORMS["rgb jpeg"][:300]])
def test_bad_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"empty|not an image|cannot be decoded"):
        decode(data, 32, 1)


def test_the_cache_is_used_until_a_file_changes(tmp_path: Path) -> None:
    names = ["a.png", "b.png"]
    for i, name in enumerate(names):
        write_image(tmp_path / name, i)

    def read() -> tuple[np.ndarray, list[str | None]]:
        found = decode_files(tmp_path, names, 16, 1, tmp_path / "cache", "error")
        assert not found.bad
        assert isinstance(found.images, np.memmap)
        return found.images, found.hashes

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
        names = ["a.png", "b.png"]
        found = decode_files(tmp_path, names, 16, 1, tmp_path / "cache", "skip")
        return len(found.images), found.bad

    count, bad = read()
    assert count == 1
    assert "cannot be read" in bad["b.png"]
    write_image(tmp_path / "later.png", 1)
    assert read() == (2, {})


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    """Nobody would ever write into it."""
    os.mkfifo(tmp_path / "a.png")
    write_image(tmp_path / "b.png", 0)
    found = decode_files(tmp_path, ["a.png", "b.png"], 16, 1, tmp_path / "cache", "skip")
    assert len(found.images) == 1
    assert found.bad == {"a.png": "cannot be read (not a regular file)"}


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
