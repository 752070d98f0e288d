"""DICOM files as a viewer shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from odd_files import dicom
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import JPEGLSLossless

from gan_aug.data.decode import decode
from gan_aug.data.dicom import is_dicom, read_dicom

RAMP = np.linspace(0, 4095, 48 * 64).reshape(48, 64).astype(np.uint16)


def shown(pixels: np.ndarray, bits: int, **header: Any) -> np.ndarray:
    return np.asarray(read_dicom(dicom(pixels, bits, **header), 10**6)[0]).astype(int)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, [0, 128, 255]),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [255, 127, 0]),
        ({"WindowCenter": 2048, "WindowWidth": 1000}, [0, 128, 255]),
        ({"WindowCenter": [1024, 9], "WindowWidth": [2048, 9]}, [0, 255, 255]),
        ({"RescaleSlope": 2, "RescaleIntercept": -1024}, [0, 128, 255]),
        (
            {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": 0, "WindowWidth": 500},
            [0, 255, 255],
        ),
    ],
)
def test_grey_values(header: dict[str, Any], expected: list[int]) -> None:
    found = shown(RAMP, 12, **header)
    assert [found[0, 0], found[24, 0], found[-1, -1]] == expected


def test_a_window_by_hand() -> None:
    """PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) of the range."""
    found = shown(RAMP, 12, WindowCenter=1000, WindowWidth=801)
    expected = 255 * ((RAMP.astype(float) - 999.5) / 800 + 0.5).clip(0, 1)
    assert np.abs(found - expected).max() <= 0.51


def test_signed_and_eight_bit_values() -> None:
    assert shown((RAMP.astype(np.int16) - 2048), 12)[[0, 24, -1], [0, 0, -1]].tolist() == [
        0,
        128,
        255,
    ]
    assert shown((RAMP // 16).astype(np.uint8), 8)[-1, -1] == 255


def test_colour_and_the_patient() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    data = dicom(pixels, patient=" 환자 7 ", SpecificCharacterSet="ISO_IR 192")
    picture, patient = read_dicom(data, 10**6)
    assert patient == "환자 7"
    np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert decode(data, 8, 1).shape == (1, 8, 8)
    assert read_dicom(dicom(pixels, patient=""), 10**6)[1] is None


def with_syntax(data: bytes) -> bytes:
    dataset = dcmread(DicomBytesIO(data))
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    buffer = DicomBytesIO()
    from pydicom.encaps import encapsulate

    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xf7not jpeg-ls\xff\xd9"])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dicom(RAMP, 12)[:300], "without a sound image"),
        (dicom(RAMP, 12)[:-500], "cannot be decoded here"),
        (b"\0" * 128 + b"DICM" + b"x" * 50, "without a sound image"),
        (dicom(RAMP, 16), "16-bit values up to 4095 and no window"),
        (dicom(RAMP, 12, NumberOfFrames=3), "3 frames"),
        (dicom(RAMP, 12, PhotometricInterpretation="PALETTE COLOR"), "kind PALETTE COLOR"),
        (with_syntax(dicom(RAMP, 12)), r"JPEG-LS .*pip install 'gan_aug\[dicom\]'"),
    ],
)
def test_files_that_cannot_be_shown(data: bytes, message: str) -> None:
    assert is_dicom(data)
    with pytest.raises(ValueError, match=message) as caught:
        decode(data, 16, 1)
    assert "\n" not in str(caught.value)


def test_a_huge_one_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ValueError, match="3072 pixels"):
        read_dicom(dicom(RAMP, 12), 1000)
