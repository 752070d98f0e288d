"""Image files to uint8 arrays: parallel, with a progress bar, and strict about bad files."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from gan_aug.data.cache import Built, load_or_build
from gan_aug.data.complete import Refused, lacks_pixels
from gan_aug.data.dicom import Window, is_dicom, one_line, read_dicom
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import open_regular, read_bytes
from gan_aug.run.progress import track

MAX_PIXELS = 89_478_485
"""Larger images are refused as decompression bombs; the size Pillow starts to warn at."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

MAX_BYTES = 2**30
"""Larger files are refused unread: `MAX_PIXELS` of 16-bit RGBA take no more, uncompressed."""

PREPROCESSING = "bilinear resize, 16-bit divided by 257, turned as EXIF says, version 5"
"""Part of every cache key: change it whenever pixels, or what is refused, would change."""

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""What Pillow may open; asked for any, it starts Ghostscript for an EPS, whatever its name."""

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


def decode(
    data: bytes,
    image_size: int,
    channels: int,
    fit: str = "squeeze",
    window: Window | None = None,
) -> NDArray[np.uint8]:
    """Decode one encoded image: JPEG, PNG, BMP, TIFF, WebP or DICOM, of any size.

    16-bit samples are divided by 257, since PNG scales them to the full range (PNG specification,
    3rd edition, section 12.4); of 16-bit colours the high byte is taken. What is transparent is
    put onto black.

    Args:
        data: the file's bytes.
        image_size: side length of the result in pixels.
        channels: 1 (grey) or 3 (RGB).
        fit: `squeeze` to a square, as torchvision's `Resize((s, s))` does; `pad` with black; or
            `crop` the middle.
        window: how grey DICOM values are shown, see `read_dicom`.

    Returns:
        uint8 (C, image_size, image_size).

    Raises:
        ValueError: not such an image, truncated or with fewer pixels than its header claims, of
            several pages, transparent all over, so large that it looks like a decompression bomb,
            or with samples whose range the file does not say: floats, signed and 32-bit integers,
            and 16-bit ones that look like unscaled 10- to 14-bit values.
    """
    return _decode(data, image_size, channels, fit, window)[0]


def _decode(
    data: bytes, image_size: int, channels: int, fit: str, window: Window | None
) -> tuple[NDArray[np.uint8], Picture]:
    picture = read_picture(data, image_size, channels, window)
    try:
        return _square(picture.image, image_size, channels, fit), picture
    except Exception as error:  # no memory, say
        raise ValueError(f"cannot be scaled ({one_line(error)})") from error


def read_picture(
    data: bytes, image_size: int, channels: int, window: Window | None = None
) -> Picture:
    """Decode one encoded image at its own size, or at a JPEG's fraction of it that loses nothing.

    Raises:
        ValueError: see `decode`.
    """
    if not data:
        raise ValueError("the file is empty")
    if is_dicom(data):
        picture, patient = read_dicom(data, MAX_PIXELS, window)
        return Picture(picture, "DICOM", picture.size, patient)
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(image)
            kind, size = image.mode, image.size
            # JPEG only: decodes at a fraction of the size where that loses nothing.
            image.draft(mode, (2 * image_size, 2 * image_size))
            image.load()
            if lacks_pixels(data, image):
                raise Refused(f"the file does not hold the {size[0]}x{size[1]} pixels it claims")
            picture = _shown(image, data)
            turned = _turn_of(image)
        if turned is not None:
            picture = picture.transpose(turned)
        return Picture(picture.convert(mode), kind, size, None)
    except Refused:
        raise
    except UnidentifiedImageError as error:
        if data.startswith(b"version https://git-lfs"):
            raise Refused("stands for an image that git lfs pull fetches") from error
        raise ValueError(
            "not a sound image of a kind that is read (JPEG, PNG, BMP, TIFF, WebP, DICOM); save it "
            "as PNG with 8 bits"
        ) from error
    except Exception as error:  # Pillow lets almost anything escape from a damaged file
        raise ValueError(f"cannot be decoded ({one_line(error)})") from error


def _check_header(image: Image.Image) -> None:
    """Refuse, before any pixel is decoded, what cannot become one picture by a stated rule."""
    if image.width * image.height > MAX_PIXELS:
        raise Refused(f"{image.width}x{image.height} pixels: a decompression bomb?")
    # Of the pictures in an MPO the first is the photograph (CIPA DC-007).
    pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if pages > 1:
        raise Refused(f"{pages} pages or frames: one picture is wanted; save one alone")
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    if tags and image.mode != "YCbCr" and TiffImagePlugin.PHOTOMETRIC_INTERPRETATION not in tags:
        raise Refused("a TIFF that does not say whether 0 is black; save it again")
    if image.mode == "F":
        what = "floating-point"
    elif image.mode == "I" and image.format != "PNG":
        what = "signed or 32-bit"
    elif _SIGNED in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()):
        what = "signed"
    else:
        return
    raise Refused(
        f"{what} samples, whose black and white the file does not say; save it with 8 or 16 bits"
    )


def _shown(image: Image.Image, data: bytes) -> Image.Image:
    """Return the picture with 8 bits a sample, what is transparent onto black."""
    through = image.info.get("transparency")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float32)
        bits = _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
        if bits == 16:
            _check_depth(int(values.max()))
        largest = 2**bits - 1
        if _tiff_tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1) == _WHITE_IS_0:
            values = largest - values  # Pillow turns 8 bits round, not 16
        if through is not None:
            values[values == through] = 0
        return Image.fromarray((values / (largest / 255)).round().clip(0, 255).astype(np.uint8))
    sixteen = is_16_bit_png(data) or 16 in _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE, ())
    if image.format == "PNG" and through is not None and image.mode in ("L", "RGB"):
        # Pillow compares the stored value with samples that it has scaled to 8 bits.
        if image.mode == "RGB" and sixteen:
            raise Refused("16-bit colours of which one is transparent; save it with 8 bits")
        if data[24] < 8:
            image.info["transparency"] = through * (255 // (2 ** data[24] - 1))
    picture = _onto_black(image) if image.has_transparency_data else image.copy()
    if sixteen:
        if _tiff_tag(image, TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2:
            raise Refused("16-bit colours in separate planes; save it with 8 bits")
        # Pillow keeps the high byte of colour samples.
        _check_depth(256 * int(np.asarray(picture.convert("RGB")).max()) + 255)
    return picture


def _onto_black(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):  # multiplied by their opacity
        image = image.convert(image.mode.replace("a", "A"))
    layer = image.convert("RGBA")
    if not layer.getchannel("A").getbbox():
        raise Refused("transparent all over; save it without transparency")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)


def _tiff_tag(image: Image.Image, tag: int, otherwise: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(tag, otherwise)


_SIGNED, _WHITE_IS_0 = 2, 0
"""Values of SampleFormat and PhotometricInterpretation (TIFF 6.0)."""


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
        # ImageOps.pad, which leaves nothing of what is more than `2 * side` times as long as wide.
        longest = max(picture.size)
        width, height = (max(1, round(each / longest * side)) for each in picture.size)
        small = picture.resize((width, height), bilinear)
        picture = Image.new(picture.mode, size)
        picture.paste(small, (round((side - width) / 2), round((side - height) / 2)))
    elif fit == "crop":
        picture = ImageOps.fit(picture, size, bilinear)
    else:
        picture = picture.resize(size, bilinear)
    array = np.asarray(picture)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def is_16_bit_png(data: bytes) -> bool:
    """Tell whether encoded bytes are a PNG with 16 bits a sample (byte 24, in its IHDR)."""
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10"


LEAST_BRIGHT = 2**14
"""16-bit samples that are all below this use less than a quarter of their range."""


def _check_depth(largest: int) -> None:
    if largest < LEAST_BRIGHT:
        raise Refused(
            f"16-bit samples up to {largest} of 65535: probably 10- to 14-bit values that were not "
            "scaled; scale them to the full range, or save the image with 8 bits"
        )


COLOUR_LOOKED_AT = 64
_COLOURED = 2.0
"""Mean difference of channels, of 255, from which an image counts as coloured."""


def look_at_colour(root: Path, names: Sequence[str], window: Window | None = None) -> int:
    """Return 3 where some image has colours, else 1; images from all over the list are looked at.

    Grey X-rays are often stored as RGB. Files that cannot be decoded tell nothing here.
    """
    looked = np.linspace(0, len(names) - 1, min(COLOUR_LOOKED_AT, len(names))).astype(int)
    for i in looked.tolist():
        path = root / names[i]
        try:
            image = decode(read_bytes(path, MAX_BYTES), 32, 3, window=window).astype(np.float32)
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
    window: Window | None = None,
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
        window: see `read_dicom`.

    Raises:
        GanAugError: a file is bad and `on_bad_file` is `error`; the message names the file.
    """
    stats: list[tuple[str, int, int]] = []
    unreadable: dict[str, str] = {}
    for name in names:
        try:
            with open_regular(root / name, MAX_BYTES) as file:
                found = os.fstat(file.fileno())
            stats.append((name, found.st_size, found.st_mtime_ns))
        except OSError as error:
            unreadable[name] = f"cannot be read ({error.strerror})"
    how = f"{fit}, {PREPROCESSING}"
    key = {
        "files": stats,
        "size": image_size,
        "channels": channels,
        "how": how,
        "window": window if window is None or isinstance(window, str) else list(window),
    }

    def build() -> Built:
        return _decode_all(root, [name for name, *_ in stats], image_size, channels, fit, window)

    try:
        images, index = load_or_build(cache_dir, key, build)
    except _UnreadableError as error:
        unreadable |= error.files
        stats[:] = [stat for stat in stats if stat[0] not in unreadable]
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


