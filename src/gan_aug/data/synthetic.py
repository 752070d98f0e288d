"""Synthetic sets: a folder of generated PNGs with a manifest that says where they come from."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_aug.data.image_table import CLASSES
from gan_aug.data.splits import Splits
from gan_aug.errors import GanAugError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class SyntheticSet:
    """Generated images in memory.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), positions in `CLASSES`.
        manifest: the content of manifest.json.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    manifest: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        """Return what a run that trains on the images records of them."""
        kept = ("model", "draw", "data_fingerprint", "checkpoint_sha256", "seed")
        used = {name: int((self.labels == i).sum()) for i, name in enumerate(CLASSES)}
        pixels = hashlib.sha256(self.images.tobytes()).hexdigest()
        return {key: self.manifest.get(key) for key in kept} | {"used": used, "sha256": pixels}


def write_set(
    folder: Path, images: Mapping[str, NDArray[np.uint8]], origin: Mapping[str, Any]
) -> None:
    """Write a synthetic set; the folder appears only when it is complete.

    Args:
        folder: must not exist yet.
        images: class name to uint8 (N, C, H, W).
        origin: what the manifest says of the generator (see `gan_aug.synthesis`).

    Raises:
        GanAugError: the folder exists already.
    """
    if folder.exists():
        raise GanAugError(f"{folder}: exists already; choose another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        files: dict[str, str] = {}
        for name, batch in images.items():
            (temporary / name).mkdir()
            for i, image in enumerate(batch):
                data = _encode(image)
                files[f"{name}/{i:05d}.png"] = hashlib.sha256(data).hexdigest()
                (temporary / name / f"{i:05d}.png").write_bytes(data)
        shape = next(iter(images.values())).shape
        manifest = {
            **origin,
            "count": {name: len(batch) for name, batch in images.items()},
            "image_size": shape[-1],
            "channels": shape[1],
            "files": files,
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
    channels: int,
    splits: Splits,
    key: str = "data.synthetic.dir",
) -> SyntheticSet:
    """Read the first `count` images of each class in a set, once its manifest has been checked.

    Args:
        folder: the synthetic set.
        count: images per class that the set has; None takes all.
        image_size: the size that training uses.
        channels: the channels that training uses.
        splits: the draw that the images are to join.
        key: the setting that named the folder.

    Returns:
        The images, in the order of classes and file names.

    Raises:
        GanAugError: not a synthetic set, too few images, another size or class, a file that was
            changed, or a generator that saw images it must not have seen.
    """
    manifest = read_manifest(folder, key)
    check_manifest(folder, manifest, image_size, channels, splits, key)
    images, labels = [], []
    for name in CLASSES:
        files = sorted(f for f in manifest["files"] if f.startswith(f"{name}/"))
        if not files:
            continue
        if count is not None and count > len(files):
            raise GanAugError(
                f"data.synthetic.count={count}: {folder} has {len(files)} {name} images; "
                "generate more (generate.count) or ask for fewer"
            )
        for file in files[:count]:
            images.append(_read_image(folder / file, manifest["files"][file], channels))
            labels.append(CLASSES.index(name))
    shape = (len(images), channels, image_size, image_size)
    return SyntheticSet(
        np.stack(images) if images else np.zeros(shape, np.uint8),
        np.array(labels, np.int64),
        manifest,
    )


def read_manifest(folder: Path, key: str) -> dict[str, Any]:
    """Read what a synthetic set says of itself.

    Raises:
        GanAugError: not a synthetic set, or a damaged one.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise GanAugError(f"{key}={folder}: no such folder")
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise GanAugError(
            f"{key}={folder}: has no {MANIFEST}; "
            "only sets written by gan_aug.train or gan_aug.generate can be used"
        ) from None
    except (OSError, ValueError) as error:
        raise GanAugError(f"{path}: cannot be read ({error})") from error
    needed = {"files", "image_size", "channels", "seen_hashes", "data_fingerprint", "draw"}
    missing = needed - set(manifest) if isinstance(manifest, dict) else needed
    if missing:
        raise GanAugError(f"{path}: lacks {', '.join(sorted(missing))}; generate the set again")
    return dict(manifest)


def _read_image(path: Path, expected: str, channels: int) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GanAugError(f"{path}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise GanAugError(f"{path}: is not the file its manifest lists; generate the set again")
    array = np.asarray(Image.open(io.BytesIO(data)))
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def check_manifest(
    folder: Path,
    manifest: Mapping[str, Any],
    image_size: int,
    channels: int,
    splits: Splits,
    key: str,
) -> None:
    """Refuse a set that does not fit, or whose generator saw more than the draw's training images.

    Raises:
        GanAugError: naming the set and the reason.
    """
    where = f"{key}={folder}"
    for name, wanted in (("image_size", image_size), ("channels", channels)):
        if manifest[name] != wanted:
            raise GanAugError(
                f"{where}: its {name} is {manifest[name]}, training uses data.{name}={wanted}"
            )
    classes = {file.split("/")[0] for file in manifest["files"]}
    if unknown := classes - set(CLASSES):
        raise GanAugError(f"{where}: has class {min(unknown)}; known are {', '.join(CLASSES)}")
    seen = set(manifest["seen_hashes"])
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
