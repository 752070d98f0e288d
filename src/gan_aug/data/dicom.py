"""DICOM files to grey or RGB pictures, as a viewer shows them."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_aug.data.complete import MAX_PIXELS, Refused, is_filled_grey, jpeg_lacks_pixels
from gan_aug.runtime.errors import require, said_of_file

# They name no file; what is wrong with one is said below.
warnings.filterwarnings("ignore", module=r"pydicom\.")

Window = str | Sequence[float]
"""`data.window`: PERCENTILES, or centre and width in units of the rescaled values (HU of CT)."""

PERCENTILES = "percentiles"
_ENDS = (0.5, 99.5)
"""What PERCENTILES makes black and white."""
_LEAST_SHARE = 0.25
"""Of the values that can be stored: a picture without a window that uses less is refused."""
_GREY = ("MONOCHROME1", "MONOCHROME2")
_MAY_BE_EMPTY = (
    *("NumberOfFrames", "PatientID", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence"),
    *("PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit"),
)
_NUMBERS = ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept")
_REMEDY = (
    "set data.window=[CENTRE,WIDTH] (of CT: [40,400] for soft tissue, [-600,1500] for lungs) or "
    f"data.window={PERCENTILES}"
)


def is_dicom(data: bytes) -> bool:
    """Tell whether bytes are a DICOM file (PS3.10, section 7.1: a preamble, then DICM)."""
    return data[128:132] == b"DICM"


def read_dicom(data: bytes, window: Window | None = None) -> tuple[Image.Image, str | None]:
    """Return the picture of a DICOM file and the patient's id.

    Grey values go through the modality's rescale (or its table), then through `window`, else the
    file's first VOI window (or table). Where there is none, black and white are the least and the
    largest value that can be stored; of more than 8 bits a picture must use a quarter of these.
    MONOCHROME1, whose large values are dark, is turned round (PS3.3, C.7.6.3.1.2, C.11.1 and
    C.11.2). An empty tag counts as absent.

    Args:
        data: the file's bytes.
        window: in place of what the file says: centre and width, or `PERCENTILES`: the file's own
            0.5th percentile is black, its 99.5th white, padding left out.

    Returns:
        A picture in mode L or RGB, and the Patient ID, None where it is empty.

    Raises:
        ValueError: damaged, several frames, pixels that cannot be decoded here, or values whose
            black and white nothing says.
        GanAugError: pydicom is not installed.
    """
    require("pydicom", "a DICOM file")
    try:
        return _read(data, window)
    except Refused:
        raise
    except Exception as error:  # pydicom lets almost anything escape from a damaged file
        raise ValueError(f"a DICOM file without a sound image ({said_of_file(error)})") from error


def _read(data: bytes, window: Window | None) -> tuple[Image.Image, str | None]:
    import pydicom

    _check_inflated(data)
    dataset = pydicom.dcmread(io.BytesIO(data))
    for name in _MAY_BE_EMPTY:
        if name in dataset and (dataset[name].is_empty or not str(dataset[name].value).strip()):
            del dataset[name]
    for element in (dataset[name] for name in _NUMBERS if name in dataset):
        try:
            for value in element.value if element.VM > 1 else [element.value]:
                float(value)
        except (TypeError, ValueError) as error:
            what = f"{element.keyword} is no number"
            raise Refused(f"a DICOM file without a sound image ({what})") from error
    rows, columns, samples, bits, allocated = (
        _whole(dataset, name)
        for name in ("Rows", "Columns", "SamplesPerPixel", "BitsStored", "BitsAllocated")
    )
    frames = _whole(dataset, "NumberOfFrames") if "NumberOfFrames" in dataset else 1
    if frames != 1 or rows * columns > MAX_PIXELS:
        raise Refused(
            f"DICOM with {frames} frames of {rows * columns} pixels: one picture is wanted"
        )
    if samples not in (1, 3) or allocated not in (1, 8, 16, 32) or not 1 <= bits <= allocated:
        raise Refused(f"DICOM with {samples} samples a pixel of {bits} in {allocated} bits")
    pixels, kind = _pixels(dataset)
    if pixels.shape[:2] != (rows, columns) or pixels.ndim != 2 + (samples > 1):
        raise Refused(f"DICOM with pixels of shape {pixels.shape}: one picture is wanted")
    if kind in _GREY:
        shown = _grey(dataset, pixels, kind, window)
    else:
        shown = _colour(dataset, pixels, kind)
    if shown.min() == shown.max() and pixels.min() != pixels.max():
        raise Refused(
            f"DICOM that is {shown.min()} of 255 all over though its stored values run from "
            f"{pixels.min()} to {pixels.max()}: mend its window or rescale"
            + (f", or {_REMEDY}" if kind in _GREY else "")
        )
    return Image.fromarray(shown), str(dataset.get("PatientID", "")).strip() or None


def _check_inflated(data: bytes) -> None:
    """Refuse a deflated file (PS3.5, A.5) that holds too much, before pydicom inflates it all."""
    from pydicom.filereader import _read_file_meta_info, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    stream = io.BytesIO(data)
    read_preamble(stream, force=False)
    meta = _read_file_meta_info(stream)  # as dcmread does; the public one takes a path alone
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, most = stream.read(), 8 * MAX_PIXELS
    while rest and most >= 0:
        most -= len(inflate.decompress(rest, min(most + 1, 2**24)))
        rest = inflate.unconsumed_tail
    if most < 0:
        raise Refused("DICOM that is deflated from more than a picture holds: a bomb?")


def _whole(dataset: Any, name: str) -> int:
    value: Any = dataset[name].value if name in dataset else None
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise Refused(f"a DICOM file without a sound image ({name} is {value!r:.40})") from error


def _pixels(dataset: Any) -> tuple[NDArray[Any], str]:
    """Return the stored values, and what they mean: YBR_FULL, say, is RGB by then."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEGBaseline8Bit

    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise Refused(
            "DICOM without a TransferSyntaxUID: how its pixels are stored is not said; write it "
            "again with one"
        )
    if "PixelData" not in dataset:
        raise Refused("DICOM without PixelData (floating-point pixels are not read)")
    try:
        pixels, facts = get_decoder(syntax).as_array(dataset)
    except Exception as error:
        more = "pip install 'gan_aug[dicom]' adds decoders; " if syntax.is_compressed else ""
        raise Refused(
            f"DICOM stored as {syntax.name}, which cannot be decoded here "
            f"({more}{said_of_file(error)})"
        ) from error
    if (
        syntax == JPEGBaseline8Bit
        and is_filled_grey(pixels)
        and jpeg_lacks_pixels(get_frame(dataset.PixelData, 0, number_of_frames=1))
    ):
        raise Refused("DICOM whose JPEG does not hold the pixels that it claims")
    return pixels, str(facts["photometric_interpretation"])


