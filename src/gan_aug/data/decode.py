"""Image files to uint8 arrays: parallel, with a progress bar, and strict about bad files."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from gan_aug.data.cache import Built, load_or_build
from gan_aug.data.dicom import LEAST_BRIGHT, is_dicom, read_dicom
from gan_aug.run.errors import GanAugError
from gan_aug.run.progress import track

MAX_PIXELS = 89_478_485
"""Larger images are refused as decompression bombs; the size Pillow starts to warn at."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

PREPROCESSING = "bilinear resize, 16-bit divided by 257, turned as EXIF says, version 4"
"""Part of every cache key: change it whenever pixels, or what is refused, would change."""

FITS = ("squeeze", "pad", "crop")
"""How a picture becomes square."""


@dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
        image: in mode L or RGB.
        mode: of the file: Pillow's, or DICOM.
        size: width and height in pixels, as the file has it.
        patient: of a DICOM file, where it tells.
    """

    image: Image.Image
    mode: str
    size: tuple[int, int]
    patient: str | None


@dataclass(frozen=True)
class Decoded:
    """Files that were decoded.

    Attributes:
        images: uint8 (M, C, H, W) of the good files, in the order of their names.
        hashes: for every name its SHA-256, None where the file is bad.
        bad: name to what is wrong with it.
        patients: for every name the patient that a DICOM header names, else None.
        modes: how many good files there are of each mode.
        sizes: the same of each "width x height".
    """

    images: NDArray[np.uint8]
    hashes: list[str | None]
    bad: dict[str, str]
    patients: list[str | None]
    modes: dict[str, int]
    sizes: dict[str, int]


def decode(data: bytes, image_size: int, channels: int, fit: str = "squeeze") -> NDArray[np.uint8]:
    """Decode one encoded image: grey, RGB, palette, alpha, 16-bit or DICOM, of any size.

    16-bit samples are divided by 257, since PNG scales them to the full range (PNG specification,
    3rd edition, section 12.4).

    Args:
        data: the file's bytes.
        image_size: side length of the result in pixels.
        channels: 1 (grey) or 3 (RGB).
        fit: `squeeze` to a square, as torchvision's `Resize((s, s))` does; `pad` with black; or
            `crop` the middle.

    Returns:
        uint8 (C, image_size, image_size).

    Raises:
        ValueError: not an image, truncated, so large that it looks like a decompression bomb, or
            with samples whose range the file does not say: floats, 32-bit integers, and 16-bit
            ones that look like unscaled 10- to 14-bit values.
    """
    return _square(read_picture(data, image_size, channels).image, image_size, channels, fit)


def read_picture(data: bytes, image_size: int, channels: int) -> Picture:
    """Decode one encoded image at its own size, or at a JPEG's fraction of it that loses nothing.

    Raises:
        ValueError: see `decode`.
    """
    if not data:
        raise ValueError("the file is empty")
    if is_dicom(data):
        picture, patient = read_dicom(data, MAX_PIXELS)
        return Picture(picture, "DICOM", picture.size, patient)
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels: a decompression bomb?")
            kind, size = image.mode, image.size
            # JPEG only: decodes at a fraction of the size where that loses nothing.
            image.draft(mode, (2 * image_size, 2 * image_size))
            if image.mode == "F" or (image.mode == "I" and not is_16_bit_png(data)):
                what = "floating-point" if image.mode == "F" else "32-bit"
                raise ValueError(
                    f"{what} samples, whose black and white the file does not say; save it with 8 "
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
            turned = _turn_of(image)
        if turned is not None:
            picture = picture.transpose(turned)
        return Picture(picture.convert(mode), kind, size, None)
    except UnidentifiedImageError as error:
        raise ValueError("not an image that Pillow can read") from error
    except Exception as error:  # Pillow lets almost anything escape from a damaged file
        raise ValueError(f"cannot be decoded ({error})") from error


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return how a camera says that its picture has to be turned (Exif 2.32, tag 274)."""
    return _TURNS.get(image.getexif().get(_ORIENTATION, 1))


