"""Synthetic sets: a folder of generated PNGs with a manifest that says where they come from."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_aug.data.image_table import ClassImages
from gan_aug.data.origin import AGAIN, MANIFEST, Manifest
from gan_aug.data.splits import Splits
from gan_aug.runtime.errors import GanAugError, see, warn
from gan_aug.runtime.files import new_folder, read_bytes, refuse_links, sha256_of


class DamagedSet(GanAugError):
    """A set is not as it was written: `what` names the file, and what is wrong with it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; {AGAIN}")
        self.what = what


@dataclass(frozen=True)
class SyntheticSet:
    """Generated images in memory, by class in the order of labels, and what their set says."""

    by_class: dict[str, ClassImages]
    manifest: Manifest

    def facts(self) -> dict[str, Any]:
        """Return what a run that trains on the images records of them."""
        kept = {"model", "draw", "data_fingerprint", "checkpoint_sha256", "seed"}
        used = {name: len(made) for name, made in self.by_class.items()}
        pixels = hashlib.sha256()
        for made in self.by_class.values():
            pixels.update(made.images.tobytes())
        facts = {"used": used, "sha256": pixels.hexdigest()}
        return self.manifest.model_dump(include=kept) | facts


def write_set(folder: Path, images: Mapping[str, ClassImages], origin: Mapping[str, Any]) -> None:
    """Write a synthetic set; the folder, which must not exist, appears only when it is complete.

    `origin` is what the manifest says of the generator (see `gan_aug.models.synthesis`).

    Raises:
        GanAugError: the folder exists already, or cannot be written.
    """
    refuse_links(folder)
    with new_folder(folder) as whole:
        if folder.exists():
            raise GanAugError(f"{folder}: exists already; choose another folder or remove it")
        for name, generated in images.items():
            if (there := len(set(generated.sources or ()))) and there < len(generated):
                warn(
                    f"{folder}: {len(generated)} {name} images are made from {there} real ones, "
                    "some from the same one: translations without noise are then copies"
                )
        _write_files(whole, images, origin)


def _write_files(
    folder: Path, images: Mapping[str, ClassImages], origin: Mapping[str, Any]
) -> None:
    files, sources = dict[str, str](), dict[str, str]()
    for name, generated in images.items():
        (folder / name).mkdir(parents=True)
        names = [f"{name}/{i:05d}.png" for i in range(len(generated))]
        for file, image in zip(names, generated.images, strict=True):
            picture = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(picture).save(folder / file)
            files[file] = sha256_of(folder / file)
        if generated.sources is not None:
            sources |= zip(names, generated.sources, strict=True)
    shape = next(iter(images.values())).images.shape
    manifest = Manifest(
        **origin,
        count={name: len(batch) for name, batch in images.items()},
        image_size=shape[-1],
        channels=shape[1],
        files=files,
        sources=sources,
    )
    manifest.write(folder / MANIFEST)


@see("held-out")
def read_set(
    folder: Path, splits: Splits, count: int | None = None, key: str = "data.synthetic.dir"
) -> SyntheticSet:
    """Read a set that is to join a draw; `key` is the setting that named the folder.

    Of each class these are the first `count` images, None: all, in the order of file names.

    Raises:
        DamagedSet: a file was changed or is gone.
        GanAugError: not a synthetic set, too few images, another size or class, or a generator
            that saw images it must not have seen.
    """
    manifest = Manifest.of(folder, key)
    _check_manifest(f"{key}={folder}", manifest, splits)
    files_of = {
        name: sorted(file for file in manifest.files if file.startswith(f"{name}/"))
        for name in splits.classes
    }
    for name, files in files_of.items():
        if files and count is not None and count > len(files):
            raise GanAugError(
                f"data.synthetic.count={count}: {folder} has {len(files)} {name} images; "
                "generate more (generate.count) or ask for fewer"
            )
    held, by_class = held_out_pixels(splits), dict[str, ClassImages]()
    for name, files in files_of.items():
        images = [splits.train.images[:0]]
        for file in files[:count]:  # no memory for files that the manifest alone claims
            image = _read_image(folder, file, manifest)
            if real := held.get(image.tobytes()):
                raise GanAugError(
                    f"{folder / file}: is {real}, pixel for pixel, not a generated one; do not use "
                    "this set"
                )
            images.append(image[None])
        sources = [manifest.sources[file] for file in files[:count]] if manifest.sources else None
        by_class[name] = ClassImages(np.concatenate(images), sources)
    return SyntheticSet(by_class, manifest)


def _read_image(folder: Path, file: str, manifest: Manifest) -> NDArray[np.uint8]:
    path = folder / file
    channels, size = manifest.channels, manifest.image_size
    try:
        if folder.resolve() not in path.resolve().parents:
            raise GanAugError(f"{path}: is a link that leads out of the set; {AGAIN}")
        # A PNG may have its pixels as they are, and a little more.
        data = read_bytes(path, 2 * channels * size**2 + 2**16)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        reason = error.strerror if isinstance(error, OSError) else "a loop of links"
        raise DamagedSet(f"{path}: cannot be read ({reason})") from error
    if hashlib.sha256(data).hexdigest() != manifest.files[file]:
        raise DamagedSet(f"{path}: is not the file its manifest lists")
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            # Before any pixel is decoded: a small file can claim to be a huge picture.
            if (image.mode, image.size) != (mode, (size, size)):
                raise ValueError(f"{image.mode} {image.size[0]}x{image.size[1]}")
            array = np.asarray(image)
    except Exception as error:  # Pillow lets almost anything escape from a damaged file
        raise GanAugError(
            f"{path}: is no PNG of {size}x{size} pixels in mode {mode} ({error}); {AGAIN}"
        ) from error
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def held_out_pixels(splits: Splits) -> dict[bytes, str]:
    """Return held-out images, which are no generated ones, whatever their set says, by pixels."""
    held: dict[bytes, str] = {}
    for name, table in splits.held_out.items():
        named = [f"the {name} image {path}" for path in table.paths.tolist()]
        held |= zip((image.tobytes() for image in table.images), named, strict=True)
    return held


def _check_manifest(where: str, manifest: Manifest, splits: Splits) -> None:
    """Refuse a set that does not fit, or whose generator saw more than the draw's training."""
    for name in ("image_size", "channels"):
        own, wanted = getattr(manifest, name), getattr(splits, name)
        if own != wanted:
            raise GanAugError(
                f"{where}: its {name} is {own}, training uses data.{name}={wanted}; fit "
                "and generate with the same"
            )
    if unknown := {file.split("/")[0] for file in manifest.files} - {*splits.classes}:
        known = ", ".join(splits.classes)
        raise GanAugError(f"{where}: has class {min(unknown)}; known are {known}")
    for name, table in splits.held_out.items():
        if leaked := manifest.seen & set(table.hashes.tolist()):
            raise GanAugError(
                f"{where}: its generator saw {len(leaked)} {name} images of draw={splits.draw}; "
                f"fit the GAN again with draw={splits.draw} and the same data settings"
            )
    if foreign := manifest.seen - set(splits.train.hashes.tolist()):
        raise GanAugError(
            f"{where}: its generator saw {len(foreign)} images that are not training images of "
            f"draw={splits.draw} (it was fitted on draw={manifest.draw} of data "
            f"{manifest.data_fingerprint}); fit it with the same draw and data settings"
        )
