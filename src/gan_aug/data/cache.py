"""Decode once, then memory-map: the on-disk cache of uint8 images."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_aug.runtime.errors import GanAugError, warn
from gan_aug.runtime.files import MOST_JSON, read_bytes, remove_folder, sha256_of, sha256_of_json
from gan_aug.runtime.lock import Lock
from gan_aug.settings.data import DataSettings

Index = dict[str, Any]
"""What is known of the images, or what they depend on, as JSON takes it."""
Built = tuple[NDArray[np.uint8], Index]
FILES = ("images.npy", "index.json")
HASHES = "sha256.json"
_MOST_INDEX = 2**30
"""Bytes; a file of a data set takes some 200."""


def cache_dir_of(data: DataSettings) -> Path:
    """Return the folder of decoded images, else the user's (XDG_CACHE_HOME), who must have one."""
    if data.cache_dir:
        return Path(data.cache_dir).expanduser()
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise GanAugError(
            "data.cache_dir: HOME is not set, and decoded images are kept in your home folder; set "
            "data.cache_dir=DIR"
        ) from error
    return Path(home) / "gan_aug"


def load_or_build(cache_dir: Path, key: Index, build: Callable[[], Built]) -> Built:
    """Return memory-mapped images and their index from the cache, built on first use.

    Two processes that want the same entry at once build it once: the second waits on a lock.
    An entry is checked by hash whenever it is read; a damaged one is said to be so and built again.
    A sound one is read without a lock, so the folder need not be writable. The key is all that the
    pixels, uint8 (N, C, H, W), depend on.

    Raises:
        GanAugError: the cache folder cannot be written, or `build` raised it.
    """
    digest = sha256_of_json(key)[:32]
    folder = cache_dir / digest
    if isinstance(entry := _read(folder), tuple):
        return entry
    lock = Lock(cache_dir / f"{digest}.lease", guards=folder)
    with _writing(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        entry = _read(folder)  # another process may have built it meanwhile
        if isinstance(entry, tuple):
            return entry
        if entry is not None:
            warn(f"{folder}: this cache entry {entry}; making it again")
            with _writing(cache_dir):
                remove_folder(folder)
        images, index = build()
        lock.check()
        with _writing(cache_dir):
            _write(cache_dir, folder, images, index)
        if not isinstance(entry := _read(folder), tuple):
            raise GanAugError(f"{folder}: this new cache entry {entry}; repeat the command")
        return entry
    finally:
        lock.release()


@contextmanager
def _writing(cache_dir: Path) -> Iterator[None]:
    """Name the setting where the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise GanAugError(
            f"data.cache_dir={cache_dir}: cannot be written ({error.strerror or error}); free "
            "space there, or choose another folder"
        ) from error


def _read(folder: Path) -> Built | str | None:
    """Return a sound entry, or what is wrong with it, or None where there is none."""
    if not os.path.lexists(folder):  # a link to nowhere is there, and in the way
        return None
    try:
        if not folder.is_dir():
            return "is no folder"
        for name in (HASHES, *FILES):
            if not (folder / name).is_file():  # to open a FIFO is to wait for ever
                return f"has no {name}"
        wanted = json.loads(read_bytes(folder / HASHES, MOST_JSON))
        for name in FILES:
            if sha256_of(folder / name) != wanted.get(name):
                return f"is damaged ({name} has changed since it was written)"
        images = np.load(folder / FILES[0], mmap_mode="r", allow_pickle=False)
        return images, json.loads(read_bytes(folder / FILES[1], _MOST_INDEX))
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return f"is damaged ({error})"


def _write(cache_dir: Path, folder: Path, images: NDArray[np.uint8], index: Index) -> None:
    temporary = Path(tempfile.mkdtemp(dir=cache_dir))
    try:
        np.save(temporary / FILES[0], images)
        (temporary / FILES[1]).write_text(json.dumps(index))
        hashes = {name: sha256_of(temporary / name) for name in FILES}
        (temporary / HASHES).write_text(json.dumps(hashes))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
