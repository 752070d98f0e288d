"""DICOM files as a viewer shows them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_files import dicom
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from gan_aug.data.decode import channels_of, decode_files
from gan_aug.data.dicom import is_dicom, read_dicom
from gan_aug.data.picture import decode as decode_picture
from gan_aug.runtime.errors import GanAugError

RAMP = np.linspace(0, 4095, 48 * 64).reshape(48, 64).astype(np.uint16)


def decode(*arguments: Any) -> np.ndarray:
    return decode_picture(*arguments)[0]


def shown(pixels: np.ndarray, bits: int, **header: Any) -> np.ndarray:
    return np.asarray(read_dicom(dicom(pixels, bits, **header))[0]).astype(int)


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
    picture, patient = read_dicom(data)
    assert patient == "환자 7"
    np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert decode(data, 8, 1).shape == (1, 8, 8)
    assert read_dicom(dicom(pixels, patient=""))[1] is None


NOISE = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
SMOOTH = np.stack([np.add.outer(np.arange(24), np.arange(32)) * n % 200 for n in (1, 2, 3)], 2)
SMOOTH = SMOOTH.repeat(8, 0).repeat(8, 1).astype(np.uint8)
HALF = NOISE.repeat(2, 1)
"""Pairs of pixels have one colour, which YBR_FULL_422 stores once."""


def compressed(pixels: np.ndarray, kind: str, **how: Any) -> bytes:
    buffer = DicomBytesIO()
    Image.fromarray(pixels).save(buffer, kind, **how)
    return buffer.getvalue()


def halved(pixels: np.ndarray) -> bytes:
    """YBR_FULL_422 (PS3.3, C.7.6.3.1.2): for each pair of pixels Y, Y, Cb, Cr."""
    ybr = convert_color_space(pixels, "RGB", "YBR_FULL").reshape(-1, 6)
    return ybr[:, [0, 3, 1, 2]].tobytes()


def palette() -> tuple[np.ndarray, dict[str, Any]]:
    names = ("Red", "Green", "Blue")
    tables = {
        f"{name}PaletteColorLookupTable{part}": value
        for name, column in zip(names, NOISE.reshape(-1, 3)[:256].T, strict=True)
        for part, value in (("Descriptor", [256, 0, 8]), ("Data", column.tobytes()))
    }
    indices = np.random.default_rng(4).integers(0, 256, (24, 32), np.uint8)
    return indices, tables | {"PhotometricInterpretation": "PALETTE COLOR"}


def run_lengths(pixels: np.ndarray) -> bytes:
    """PS3.5, annex G: a segment for each channel, here of literal runs alone."""
    segments = [b"".join(b"\x7f" + plane[i : i + 128] for i in range(0, len(plane), 128))
                for plane in (pixels[..., n].tobytes() for n in range(3))]  # fmt: skip
    starts = np.cumsum([64, *map(len, segments[:-1])])
    header = np.zeros(16, "<u4")
    header[:4] = [3, *starts]
    return header.tobytes() + b"".join(segments)


COLOURS: dict[str, tuple[bytes, np.ndarray, int]] = {
    "RGB": (dicom(NOISE), NOISE, 0),
    "RGB in planes": (
        dicom(NOISE, PlanarConfiguration=1, PixelData=NOISE.transpose(2, 0, 1).tobytes()),
        NOISE,
        0,
    ),
    "RGB of 12 bits": (dicom((NOISE * 16.0588).round().astype(np.uint16), 12), NOISE, 0),
    "YBR_FULL": (
        dicom(convert_color_space(NOISE, "RGB", "YBR_FULL"), PhotometricInterpretation="YBR_FULL"),
        NOISE,
        2,
    ),
    "YBR_FULL in planes": (
        dicom(
            NOISE,
            PlanarConfiguration=1,
            PixelData=convert_color_space(NOISE, "RGB", "YBR_FULL").transpose(2, 0, 1).tobytes(),
            PhotometricInterpretation="YBR_FULL",
        ),
        NOISE,
        2,
    ),
    "YBR_FULL_422": (
        dicom(HALF, PixelData=halved(HALF), PhotometricInterpretation="YBR_FULL_422"),
        HALF,
        2,
    ),
    "PALETTE COLOR": (
        dicom(palette()[0], **palette()[1]),
        NOISE.reshape(-1, 3)[palette()[0]],
        0,
    ),
    "JPEG": (
        dicom(
            SMOOTH,
            syntax=JPEGBaseline8Bit,
            frame=compressed(SMOOTH, "JPEG", quality=100, subsampling=1),
            PhotometricInterpretation="YBR_FULL_422",
        ),
        SMOOTH,
        40,
    ),
    "JPEG 2000": (
        dicom(
            NOISE,
            syntax=JPEG2000Lossless,
            frame=compressed(NOISE, "JPEG2000", irreversible=False, mct=1, no_jp2=True),
            PhotometricInterpretation="YBR_RCT",
        ),
        NOISE,
        0,
    ),
    "RLE of YBR_FULL": (
        dicom(
            NOISE,
            syntax=RLELossless,
            frame=run_lengths(convert_color_space(NOISE, "RGB", "YBR_FULL")),
            PhotometricInterpretation="YBR_FULL",
        ),
        NOISE,
        2,
    ),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_colour_is_that_of_the_same_picture_as_png(kind: str) -> None:
    """Converted once; pydicom does it for some kinds, and not for others."""
    data, pixels, most = COLOURS[kind]
    expected = decode(compressed(pixels, "PNG"), 16, 3, "crop").astype(int)
    found = decode(data, 16, 3, "crop").astype(int)
    assert np.abs(found - expected).max() <= min(most, 4)
    whole = np.asarray(read_dicom(data)[0]).astype(int)
    assert np.abs(whole - pixels).max() <= most
    assert np.abs(whole - pixels).mean() <= min(most, 1)


def test_a_grey_picture_as_jpeg_in_colour_is_grey(tmp_path: Path) -> None:
    grey = np.full((24, 32, 3), 123, np.uint8)
    jpeg = compressed(grey, "JPEG", quality=95, subsampling=1)
    data = dicom(
        grey, syntax=JPEGBaseline8Bit, frame=jpeg, PhotometricInterpretation="YBR_FULL_422"
    )
    assert (decode(data, 16, 3) == 123).all()
    (tmp_path / "a.dcm").write_bytes(data)
    assert channels_of(tmp_path, ["a.dcm"]) == 1


SIGNED = (np.arange(48 * 64).reshape(48, 64) % 2041 - 1000).astype(np.int16)


def test_signed_values_without_a_window_need_one() -> None:
    """A CT slice would be 9 of 256 grey levels of what 16 bits can store."""
    with pytest.raises(ValueError, match=r"from -1000 to 1040 of 65536 .*set data\.window="):
        decode(dicom(SIGNED, 16), 16, 1)


@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1"])
def test_a_window_that_is_set(kind: str) -> None:
    """It is one of rescaled values, and comes before the file's own."""
    data = dicom(
        SIGNED + np.int16(1024),
        16,
        PhotometricInterpretation=kind,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=5,
        WindowWidth=10,
    )
    found = np.asarray(read_dicom(data, (40, 400))[0]).astype(int)
    expected = 255 * ((SIGNED.astype(float) + 160) / 400).clip(0, 1)
    if kind == "MONOCHROME1":
        expected = 255 - expected
    assert np.abs(found - expected).max() <= 0.51
    assert len(np.unique(found)) == 256


