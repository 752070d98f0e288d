"""The files of an external set: a folder with a folder of images for each class."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gan_aug.data.cache import cache_dir_of
from gan_aug.data.decode import MAX_BYTES, Decoded, decode_files
from gan_aug.data.sources.tree import HIDDEN, NAMED_BADLY, UNREADABLE, Tree, find_files
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import open_regular
from gan_aug.settings.by_name import normal
from gan_aug.settings.data import DataSettings
from gan_aug.settings.values import MOST_IMAGES


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


def unread_of(tree: Tree) -> dict[str, str]:
    """Return the files in class folders, and the images beside these, that are not read."""
    loose = {path: "an image outside the class folders" for path in tree.images if "/" not in path}
    others = tree.others.items()
    return loose | {path: why for path, why in others if "/" in path and why != HIDDEN}


def decode_set(
    where: str,
    folder: Path,
    names: list[str],
    digest: str,
    data: DataSettings,
    image_size: int,
    channels: int,
    fit: str,
) -> Decoded:
    """Decode a set through the cache; refuse a file that is no sound image.

    Names, sizes and times of one set may be those of the next, in which one file differs: each
    `digest` of a set's files has a cache of its own.
    """
    cache_dir = cache_dir_of(data) / f"external_{digest[:16]}"
    decoded = decode_files(folder, names, image_size, channels, cache_dir, "skip", fit, data.window)
    if decoded.bad:
        path, why = next(iter(decoded.bad.items()))
        more = f" (and {len(decoded.bad) - 1} more bad files)" if len(decoded.bad) > 1 else ""
        raise GanAugError(f"{where}: {path}: {why}{more}; mend it, or take it away")
    return decoded


def digest_of_set(folder: Path, key: str) -> str:
    """Return the `files_sha256` of the external set in a folder, without decoding any image.

    Raises:
        GanAugError: it cannot be read.
    """
    where, root = f"{key}={folder}", folder.expanduser()
    return digest_of(where, root, [path for path in find_set(where, root).images if "/" in path])


def digest_of(where: str, folder: Path, names: list[str]) -> str:
    """Return the SHA-256 of the paths and bytes of files below a folder."""
    lines = []
    for path in sorted(names):
        try:
            with open_regular(folder / path, MAX_BYTES) as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()} {path}\n")
        except OSError as error:
            raise GanAugError(
                f"{where}: {path}: cannot be read ({error.strerror}); mend it, or take it away"
            ) from error
    return hashlib.sha256("".join(lines).encode()).hexdigest()
