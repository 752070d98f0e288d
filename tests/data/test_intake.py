"""Folders that people really have: each is made here as small as it can be, and read as typed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from odd_files import dicom
from support import ROOT, write_image

from gan_aug.data.prepare import load
from gan_aug.data.splits import Source

Read = Callable[..., Source]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images that is still empty."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def read(root: Path) -> Read:
    """Read `root` with the settings of `inspect`, and those that are typed after it."""

    def read(*typed: str) -> Source:
        settings = ["data.image_size=16", f"data.cache_dir={root.parent / 'cache'}", *typed]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("inspect", [f"data.root={root}", *settings])
        return load(cfg.data)

    return read


def pictures(folder: Path, n: int = 6, stem: str = "p", suffix: str = ".png") -> None:
    """Write images of noise, each another one."""
    for path in (folder / f"{stem}{i:02d}{suffix}" for i in range(n)):
        write_image(path, _seed(path))


def two(folder: Path, n: int = 6, names: tuple[str, ...] = ("A", "B")) -> None:
    """Write a folder of images for each class."""
    for name in names:
        pictures(folder / name, n, name[:1].lower())


def dicoms(folder: Path, names: list[str], patient: str | None = None, **header: Any) -> None:
    """Write DICOM files of noise; each is a patient of its own where none is named."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        pixels = np.random.default_rng(_seed(folder / name)).integers(0, 256, (20, 24), np.uint8)
        whose = f"{folder.name}{i}" if patient is None else patient
        (folder / name).write_bytes(dicom(pixels, patient=whose, **header))


def _seed(path: Path) -> int:
    return zlib.crc32("/".join(path.parts[-4:]).encode())


def counts(source: Source) -> dict[str, int]:
    """Return how many images of each class were read, in all splits."""
    tables = [t for t in (source.train, source.validation, source.test) if t is not None]
    return {name: sum(table.counts()[name] for table in tables) for name in source.classes}


def paths(source: Source) -> set[str]:
    """Return the files that were read."""
    tables = [t for t in (source.train, source.validation, source.test) if t is not None]
    return {path for table in tables for path in table.paths.tolist()}


def test_06_dicom_without_its_suffix(root: Path, read: Read) -> None:
    for name in ("A", "B"):
        dicoms(root / name, [f"1.2.840.113619.2.5.{i}.{78 + i}" for i in range(5)])
        dicoms(root / name, [f"IM{i}.IMA" for i in range(5)], patient=f"{name}x")
        (root / name / "report.1.2").write_text("no image")
    source = read()
    assert counts(source) == {"A": 10, "B": 10}
    assert source.notes["modes"] == {"DICOM": 20}
    assert sorted(source.notes["files_skipped"]) == ["A/report.1.2", "B/report.1.2"]
