"""The sixty cases."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from sound import GAN, MIXED, QUALITY, STUDY, TINY, XRAYS, write_image

ROOT = "data.root=xrays"
LAST = "checkpoint=gan/checkpoints/last.ckpt"
GENERATE = ("generate", LAST, "output_dir=made", "count=4")
Edit = Callable[[dict[str, Any]], object]


def xray(folder: Path) -> Path:
    return folder / "xrays" / "train" / "PNEUMONIA" / "person3_virus_3.png"


def checkpoint(folder: Path) -> Path:
    return folder / "gan" / "checkpoints" / "last.ckpt"


def reload(edit: Edit) -> Callable[[Path], None]:
    """Change a checkpoint's content and save it, sound as an archive."""

    def spoil(folder: Path) -> None:
        content = torch.load(checkpoint(folder), weights_only=True)
        edit(content)
        torch.save(content, checkpoint(folder))

    return spoil


def rewrite(name: str, edit: Edit) -> Callable[[Path], None]:
    """Change a JSON file."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        edit(content)
        (folder / name).write_text(json.dumps(content))

    return spoil


MANIFEST = "gan/synthetic/manifest.json"


def module(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["gan_aug"]["config"]["model"]["module"]
    return found


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def flip_weights(path: Path) -> None:
    """Flip a bit in the middle of the largest part of a checkpoint; some of its headers say nothing."""
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda one: one.file_size)
        content = archive.read(part)
    data = bytearray(path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 4
    path.write_bytes(data)


def ten_bits(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 1024, (40, 50)).astype(np.uint16)
    Image.fromarray(pixels).save(xray(folder))


def float_tiff(folder: Path) -> None:
    Image.fromarray(np.random.default_rng(0).random((40, 50), np.float32)).save(
        xray(folder), "TIFF"
    )


def text_bomb(folder: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 80_000_000, zip=True)
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(xray(folder), pnginfo=info)


def pixel_bomb(folder: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 10_000_000)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    xray(folder).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def a_socket(folder: Path) -> None:
    xray(folder).unlink()
    here = Path.cwd()
    os.chdir(xray(folder).parent)  # a socket's path must be short
    socket.socket(socket.AF_UNIX).bind(xray(folder).name)
    os.chdir(here)


def loop(folder: Path) -> None:
    shutil.rmtree(folder / "xrays" / "test" / "NORMAL")
    (folder / "xrays" / "test" / "NORMAL").symlink_to("NORMAL")


def all_alike(folder: Path) -> None:
    for path in (folder / "xrays" / "train" / "NORMAL").iterdir():
        write_image(path, 999)


def in_both_splits(folder: Path) -> None:
    for i in (3, 4):
        copy = folder / "xrays" / "test" / "PNEUMONIA" / f"person9{i}_virus_9.png"
        shutil.copy(xray(folder).with_name(f"person{i}_virus_{i}.png"), copy)


def korean(folder: Path) -> None:
    (folder / "xrays").rename(folder / "흉부 X선")


def swapped(folder: Path) -> None:
    train = folder / "xrays" / "train"
    (train / "NORMAL").rename(train / "x")
    (train / "PNEUMONIA").rename(train / "NORMAL")
    (train / "x").rename(train / "PNEUMONIA")


class Runs:
    """Runs a shell command when it is unpickled."""

    def __init__(self, flag: str) -> None:
        self._flag = flag

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self._flag}",)


def pickled(path: str, flag: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).write_bytes(pickle.dumps(Runs(flag)))  # type: ignore[return-value]


def npz(edit: Edit, name: str = "mnist/pneumoniamnist.npz") -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with np.load(folder / name) as found:
            arrays: dict[str, Any] = dict(found)
        edit(arrays)
        np.savez(folder / name, **arrays)

    return spoil


def zip_bomb(folder: Path) -> None:
    with zipfile.ZipFile(checkpoint(folder), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("last/data.pkl", b"\0" * 500_000_000)


def infinite(content: dict[str, Any]) -> None:
    for tensor in content["state_dict"].values():
        if tensor.is_floating_point():
            tensor.fill_(float("inf"))


def out_of_the_set(folder: Path) -> None:
    place = folder / "gan" / "synthetic" / "pneumonia"
    place.rename(folder / "elsewhere")
    place.symlink_to(folder / "elsewhere")


def deep(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 200_000)


def interrupted(folder: Path) -> None:
    rewrite("gan/run.json", lambda r: r.update(status="running"))(folder)
    shutil.rmtree(folder / "gan" / "synthetic")


def csv_is_a_folder(folder: Path) -> None:
    interrupted(folder)
    (folder / "gan" / "metrics.csv").unlink()
    (folder / "gan" / "metrics.csv").mkdir()


def last_is_empty(folder: Path) -> None:
    interrupted(folder)
    checkpoint(folder).write_bytes(b"")


def flipped_cache(folder: Path) -> None:
    (images,) = (folder / "cache" / "gan_aug").glob("*/images.npy")
    flip(images)


def garbage_classifier(folder: Path) -> None:
    (kept,) = (folder / "runs" / "reference").glob("*.safetensors")
    kept.write_bytes(b"PK\x03\x04 garbage")


def edited(metrics: dict[str, Any]) -> None:
    fits = {fit["arm"]: fit for fit in metrics["fits"]}
    fits["gan"]["predictions"] = fits["classic"]["predictions"]


def spoilt_copy(folder: Path) -> None:
    shutil.copytree(folder / "s" / "draw_0", folder / "s" / "draw_00")


def says(*parts: str) -> Callable[[Path, str], bool]:
    return lambda folder, printed: all(part in printed for part in parts)


def made(folder: Path, printed: str) -> bool:
    """Tell whether the images that were asked for are there."""
    return len([*(folder / "made").glob("*/*.png")]) == 4


def every(case: Callable[..., Any], flag: str) -> list[Any]:
    """Return the cases in order; `flag` is the file that planted code would make."""
    target = {"_target_": "subprocess.check_call", "popenargs": ["touch", flag]}
    train, study = ("train", *XRAYS, ROOT), ("study", *STUDY)
    fresh = tuple("study_dir=t" if a == "study_dir=s" else a for a in study)
    mnist = ("train", "model=cnn", "data=pneumoniamnist", "data.root=mnist", "data.image_size=28",
             "trainer.max_epochs=1", "data.batch_size=8")  # fmt: skip
    evaluate = ("evaluate", LAST, *QUALITY, "quality.use=[kid]", "hydra.run.dir=out")
    mixed, generate = ("train", *MIXED), GENERATE
    resume = ("train", *GAN)
    return [
        # Images and folders
        case("text named .png", train, lambda f: xray(f).write_text("hello"),
             ("person3_virus_3.png", "not a sound image", "data.on_bad_file=skip")),
        case("a PNG with a wrong CRC", train, lambda f: flip(xray(f)),
             ("person3_virus_3.png", "data.on_bad_file=skip")),
        case("a Unix socket named .png", train, a_socket,
             ("person3_virus_3.png", "cannot be read", "data.on_bad_file=skip")),
        case("10-bit values in a 16-bit PNG", train, ten_bits,
             ("person3_virus_3.png", "16-bit samples up to", "scale them")),
        case("a float TIFF named .png", train, float_tiff,
             ("person3_virus_3.png", "floating-point", "save it with")),
        case("80 MB of compressed text in a PNG", train, text_bomb,
             ("person3_virus_3.png", "data.on_bad_file=skip")),
        case("a PNG of 40,000 x 40,000 pixels", train, pixel_bomb,
             ("person3_virus_3.png", "decompression bomb", "data.on_bad_file=skip")),
        case("a GIF named .png", train,
             lambda f: Image.fromarray(np.arange(0, 200, 0.1).astype(np.uint8).reshape(40, 50))
             .save(xray(f), "GIF"), ("person3_virus_3.png", "of a kind that is read", "save it as PNG")),
        case("an image of one pixel", train,
             lambda f: Image.fromarray(np.full((1, 1), 9, np.uint8)).save(xray(f)),
             check=says("trained")),
        case("train/NORMAL and train/normal", train,
             lambda f: shutil.copytree(f / "xrays/train/NORMAL", f / "xrays/train/normal"),
             ("NORMAL and train/normal", "two folders of one class", "remove the other")),
        case("a class folder that links to itself", train, loop,
             ("test/NORMAL", "class folder")),
        case("swapped class folders", train, swapped,
             check=says("warning: ", "are the class folders swapped?")),
        case("all normal images alike", train, all_alike, ("normal", "choose")),
        case("an image in training and test", train, in_both_splits,
             check=says("exact duplicates left out: 2")),
        case("fewer images than asked for", (*train, "data.subset.normal=500"), lambda f: None,
             ("data.subset.normal=500", "choose at most")),
        case("data.root is a file", ("train", *XRAYS, "data.root=xrays/train/NORMAL/IM-0001-0001.png"),
             lambda f: None, ("data.root=", "no such folder")),
        case("a Korean path without quotes", ("train", *XRAYS, "data.root=흉부 X선"), korean,
             ("data.root=흉부 X선", "need quotes", "'data.root=\"흉부 X선\"'")),
        case("a Korean path with quotes", ("train", *XRAYS, 'data.root="흉부 X선"'), korean,
             check=says("trained")),
        case("a list for a path", ("train", *XRAYS, "data.root=[xrays]"), lambda f: None,
             ("data.root=", "must be the path")),
        case("a line break in a path", ("train", *XRAYS, 'data.root="a\nb"'), lambda f: None,
             ("data.root=a b", "no such folder")),
        # npz
        case("an npz with pickled objects", mnist,
             npz(lambda a: a.update(train_images=np.array([Runs(flag)] * 40, object))),
             ("pneumoniamnist.npz", "could not be read", "data.download=true")),
        case("an npz without val_labels", mnist, npz(lambda a: a.pop("val_labels")),
             ("pneumoniamnist.npz", "val_labels", "data.download=true")),
        case("an npz with float images", mnist,
             npz(lambda a: a.update(test_images=a["test_images"] / 255)),
             ("pneumoniamnist.npz", "test_images are not uint8")),
        # Checkpoints
        case("a pickle that runs a command, as checkpoint", generate,
             pickled("gan/checkpoints/last.ckpt", flag),
             ("last.ckpt", "not a checkpoint of gan_aug", "previous.ckpt")),
        case("an optimizer that is a command", generate,
             reload(lambda c: module(c).update(optimizer_g=target)),
             check=made),
        case("a discriminator that is a command", ("explain", LAST, *QUALITY, "hydra.run.dir=out"),
             reload(lambda c: module(c).update(discriminator=target)),
             ("last.ckpt", "model.module.discriminator", "subprocess.check_call")),
        case("a data set that is a command", evaluate,
             reload(lambda c: c["gan_aug"]["config"]["data"].update(source=target)),
             ("last.ckpt", "data.source", "subprocess.check_call")),
        case("an environment variable in a stored setting", generate,
             reload(lambda c: c["gan_aug"]["config"].update(name="${oc.env:HOME}")),
             check=made),
        case("a checkpoint cut to 90 %", generate,
             lambda f: checkpoint(f).write_bytes(checkpoint(f).read_bytes()[:-9000]),
             ("last.ckpt", "is damaged", "previous.ckpt")),
        case("a flipped bit in a checkpoint", generate, lambda f: flip_weights(checkpoint(f)),
             ("last.ckpt", "is damaged", "previous.ckpt")),
        case("infinite weights", generate, reload(infinite), ("last.ckpt", "not finite", "another")),
        case("another latent size than the weights", generate,
             reload(lambda c: module(c)["generator"].update(latent_dim=7)),
             ("last.ckpt", "weights are of other networks", "another")),
        case("a width of a billion", evaluate,
             reload(lambda c: c["gan_aug"]["config"]["model"].update(width=10**9)),
             check=says("N = 10")),
        case("a zip bomb as checkpoint", generate, zip_bomb,
             ("last.ckpt", "not a checkpoint", "previous.ckpt")),
        case("a device as checkpoint", ("generate", "checkpoint=/dev/zero", "output_dir=made"),
             lambda f: None, ("checkpoint=/dev/zero", "no such file")),
        case("a billion images", (*generate[:3], "count=1000000000"), lambda f: None,
             ("count=1000000000", "must be")),
        case("output into a file", ("generate", LAST, "output_dir=gan/run.json/x"), lambda f: None,
             ("gan/run.json/x", "cannot be written", "another")),
        # Synthetic sets
        case("a manifest that names /etc", mixed,
             rewrite(MANIFEST, lambda m: m["files"].update({"/etc/0.png": "0" * 64})),
             ("manifest.json", "/etc/0.png", "generate the set again")),
        case("a class folder that leads out of the set", mixed, out_of_the_set,
             ("pneumonia/00000.png", "out of the set", "generate the set again")),
        case("a set that has seen nothing", mixed,
             rewrite(MANIFEST, lambda m: m.update(seen_hashes=[])),
             ("manifest.json", "seen_hashes", "generate the set again")),
        case("200,000 brackets as manifest", mixed, deep,
             ("manifest.json", "cannot be read", "generate the set again")),
        case("a manifest whose images are huge", mixed,
             rewrite(MANIFEST, lambda m: m.update(image_size=10**12)),
             ("gan/synthetic", "image_size=1000000000000: input should be less")),
        case("a data set in a manifest that is a command",
             ("evaluate", "synthetic.dir=gan/synthetic", *QUALITY, "hydra.run.dir=out"),
             rewrite(MANIFEST, lambda m: m["data_settings"].update(source=target)),
             ("manifest.json", "data_settings.source", "subprocess.check_call")),
        case("a set of another draw", (*mixed, "draw=3"), lambda f: None,
             ("gan/synthetic", "draw=3", "fit")),
        # Settings
        case("an infinite learning rate", ("train", *XRAYS, ROOT, "model.lr=1e400"), lambda f: None,
             ("model.lr=", "must be a number above 0")),
        case("a number of epochs with a fraction", (*train, "trainer.max_epochs=2.5"),
             lambda f: None, ("trainer.max_epochs=2.5", "must be")),
        case("no GPU", (*train, "trainer=gpu"), lambda f: None, ("trainer=gpu", "finds no GPU", "trainer=cpu")),
        case("a ratio that rounds to nothing", (*fresh, "arms.gan.added.ratio=0.01"),
             lambda f: None, ("arms.gan.added.ratio=0.01", "no added image", "choose")),
        case("an extractor that is not installed or fetched",
             (*evaluate, "extractor@quality.extractor=inception"), lambda f: None,
             ("extractor=inception", "extractor")),
        case("a question about no arm", (*fresh, "study.question.arm=gan2"), lambda f: None,
             ("study.question.arm=gan2", "no such arm", "name one of")),
        case("an unfinished range", (*fresh, "-m", "draw=range(0,"), lambda f: None, ("draw=range(0,", "closing bracket")),
        case("a run folder inside a device", ("train", *TINY, "model=cnn", "hydra.run.dir=/dev/null/x"),
             lambda f: None, ("/dev/null",)),
        # What runs and studies left
        case("metrics.csv is a folder", resume, csv_is_a_folder, ("metrics.csv",)),
        case("an empty last.ckpt, resumed", resume, last_is_empty,
             check=says("warning: ", "going on from", "previous.ckpt")),
        case("a flipped byte in the cache", (*train[:-1], *TINY, "hydra.run.dir=out"), flipped_cache,
             check=says("warning: ", "making it again", "trained")),
        case("garbage in place of the reference classifier", evaluate, garbage_classifier,
             check=says("warning: ", "fitting the reference classifier again", "N = 10")),
        case("an arm that claims the predictions of another", ("report", "study_dir=s"),
             rewrite("s/draw_0/metrics.json", edited),
             ("metrics.json", "is not the file that its run wrote", "run that draw again")),
        case("predictions with pickled objects", ("report", "study_dir=s"),
             npz(lambda a: a.update(test=np.array([Runs(flag)], object)), "s/draw_0/fits/gan_0.npz"),
             ("gan_0.npz", "cannot be read", "run that draw again")),
        case("a draw that is there twice", ("report", "study_dir=s"), spoilt_copy,
             check=says("warning: left out", "draw_00", "remove one of the two")),
        case("an empty run.json", study, lambda f: (f / "s/draw_0/run.json").write_text(""),
             ("run.json", "cannot be read", "restore it, or choose another")),
    ]  # fmt: skip
