"""Files that hold fewer pixels than they claim, which Pillow fills up in silence, or too many."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

MAX_PIXELS = 89_478_485
"""Larger images are refused as decompression bombs; the size Pillow starts to warn at."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))  # fmt: skip
"""First column, first row, steps between columns and between rows (PNG 3rd edition, section 8)."""

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker that is neither a stuffed byte, a restart nor a fill byte."""


class Refused(ValueError):
    """What is wrong with a file, in words of ours; other libraries' errors are none."""


def lacks_pixels(data: bytes, image: Image.Image) -> bool:
    """Tell whether a JPEG, PNG or TIFF, as Pillow decoded it, lacks pixels that it claims."""
    last_row = np.asarray(image.crop((0, image.height - 1, image.width, image.height)))
    if image.format in ("JPEG", "MPO"):
        return is_filled_grey(last_row) and jpeg_lacks_pixels(data)
    if image.format == "PNG":
        return (data[28] == 1 or not last_row.any()) and _png_lacks_pixels(data)
    return isinstance(image, TiffImagePlugin.TiffImageFile) and _tiff_lacks_blocks(image)


def is_filled_grey(pixels: NDArray[np.uint8]) -> bool:
    """Tell whether the last pixel is what libjpeg fills in where the data end: middle grey."""
    return bool(np.isin(pixels[-1, -1], (127, 128)).all())


def jpeg_lacks_pixels(data: bytes) -> bool:
    """Tell whether more bytes at the end of a JPEG's first scan would change its pixels.

    libjpeg counts missing data as a warning, and Pillow shows none.
    """
    place = 2
    while data[place : place + 2] != b"\xff\xda":  # to the first scan (ITU-T T.81, B.1.1.4)
        if place + 4 > len(data) or data[place] != 0xFF:
            return False
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    end = _AFTER_SCAN.search(data, place + 2)
    if end is None:
        return False
    longer = data[: end.start()] + b"\x5a" * 4096 + data[end.start() :]
    one, other = (Image.open(io.BytesIO(each), formats=["JPEG"]) for each in (data, longer))
    return one.tobytes() != other.tobytes()


def _png_lacks_pixels(data: bytes) -> bool:
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    bits *= _PNG_CHANNELS[colour]
    passes = _ADAM7 if data[28] else ((0, 0, 1, 1),)
    left = 0
    for x, y, dx, dy in passes:
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0:
            left += rows * (1 + -(-columns * bits // 8))
    inflate = zlib.decompressobj()
    place = 8
    while left > 0 and place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            rest = data[place + 8 : place + 8 + length]
            while rest and left > 0:
                left -= len(inflate.decompress(rest, 2**20))
                rest = inflate.unconsumed_tail
        place += 12 + length
    return left > 0


def _tiff_lacks_blocks(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Tell whether there are fewer strips or tiles than the size needs (TIFF 6.0, section 15)."""
    tags = image.tag_v2
    width, height = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
    offsets = tags.get(TiffImagePlugin.TILEOFFSETS, tags.get(TiffImagePlugin.STRIPOFFSETS))
    if offsets is None:
        return False
    across, down = width, tags.get(TiffImagePlugin.ROWSPERSTRIP, height)
    if TiffImagePlugin.TILEOFFSETS in tags:
        across, down = tags[TiffImagePlugin.TILEWIDTH], tags[TiffImagePlugin.TILELENGTH]
    blocks = -(-width // across) * -(-height // down)
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2:
        blocks *= tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    return bool(len(offsets) < blocks)
