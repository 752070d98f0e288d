"""One encoded image, of any kind that is read, to a square uint8 array."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from gan_aug.data.complete import MAX_PIXELS, Refused, lacks_pixels
from gan_aug.data.dicom import Window, is_dicom, read_dicom
from gan_aug.runtime.errors import said_of_file

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""What Pillow may open; asked for any, it starts Ghostscript for an EPS, whatever its name."""

_SIGNED, _WHITE_IS_0 = 2, 0
"""Values of SampleFormat and PhotometricInterpretation (TIFF 6.0)."""
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a camera says that its picture has to be turned (Exif 2.32, tag 274)."""
_LEAST_BRIGHT = 2**14
"""16-bit samples that are all below this use less than a quarter of their range."""


class FileFacts(TypedDict):
    """What is known of a decoded file: its mode is Pillow's, or DICOM, whose header may tell more.

    The patient is the one that this header names.
    """

    sha256: str
    mode: str
    size: tuple[int, int]
    patient: str | None


def decode(
    data: bytes,
    image_size: int,
    channels: int,
    fit: str = "squeeze",
    window: Window | None = None,
) -> tuple[NDArray[np.uint8], FileFacts]:
    """Decode one encoded image: JPEG, PNG, BMP, TIFF, WebP or DICOM, of any size.

    16-bit samples are divided by 257, since PNG scales them to the full range (PNG specification,
    3rd edition, section 12.4); of 16-bit colours the high byte is taken. What is transparent is
    put onto black. See `square` and `read_dicom` for the arguments.

    Returns:
        uint8 (C, image_size, image_size), and what is known of the file.

    Raises:
        ValueError: not such an image, truncated or with fewer pixels than its header claims, of
            several pages, transparent all over, so large that it looks like a decompression bomb,
            or with samples whose range the file does not say: floats, signed and 32-bit integers,
            and 16-bit ones that look like unscaled 10- to 14-bit values.
    """
    picture, facts = read_picture(data, image_size, channels, window)
    try:
        return square(picture, image_size, channels, fit), facts
    except Exception as error:  # no memory, say
        raise ValueError(f"cannot be scaled ({said_of_file(error)})") from error


def read_picture(
    data: bytes, image_size: int, channels: int, window: Window | None = None
) -> tuple[Image.Image, FileFacts]:
    """Decode an image at its size, or a JPEG at a fraction that loses nothing; see `decode`."""
    if not data:
        raise ValueError("the file is empty")
    digest = hashlib.sha256(data).hexdigest()
    if is_dicom(data):
        picture, patient = read_dicom(data, window)
        return picture, FileFacts(sha256=digest, mode="DICOM", size=picture.size, patient=patient)
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(image)
            facts = FileFacts(sha256=digest, mode=image.mode, size=image.size, patient=None)
            # JPEG only: decodes at a fraction of the size where that loses nothing.
            image.draft(mode, (2 * image_size, 2 * image_size))
            image.load()
            if lacks_pixels(data, image):
                width, height = facts["size"]
                raise Refused(f"the file does not hold the {width}x{height} pixels it claims")
            picture = _shown(image, data)
            turned = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
        if turned is not None:
            picture = picture.transpose(turned)
        return picture.convert(mode), facts
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
        raise ValueError(f"cannot be decoded ({said_of_file(error)})") from error


def _check_header(image: Image.Image) -> None:
    """Refuse, before any pixel is decoded, what cannot become one picture by a stated rule."""
    if image.width * image.height > MAX_PIXELS:
        raise Refused(f"{image.width}x{image.height} pixels: a decompression bomb?")
    # Of the pictures in an MPO the first is the photograph (CIPA DC-007).
    pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if pages > 1:
        raise Refused(f"{pages} pages or frames: one picture is wanted; save one alone")
    tags = _tiff_tags(image)
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
    through, tags = image.info.get("transparency"), _tiff_tags(image)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float32)
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
        if bits == 16:
            _check_depth(int(values.max()))
        largest = 2**bits - 1
        if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_0:
            values = largest - values  # Pillow turns 8 bits round, not 16
        if through is not None:
            values[values == through] = 0
        return Image.fromarray((values / (largest / 255)).round().clip(0, 255).astype(np.uint8))
    png_of_16 = data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10"  # in its IHDR
    sixteen = png_of_16 or 16 in tags.get(TiffImagePlugin.BITSPERSAMPLE, ())
    if image.format == "PNG" and through is not None and image.mode in ("L", "RGB"):
        # Pillow compares the stored value with samples that it has scaled to 8 bits.
        if image.mode == "RGB" and sixteen:
            raise Refused("16-bit colours of which one is transparent; save it with 8 bits")
        if data[24] < 8:
            image.info["transparency"] = through * (255 // (2 ** data[24] - 1))
    picture = _onto_black(image) if image.has_transparency_data else image.copy()
    if sixteen:
        if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2:
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


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    return getattr(image, "tag_v2", {})


def square(
    picture: Image.Image, side: int, channels: int, fit: str = "squeeze"
) -> NDArray[np.uint8]:
    """Return a picture of any mode as uint8 (channels, side, side), grey or RGB.

    It is made square by `fit`: `squeeze`, as torchvision's `Resize((s, s))` does; `pad` with black;
    or `crop` the middle.
    """
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


def _check_depth(largest: int) -> None:
    if largest < _LEAST_BRIGHT:
        raise Refused(
            f"16-bit samples up to {largest} of 65535: probably 10- to 14-bit values that were not "
            "scaled; scale them to the full range, or save the image with 8 bits"
        )
