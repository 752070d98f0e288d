"""Synthetic sets: a folder of generated PNGs with a manifest that says where they come from."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_aug.data.classes import Classes, is_class_name
from gan_aug.data.splits import Splits
from gan_aug.run.errors import GanAugError, warn
from gan_aug.run.files import not_writable, read_bytes, read_json, refuse_links
from gan_aug.run.renames import renamed

MANIFEST = "manifest.json"
MOST_MANIFEST = 256 * 2**20
"""Bytes: it has a line for each image of the set, and for each that its generator saw."""
_FILE = re.compile(r"([^/]+)/\w[\w-]*\.png")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedSet(GanAugError):
    """A set is not as it was written.

    Attributes:
        what: the file, and what is wrong with it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; generate the set again")
        self.what = what


@dataclass(frozen=True)
class Generated:
    """Generated images of one class.

    Attributes:
        images: uint8 (N, C, H, W).
        sources: (N,) SHA-256 of the real image that each was translated from; None: of none.
    """

    images: NDArray[np.uint8]
    sources: list[str] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> Generated:
        """Return the first images."""
        return Generated(self.images[:count], self.sources and self.sources[:count])


@dataclass(frozen=True)
class SyntheticSet:
    """Generated images in memory.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), positions in `classes`.
        classes: of the data set.
        manifest: the content of manifest.json.
        sources: (N,) SHA-256 of the real image that each was translated from; None: of none.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: Classes
    manifest: dict[str, Any]
    sources: list[str] | None = None

    def of_class(self, name: str) -> Generated:
        """Return the images of a class."""
        rows = np.flatnonzero(self.labels == self.classes.label(name))
        sources = None if self.sources is None else [self.sources[i] for i in rows]
        return Generated(self.images[rows], sources)

    def facts(self) -> dict[str, Any]:
        """Return what a run that trains on the images records of them."""
        kept = ("model", "draw", "data_fingerprint", "checkpoint_sha256", "seed")
        used = {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)}
        pixels = hashlib.sha256(self.images.tobytes()).hexdigest()
        return {key: self.manifest.get(key) for key in kept} | {"used": used, "sha256": pixels}


def write_set(folder: Path, images: Mapping[str, Generated], origin: Mapping[str, Any]) -> None:
    """Write a synthetic set; the folder appears only when it is complete.

    Args:
        folder: must not exist yet.
        images: class name to its images.
        origin: what the manifest says of the generator (see `gan_aug.models.synthesis`).

    Raises:
        GanAugError: the folder exists already, or cannot be written.
    """
    refuse_links(folder)
    try:
        if folder.exists():
            raise GanAugError(f"{folder}: exists already; choose another folder or remove it")
        for name, generated in images.items():
            if (there := len(set(generated.sources or ()))) and there < len(generated):
                warn(
                    f"{folder}: {len(generated)} {name} images are made from {there} real ones, "
                    "some from the same one: translations without noise are then copies"
                )
        _write_set(folder, images, origin)
    except OSError as error:
        raise not_writable(folder, error) from error


def _write_set(folder: Path, images: Mapping[str, Generated], origin: Mapping[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        files: dict[str, str] = {}
        sources: dict[str, str] = {}
        for name, generated in images.items():
            (temporary / name).mkdir()
            names = [f"{name}/{i:05d}.png" for i in range(len(generated))]
            for file, image in zip(names, generated.images, strict=True):
                data = _encode(image)
                files[file] = hashlib.sha256(data).hexdigest()
                (temporary / file).write_bytes(data)
            if generated.sources is not None:
                sources |= zip(names, generated.sources, strict=True)
        shape = next(iter(images.values())).images.shape
        manifest = {
            **origin,
            "count": {name: len(batch) for name, batch in images.items()},
            "image_size": shape[-1],
            "channels": shape[1],
            "files": files,
            "sources": sources,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1))
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _encode(image: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def read_set(
    folder: Path,
    count: int | None,
    image_size: int,
    splits: Splits,
    key: str = "data.synthetic.dir",
) -> SyntheticSet:
    """Read the first `count` images of each class in a set, once its manifest has been checked.

    Args:
        folder: the synthetic set.
        count: images per class that the set has; None takes all.
        image_size: the size that training uses.
        splits: the draw that the images are to join.
        key: the setting that named the folder.

    Returns:
        The images, in the order of classes and file names.

    Raises:
        DamagedSet: a file was changed or is gone.
        GanAugError: not a synthetic set, too few images, another size or class, or a generator
            that saw images it must not have seen.
    """
    manifest = read_manifest(folder, key)
    check_manifest(folder, manifest, image_size, splits, key)
    files, labels = [], []
    for label, name in enumerate(splits.classes):
        of_class = sorted(f for f in manifest["files"] if f.startswith(f"{name}/"))
        if of_class and count is not None and count > len(of_class):
            raise GanAugError(
                f"data.synthetic.count={count}: {folder} has {len(of_class)} {name} images; "
                "generate more (generate.count) or ask for fewer"
            )
        files += of_class[:count]
        labels += [label] * len(of_class[:count])
    images = [_read_image(folder, file, manifest) for file in files]
    _check_not_real(folder, files, images, splits)
    shape = (len(images), splits.channels, image_size, image_size)
    return SyntheticSet(
        np.stack(images) if images else np.zeros(shape, np.uint8),
        np.array(labels, np.int64),
        splits.classes,
        manifest,
        [manifest["sources"][file] for file in files] if manifest.get("sources") else None,
    )


def read_manifest(folder: Path, key: str) -> dict[str, Any]:
    """Read what a synthetic set says of itself; it may come from anyone.

    Raises:
        GanAugError: not a synthetic set, a damaged one, or one whose manifest names files outside
            it or does not say what its generator saw.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise GanAugError(f"{key}={folder}: no such folder; name a synthetic/ of a GAN run")
    if not path.exists():
        raise GanAugError(
            f"{key}={folder}: has no {MANIFEST}; "
            "only sets written by gan_aug.train or gan_aug.generate can be used"
        )
    manifest = read_json(path, "generate the set again", MOST_MANIFEST)
    wanted = {
        "files": dict,
        "image_size": int,
        "channels": int,
        "seen_hashes": list,
        "data_fingerprint": str,
        "draw": int,
    }
    for name, kind in wanted.items():
        found = manifest.get(name)
        if type(found) is not kind or found == {}:  # true is no whole number
            raise GanAugError(f"{path}: lacks a sound {name}; generate the set again")
    for file, digest in manifest["files"].items():
        matched = _FILE.fullmatch(file)
        named = matched is not None and is_class_name(matched[1])
        if not named or not isinstance(digest, str):
            raise GanAugError(
                f"{path}: files: {file!r} is not CLASS/NAME.png inside the set; generate the set "
                "again"
            )
    _check_sources(path, manifest)
    seen = manifest["seen_hashes"]
    if not seen or not all(isinstance(h, str) and _SHA256.fullmatch(h) for h in seen):
        raise GanAugError(
            f"{path}: seen_hashes does not hold the SHA-256 of the images that the generator saw, "
            "so nothing shows that it saw no test image; generate the set again"
        )
    return {key: renamed(value) for key, value in manifest.items()}


