"""External sets: a folder of images, by class, of a generator that gan_aug did not fit.

What the generator saw is declared, since nothing in the images tells it:

- `draw`: the training images of the draw and no others. The draw's `draw.json`, which
  `gan_aug.export` wrote, lies beside the images and is compared with the draw.
- `nothing`: no image of this data set. That is taken as it is declared.
- `unknown`: nobody knows. Whether held-out images have leaked cannot be excluded.

Whatever is declared, no added image may be a held-out one, and near duplicates of these are found.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from gan_aug.data.decode import Decoded
from gan_aug.data.external_files import decode_set, digest_of, files_by_class, find_set, unread_of
from gan_aug.data.image_table import ClassImages, Images, concatenate
from gan_aug.data.near_duplicates import nearest_alike
from gan_aug.data.origin import DRAW_FILE, ExportedDraw
from gan_aug.data.prepare import load
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import held_out_pixels
from gan_aug.runtime.errors import GanAugError, see
from gan_aug.runtime.stored_model import Part
from gan_aug.settings.data import DataSettings
from gan_aug.settings.values import Seen

DECLARED: dict[Seen, str] = {
    "draw": "the draw.json lists the training images of this draw and no others",
    "nothing": "it is declared, not checked, that the generator saw nothing of this data set",
    "unknown": "it is not known what the generator saw",
}
"""What is said of a set of each."""
LOOKED_AT: dict[str, Any] = {"image_size": 64, "channels": 1, "fit": "squeeze"}
"""How near duplicates are looked for, whatever training uses; see `near_duplicates.ALIKE`."""


class NearDuplicate(Part):
    """An added image that is one picture with a real one."""

    added: str  # its path below the folder
    real: str  # that of the real image, in the data set
    split: str
    correlation: float  # of their pixels


class ExternalFacts(Part):
    """What a study keeps of an external set."""

    arms: list[str]  # that take images of it
    dir: str  # the folder's own name, without the path to it
    seen: Seen  # what is declared
    sha256: str  # of all pixels
    files_sha256: str  # of all paths and files
    images: dict[str, int]  # that are there, of each class
    near: list[NearDuplicate]  # those of held-out images
    copies: dict[str, int] = Field(default_factory=dict)  # of training images, of each class


@dataclass(frozen=True)
class ExternalSet:
    """The images of an external set, as a draw's own images are made, in the order of their names.

    Attributes:
        by_class: every class of the data set to its images; there may be none.
        paths: likewise to where each lies below the folder.
        sha256: of all pixels.
        files_sha256: see `digest_of`.
        unread: path of a file in a class folder, or of an image beside these, to why not.
    """

    folder: Path
    seen: Seen
    by_class: Mapping[str, ClassImages]
    paths: Mapping[str, list[str]]
    sha256: str
    files_sha256: str
    unread: Mapping[str, str]
    _splits: Splits
    _data: DataSettings

    @cached_property
    def near(self) -> list[NearDuplicate]:
        """The added images that are one picture with a held-out image of the draw.

        They are looked for when this is first asked.
        """
        return self._alike(*self._splits.held_out)

    @cached_property
    def copies(self) -> dict[str, int]:
        """How many added images of each class are one picture with a training image of the draw.

        They are looked for when this is first asked. Of images smaller than those compared the
        same pixels tell: enlarged, they are like no original.
        """
        found = {one.added for one in self._alike("train")}
        pixels = {image.tobytes() for image in self._splits.train.images}
        for name, paths in self.paths.items():
            made = zip(paths, self.by_class[name].images, strict=True)
            found |= {path for path, image in made if image.tobytes() in pixels}
        return {name: len(found.intersection(paths)) for name, paths in self.paths.items()}

    @cached_property
    def _compared(self) -> tuple[list[str], Images, dict[str, Images]]:
        """Its paths, its pictures and those of the draw by part: of one size, grey and squeezed."""
        names = [path for paths in self.paths.values() for path in paths]
        where, digest = str(self.folder), self.files_sha256
        added = decode_set(where, self.folder, names, digest, self._data, **LOOKED_AT).images
        return names, added, _small(self._splits, self._data)

    def _alike(self, *parts: str) -> list[NearDuplicate]:
        """Find near duplicates of the images of some parts of the draw."""
        names, added, small = self._compared
        of = [part for part in parts for _ in range(len(small[part]))]
        paths = [path for part in parts for path in self._splits.table(part).paths.tolist()]
        found = nearest_alike(added, np.concatenate([small[part] for part in parts]))
        return [
            NearDuplicate(
                added=names[row],
                real=paths[other],
                split=of[other],
                correlation=round(float(correlation), 4),
            )
            for row, other, correlation in zip(*found, strict=True)
        ]

    def warnings(self, listed_in: str) -> Iterator[str]:
        """Yield what is wrong with the images; `listed_in` is the file that has all of it."""
        n, folder = sum(map(len, self.by_class.values())), self.folder
        if copies := sum(self.copies.values()):
            but = ", though it is declared that the generator saw nothing of this data set"
            yield (
                f"{copies} of {n} images of {folder} are near duplicates of the draw's training "
                f"images{but if self.seen == 'nothing' else ''}"
            )
        if near := self.near:
            first, counts = near[0], Counter(one.split for one in near)
            of = ", ".join(f"{k} {split}" for split, k in counts.items())
            yield (
                f"{len(near)} of {n} images of {folder} are near duplicates of held-out ones "
                f"({of}), such as {first.added} and the {first.split} image {first.real} "
                f"(correlation {first.correlation:.3f}); look at them, {listed_in} lists all"
            )
        if self.unread:
            path, why = next(iter(self.unread.items()))
            yield f"{folder}: {len(self.unread)} files are not read: {path} ({why})"

    def facts(self, arms: list[str]) -> ExternalFacts:
        """Return what a study keeps of it, of which some arms take images."""
        return ExternalFacts(
            arms=arms,
            dir=self.folder.resolve().name,
            seen=self.seen,
            sha256=self.sha256,
            files_sha256=self.files_sha256,
            images={name: len(images) for name, images in self.by_class.items()},
            near=self.near,
            copies=self.copies,
        )


def read_external(
    folder: Path, seen: Seen, splits: Splits, data: DataSettings, key: str
) -> ExternalSet:
    """Read all images of an external set that is to join a draw.

    Args:
        folder: has a folder for each class, with images at any depth, of any kind and size that
            data sets have. They become square, and grey or RGB, as the data set's own do.
        seen: what the generator saw, see above.
        splits: the draw.
        data: settings of its images.
        key: the setting that names the folder, for messages.

    Raises:
        GanAugError: no such folder, one with other classes, a link out of it, a file that cannot
            be decoded, a class of black images, a draw.json that is missing or of something else;
            or an image that is a held-out one.
    """
    where, folder = f"{key}={folder}", folder.expanduser()
    tree = find_set(where, folder)
    files = files_by_class(where, tree, splits.classes)
    _check_seen(where, folder, seen, splits, key)
    names = [path for paths in files.values() for path in paths]
    sha256, size = digest_of(where, folder, names), data.image_size
    decoded = decode_set(where, folder, names, sha256, data, size, splits.channels, data.fit)
    _refuse_held_out(folder, decoded, splits)
    ends = np.cumsum([len(paths) for paths in files.values()])[:-1]
    images = np.split(np.array(decoded.images), ends)  # no longer of the cache, read-only
    pixels = hashlib.sha256()
    for name, of_class in zip(files, images, strict=True):
        if len(of_class) and of_class.max() <= 1:
            raise GanAugError(
                f"{where}: its {name} images are black, no pixel is above 1 of 255; write pixels "
                "from 0 to 255, a generator's 0 to 1 times 255"
            )
        pixels.update(f"{name} {of_class.shape} ".encode())
        pixels.update(np.ascontiguousarray(of_class).tobytes())

    return ExternalSet(
        folder=folder,
        seen=seen,
        by_class=dict(zip(files, map(ClassImages, images), strict=True)),
        paths=files,
        sha256=pixels.hexdigest(),
        files_sha256=sha256,
        unread=unread_of(tree),
        _splits=splits,
        _data=data,
    )


@see("held-out")
def _check_seen(where: str, folder: Path, seen: Seen, splits: Splits, key: str) -> None:
    """Compare what is declared with the draw.json that lies beside the images."""
    if seen != "draw":
        if seen == "nothing" and (folder / DRAW_FILE).exists():
            raise GanAugError(
                f"{where}: its {DRAW_FILE} says that the generator saw a draw of this project, and "
                f"seen=nothing that it saw none; set seen=draw, or take {DRAW_FILE} away"
            )
        return
    told, of = ExportedDraw.of(folder, key), f"{where}: its {DRAW_FILE} is of"
    if told.data_fingerprint != splits.fingerprint:
        raise GanAugError(
            f"{of} another data set (fingerprint {told.data_fingerprint}, here "
            f"{splits.fingerprint}); use images of a generator that was fitted on this one"
        )
    if told.draw != splits.draw:
        raise GanAugError(
            f"{of} draw={told.draw}, this is draw={splits.draw}; name a folder for each draw, as "
            "'made/draw_${draw}'"
        )
    seen_hashes, own = set(told.seen_hashes), set(splits.train.hashes.tolist())
    for name, table in splits.held_out.items():
        if leaked := seen_hashes & set(table.hashes.tolist()):
            raise GanAugError(
                f"{of} other settings: {len(leaked)} images that the generator saw are {name} "
                "images here; export the draw again with the settings of this study, and fit the "
                "generator on that"
            )
    if seen_hashes != own:
        raise GanAugError(
            f"{of} other training images: the generator saw {len(seen_hashes - own)} that this "
            f"draw does not train on, and not {len(own - seen_hashes)} of its {len(own)}; export "
            "the draw again with the settings of this study, and fit the generator on that"
        )


@see("held-out")
def _refuse_held_out(folder: Path, decoded: Decoded, splits: Splits) -> None:
    """Refuse images that are held-out ones: the same file, or the same pixels once it is read."""
    by_hash = {
        digest: f"the {name} image {path}"
        for name, table in splits.held_out.items()
        for digest, path in zip(table.hashes.tolist(), table.paths.tolist(), strict=True)
    }
    by_pixels, found = held_out_pixels(splits), dict[str, str]()
    for (path, facts), image in zip(decoded.good.items(), decoded.images, strict=True):
        real = by_hash.get(facts["sha256"]) or by_pixels.get(image.tobytes())
        if real is not None:
            found[path] = real
    if found:
        path, real = next(iter(found.items()))
        more = f" ({len(found) - 1} more are such images too)" if len(found) > 1 else ""
        raise GanAugError(
            f"{folder / path}: is {real} itself, not a generated one{more}; do not use images of "
            "this generator, it may have seen other held-out images too"
        )


def load_small(data: DataSettings) -> Source:
    """Return the data set as near duplicates are looked for."""
    source = data.source
    if "fit" in source.plain():
        source = source.model_copy(update={"fit": LOOKED_AT["fit"]})
    return load(data.model_copy(update=LOOKED_AT | {"source": source}))


def _small(splits: Splits, data: DataSettings) -> dict[str, Images]:
    """Return the images of a draw's parts as near duplicates are looked for."""
    tables = {"train": splits.train} | splits.held_out
    if {"image_size": data.image_size, "channels": splits.channels, "fit": data.fit} == LOOKED_AT:
        return {name: table.images for name, table in tables.items()}
    small, found = load_small(data), dict[str, Images]()
    of_own = concatenate(*small.tables().values())
    for name, table in tables.items():
        # Paths are below the root of each test's own folder.
        there = small.external[name].table if name in small.external else of_own
        row_of = {path: row for row, path in enumerate(there.paths.tolist())}
        found[name] = there.images[[row_of[path] for path in table.paths.tolist()]]
    return found
