"""DICOM files to grey or RGB pictures, as a viewer shows them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY = ("MONOCHROME1", "MONOCHROME2")
LEAST_BRIGHT = 2**14
"""16-bit values that are all below this use less than a quarter of their range."""


def is_dicom(data: bytes) -> bool:
    """Tell whether bytes are a DICOM file (PS3.10, section 7.1: a preamble, then DICM)."""
    return data[128:132] == b"DICM"


def read_dicom(data: bytes, most_pixels: int) -> tuple[Image.Image, str | None]:
    """Return the picture of a DICOM file and the patient's id.

    Grey values go through the modality's rescale (or its table), then through the first VOI window
    (or table), else from the least to the largest value that can be stored; MONOCHROME1, whose
    large values are dark, is turned round (PS3.3, C.7.6.3.1.2, C.11.1 and C.11.2).

    Args:
        data: the file's bytes.
        most_pixels: more are refused before they are decoded.

    Returns:
        A picture in mode L or RGB, and the Patient ID, None where it is empty.

    Raises:
        ValueError: damaged, several frames, or pixels that cannot be decoded here.
    """
    import pydicom

    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        kind, size = str(dataset.PhotometricInterpretation), dataset.Rows * dataset.Columns
        frames = int(dataset.get("NumberOfFrames", 1) or 1)
    except Exception as error:  # pydicom lets almost anything escape from a damaged file
        raise ValueError(f"a DICOM file without a sound image ({error})") from error
    if frames != 1 or size > most_pixels:
        raise ValueError(f"DICOM with {frames} frames of {size} pixels: one picture is wanted")
    try:
        pixels = dataset.pixel_array
    except Exception as error:
        name = dataset.file_meta.TransferSyntaxUID.name
        raise ValueError(
            f"DICOM stored as {name}, which cannot be decoded here (pip install 'gan_aug[dicom]' "
            f"adds decoders; {' '.join(str(error).split())[:200]})"
        ) from error
    picture = _grey(dataset, pixels) if kind in GREY else _colour(kind, pixels)
    return picture, str(dataset.get("PatientID", "")).strip() or None


def _grey(dataset: Any, pixels: NDArray[Any]) -> Image.Image:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing

    values = np.asarray(apply_modality_lut(pixels, dataset), np.float64)
    if dataset.get("VOILUTSequence"):
        # The table takes stored values.
        shown = np.asarray(apply_voi(values.round().astype(np.int64), dataset), np.float64)
        low, high = 0.0, 2.0 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
    elif "WindowWidth" in dataset and "WindowCenter" in dataset:
        shown = apply_windowing(values, dataset)
        low, high = apply_windowing(np.array([-1e12, 1e12]), dataset)
    else:
        shown = values
        signed, bits = int(dataset.PixelRepresentation), int(dataset.BitsStored)
        if bits == 16 and not signed and pixels.max() < LEAST_BRIGHT:
            raise ValueError(
                f"DICOM with 16-bit values up to {pixels.max()} and no window: what is white is "
                "not said; add a VOI window, or the BitsStored that the values have"
            )
        ends = np.array([-signed * 2 ** (bits - 1), 2 ** (bits - signed) - 1])
        slope, intercept = (
            float(dataset.get(name, usual) or usual)
            for name, usual in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
        )
        low, high = ends * slope + intercept
    scaled = ((shown - low) / (high - low)).clip(0, 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        scaled = 1 - scaled
    return Image.fromarray((255 * scaled).round().astype(np.uint8))


def _colour(kind: str, pixels: NDArray[Any]) -> Image.Image:
    from pydicom.pixels.processing import convert_color_space

    if kind.startswith("YBR_FULL"):
        pixels = convert_color_space(pixels, kind, "RGB")
    elif kind != "RGB":
        raise ValueError(f"DICOM of kind {kind}; MONOCHROME1, MONOCHROME2, RGB and YBR are read")
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ValueError("DICOM in colour with other than 8 bits; save it with 8")
    return Image.fromarray(pixels)
