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
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from gan_aug.data.cache import default_cache_dir, own_cache
from gan_aug.data.decode import MAX_BYTES, Decoded, decode_files
from gan_aug.data.exported import DRAW_FILE, ExportedDraw
from gan_aug.data.image_table import Images, ImageTable
from gan_aug.data.near_duplicates import nearest_alike
from gan_aug.data.prepare import load
from gan_aug.data.source import Source
from gan_aug.data.sources.tree import HIDDEN, NAMED_BADLY, UNREADABLE, Tree, find_files
from gan_aug.data.splits import Splits
from gan_aug.data.synthetic import held_out_pixels
from gan_aug.run.errors import GanAugError
from gan_aug.run.files import open_regular
from gan_aug.run.stored_model import Part
from gan_aug.settings.by_name import normal
from gan_aug.settings.data import DataSettings
from gan_aug.settings.values import MOST_IMAGES, Seen

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
        by_class: every class of the data set to its images, uint8 (N, C, H, W); N may be 0.
        paths: likewise to where each lies below the folder.
        sha256: of all pixels.
        files_sha256: of all paths and the bytes of their files, see `digest_of`.
        unread: path of a file in a class folder, or of an image beside these, to why not.
    """

    folder: Path
    seen: Seen
    by_class: Mapping[str, Images]
    paths: Mapping[str, list[str]]
    sha256: str
    files_sha256: str
    unread: Mapping[str, str]
    _splits: Splits
    _find_near: Callable[[Mapping[str, ImageTable]], list[NearDuplicate]]

    @cached_property
    def near(self) -> list[NearDuplicate]:
        """The added images that are one picture with a held-out image of the draw.

        They are looked for when this is first asked.
        """
        return self._find_near(self._splits.held_out)

    @cached_property
    def copies(self) -> dict[str, int]:
        """How many added images of each class are one picture with a training image of the draw.

        They are looked for when this is first asked.
        """
        found = {one.added for one in self._find_near({"training": self._splits.train})}
        return {name: len(found.intersection(paths)) for name, paths in self.paths.items()}

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
            be decoded, a draw.json that is missing or of something else; or an image that is a
            held-out one.
    """
    where, folder = f"{key}={folder}", folder.expanduser()
    tree = find_set(where, folder)
    files = files_by_class(where, tree, splits.classes)
    _check_seen(where, folder, seen, splits, key)
    names = [path for paths in files.values() for path in paths]
    decoded = decode_set(where, folder, names, data, data.image_size, splits.channels, data.fit)
    _refuse_held_out(folder, decoded, splits)
    ends = np.cumsum([len(paths) for paths in files.values()])[:-1]
    images = np.split(np.array(decoded.images), ends)  # no longer of the cache, read-only
    pixels, digests = hashlib.sha256(), {n: facts["sha256"] for n, facts in decoded.good.items()}
    for name, of_class in zip(files, images, strict=True):
        pixels.update(f"{name} {of_class.shape} ".encode())
        pixels.update(np.ascontiguousarray(of_class).tobytes())

    def find_near(tables: Mapping[str, ImageTable]) -> list[NearDuplicate]:
        small = decode_set(where, folder, names, data, **LOOKED_AT)
        return _near(small.images, names, tables, splits.channels, data)

    return ExternalSet(
        folder=folder,
        seen=seen,
        by_class=dict(zip(files, images, strict=True)),
        paths=files,
        sha256=pixels.hexdigest(),
        files_sha256=_digest(digests),
        unread=_unread(tree),
        _splits=splits,
        _find_near=find_near,
    )


def digest_of(folder: Path, key: str) -> str:
    """Return the `files_sha256` of the external set in a folder, without decoding any image.

    Raises:
        GanAugError: it cannot be read.
    """
    root = folder.expanduser()
    tree = find_set(f"{key}={folder}", root)
    return _digest_of(f"{key}={folder}", root, [path for path in tree.images if "/" in path])


