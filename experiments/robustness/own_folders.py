"""Sixty folders and settings of people: python experiments/robustness/own_folders.py [NUMBER ...].

Tried as `attack.py` tries its own. A folder passes if its images are read as they are meant and every
other file is listed, or if one line says what is wrong, where, and what to do.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

sys.path.insert(0, str(Path(__file__).parent))
import attack
import sound

N = 24
"""Images of a class, where no case says otherwise."""
INSPECT = ("inspect", "data.root=d", "hydra.run.dir=out")
TABLE = (*INSPECT, "data.table=d/table.csv")
FIT = ("data.image_size=32", "data.batch_size=8", *sound.QUALITY)
GAN = ("train", "+experiment=gan", "data.root=own", "data.train_class=A", "data.subset.A=16", *FIT, "model.width=4",
       "trainer.max_epochs=2", "generate.count=10", "hydra.run.dir=gan")  # fmt: skip
CNN = (
    "train",
    "model=cnn",
    "data=folder",
    "data.root=own",
    *FIT,
    "trainer.max_epochs=1",
    "hydra.run.dir=out",
)
STUDY = ("study", "+study=own", "data.root=own", *FIT, "study_dir=s")
LAST = "checkpoint=gan/checkpoints/last.ckpt"
Check = Callable[[Path, str], bool]


def noise(seed: str, *shape: int) -> NDArray[np.uint8]:
    """Return pixels that no other text gives."""
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    return random.integers(0, 256, shape or (40, 50), np.uint8)


def image(path: Path, picture: Image.Image | None = None, **how: Any) -> None:
    """Write a picture; noise where none is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or Image.fromarray(noise(str(path)))).save(path, **how)


def images(*folders: str, n: int = N, name: str = "{}.png") -> Callable[[Path], None]:
    """Return what fills folders below d/ with images."""

    def fill(folder: Path) -> None:
        for each in folders:
            for i in range(n):
                image(folder / "d" / each / name.format(i))

    return fill


