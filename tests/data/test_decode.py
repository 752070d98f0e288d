"""Every kind of image file that real copies hold."""

from __future__ import annotations

import ast
import io
import os
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from odd_files import png
from PIL import Image, ImageOps
from support import ROOT, write_image

from gan_aug.data.decode import Decoded, channels_of, decode_files
from gan_aug.data.picture import decode as decode_picture
from gan_aug.data.picture import read_picture
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import read_bytes


def decode(*arguments: Any) -> np.ndarray:
    return decode_picture(*arguments)[0]


def decode_all(folder: Path, *names: str, on_bad_file: str = "skip") -> Decoded:
    return decode_files(folder, names, 16, 1, folder / "cache", on_bad_file)


def gradient(width: int = 97, height: int = 61) -> np.ndarray:
    return np.linspace(0, 255, width)[None, :].repeat(height, 0).round().astype(np.uint8)


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


GREY = Image.fromarray(gradient())
FORMS = {
    "grey png": encode(GREY),
    "grey jpeg": encode(GREY, "JPEG"),
    "rgb jpeg": encode(GREY.convert("RGB"), "JPEG"),
    "cmyk jpeg": encode(GREY.convert("RGB").convert("CMYK"), "JPEG"),
    "rgb png": encode(GREY.convert("RGB")),
    "palette": encode(GREY.convert("P")),
    "alpha": encode(GREY.convert("RGBA")),
    "grey alpha": encode(GREY.convert("LA")),
    "16-bit": encode(Image.fromarray(gradient().astype(np.uint16) * 257)),
    "large jpeg": encode(GREY.resize((970, 610)), "JPEG"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_picture(form: str, channels: int) -> None:
    image = decode(FORMS[form], 32, channels)
    assert image.shape == (channels, 32, 32)
    assert image.dtype == np.uint8
    expected = decode(FORMS["grey png"], 32, 1).astype(int)
    assert np.abs(image.astype(int) - expected).max() <= 4


def test_black_and_white() -> None:
    image = decode(encode(GREY.convert("1")), 32, 1)
    assert image.min() == 0
    assert image.max() == 255


def sixteen_bit(largest: int) -> Image.Image:
    """A gradient from black to `largest` of 65535."""
    return Image.fromarray((gradient() / 255 * largest).round().astype(np.uint16))


def deep_colour(largest: int, kind: int) -> bytes:
    """A 16-bit PNG of colour type 2 (RGB), 4 (grey and alpha) or 6 (RGBA)."""
    samples = {2: 3, 4: 2, 6: 4}[kind]
    grey = (gradient() / 255 * largest).round().astype(">u2")
    pixels = np.repeat(grey[..., None], samples, axis=2)
    if kind != 2:
        pixels[..., -1] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png((grey.shape[1], grey.shape[0], 16, kind), rows)


@pytest.mark.parametrize("kind", [2, 4, 6])
def test_deep_colour_is_read_in_its_full_range_only(kind: int) -> None:
    expected = decode(FORMS["grey png"], 32, 1).astype(int)
    image = decode(deep_colour(65535, kind), 32, 1).astype(int)
    assert np.abs(image - expected).max() <= 4
    with pytest.raises(ValueError, match="probably 10- to 14-bit values"):
        decode(deep_colour(4095, kind), 32, 1)


def tiff(pixels: np.ndarray, **how: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **how)
    return buffer.getvalue()


GREYS = gradient(96, 64).astype(np.uint16)
COLOUR = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("black", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("scale", [1, 257])
def test_a_tiff_says_which_end_is_white(scale: int, black: str, compression: str | None) -> None:
    values = GREYS if black == "minisblack" else 255 - GREYS
    values = (values * scale).astype(np.uint8 if scale == 1 else np.uint16)
    data = tiff(values, photometric=black, compression=compression)
    expected = decode(encode(Image.fromarray(GREYS.astype(np.uint8))), 32, 1).astype(int)
    assert np.abs(decode(data, 32, 1).astype(int) - expected).max() <= 1


def twelve_bits() -> bytes:
    """A grey TIFF that states its 12 bits."""
    high = (GREYS.astype(int) * 4095 // 255).reshape(-1, 2)
    packed = np.stack(
        [high[:, 0] >> 4, (high[:, 0] & 15) << 4 | high[:, 1] >> 8, high[:, 1] & 255], 1
    )
    entries = [(256, 96), (257, 64), (258, 12), (259, 1), (262, 1), (273, 200), (277, 1), (278, 64)]
    entries.append((279, packed.size))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    head += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return head.ljust(200, b"\0") + packed.astype(np.uint8).tobytes()


def without_photometric() -> bytes:
    data = tiff(GREYS.astype(np.uint8), photometric="minisblack")
    return data.replace(struct.pack("<HHII", 262, 3, 1, 1), struct.pack("<HHII", 260, 3, 1, 1))


def frames(kind: str, n: int = 2) -> bytes:
    first, *others = (Image.fromarray(np.roll(COLOUR, i, 0)) for i in range(n))
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "other", "most"),
    [
        (twelve_bits(), encode(Image.fromarray(GREYS.astype(np.uint8))), 1),
        (tiff(COLOUR.astype(np.uint16) * 257, photometric="rgb"),
         encode(Image.fromarray(COLOUR)), 0),
        (frames("MPO"), encode(Image.fromarray(COLOUR), "JPEG"), 0),  # the photograph is read
    ],
    ids=["grey of 12 stated bits", "colour of 16 bits", "MPO"],
)  # fmt: skip
def test_another_file_is_the_same_picture(data: bytes, other: bytes, most: int) -> None:
    assert np.abs(decode(data, 32, 3).astype(int) - decode(other, 32, 3)).max() <= most


def clear(mode: str) -> bytes:
    picture = Image.fromarray(COLOUR).convert(mode)
    picture.putalpha(0)
    return encode(picture)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (frames("TIFF", 3), "3 pages or frames: one picture is wanted"),
        (frames("PNG"), "2 pages or frames"),
        (frames("WEBP"), "2 pages or frames"),
        (frames("GIF"), "not a sound image of a kind that is read"),
        (without_photometric(), "does not say whether 0 is black"),
        (tiff(GREYS * 257, photometric="miniswhite", byteorder=">"), "save it as PNG"),
        (
            tiff(COLOUR.astype(np.uint16).transpose(2, 0, 1) * 257, photometric="rgb"),
            "separate planes",
        ),
        (tiff(COLOUR[..., :2].astype(np.uint16), photometric="minisblack", planarconfig="contig"),
         "save it as PNG"),
        (clear("RGB"), "transparent all over"),
        (clear("L"), "transparent all over"),
        *((tiff((GREYS // 2).astype(kind), photometric="minisblack"),
           "black and white the file does not say")
          for kind in (np.float32, np.int32, np.int16, np.int8)),
        # Unscaled values would come out nearly black. Pillow keeps the high byte of colours.
        *((encode(sixteen_bit(2**bits - 1)), f"16-bit samples up to {2**bits - 1} of 65535")
          for bits in (10, 12, 14)),
        (tiff(np.full((8, 8, 3), 4095, np.uint16), photometric="rgb"), "probably 10- to 14-bit"),
        (b"", "the file is empty"),
        (b"hello", "not a sound image"),
        *((FORMS[form][:n], "not a sound image|cannot be decoded")
          for form, n in (("grey png", 90), ("rgb jpeg", 300))),
    ],
)  # fmt: skip
def test_what_has_no_stated_meaning_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(data, 32, 1)


OPACITY = np.zeros((64, 96), np.uint8)
OPACITY[20:50, 20:60] = 255
OPACITY[:5, :5] = 128


def through(mode: str) -> bytes:
    """COLOUR, grey where the mode is, of which OPACITY shows a part."""
    picture = Image.fromarray(COLOUR).convert("L" if mode == "I;16" else mode.replace("A", ""))
    if mode.endswith("A"):
        picture.putalpha(Image.fromarray(OPACITY))
        return encode(picture)
    # One colour of the palette, or one grey, is transparent.
    values = np.asarray(picture).copy()
    values[OPACITY == 0] = 7
    values[(OPACITY > 0) & (values == 7)] = 8
    made = Image.fromarray(values.astype(np.uint16) * 257 if mode == "I;16" else values)
    if mode == "P":
        made.putpalette([(n * 3 + 50) % 256 for n in range(768)])
    buffer = io.BytesIO()
    made.save(buffer, "PNG", transparency=7 * 257 if mode == "I;16" else 7)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "I;16"])
