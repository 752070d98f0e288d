"""Image files to uint8 arrays: parallel, with a progress bar, and strict about bad files."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from gan_aug.data.cache import load_or_build
from gan_aug.errors import GanAugError

PREPROCESSING = "square bilinear resize, 16-bit divided by 257, version 1"
"""Part of every cache key: change it whenever pixels would change."""


def decode(data: bytes, image_size: int, channels: int) -> NDArray[np.uint8]:
    """Decode one encoded image (JPEG or PNG; grey, RGB, palette, alpha or 16-bit; any size).

    The picture is squeezed to a square, as torchvision's `Resize((s, s))` does.

    Args:
        data: the file's bytes.
        image_size: side length of the result in pixels.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 (C, image_size, image_size).

    Raises:
        ValueError: not an image, truncated, or so large that it looks like a decompression bomb.
    """
    if not data:
        raise ValueError("the file is empty")
    mode = "L" if channels == 1 else "RGB"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                # JPEG only: decodes at a fraction of the size where that loses nothing.
                image.draft(mode, (2 * image_size, 2 * image_size))
                if image.mode.startswith("I"):
                    deep = np.asarray(image).astype(np.float32)
                    picture = Image.fromarray((deep / 257.0).round().clip(0, 255).astype(np.uint8))
                elif image.mode in ("P", "PA", "RGBA", "LA"):
                    picture = image.convert("RGBA").convert("RGB")
                else:
                    picture = image.copy()
        picture = picture.convert(mode).resize((image_size, image_size), Image.Resampling.BILINEAR)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"refused as a decompression bomb ({error})") from error
    except UnidentifiedImageError as error:
        raise ValueError("not an image that Pillow can read") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"cannot be decoded ({error})") from error
    array = np.asarray(picture)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def decode_files(
    root: Path,
    names: Sequence[str],
    image_size: int,
    channels: int,
    cache_dir: Path,
    on_bad_file: str,
) -> tuple[NDArray[np.uint8], list[str | None], dict[str, str]]:
    """Decode files through the cache.

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
    stats = []
    for name in names:
        try:
            stat = (root / name).stat()
            stats.append([name, stat.st_size, stat.st_mtime_ns])
        except OSError:
            stats.append([name, -1, -1])  # a dangling link: reported below as unreadable
    key = {"files": stats, "size": image_size, "channels": channels, "how": PREPROCESSING}

    def build() -> tuple[NDArray[np.uint8], dict[str, Any]]:
        return _decode_all(root, names, image_size, channels)

    images, index = load_or_build(cache_dir, key, build)
    bad: dict[str, str] = index["bad"]
    if bad and on_bad_file == "error":
        name, reason = next(iter(bad.items()))
        more = f" (and {len(bad) - 1} more bad files)" if len(bad) > 1 else ""
        raise GanAugError(
            f"{root / name}: {reason}{more}; mend or remove it, or set data.on_bad_file=skip"
        )
    return images, index["hashes"], bad


def _decode_all(
    root: Path, names: Sequence[str], image_size: int, channels: int
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    def one(name: str) -> tuple[NDArray[np.uint8] | None, str]:
        try:
            data = (root / name).read_bytes()
        except OSError as error:
            return None, f"cannot be read ({error.strerror})"
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
                console=Console(stderr=True),
            )
        )
    good = [image for image, _ in results if image is not None]
    shape = (0, channels, image_size, image_size)
    images = np.stack(good) if good else np.zeros(shape, np.uint8)
    hashes = [text if image is not None else None for image, text in results]
    bad = {n: text for n, (image, text) in zip(names, results, strict=True) if image is None}
    return images, {"hashes": hashes, "bad": bad}
