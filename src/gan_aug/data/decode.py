"""Image files to uint8 arrays: parallel, with a progress bar, and strict about bad files."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from gan_aug.data.cache import load_or_build
from gan_aug.errors import GanAugError
from gan_aug.progress import track

MAX_PIXELS = 89_478_485
"""Larger images are refused as decompression bombs; the size Pillow starts to warn at."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

PREPROCESSING = "square bilinear resize, 16-bit divided by 257, version 3"
"""Part of every cache key: change it whenever pixels, or what is refused, would change."""

LEAST_BRIGHT = 2**14
"""A 16-bit image whose samples are all below this uses less than a quarter of its range."""


def decode(data: bytes, image_size: int, channels: int) -> NDArray[np.uint8]:
    """Decode one encoded image (JPEG or PNG; grey, RGB, palette, alpha or 16-bit; any size).

    The picture is squeezed to a square, as torchvision's `Resize((s, s))` does. 16-bit samples are
    divided by 257, since PNG scales them to the full range (PNG specification, 3rd edition, section
    12.4).

    Args:
        data: the file's bytes.
        image_size: side length of the result in pixels.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 (C, image_size, image_size).

    Raises:
        ValueError: not an image, truncated, so large that it looks like a decompression bomb, or
            with samples whose range the file does not say: floats, 32-bit integers, and 16-bit
            ones that look like unscaled 10- to 14-bit values.
    """
    if not data:
        raise ValueError("the file is empty")
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels: a decompression bomb?")
            # JPEG only: decodes at a fraction of the size where that loses nothing.
            image.draft(mode, (2 * image_size, 2 * image_size))
            if image.mode == "F" or (image.mode == "I" and not is_16_bit_png(data)):
                kind = "floating-point" if image.mode == "F" else "32-bit"
                raise ValueError(
                    f"{kind} samples, whose black and white the file does not say; save it with 8 "
                    "or 16 bits"
                )
            if image.mode.startswith("I"):
                deep = np.asarray(image).astype(np.float32)
                _check_depth(int(deep.max()))
                picture = Image.fromarray((deep / 257.0).round().clip(0, 255).astype(np.uint8))
            elif image.mode in ("P", "PA", "RGBA", "LA"):
                picture = image.convert("RGBA").convert("RGB")
            else:
                picture = image.copy()
            if not image.mode.startswith("I") and (is_16_bit_png(data) or _is_16_bit_tiff(image)):
                # Pillow keeps the high byte of colour samples.
                colour = np.asarray(picture.convert("RGB"))
                _check_depth(256 * int(colour.max()) + 255)
        picture = picture.convert(mode).resize((image_size, image_size), Image.Resampling.BILINEAR)
    except UnidentifiedImageError as error:
        raise ValueError("not an image that Pillow can read") from error
    except Exception as error:  # Pillow lets almost anything escape from a damaged file
        raise ValueError(f"cannot be decoded ({error})") from error
    array = np.asarray(picture)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def is_16_bit_png(data: bytes) -> bool:
    """Tell whether encoded bytes are a PNG with 16 bits a sample (byte 24, in its IHDR)."""
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10"


def _is_16_bit_tiff(image: Image.Image) -> bool:
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return 16 in tags.get(TiffImagePlugin.BITSPERSAMPLE, ())


def _check_depth(largest: int) -> None:
    if largest < LEAST_BRIGHT:
        raise ValueError(
            f"16-bit samples up to {largest} of 65535: probably 10- to 14-bit values that were not "
            "scaled; scale them to the full range, or save the image with 8 bits"
        )


def decode_files(
    root: Path,
    names: Sequence[str],
    image_size: int,
    channels: int,
    cache_dir: Path,
    on_bad_file: str,
) -> tuple[NDArray[np.uint8], list[str | None], dict[str, str]]:
    """Decode files through the cache; a file that cannot be read at all is never cached.

    Args:
        root: the folder that `names` are relative to.
        names: files to decode.
        image_size: side length in pixels.
        channels: 1 or 3.
        cache_dir: see `load_or_build`.
        on_bad_file: `error` stops at bad files, `skip` leaves them out.

    Returns:
        Images uint8 (M, C, H, W) of the good files in the order of `names`; for every name its
        SHA-256, or None where the file is bad; and the reason for each bad file.

    Raises:
        GanAugError: a file is bad and `on_bad_file` is `error`; the message names the file.
    """
    stats: list[tuple[str, int, int]] = []
    unreadable: dict[str, str] = {}
    for name in names:
        try:
            found = (root / name).stat()
            if not stat.S_ISREG(found.st_mode):  # to open a FIFO is to wait for ever
                raise OSError(0, "not a regular file")
            (root / name).open("rb").close()
            stats.append((name, found.st_size, found.st_mtime_ns))
        except OSError as error:
            unreadable[name] = f"cannot be read ({error.strerror})"
    key = {"files": stats, "size": image_size, "channels": channels, "how": PREPROCESSING}

    def build() -> tuple[NDArray[np.uint8], dict[str, Any]]:
        return _decode_all(root, [name for name, *_ in stats], image_size, channels)

    images, index = load_or_build(cache_dir, key, build)
    bad: dict[str, str] = unreadable | index["bad"]
    if bad and on_bad_file == "error":
        name, reason = next(iter(bad.items()))
        more = f" (and {len(bad) - 1} more bad files)" if len(bad) > 1 else ""
        raise GanAugError(
            f"{root / name}: {reason}{more}; mend or remove it, or set data.on_bad_file=skip"
        )
    return images, [index["hashes"].get(name) for name in names], bad


def _decode_all(
    root: Path, names: Sequence[str], image_size: int, channels: int
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    def one(name: str) -> tuple[NDArray[np.uint8] | None, str]:
        try:
            data = (root / name).read_bytes()
        except OSError as error:
            raise GanAugError(f"{root / name}: cannot be read ({error.strerror})") from error
        try:
            return decode(data, image_size, channels), hashlib.sha256(data).hexdigest()
        except ValueError as error:
            return None, str(error)

    # Threads are enough: Pillow releases the GIL while it decodes and resizes.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = list(
            track(
                pool.map(one, names),
                description="Decoding images (first use)",
                total=len(names),
            )
        )
    good = [image for image, _ in results if image is not None]
    shape = (0, channels, image_size, image_size)
    images = np.stack(good) if good else np.zeros(shape, np.uint8)
    named = list(zip(names, results, strict=True))
    hashes = {name: text for name, (image, text) in named if image is not None}
    bad = {name: text for name, (image, text) in named if image is None}
    return images, {"hashes": hashes, "bad": bad}
