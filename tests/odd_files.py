"""Writes image files as people have them: DICOM, turned by EXIF, palettes, 16 bits."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

COLOURS = ((200, 40, 40), (40, 190, 60), (50, 70, 210), (220, 200, 40), (170, 60, 200))
SHAPES = ("circle", "stripes", "square", "ring", "dots")


def dicom(
    pixels: NDArray[Any],
    bits: int = 8,
    patient: str = "P1",
    syntax: str = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    **header: Any,
) -> bytes:
    """Return a DICOM file; pixels are (H, W), or (H, W, 3) in RGB.

    `frame` are the same pixels as `syntax` compresses them.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = UID(syntax)
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID = meta.MediaStorageSOPClassUID
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.PatientID = patient
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes() if frame is None else encapsulate([frame])
    made["PixelData"].is_undefined_length = frame is not None
    for name, value in header.items():
        setattr(made, name, value)
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def draw(label: int, seed: int, size: tuple[int, int] = (44, 40)) -> NDArray[np.uint8]:
    """Return an RGB picture (H, W, 3) of a class: a coloured shape somewhere, in noise."""
    random = np.random.default_rng([label, seed])
    width, height = size
    y, x = np.mgrid[:height, :width]
    cx, cy = random.uniform(0.35, 0.65) * width, random.uniform(0.35, 0.65) * height
    radius = random.uniform(0.2, 0.3) * min(size)
    distance = np.hypot(x - cx, y - cy)
    inside = {
        "circle": distance < radius,
        "stripes": (distance < 1.4 * radius) & (x // 3 % 2 == 0),
        "square": np.maximum(abs(x - cx), abs(y - cy)) < radius,
        "ring": (distance < 1.3 * radius) & (distance > 0.7 * radius),
        "dots": (distance < 1.4 * radius) & (x % 5 < 2) & (y % 5 < 2),
    }[SHAPES[label]]
    pixels = random.normal(90, 18, (height, width, 3))
    pixels[inside] = random.normal(COLOURS[label], 12, (int(inside.sum()), 3))
    found: NDArray[np.uint8] = pixels.clip(0, 255).astype(np.uint8)
    return found


def write_odd(path: Path, pixels: NDArray[np.uint8], kind: int) -> Path:
    """Write a picture as one of several kinds of file; returns the path with its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if kind % 6 == 0:
        exif = Image.Exif()
        exif[0x0112] = 6  # turn it by a quarter to the right
        path = path.with_suffix(".jpg")
        image.transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)
    elif kind % 6 == 1:
        path = path.with_suffix(".PNG")
        image.quantize(64).save(path)
    elif kind % 6 == 2:
        path = path.with_suffix(".dcm")
        path.write_bytes(dicom(pixels, patient=path.stem))
    elif kind % 6 == 3:
        path = path.with_suffix(".bmp")
        image.save(path)
    elif kind % 6 == 4:
        path = path.with_suffix(".tif")
        image.convert("RGBA").save(path)
    else:
        path = path.with_suffix(".png")
        image.save(path)
    return path


def write_sixteen_bits(path: Path, seed: int) -> None:
    """Write a grey PNG with 16 bits."""
    grey = draw(0, seed).mean(axis=2).astype(np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey * 257).save(path)


def png(header: tuple[int, int, int, int], rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of width, height, bits and colour type; `extra` are chunks before its pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    first = (b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0))
    parts = (first, *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
