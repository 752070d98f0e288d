"""Image files to uint8 arrays, through the cache: parallel, and strict about bad files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_aug.data.cache import Built, load_or_build
from gan_aug.data.dicom import Window
from gan_aug.data.picture import FileFacts, decode
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.runtime.files import open_regular, read_bytes
from gan_aug.runtime.progress import track

MAX_BYTES = 2**30
"""Larger files are refused unread: `MAX_PIXELS` of 16-bit RGBA take no more, uncompressed."""

PREPROCESSING = "bilinear resize, 16-bit divided by 257, turned as EXIF says, version 5"
"""Part of every cache key: change it whenever pixels, or what is refused, would change."""

_KNOWN_BY_BYTES = 32
"""Files of a set, spread over it, whose bytes the cache key has: at most so many."""
COLOUR_LOOKED_AT = 64
_COLOURED = 2.0
"""Mean difference of channels, of 255, from which an image counts as coloured."""


@dataclass(frozen=True)
class Decoded:
    """Files that were decoded.

    Attributes:
        images: uint8 (M, C, H, W) of the good files, in the order of their names.
        good: file to what is known of it, in the same order.
        bad: file to what is wrong with it.
    """

    images: NDArray[np.uint8]
    good: dict[str, FileFacts]
    bad: dict[str, str]


def channels_of(root: Path, names: Sequence[str], window: Window | None = None) -> int:
    """Return 3 if one of some images has colours (X-rays are often stored as RGB), else 1."""
    rows = np.linspace(0, len(names) - 1, min(COLOUR_LOOKED_AT, len(names))).astype(int)
    for row in rows.tolist():
        try:
            image, _ = decode(read_bytes(root / names[row], MAX_BYTES), 32, 3, window=window)
        except (OSError, ValueError):
            continue
        if np.abs(image - image.mean(axis=0, dtype=np.float32)).mean() > _COLOURED:
            return 3
    return 1


@see("disk")
def decode_files(
    root: Path,
    names: Sequence[str],
    image_size: int,
    channels: int,
    cache_dir: Path,
    on_bad_file: str,
    fit: str = "squeeze",
    window: Window | None = None,
) -> Decoded:
    """Decode files below a root through the cache; one that cannot be read at all is never cached.

    The cache knows them by names, sizes and times, and some by their bytes: out of archives that
    keep no times, another set may have the others in common.

    See `square` for `fit`, `read_dicom` for `window`.

    Raises:
        GanAugError: a file is bad and `on_bad_file` is not `skip`; the message names the file.
    """
    stats: dict[str, tuple[int, int, str | None]] = {}
    unreadable: dict[str, str] = {}
    by_bytes = {*names[:: len(names) // _KNOWN_BY_BYTES + 1]}
    for name in names:
        try:
            with open_regular(root / name, MAX_BYTES) as file:
                status = os.fstat(file.fileno())
                sha256 = file_digest(file, "sha256").hexdigest() if name in by_bytes else None
            stats[name] = status.st_size, status.st_mtime_ns, sha256
        except OSError as error:
            unreadable[name] = _cannot_be_read(error)

    def one(name: str) -> tuple[NDArray[np.uint8], FileFacts] | str | OSError:
        """Return an image and what is known of it, or what is wrong with its file."""
        try:
            data = read_bytes(root / name, MAX_BYTES)
            return decode(data, image_size, channels, fit, window)
        except OSError as error:
            return error
        except ValueError as error:
            return str(error)

    def build() -> Built:
        # Threads are enough: Pillow releases the GIL while it decodes and resizes.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            decoded = track(pool.map(one, stats), "Decoding images (first use)", len(stats))
            results = dict(zip(stats, decoded, strict=True))
        if failed := {n: each for n, each in results.items() if isinstance(each, OSError)}:
            raise _UnreadableError({name: _cannot_be_read(each) for name, each in failed.items()})
        good = {n: each for n, each in results.items() if isinstance(each, tuple)}
        images = np.zeros((0, channels, image_size, image_size), np.uint8)
        if good:
            images = np.stack([image for image, _ in good.values()])
        return images, {
            "good": {name: facts for name, (_, facts) in good.items()},
            "bad": {name: each for name, each in results.items() if isinstance(each, str)},
        }

    while True:
        key = {
            "files": [(name, *stat) for name, stat in stats.items()],
            "size": image_size,
            "channels": channels,
            "how": f"{fit}, {PREPROCESSING}",
            "window": window,
        }
        try:
            images, index = load_or_build(cache_dir, key, build)
            break
        except _UnreadableError as error:
            unreadable |= error.args[0]
            stats = {name: stat for name, stat in stats.items() if name not in unreadable}
    bad: dict[str, str] = unreadable | index["bad"]
    if bad and on_bad_file == "error":
        name, reason = next(iter(bad.items()))
        more = f" (and {len(bad) - 1} more bad files)" if len(bad) > 1 else ""
        raise GanAugError(
            f"{root / name}: {reason}{more}; mend or remove it, or set data.on_bad_file=skip"
        )
    return Decoded(images, index["good"], bad)


class _UnreadableError(Exception):
    """Files that could be opened, not read: nothing that the cache may remember."""


def _cannot_be_read(error: OSError) -> str:
    return f"cannot be read ({error.strerror})"