def test_percentiles_leave_padding_out() -> None:
    padded = SIGNED.copy()
    padded[:20] = -2000
    data = dicom(padded, 16, PixelPaddingValue=-2000)
    found = np.asarray(read_dicom(data, "percentiles")[0]).astype(int)
    low, high = np.percentile(padded[20:], [0.5, 99.5])
    assert np.abs(found - 255 * ((padded - low) / (high - low)).clip(0, 1)).max() <= 0.51
    assert len(np.unique(found[20:])) > 200
    with pytest.raises(ValueError, match="no black and white"):
        read_dicom(dicom(np.full_like(SIGNED, 7), 16), "percentiles")


@pytest.mark.parametrize(
    "tag",
    ["WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "NumberOfFrames",
     "VOILUTFunction", "PlanarConfiguration", "PixelPaddingValue"],
)  # fmt: skip
def test_an_empty_tag_is_an_absent_one(tag: str) -> None:
    header = {"WindowCenter": 2048, "WindowWidth": 4096, "RescaleSlope": 1, "RescaleIntercept": 0}
    there = {name: value for name, value in header.items() if name != tag}
    np.testing.assert_array_equal(shown(RAMP, 12, **there | {tag: None}), shown(RAMP, 12, **there))
    assert read_dicom(dicom(RAMP, 12, patient=""))[1] is None