def _check_sources(path: Path, manifest: Mapping[str, Any]) -> None:
    """Check that a set of translations says of each one what it was made from."""
    sources = manifest.get("sources") or {}  # earlier sets have none
    sound = isinstance(sources, dict) and all(
        isinstance(h, str) and _SHA256.fullmatch(h) for h in sources.values()
    )
    if not sound or (sources and sources.keys() != manifest["files"].keys()):
        raise GanAugError(
            f"{path}: sources does not hold the SHA-256 of the real image that each file was made "
            "from; generate the set again"
        )


def _read_image(folder: Path, file: str, manifest: Mapping[str, Any]) -> NDArray[np.uint8]:
    path = folder / file
    try:
        if folder.resolve() not in path.resolve().parents:
            raise GanAugError(
                f"{path}: is a link that leads out of the set; generate the set again"
            )
        data = read_bytes(path, _most_bytes(manifest))
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        reason = error.strerror if isinstance(error, OSError) else "a loop of links"
        raise DamagedSet(f"{path}: cannot be read ({reason})") from error
    if hashlib.sha256(data).hexdigest() != manifest["files"][file]:
        raise DamagedSet(f"{path}: is not the file its manifest lists")
    channels, size = manifest["channels"], manifest["image_size"]
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            # Before any pixel is decoded: a small file can claim to be a huge picture.
            if (image.format, image.mode, image.size) != ("PNG", mode, (size, size)):
                raise ValueError(f"{image.format} {image.mode} {image.size[0]}x{image.size[1]}")
            array = np.asarray(image)
    except Exception as error:  # Pillow lets almost anything escape from a damaged file
        raise GanAugError(
            f"{path}: is no PNG of {size}x{size} pixels in mode {mode} ({error}); generate the set "
            "again"
        ) from error
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _most_bytes(manifest: Mapping[str, Any]) -> int:
    """Return what a PNG of the set's size can have: its pixels as they are, and a little more."""
    pixels: int = manifest["channels"] * manifest["image_size"] ** 2
    return 2 * pixels + 2**16