class _UnreadableError(Exception):
    """Files that could be opened, not read: nothing that the cache may remember."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(", ".join(files))
        self.files = files


def _decode_all(
    root: Path,
    names: Sequence[str],
    image_size: int,
    channels: int,
    fit: str,
    window: Window | None,
) -> Built:
    unreadable: dict[str, str] = {}

    def one(name: str) -> Built | str:
        try:
            data = read_bytes(root / name, MAX_BYTES)
        except OSError as error:
            unreadable[name] = f"cannot be read ({error.strerror})"
            return ""
        try:
            image, picture = _decode(data, image_size, channels, fit, window)
            facts = {
                "sha256": hashlib.sha256(data).hexdigest(),
                "mode": picture.mode,
                "size": picture.size,
                "patient": picture.patient,
            }
            return image, facts
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
    if unreadable:
        raise _UnreadableError(unreadable)
    named = list(zip(names, results, strict=True))
    good = {name: result for name, result in named if not isinstance(result, str)}
    shape = (0, channels, image_size, image_size)
    images = np.stack([image for image, _ in good.values()]) if good else np.zeros(shape, np.uint8)
    facts = {name: facts for name, (_, facts) in good.items()}
    return images, {
        "good": facts,
        "bad": {name: result for name, result in named if isinstance(result, str)},
    }