def test_a_slope_without_an_intercept_counts() -> None:
    window = {"WindowCenter": 4096, "WindowWidth": 8192}
    both = shown(RAMP, 12, RescaleSlope=2, RescaleIntercept=0, **window)
    np.testing.assert_array_equal(shown(RAMP, 12, RescaleSlope=2, **window), both)
    assert len(np.unique(both)) == 256


def without_syntax(data: bytes) -> bytes:
    dataset = dcmread(DicomBytesIO(data))
    del dataset.file_meta.TransferSyntaxUID
    buffer = DicomBytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def with_text_for_rows(data: bytes) -> bytes:
    """Rows (0028,0010) of US 48 becomes SH of two letters."""
    place = data.index(b"\x28\x00\x10\x00US\x02\x00")
    return data[: place + 4] + b"SH\x02\x00ab" + data[place + 10 :]


def table(entries: int, values: list[int]) -> Dataset:
    made = Dataset()
    made.LUTDescriptor = [entries, 0, 16]
    made["LUTDescriptor"].VR = "US"
    made.LUTData = values
    made["LUTData"].VR = "US"
    return made


def deflated(size: int) -> bytes:
    """A file of 48 x 64 pixels with `size` zeros in another tag, deflated."""
    data = dicom(RAMP, 12, syntax=DeflatedExplicitVRLittleEndian, ImageComments="")
    dataset = dcmread(DicomBytesIO(data))
    dataset.add_new(0x00091010, "OB", bytes(size))
    dataset.add_new(0x00090010, "LO", "test")
    buffer = DicomBytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


SHORT_JPEG = bytearray(compressed(SMOOTH, "JPEG"))
_place = SHORT_JPEG.index(b"\xff\xc0")
SHORT_JPEG[_place + 5 : _place + 7] = (4 * len(SMOOTH)).to_bytes(2)