def test_what_lies_beneath_transparency_does_not_show(mode: str) -> None:
    found = read_picture(through(mode), 64, 3)[0]
    assert not np.asarray(found)[OPACITY == 0].any()
    assert np.asarray(found)[30:40, 30:40].std() > 10


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_half_transparent_is_half_as_bright(mode: str) -> None:
    beneath = np.asarray(Image.fromarray(COLOUR).convert(mode[:-1]).convert("RGB")).astype(int)
    found = np.asarray(read_picture(through(mode), 64, 3)[0]).astype(int)
    assert np.abs(found[:5, :5] - beneath[:5, :5] * 128 / 255).max() <= 1
    np.testing.assert_array_equal(found[20:50, 20:60], beneath[20:50, 20:60])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_few_bits(bits: int) -> None:
    """tRNS holds the stored value, not the one that is scaled to 8 bits (PNG, 11.3.2.1)."""
    largest = 2**bits - 1
    values = np.array([0, 1, largest, largest, 1, 0, 1, 1], np.uint8)
    row = np.packbits(np.unpackbits(values[:, None], axis=1)[:, -bits:]).tobytes()
    data = png((8, 1, bits, 0), b"\0" + row, (b"tRNS", struct.pack(">H", largest)))
    found = np.asarray(read_picture(data, 64, 1)[0])[0]
    assert found.tolist() == [0 if v in (0, largest) else 255 // largest for v in values.tolist()]


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3, 700), (97, 61), (61, 97), (64, 64)])
@pytest.mark.parametrize("fit", ["squeeze", "pad", "crop"])
def test_extreme_shapes_do_not_vanish(size: tuple[int, int], fit: str) -> None:
    picture = Image.new("L", size, 255)
    found = decode(encode(picture), 64, 1, fit)[0]
    assert found.max() == 255
    if fit != "pad":
        assert found.min() == 255
    elif max(size) < 100:
        other = ImageOps.pad(picture, (64, 64), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(found, np.asarray(other))
    else:
        assert (found > 0).sum() == 64


def taller(data: bytes, place: int, order: str = ">I") -> bytes:
    """Let a header claim four times as many rows."""
    at = slice(place, place + struct.calcsize(order))
    rows = struct.unpack(order, data[at])[0]
    return data[: at.start] + struct.pack(order, 4 * rows) + data[at.stop :]


def lying() -> dict[str, bytes]:
    found = {}
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            buffer = io.BytesIO()
            Image.fromarray(COLOUR).convert(mode).save(buffer, "JPEG", progressive=progressive)
            data = buffer.getvalue()
            place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
            name = f"{'progressive ' if progressive else ''}JPEG in {mode}"
            found[name] = taller(data, place, ">H")
            found[f"{name}, cut but ended"] = data[: len(data) // 3 * 2] + b"\xff\xd9"
    rows = b"".join(b"\0" + row.tobytes() for row in COLOUR)
    found["PNG"] = png((96, 256, 8, 2), rows)
    data = tiff(COLOUR, photometric="rgb")
    found["TIFF"] = taller(
        data, tifffile.TiffFile(io.BytesIO(data)).pages[0].tags[257].valueoffset, "<I"
    )
    data = encode(Image.fromarray(COLOUR), "BMP")
    found["BMP"] = taller(data, 22, "<I")
    return found


LYING = lying()


@pytest.mark.parametrize("kind", [name for name in LYING if "progressive" not in name
                                  or "cut" not in name])  # fmt: skip
def test_a_header_that_claims_more_than_the_file_holds(kind: str) -> None:
    """Pillow fills the rest with grey or black, and says nothing."""
    with pytest.raises(ValueError, match="does not hold the 96x|cannot be decoded"):
        decode(LYING[kind], 32, 1)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_sound_jpeg_may_end_in_middle_grey(mode: str, progressive: bool) -> None:
    pixels = GREYS.astype(np.uint8)
    pixels[48:] = 128
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", progressive=progressive)
    for data in (buffer.getvalue(), buffer.getvalue() + b"something after its end"):
        assert np.abs(decode(data, 64, 1, "crop")[0, -4:].astype(int) - 128).max() <= 1


def test_a_black_png_is_sound() -> None:
    for kind in (0, 2, 4, 6):
        rows = b"\0" * (1 + 16 * {0: 1, 2: 3, 4: 2, 6: 4}[kind])
        first = b"\0" + b"\xff" * (len(rows) - 1)
        assert decode(png((16, 3, 8, kind), first + 2 * rows), 16, 1).max() == 255


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 * 2**30)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "PostScript": (lambda path: path.write_bytes(EPS), "not a sound image of a kind that is read"),
    "a FIFO": (lambda path: os.mkfifo(path), "cannot be read (not a regular file)"),
    "30 GB": (sparse, "32212254720 bytes, at most"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_beside_a_sound_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO would be waited for. Pillow hands PostScript to Ghostscript, whatever its name."""
    started = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: started.append(1))
    write, reason = BAD[kind]
    write(tmp_path / "a.png")
    write_image(tmp_path / "b.png", 0)
    assert channels_of(tmp_path, ["a.png", "b.png"]) == 1
    found = decode_all(tmp_path, "a.png", "b.png")
    assert (len(found.images), list(found.bad)) == (1, ["a.png"])
    assert reason in found.bad["a.png"]
    assert started == []


def test_pillow_is_always_told_what_it_may_open() -> None:
    calls = [
        (path.name, node.lineno, [keyword.arg for keyword in node.keywords])
        for path in (ROOT / "src").rglob("*.py")
        if "Image.open" in (code := path.read_text())
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open")
    ]
    assert len(calls) > 3
    assert [call for call in calls if call[2] != ["formats"]] == []


def test_the_cache_is_used_until_a_file_changes(tmp_path: Path) -> None:
    names = ["a.png", "b.png"]
    for i, name in enumerate(names):
        write_image(tmp_path / name, i)

    def read() -> tuple[np.ndarray, list[str]]:
        found = decode_all(tmp_path, *names, on_bad_file="error")
        assert not found.bad
        assert isinstance(found.images, np.memmap)
        return found.images, [facts["sha256"] for facts in found.good.values()]

    first, hashes = read()
    (entry,) = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    built = (entry / "images.npy").stat().st_mtime_ns
    again, _ = read()
    assert (entry / "images.npy").stat().st_mtime_ns == built
    np.testing.assert_array_equal(first, again)
    write_image(tmp_path / "b.png", 7)
    changed, new_hashes = read()
    assert not np.array_equal(changed[1], first[1])
    np.testing.assert_array_equal(changed[0], first[0])
    assert new_hashes[0] == hashes[0]
    assert new_hashes[1] != hashes[1]


def test_the_cache_tells_sets_apart_that_share_names_sizes_and_times(tmp_path: Path) -> None:
    """BMP and DICOM have one size; archives may keep no times."""
    names, found = [f"{i}.bmp" for i in range(70)], []
    for value in (10, 200):
        folder = tmp_path / str(value)
        folder.mkdir()
        for name in names:
            Image.new("L", (16, 16), value).save(folder / name)
            os.utime(folder / name, (0, 0))
        found.append(decode_files(folder, names, 16, 1, tmp_path / "cache", "error").images)
    assert [images.mean() for images in found] == [10, 200]


def test_a_file_that_could_not_be_read_is_read_once_it_can(tmp_path: Path) -> None:
    """What the cache remembers must come from the file's content."""
    write_image(tmp_path / "a.png", 0)
    (tmp_path / "b.png").symlink_to(tmp_path / "later.png")

    def read() -> tuple[int, dict[str, str]]:
        found = decode_all(tmp_path, "a.png", "b.png")
        return len(found.images), found.bad

    count, bad = read()
    assert count == 1
    assert "cannot be read" in bad["b.png"]
    write_image(tmp_path / "later.png", 1)
    assert read() == (2, {})


def test_damage_never_escapes_as_another_error() -> None:
    """Random bytes changed in every kind of file: an image, or ValueError."""
    random = np.random.default_rng(0)
    refused = 0
    for form in ("palette", "grey jpeg", "16-bit", "alpha"):
        for _ in range(100):
            data = bytearray(FORMS[form])
            for place in random.integers(0, len(data), random.integers(1, 8)):
                data[place] = random.integers(256)
            try:
                assert decode(bytes(data), 16, 1).shape == (1, 16, 16)
            except ValueError:
                refused += 1
    assert refused > 40


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyError("Rows")])
def test_any_error_is_one_bad_file(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, name in enumerate(("a.png", "b.png")):
        write_image(tmp_path / name, i, (50 + i, 40))

    def fail(picture: Image.Image, *_: object) -> None:
        if picture.width == 50:
            raise error

    for function in ("gan_aug.data.picture.lacks_pixels", "gan_aug.data.picture._onto_black"):
        monkeypatch.setattr(function, lambda _, picture: fail(picture), raising=False)
    assert channels_of(tmp_path, ["a.png", "b.png"]) == 1
    found = decode_all(tmp_path, "a.png", "b.png")
    assert list(found.bad) == ["a.png"]
    assert type(error).__name__ in found.bad["a.png"] or str(error) in found.bad["a.png"]
    with pytest.raises(GanAugError, match=r"a\.png: cannot be decoded"):
        decode_all(tmp_path, "a.png", "b.png", on_bad_file="error")


def test_files_that_fail_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad sectors, one of which shows later: bad files, which the cache does not remember."""
    names, read = ("a.png", "b.png", "c.png"), Counter[str]()
    for i, name in enumerate(names):
        write_image(tmp_path / name, i)

    def broken(path: Path, most: int) -> bytes:
        read[path.name] += 1
        if path.name == "a.png" or (path.name == "b.png" and read["b.png"] > 1):
            raise OSError(5, "Input/output error")
        return read_bytes(path, most)

    with monkeypatch.context() as patched:
        patched.setattr("gan_aug.data.decode.read_bytes", broken)
        bad = dict.fromkeys(names[:2], "cannot be read (Input/output error)")
        assert decode_all(tmp_path, *names).bad == bad
        with pytest.raises(GanAugError, match=r"a\.png: cannot be read"):
            decode_all(tmp_path, *names, on_bad_file="error")
    assert decode_all(tmp_path, *names).bad == {}


def test_a_large_sound_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_aug.data.picture.MAX_PIXELS", 97 * 61 - 1)
    with pytest.raises(ValueError, match="97x61 pixels"):
        decode(FORMS["grey png"], 32, 1)