def _check_not_real(
    folder: Path, files: list[str], images: list[NDArray[np.uint8]], splits: Splits
) -> None:
    """Refuse held-out images passed as generated ones, whatever the manifest says."""
    held: dict[bytes, str] = {}
    for name in ("test", "development", "validation", "internal"):
        table = getattr(splits, name)
        held |= {
            np.ascontiguousarray(image).tobytes(): f"the {name} image {path}"
            for image, path in zip(table.images, table.paths.tolist(), strict=True)
        }
    for file, image in zip(files, images, strict=True):
        if (found := held.get(np.ascontiguousarray(image).tobytes())) is not None:
            raise GanAugError(
                f"{folder / file}: is {found}, pixel for pixel, not a generated one; do not use "
                "this set"
            )


def check_manifest(
    folder: Path,
    manifest: Mapping[str, Any],
    image_size: int,
    splits: Splits,
    key: str,
) -> None:
    """Refuse a set that does not fit, or whose generator saw more than the draw's training images.

    Raises:
        GanAugError: naming the set and the reason.
    """
    where = f"{key}={folder}"
    for name, wanted in (("image_size", image_size), ("channels", splits.channels)):
        if manifest[name] != wanted:
            raise GanAugError(
                f"{where}: its {name} is {manifest[name]}, training uses data.{name}={wanted}; fit "
                "and generate with the same"
            )
    classes = {file.split("/")[0] for file in manifest["files"]}
    if unknown := classes - set(splits.classes):
        known = ", ".join(splits.classes)
        raise GanAugError(f"{where}: has class {min(unknown)}; known are {known}")
    seen = set(manifest["seen_hashes"]) | set((manifest.get("sources") or {}).values())
    for name in ("test", "development", "validation", "internal"):
        leaked = seen & set(getattr(splits, name).hashes.tolist())
        if leaked:
            raise GanAugError(
                f"{where}: its generator saw {len(leaked)} {name} images of draw={splits.draw}; "
                f"fit the GAN again with draw={splits.draw} and the same data settings"
            )
    foreign = seen - set(splits.train.hashes.tolist())
    if foreign:
        raise GanAugError(
            f"{where}: its generator saw {len(foreign)} images that are not training images of "
            f"draw={splits.draw} (it was fitted on draw={manifest['draw']} of data "
            f"{manifest['data_fingerprint']}); fit it with the same draw and data settings"
        )
