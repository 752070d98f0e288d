"""Decode once, then memory-map: the on-disk cache of uint8 images."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from gan_aug.errors import GanAugError

Built = tuple[NDArray[np.uint8], dict[str, Any]]


def default_cache_dir() -> Path:
    """Return the user's cache folder for this program (XDG_CACHE_HOME is obeyed)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gan_aug"


def load_or_build(
    cache_dir: Path, key: dict[str, Any], build: Callable[[], Built]
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return images and their index from the cache, building the entry on first use.

    Two processes that want the same entry at once build it once: the second waits on a file lock.

    Args:
        cache_dir: where entries live.
        key: all that the pixels depend on (JSON-serialisable).
        build: makes uint8 images (N, C, H, W) and a JSON-serialisable index.

    Returns:
        Read-only memory-mapped images and the index.

    Raises:
        GanAugError: the cache folder cannot be written.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_dir / digest
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir / f"{digest}.lock"):
            if not folder.exists():
                images, index = build()
                _write(cache_dir, folder, images, index)
    except OSError as error:
        raise GanAugError(
            f"data.cache_dir={cache_dir}: cannot be written ({error}); choose another folder"
        ) from error
    return np.load(folder / "images.npy", mmap_mode="r"), json.loads(
        (folder / "index.json").read_text()
    )


def _write(cache_dir: Path, folder: Path, images: NDArray[np.uint8], index: dict[str, Any]) -> None:
    temporary = Path(tempfile.mkdtemp(dir=cache_dir))
    try:
        np.save(temporary / "images.npy", images)
        (temporary / "index.json").write_text(json.dumps(index))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