def _grey(
    dataset: Any, pixels: NDArray[Any], kind: str, window: Window | None
) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_modality_lut

    if "RescaleSlope" in dataset or "RescaleIntercept" in dataset:  # pydicom takes both or none
        dataset.RescaleSlope = dataset.get("RescaleSlope", 1)
        dataset.RescaleIntercept = dataset.get("RescaleIntercept", 0)
    with np.errstate(all="ignore"):  # what is not finite is refused below
        values = np.asarray(apply_modality_lut(pixels, dataset), np.float64)
        if window is None:
            shown, low, high = _by_file(dataset, pixels, values)
        elif isinstance(window, str):
            kept = values
            if "PixelPaddingValue" in dataset:  # PS3.3, C.7.5.1.1.2
                one = int(dataset.PixelPaddingValue)
                other = int(dataset.get("PixelPaddingRangeLimit", one))
                kept = values[(pixels < min(one, other)) | (pixels > max(one, other))]
            shown, (low, high) = values, np.percentile(kept if kept.size else values, _ENDS)
        else:
            centre, width = window
            shown, low, high = values, centre - width / 2, centre + width / 2
        scaled = (shown - low) / (high - low)
    if not np.isfinite(scaled).all():
        raise Refused(
            f"DICOM whose values from {values.min():g} to {values.max():g} have no black and white "
            f"({low:g} and {high:g}): mend RescaleSlope or the window, or {_REMEDY}"
        )
    scaled = scaled.clip(0, 1)
    if kind == "MONOCHROME1":
        scaled = 1 - scaled
    return (255 * scaled).round().astype(np.uint8)


def _by_file(
    dataset: Any, pixels: NDArray[Any], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """Return the values to show, and which of them are black and white, as the file says."""
    from pydicom.pixels.processing import apply_voi, apply_windowing

    if "VOILUTSequence" in dataset:
        # The table takes whole numbers.
        shown = apply_voi(values.round().astype(np.int64), dataset).astype(np.float64)
        return shown, 0.0, 2.0 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
    if "WindowWidth" in dataset and "WindowCenter" in dataset:
        low, high = apply_windowing(np.array([-np.inf, np.inf]), dataset)
        return apply_windowing(values, dataset), float(low), float(high)
    signed, bits = int(dataset.PixelRepresentation), int(dataset.BitsStored)
    least, most = int(pixels.min()), int(pixels.max())
    if bits > 8 and most - least < _LEAST_SHARE * 2**bits:
        raise Refused(
            f"DICOM with values from {least} to {most} of {2**bits} possible ones, and no window: "
            f"which are black and white is not said; {_REMEDY}"
        )
    if "ModalityLUTSequence" in dataset:
        return values, 0.0, 2.0 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    ends = np.array([-signed * 2 ** (bits - 1), 2 ** (bits - signed) - 1], np.float64)
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    low, high = ends * float(slope) + float(intercept)
    return values, float(low), float(high)


def _colour(dataset: Any, pixels: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    bits = int(dataset.BitsStored)
    if kind == "PALETTE COLOR":
        if "SegmentedRedPaletteColorLookupTableData" in dataset:
            # A few bytes of it can stand for 65,535 entries each, which pydicom would all make.
            raise Refused("DICOM with a palette in segments; save it as RGB")
        pixels = apply_color_lut(pixels, dataset)[..., :3]
        bits = 8 * pixels.dtype.itemsize
    elif kind != "RGB":
        raise Refused(f"DICOM of kind {kind}; MONOCHROME, RGB, YBR and PALETTE COLOR are read")
    if pixels.dtype.kind != "u":
        raise Refused("DICOM with signed colours; save it with 8 bits")
    largest = 2**bits - 1
    if bits == 16 and pixels.max() < _LEAST_SHARE * 2**16:
        raise Refused(
            f"DICOM with 16-bit colours up to {pixels.max()} of {largest}: probably fewer bits "
            "that were not scaled; write the BitsStored that they have"
        )
    scaled: NDArray[np.float64] = (pixels * (255 / largest)).round()
    return scaled.clip(0, 255).astype(np.uint8)