def also(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what takes these steps one after the other."""

    def spoil(folder: Path) -> None:
        for step in steps:
            step(folder)

    return spoil


def pictures(make: Callable[[int], Image.Image], suffix: str, **how: Any) -> Callable[[Path], None]:
    """Return what writes classes A and B of pictures that are made by number."""

    def fill(folder: Path) -> None:
        for k, name in enumerate("AB"):
            for i in range(N):
                image(folder / "d" / name / f"{i}{suffix}", make(k * N + i), **how)

    return fill


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    """Return what writes a file below d/."""

    def spoil(folder: Path) -> None:
        path = folder / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return spoil


def table(
    rows: Callable[[str, int], str], header: str, n: int = N, **how: str
) -> Callable[[Path], None]:
    """Return what writes images and a table of a row for each: `rows` gets the class and a number."""

    def fill(folder: Path) -> None:
        lines = [header]
        for name in "AB":
            for i in range(n):
                image(folder / "d" / "all" / f"{name}{i}.png")
                lines.append(rows(name, i))
        path = folder / "d" / "table.csv"
        path.write_text("\n".join(lines) + "\n", **how)  # type: ignore[arg-type]

    return fill


def facts(folder: Path, out: str = "out") -> dict[str, Any]:
    """Return what inspect found."""
    found: dict[str, Any] = json.loads((folder / out / "inspect.json").read_text())
    return found


def reads(counts: dict[str, int], listed: Sequence[str] = (), *said: str) -> Check:
    """Return the check that so many images of each class are read, and these files listed.

    Args:
        counts: of each class, over all splits.
        listed: all files that are not read, below d/.
        said: what is printed besides.
    """

    def check(folder: Path, printed: str) -> bool:
        found = facts(folder)
        there = {
            name: sum(split[name] for split in found["images"].values())
            for name in found["classes"]
        }
        return (
            there == counts and {*found["skipped"]} == {*listed} and all(x in printed for x in said)
        )

    return check


BOTH = {"A": N, "B": N}


def means(*wanted: float, within: float = 3) -> Check:
    """Return the check that both classes are read, with these mean values of each channel."""

    def check(folder: Path, printed: str) -> bool:
        caches = [np.load(path) for path in (folder / "cache" / "gan_aug").glob("*/images.npy")]
        fits = [c for c in caches if c.shape[1] == len(wanted)]
        right = any(np.abs(c.mean(axis=(0, 2, 3)) - wanted).max() < within for c in fits)
        return right and reads(BOTH)(folder, printed)

    return check


def saved(kind: str, **how: Any) -> bytes:
    """Return an encoded image of noise."""
    buffer = io.BytesIO()
    Image.fromarray(noise(kind)).save(buffer, kind, **how)
    return buffer.getvalue()


def wrong_suffixes(folder: Path) -> None:
    kinds = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
    for name in "AB":
        for i in range(N):
            path = folder / "d" / name / f"{i}.{('png', 'jpg', 'bmp', 'tif', 'JPEG')[i % 5]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise(str(path))).save(path, kinds[i % 5])


def dicom(path: Path, patient: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        SecondaryCaptureImageStorage,
        generate_uid(),
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = (
        SecondaryCaptureImageStorage,
        meta.MediaStorageSOPInstanceUID,
    )
    made.PatientID, made.Rows, made.Columns, made.SamplesPerPixel = patient, 40, 50, 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = noise(str(path)).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)


def mixed_kinds(folder: Path) -> None:
    for name in "AB":
        for i in range(N // 2):
            dicom(folder / "d" / name / f"{i}.dcm", f"{name}{i}")
            image(folder / "d" / name / f"x{i}.png")


def hard_links(folder: Path) -> None:
    images("A", "B")(folder)
    for i in range(2):
        os.link(folder / "d/A" / f"{i}.png", folder / "d/B" / f"linked{i}.png")


def broken_links(folder: Path) -> None:
    images("A", "B")(folder)
    (folder / "d/A/gone.png").symlink_to("/mnt/old_disk/gone.png")
    (folder / "d/B/gone").symlink_to("/mnt/old_disk/folder")


def thumbnails(folder: Path) -> None:
    for name in "AB":
        for i in range(N):
            picture = Image.fromarray(noise(f"{name}{i}", 10, 12)).resize(
                (480, 400), Image.Resampling.BICUBIC
            )
            image(folder / "d" / name / f"{i}.jpg", picture)
            image(folder / "d" / name / f"{i}_thumb.jpg", picture.resize((96, 80)))


def zipped(folder: Path) -> None:
    for name in "AB":
        (folder / "d").mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / "d" / f"{name}.zip", "w") as archive:
            for i in range(N):
                archive.writestr(f"{name}/{i}.png", saved("PNG"))


def deep_and_long(folder: Path) -> None:
    images("A", "B")(folder)
    place = folder / "d" / "A" / "/".join(["x" * 200] * 12)
    place.mkdir(parents=True)
    image(place / ("y" * 250 + ".png"))


def newlines(folder: Path) -> None:
    images("A", "B", name="scan\n{}\t.png")(folder)
    (folder / "d/A/two\nlines.png").write_text("no image")


def floats(folder: Path) -> None:
    table(lambda c, i: f"all/{c}{i}.png,{'AB'.index(c):.1f}", "path,label")(folder)


def inside(folder: Path) -> None:
    """Run a command in the data folder itself, as `data.root=.` is typed."""
    images("A", "B", n=40)(folder)
    command = tuple("data.root=." if part == "data.root=own" else part for part in GAN[:-1])
    arguments = [sys.executable, "-m", f"gan_aug.{command[0]}", *command[1:]]
    environment = sound.environment(folder)
    subprocess.run(arguments, cwd=folder / "d", env=environment, check=False, capture_output=True)


def run_inside(folder: Path) -> None:
    """Leave what an earlier run wrote in a class folder."""
    shutil.copy(folder / "gan" / "run.json", folder / "own" / "A" / "run.json")


def make(base: Path) -> None:
    """Make a folder of two classes and a GAN of one of them."""
    for name, n in (("A", 90), ("B", 90), ("C", 60)):
        for i in range(n):
            image(base / "own" / name / f"{name}{i:03d}_0.png")
    arguments = [sys.executable, "-m", f"gan_aug.{GAN[0]}", *GAN[1:]]
    subprocess.run(
        arguments, cwd=base, env=sound.environment(base), check=True, capture_output=True
    )
    images("A", "B", n=40)(base)
    (base / "d").rename(base / "others")


def every(case: Callable[..., attack.Case]) -> list[attack.Case]:
    """Return the cases in order."""
    cmyk = Image.merge("CMYK", [Image.new("L", (50, 40), v) for v in (0, 200, 200, 0)])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def rgba(i: int) -> Image.Image:
        return Image.fromarray(
            np.dstack([noise(f"c{i}", 40, 50, 3), np.full((40, 50), 255, np.uint8)])
        )

    def spotted(picture: Image.Image) -> Callable[[int], Image.Image]:
        """Return the picture, with a pixel of its own by number."""

        def made(i: int) -> Image.Image:
            other = picture.copy()
            other.putpixel((i, 1), (0,) * len(picture.getbands()))
            return other

        return made

    own = ("inspect", "data.root=own", "hydra.run.dir=out")
    typed = lambda *more: (*own, *more)  # noqa: E731
    three = {"A": 90, "B": 90, "C": 60}
    return [
        # Layouts
        case("folds that lack classes: fold1/A, fold1/B, fold2/A, fold2/C, fold3/B, fold3/C", INSPECT,
             images("fold1/A", "fold1/B", "fold2/A", "fold2/C", "fold3/B", "fold3/C"),
             ("data.root=d", "fold1", "data.table")),
        case("patients above their classes: p00/A, p01/B, ...", INSPECT,
             images(*(f"p{i:02d}/{'AB'[i % 2]}" for i in range(12)), n=4),
             ("data.root=d", "p00", "data.table")),
        case("splits in camel case: trainSet/A, testSet/A", INSPECT, images("trainSet/A", "trainSet/B", "testSet/A", "testSet/B"),
             ("data.root=d", "trainSet", "train")),
        case("splits and classes in one name: trainA, trainB, testA, testB", INSPECT,
             images("trainA", "trainB", "testA", "testB"), ("data.root=d", "trainA", "train/")),
        case("splits with a year: train2017, val2017", INSPECT, images("train2017", "val2017"),
             ("data.root=d", "train2017", "val2017")),
        case("splits after the class: A_train, A_test, B_train, B_test", INSPECT,
             images("A_train", "A_test", "B_train", "B_test"), ("data.root=d", "A_train", "train/")),
        case("images/train/A beside labels/train/A with texts", INSPECT,
             also(images("images/train/A", "images/train/B"), write("labels/train/A/0.txt", "0 .5 .5 1 1")),
             ("data.root=d", "labels")),
        case("images/ and annotations/ with the same classes", INSPECT,
             images("images/A", "images/B", "annotations/A", "annotations/B"), ("data.root=d", "images", "Name a folder that holds A and B")),
        case("all in one folder, the class in the name: cat.0.png", INSPECT,
             also(images(".", name="cat.{}.png"), images(".", name="dog.{}.png")),
             ("data.root=d", "48 images lie in it", "folder for each class")),
        case("one folder too high: d/data/dataset/A", INSPECT, images("data/dataset/A", "data/dataset/B"),
             ("data.root=d", "name the folder that holds the class folders")),
        case("classes that differ in case alone: Benign, benign, C", INSPECT, images("Benign", "benign", "C"),
             ("Benign", "benign", "differ by case", "rename one")),
        case("files that differ in case alone: scan.png, Scan.PNG", INSPECT,
             also(images("A", "B", n=12, name="scan{}.png"), images("A", "B", n=12, name="Scan{}.PNG")), check=reads(BOTH)),
        case("class folders with a space at the end", INSPECT,
             images("benign ", "malignant"), ("'benign '", "cannot name a class", "rename it", "at an end")),
        case("a class folder without a file", INSPECT, also(images("A", "B"), lambda f: (f / "d/C").mkdir()),
             check=reads(BOTH, ["C/"], "a folder without images")),
        case("one image of each class", INSPECT, images("A", "B", n=1), ("data.test_share", "A", "bring more images")),
        case("a class that is in the test folder alone", INSPECT,
             images("train/A", "train/B", "test/A", "test/B", "test/C"), ("data.root=d", "train has no images of C", "remove")),
        case("split.csv, README.md and class texts beside the classes", INSPECT,
             also(images("A", "B"), write("split.csv", "x,y"), write("README.md", "#"), write("A/notes.txt", "x")),
             check=reads(BOTH, ["split.csv", "README.md", "A/notes.txt"])),
        case("classes as zip files: A.zip, B.zip", INSPECT, zipped, ("data.root=d", "unpack")),
        case("links to images that are gone", INSPECT, broken_links,
             check=reads(BOTH, ["A/gone.png", "B/gone"], "a link to nowhere")),
        case("an image hard-linked into another class", INSPECT, hard_links,
             check=reads({"A": N, "B": N + 2}, (), "In more than one class, byte for byte: 2", "d/B/linked0.png".removeprefix("d/"))),
        case("thumbnails beside their images", INSPECT, thumbnails,
             check=lambda f, p: reads({"A": 2 * N, "B": 2 * N})(f, p) and facts(f)["near"]["groups"] == 2 * N
             and facts(f)["near"]["across_splits"] == 0),
        case("desktop.ini, Thumbs.db and ._ files of AppleDouble", INSPECT,
             also(images("A", "B"), write("A/desktop.ini", "x"), write("A/Thumbs.db", b"\xd0\xcf"), write("B/._0.png", b"\0\5\x16\7")),
             check=reads(BOTH, ["A/desktop.ini", "A/Thumbs.db", "B/._0.png"], "hidden, or of the system")),
        case("a JSON and an XML beside each image", INSPECT,
             also(images("A", "B"), *(write(f"A/{i}.{s}", "{}") for i in range(3) for s in ("json", "xml"))),
             check=reads(BOTH, [f"A/{i}.{s}" for i in range(3) for s in ("json", "xml")])),
        case("annotations as NAME_label.png", INSPECT, also(images("A", "B"), images("A", n=6, name="{}_label.png")),
             check=reads({"A": N + 6, "B": N}, (), "6 of 54 images look like masks", "data.exclude=")),
        case("names with line breaks and tabs, one of them no image", INSPECT, newlines,
             check=reads(BOTH, ["A/two\nlines.png"], r"two\nlines.png")),
        case("a path of 2,600 letters", INSPECT, deep_and_long, check=reads({"A": N + 1, "B": N})),
        case("the data folder as data.root=., after a GAN was trained there", ("inspect", "data.root=d", "hydra.run.dir=out"), inside,
             check=lambda f, p: reads({"A": 40, "B": 40}, ["runs/"])(f, p) and any((f / "d/runs").rglob("synthetic/manifest.json"))),
        # Kinds of files
        case("JPEG, PNG, WebP, BMP, TIFF, each named as another", INSPECT, wrong_suffixes, check=reads(BOTH)),
        case("DICOM and PNG in one class", INSPECT, mixed_kinds,
             check=reads(BOTH, (), "nothing tells the patient of 24 of 48 files")),
        case("TIFF of 4 channels, tiled and compressed", INSPECT, pictures(rgba, ".tif", compression="tiff_lzw"), check=reads(BOTH)),
        case("JPEG in CMYK", INSPECT, pictures(spotted(cmyk), ".jpg", quality=95), check=means(255, 55, 55)),
        case("progressive JPEG with a colour profile", INSPECT,
             pictures(spotted(Image.new("RGB", (50, 40), (200, 60, 20))), ".jpg", quality=95, progressive=True, icc_profile=profile),
             check=means(200, 60, 20)),
        case("PNG of 1 bit", INSPECT,
             pictures(lambda i: Image.fromarray(noise(f"b{i}", 64, 64) < 64).convert("1"), ".png"), check=means(64, within=8)),
        case("an animated WebP among others", INSPECT,
             also(images("A", "B"), lambda f: image(f / "d/A/moving.webp", save_all=True, append_images=[Image.fromarray(noise("w"))])),
             check=reads(BOTH, ["A/moving.webp"], "2 pages or frames")),
        case("a class of HEIC alone", INSPECT,
             also(images("A", "B"), *(write(f"C/{i}.heic", b"\0\0\0\x18ftypheic") for i in range(3))),
             ("data.root=d", "C/", "0.heic", "PNG, JPEG or DICOM")),
        case("NIfTI, packed and not, named .png", INSPECT,
             also(images("A", "B"), write("A/a.png", b"\x5c\x01\0\0" + b"\0" * 400), write("A/b.nii.gz.png", gzip.compress(b"\x5c\x01\0\0"))),
             check=reads(BOTH, ["A/a.png", "A/b.nii.gz.png"], "not a sound image of a kind that is read")),
        case("git-lfs pointers in place of all images of B", ("train", *CNN[1:-1], "data.root=d", "hydra.run.dir=out"),
             also(images("A"), *(write(f"B/{i}.png", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n") for i in range(N))),
             ("d/B/0.png", "git lfs pull")),
        case("a web page saved as .jpg, a PSD named .png, an empty file", INSPECT,
             also(images("A", "B"), write("A/x.jpg", "<!DOCTYPE html>"), write("A/y.png", b"8BPS\0\1"), write("B/z.png", b"")),
             check=reads(BOTH, ["A/x.jpg", "A/y.png", "B/z.png"], "the file is empty")),
        # Tables
        case("a table: commas in quotes and spaces around, in labels", TABLE,
             table(lambda c, i: f'"all/{c}{i}.png" , " {c}, grade {"AB".index(c)} "', "path,label"),
             check=reads({"A, grade 0": N, "B, grade 1": N})),
        case("a table: label stands twice", TABLE, table(lambda c, i: f"all/{c}{i}.png,{c},{c}", "path,label,label"),
             ("table.csv", "has twice the column label")),
        case("a table: a second file, with its mark and header, joined to it", TABLE,
             also(table(lambda c, i: f"all/{c}{i}.png,{c}", "path,label"), lambda f: (f / "d/table.csv").open("a", encoding="utf-8-sig").write("path,label\nall/x.png,A\n")),
             ("table.csv", "line 50", "header")),
        case("a table: 0.0 and 1.0 as labels, data.positive=1", (*TABLE, "data.positive=1"), floats,
             check=reads({"0.0": N, "1.0": N})),
        case("a table: a column for each class (one-hot)", TABLE,
             table(lambda c, i: f"all/{c}{i}.png,{int(c == 'A')},{int(c == 'B')}", "path,A,B"),
             ("table.csv", "lacks the column label", "data.columns")),
        case("a table: patients 7 and 007", TABLE, table(lambda c, i: f"all/{c}{i}.png,{c},{'0' * (i % 2)}{i // 2}{c}", "path,label,patient"),
             check=lambda f, p: reads(BOTH)(f, p) and sum(n for s in facts(f)["patients"].values() for n in s.values()) == 2 * N),
        case("a table: rows of files that are not there", TABLE,
             also(table(lambda c, i: f"all/{c}{i}.png,{c}", "path,label"), lambda f: [(f / "d/all" / f"A{i}.png").unlink() for i in range(3)]),
             check=reads({"A": N - 3, "B": N}, [f"all/A{i}.png" for i in range(3)], "No such file")),
        case("a table: Excel's sep=; before the header", TABLE, table(lambda c, i: f"all/{c}{i}.png;{c}", "sep=;\npath;label"),
             check=reads(BOTH)),
        case("a table: a workbook of Excel named .csv", TABLE,
             also(images("A", "B"), lambda f: zipfile.ZipFile(f / "d/table.csv", "w").writestr("xl/workbook.xml", "\0")),
             ("table.csv", "CSV")),
        case("a table: names without their folder", TABLE, table(lambda c, i: f"{c}{i}.png,{c}", "path,label"),
             ("A0.png", "all/A0.png")),
        # Settings
        case("data.subset of a class that data.classes leaves out", (*CNN, "data.classes=[A,B]", "data.subset={A: 20, C: 5}"),
             parts=("data.subset.C=5", "none of the classes A, B")),
        case("data.exclude of everything", typed("data.exclude=['*']"), parts=("data.root=own", "data.exclude", "mend")),
        case("data.classes of one class", typed("data.classes=[A]"), parts=("data.classes=", "two classes")),
        case("data.columns of a column that is not there", (*TABLE, "data.columns={label: diagnosis}"),
             table(lambda c, i: f"all/{c}{i}.png,{c}", "path,label"), ("table.csv", "lacks the column diagnosis", "path, label")),
        case("data.patient_regex with two groups", typed(r"data.patient_regex='(\w+)_(\d+)'"),
             check=lambda f, p: reads(three)(f, p) and sum(facts(f)["patients"]["train"].values()) == sum(facts(f)["images"]["train"].values())),
        case("model=DCGAN", ("train", "data=folder", "data.root=own", "model=DCGAN"), parts=("model=DCGAN", "dcgan", "name one")),
        case("a run's run.json in a class folder (hydra.run.dir=own/A)", own, run_inside, check=reads(three, ["A/run.json"])),
        case("data.image_size=63 of a GAN", (*GAN[:-1], "data.image_size=63", "hydra.run.dir=out"), parts=("data.image_size=63", "32")),
        case("quality.count=5000 of 90 images", ("evaluate", LAST, "data.root=own", *sound.QUALITY, "quality.count=5000", "quality.use=[kid]", "hydra.run.dir=out"),
             check=lambda f, p: "N = " in p and "N = 5000" not in p),
        case("study.rare misspelt", (*STUDY, "study.rare=a"), parts=("study.rare=a", "none of the classes A, B, C")),
        case("evaluate with other images than the GAN's", ("evaluate", LAST, "data.root=others", *sound.QUALITY, "quality.use=[kid]", "hydra.run.dir=out"),
             parts=("data.root=others", "C is none of the classes A, B")),
        case("generate into the data folder", ("generate", LAST, "count=4", "output_dir=own"), parts=("output_dir=own", "choose")),
    ]  # fmt: skip


if __name__ == "__main__":
    attack.main(every(attack.Case), make)