BAD: dict[str, tuple[bytes, str]] = {
    "cut header": (dicom(RAMP, 12)[:300], "without a sound image"),
    "cut pixels": (dicom(RAMP, 12)[:-500], "cannot be decoded here"),
    "no DICOM": (b"\0" * 128 + b"DICM" + b"x" * 50, "without a sound image"),
    "12 of 16 bits": (dicom(RAMP, 16), "from 0 to 4095 of 65536 possible ones, and no window"),
    "frames": (dicom(RAMP, 12, NumberOfFrames=3), "3 frames"),
    "frames that are not counted": (
        dicom(RAMP, 12, PixelData=3 * RAMP.tobytes()),
        "one picture is wanted",
    ),
    "no palette": (
        dicom(RAMP, 12, PhotometricInterpretation="PALETTE COLOR"),
        "without a sound image .*Palette",
    ),
    "short palette": (
        dicom(palette()[0], **palette()[1] | {"RedPaletteColorLookupTableData": b"ab"}),
        "without a sound image",
    ),
    "a palette in segments": (
        dicom(
            palette()[0],
            PhotometricInterpretation="PALETTE COLOR",
            RedPaletteColorLookupTableDescriptor=[256, 0, 16],
            SegmentedRedPaletteColorLookupTableData=b"\x01\x00\xff\xff\x00\x00" * 9,
        ),
        "palette in segments",
    ),
    "another colour space": (
        dicom(NOISE, PhotometricInterpretation="CMYK"),
        "CMYK",
    ),
    "JPEG-LS": (
        dicom(RAMP, 12, syntax=JPEGLSLossless, frame=b"\xff\xd8\xff\xf7no jpeg-ls\xff\xd9"),
        r"JPEG-LS .*pip install 'gan_aug\[dicom\]'",
    ),
    "a JPEG of fewer pixels": (
        dicom(
            SMOOTH.repeat(4, 0),
            syntax=JPEGBaseline8Bit,
            frame=bytes(SHORT_JPEG),
            PhotometricInterpretation="YBR_FULL_422",
        ),
        "does not hold the pixels",
    ),
    "no transfer syntax": (without_syntax(dicom(RAMP, 12)), "without a TransferSyntaxUID"),
    "no rows": (dicom(RAMP, 12, Rows=None), "Rows is None"),
    "text for rows": (with_text_for_rows(dicom(RAMP, 12)), "Rows is 'ab'"),
    "no pixels": (dicom(RAMP, 12, PixelData=None), "sound image|cannot be decoded"),
    "no bits": (dicom(RAMP, 12, BitsStored=0), "0 in 16 bits"),
    "slope 0": (dicom(RAMP, 12, RescaleSlope=0, RescaleIntercept=0), "no black and white"),
    "slope 0 and a window": (
        dicom(RAMP, 12, RescaleSlope=0, RescaleIntercept=0, WindowCenter=9, WindowWidth=5),
        "no black and white|all over",
    ),
    "slope 1e308": (dicom(RAMP, 12, RescaleSlope="1e308"), "no black and white"),
    "slope 1e308 and a window": (
        dicom(RAMP, 12, RescaleSlope="1e308", WindowCenter=9, WindowWidth=5),
        "no black and white",
    ),
    "a window of width 0": (dicom(RAMP, 12, WindowCenter=9, WindowWidth=0), "Window Width"),
    "a window beside the values": (
        dicom(RAMP, 12, WindowCenter=9000, WindowWidth=5),
        "is 0 of 255 all over though its stored values run from 0 to 4095",
    ),
    "a window of text": (
        dicom(RAMP, 12, WindowCenter=9, WindowWidth=5).replace(
            b"DS\x04\x009.0 ", b"DS\x04\x00xyz "
        ),
        "WindowCenter is no number",
    ),
    "short modality table": (
        dicom(RAMP, 12, ModalityLUTSequence=[table(4096, [1, 2, 3])]),
        "without a sound image",
    ),
    "short VOI table": (
        dicom(RAMP, 12, VOILUTSequence=[table(4096, [1, 2, 3])]),
        "without a sound image",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_files_that_cannot_be_shown(what: str, tmp_path: Path) -> None:
    """Each is one bad file with its reason, and no end of everything."""
    data, message = BAD[what]
    assert is_dicom(data)
    with pytest.raises(ValueError, match=message) as caught:
        decode(data, 16, 1)
    assert str(caught.value).isprintable()
    (tmp_path / "bad.dcm").write_bytes(data)
    (tmp_path / "good.dcm").write_bytes(dicom(RAMP, 12))
    names = ["bad.dcm", "good.dcm"]
    assert channels_of(tmp_path, names) == 1
    found = decode_files(tmp_path, names, 16, 1, tmp_path / "cache", "skip")
    assert found.bad == {"bad.dcm": str(caught.value)}
    assert len(found.images) == 1
    with pytest.raises(GanAugError, match=r"bad\.dcm: "):
        decode_files(tmp_path, names, 16, 1, tmp_path / "cache", "error")


def test_a_deflated_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    np.testing.assert_array_equal(decode(deflated(1000), 16, 1), decode(dicom(RAMP, 12), 16, 1))
    data = deflated(2**25)
    assert len(data) < 2**16
    monkeypatch.setattr("gan_aug.data.dicom.MAX_PIXELS", 48 * 64)
    tracemalloc.start()
    with pytest.raises(ValueError, match="a bomb"):
        read_dicom(data)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_a_huge_one_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_aug.data.dicom.MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="3072 pixels"):
        read_dicom(dicom(RAMP, 12))