def _square(picture: Image.Image, side: int, channels: int, fit: str) -> NDArray[np.uint8]:
    picture = picture.convert("L" if channels == 1 else "RGB")
    size, bilinear = (side, side), Image.Resampling.BILINEAR
    if fit == "pad":
        picture = ImageOps.pad(picture, size, bilinear)
    elif fit == "crop":
        picture = ImageOps.fit(picture, size, bilinear)
    else:
        picture = picture.resize(size, bilinear)
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


COLOUR_LOOKED_AT = 64
_COLOURED = 2.0
"""Mean difference of channels, of 255, from which an image counts as coloured."""


def look_at_colour(root: Path, names: Sequence[str]) -> int:
    """Return 3 where some image has colours, else 1; images from all over the list are looked at.

    Grey X-rays are often stored as RGB. Files that cannot be decoded tell nothing here.
    """
    looked = np.linspace(0, len(names) - 1, min(COLOUR_LOOKED_AT, len(names))).astype(int)
    for i in looked.tolist():
        path = root / names[i]
        try:
            if not path.is_file():
                continue
            image = decode(path.read_bytes(), 32, 3).astype(np.float32)
        except (OSError, ValueError):
            continue
        if np.abs(image - image.mean(axis=0)).mean() > _COLOURED:
            return 3
    return 1


def decode_files(
    root: Path,
    names: Sequence[str],
    image_size: int,
    channels: int,
    cache_dir: Path,
    on_bad_file: str,
    fit: str = "squeeze",
) -> Decoded:
    """Decode files through the cache; a file that cannot be read at all is never cached.

    Args:
        root: the folder that `names` are relative to.
        names: files to decode.
        image_size: side length in pixels.
        channels: 1 or 3.
        cache_dir: see `load_or_build`.
        on_bad_file: `error` stops at bad files, `skip` leaves them out.
        fit: see `decode`.

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
    how = f"{fit}, {PREPROCESSING}"
    key = {"files": stats, "size": image_size, "channels": channels, "how": how}

    def build() -> Built:
        return _decode_all(root, [name for name, *_ in stats], image_size, channels, fit)

    images, index = load_or_build(cache_dir, key, build)
    bad: dict[str, str] = unreadable | index["bad"]
    if bad and on_bad_file == "error":
        name, reason = next(iter(bad.items()))
        more = f" (and {len(bad) - 1} more bad files)" if len(bad) > 1 else ""
        raise GanAugError(
            f"{root / name}: {reason}{more}; mend or remove it, or set data.on_bad_file=skip"
        )
    good: dict[str, dict[str, Any]] = index["good"]
    return Decoded(
        images,
        [good[name]["sha256"] if name in good else None for name in names],
        bad,
        [good[name]["patient"] if name in good else None for name in names],
        dict(Counter(facts["mode"] for facts in good.values())),
        dict(Counter("{} x {}".format(*facts["size"]) for facts in good.values())),
    )


def _decode_all(
    root: Path, names: Sequence[str], image_size: int, channels: int, fit: str
) -> Built:
    def one(name: str) -> Built | str:
        try:
            data = (root / name).read_bytes()
        except OSError as error:
            raise GanAugError(f"{root / name}: cannot be read ({error.strerror})") from error
        try:
            picture = read_picture(data, image_size, channels)
            facts = {
                "sha256": hashlib.sha256(data).hexdigest(),
                "mode": picture.mode,
                "size": picture.size,
                "patient": picture.patient,
            }
            return _square(picture.image, image_size, channels, fit), facts
        except ValueError as error:
            return str(error)

    # Threads are enough: Pillow releases the GIL while it decodes and resizes.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = list(
            track(
                pool.map(one, names),
                description="Decoding images (first use)",
                total=len(names),
            )
        )
    named = list(zip(names, results, strict=True))
    good = {name: result for name, result in named if not isinstance(result, str)}
    shape = (0, channels, image_size, image_size)
    images = np.stack([image for image, _ in good.values()]) if good else np.zeros(shape, np.uint8)
    facts = {name: facts for name, (_, facts) in good.items()}
    return images, {
        "good": facts,
        "bad": {name: result for name, result in named if isinstance(result, str)},
    }
