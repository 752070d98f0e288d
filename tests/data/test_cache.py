"""The cache is checked whenever it is read, and damaged entries are made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import settings_of

from gan_aug.data.cache import FILES, cache_dir_of, load_or_build
from gan_aug.runtime.errors import GanAugError
from gan_aug.runtime.files import sha256_of

KEY = {"files": ["a"]}


class Builder:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self) -> tuple[np.ndarray, dict[str, Any]]:
        self.built += 1
        images = np.arange(2 * 64, dtype=np.uint8).reshape(2, 1, 8, 8)
        return images, {"hashes": {"a": "b"}}


def entry(cache: Path) -> Path:
    (found,) = (path for path in cache.iterdir() if path.is_dir())
    return found


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pixel": (lambda e: flip(e / "images.npy", 140), "images.npy has changed"),
    "the header": (lambda e: flip(e / "images.npy", 3), "images.npy has changed"),
    "cut images": (lambda e: cut(e / "images.npy"), "images.npy has changed"),
    "no images": (lambda e: (e / "images.npy").unlink(), "images.npy"),
    "the index": (lambda e: (e / "index.json").write_text('{"hashes": {}}'), "index.json has"),
    "half an index": (lambda e: cut(e / "index.json"), "index.json has changed"),
    "no index": (lambda e: (e / "index.json").unlink(), "index.json"),
    "no hashes": (lambda e: (e / "sha256.json").unlink(), "has no sha256.json"),
    "torn hashes": (lambda e: (e / "sha256.json").write_text("["), "is damaged"),
    "a list": (lambda e: (e / "sha256.json").write_text("[]"), "is damaged"),
    "a file": (lambda e: (shutil.rmtree(e), e.write_text("x")), "is no folder"),
    "a link to nowhere": (lambda e: (shutil.rmtree(e), e.symlink_to("gone")), "is no folder"),
    "a FIFO": (
        lambda e: ((e / "images.npy").unlink(), os.mkfifo(e / "images.npy")),
        "has no images.npy",
    ),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_entry_is_made_again(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder()
    sound, index = load_or_build(tmp_path, KEY, build)
    assert isinstance(sound, np.memmap)
    load_or_build(tmp_path, KEY, build)
    assert build.built == 1
    assert capsys.readouterr().err == ""
    kept = np.array(sound)
    damage, part = DAMAGES[how]
    damage(entry(tmp_path))
    again, again_index = load_or_build(tmp_path, KEY, build)
    assert build.built == 2
    np.testing.assert_array_equal(again, kept)
    assert again_index == index
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert part in line
    load_or_build(tmp_path, KEY, build)
    assert build.built == 2
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_what_goes_wrong_in_building_is_not_the_cache_s_fault(tmp_path: Path) -> None:
    def build() -> Any:
        raise FileNotFoundError(2, "No such file", "image.png")

    with pytest.raises(FileNotFoundError):
        load_or_build(tmp_path, KEY, build)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GanAugError, match=r"data\.cache_dir=.*file: cannot be written"):
        load_or_build(tmp_path / "file", KEY, Builder())


def test_a_folder_that_may_only_be_read_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that a group shares, or one on a read-only mount."""
    build = Builder()
    images, index = load_or_build(tmp_path, KEY, build)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    for function in ("os.mkdir", "gan_aug.data.cache.Lock.acquire"):
        monkeypatch.setattr(function, refuse)
    again, again_index = load_or_build(tmp_path, KEY, build)
    assert build.built == 1
    np.testing.assert_array_equal(again, images)
    assert again_index == index
    with pytest.raises(GanAugError, match=r"data\.cache_dir=.*Read-only file system"):
        load_or_build(tmp_path, {"files": ["b"]}, build)
    flip(entry(tmp_path) / "images.npy", 140)
    with pytest.raises(GanAugError, match=r"data\.cache_dir=.*Read-only file system"):
        load_or_build(tmp_path, KEY, build)


def test_an_entry_whose_header_claims_more_than_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hashes can be written anew."""
    build = Builder()
    load_or_build(tmp_path, KEY, build)
    path = entry(tmp_path) / "images.npy"
    path.write_bytes(path.read_bytes().replace(b"(2, 1,", b"(9, 1,"))
    hashes = {name: sha256_of(path.with_name(name)) for name in FILES}
    path.with_name("sha256.json").write_text(json.dumps(hashes))
    images, _ = load_or_build(tmp_path, KEY, build)
    assert images.shape == (2, 1, 8, 8)
    assert "is damaged" in capsys.readouterr().err


def test_without_a_home_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = settings_of("inspect").data

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(GanAugError, match=r"set data\.cache_dir=DIR"):
        cache_dir_of(data)