def _digest_of(where: str, folder: Path, names: list[str]) -> str:
    files = dict[str, str]()
    for path in names:
        try:
            with open_regular(folder / path, MAX_BYTES) as file:
                files[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise GanAugError(
                f"{where}: {path}: cannot be read ({error.strerror}); mend it, or take it away"
            ) from error
    return _digest(files)


def _digest(files: Mapping[str, str]) -> str:
    lines = (f"{digest} {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def find_set(where: str, folder: Path) -> Tree:
    """Find all files of a set; refuse links out of it before any is followed."""
    if not folder.is_dir():
        raise GanAugError(f"{where}: no such folder; name one with a folder of images a class")
    root = folder.resolve()
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            if not path.is_symlink():
                continue
            try:
                inside = path.resolve(strict=True).is_relative_to(root)
            except (OSError, RuntimeError):  # to nowhere, or to itself
                inside = False
            if not inside:
                raise GanAugError(
                    f"{where}: {path.relative_to(folder)} is a link that leads out of the folder "
                    "or to nothing; put the files themselves there"
                )
    tree = find_files(folder, None, on_bad_file="skip")
    for name, why in tree.others.items():
        if why == NAMED_BADLY or why.startswith(UNREADABLE):
            raise GanAugError(f"{where}: {name}: {why}; mend it, or take it away")
    return tree


def _unread(tree: Tree) -> dict[str, str]:
    """Return the files in class folders, and the images beside these, that are not read."""
    loose = {path: "an image outside the class folders" for path in tree.images if "/" not in path}
    others = tree.others.items()
    return loose | {path: why for path, why in others if "/" in path and why != HIDDEN}


def files_by_class(where: str, tree: Tree, classes: Iterable[str]) -> dict[str, list[str]]:
    """Return the images of each class of the data set; refuse a folder with images of another."""
    files: dict[str, list[str]] = {name: [] for name in classes}
    called = {normal(name): name for name in files}
    there = Counter(normal(path.partition("/")[0]) for path in tree.images if "/" in path)
    named = f"this data set's classes are {', '.join(files)}"
    if not there:
        loose = f", and {len(tree.images)} images lie in it itself" if tree.images else ""
        raise GanAugError(
            f"{where}: has no folder with images{loose}; it needs one a class, and {named}"
        )
    if other := there.keys() - called.keys():
        raise GanAugError(
            f"{where}: has images in the folders {', '.join(sorted(there))}, and {named}; rename "
            f"{min(other)}, letter for letter, or take it away"
        )
    for path in tree.images:
        first, slash, _ = path.partition("/")
        if slash:
            files[called[normal(first)]].append(path)
    for name, paths in files.items():
        if len(paths) > MOST_IMAGES:
            raise GanAugError(
                f"{where}: has {len(paths)} images of {name}, {MOST_IMAGES} are the most; take "
                "some away"
            )
    return files


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
            f"{key}='made/draw_${{draw}}'"
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


def decode_set(
    where: str,
    folder: Path,
    names: list[str],
    data: DataSettings,
    image_size: int,
    channels: int,
    fit: str,
) -> Decoded:
    """Decode a set through the cache; refuse a file that is no sound image.

    The cache knows files by names, sizes and times. Those of one set may be those of the next, out
    of archives that keep no times: what is in the files has a cache of its own.
    """
    digest = _digest_of(where, folder, names)
    cache_dir = own_cache(cache_dir_of(data), folder) / digest[:16]
    decoded = decode_files(folder, names, image_size, channels, cache_dir, "skip", fit, data.window)
    if decoded.bad:
        path, why = next(iter(decoded.bad.items()))
        more = f" (and {len(decoded.bad) - 1} more bad files)" if len(decoded.bad) > 1 else ""
        raise GanAugError(f"{where}: {path}: {why}{more}; mend it, or take it away")
    return decoded


def cache_dir_of(data: DataSettings) -> Path:
    """Return the folder of decoded images."""
    return Path(data.cache_dir).expanduser() if data.cache_dir else default_cache_dir()


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


def _near(
    added: Images,
    names: list[str],
    tables: Mapping[str, ImageTable],
    channels: int,
    data: DataSettings,
) -> list[NearDuplicate]:
    """Find near duplicates of a draw's images, in pictures of one size, grey and squeezed."""
    of = [name for name, table in tables.items() for _ in range(len(table))]
    paths = [path for table in tables.values() for path in table.paths.tolist()]
    found = nearest_alike(added, _small(tables, channels, data))
    return [
        NearDuplicate(
            added=names[row],
            real=paths[other],
            split=of[other],
            correlation=round(float(correlation), 4),
        )
        for row, other, correlation in zip(*found, strict=True)
    ]


def _small(tables: Mapping[str, ImageTable], channels: int, data: DataSettings) -> Images:
    """Return images of a draw as near duplicates are looked for."""
    if {"image_size": data.image_size, "channels": channels, "fit": data.fit} == LOOKED_AT:
        return np.concatenate([table.images for table in tables.values()])
    small = load_small(data)
    # Paths are below the root of each test's own folder.
    of_own = {"": [*small.tables().values()]}
    there = of_own | {name: [one.table] for name, one in small.external.items()}
    of_path = {
        (name, path): image
        for name, of_root in there.items()
        for table in of_root
        for path, image in zip(table.paths.tolist(), table.images, strict=True)
    }
    images = [
        of_path[name if name in small.external else "", path]
        for name, table in tables.items()
        for path in table.paths.tolist()
    ]
    return np.stack(images) if images else np.zeros((0, 1, 64, 64), np.uint8)
