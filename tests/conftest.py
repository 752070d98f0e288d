"""Fixtures: the command line as a user types it, small data, the real X-rays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import REAL, run_command, write_image

# One thread each: the suite runs two workers on two cores.
os.environ["OMP_NUM_THREADS"] = "1"


LONGEST = (
    "test_launcher.py", "test_study.py", "test_commands.py", "test_local.py", "test_worth_study.py",
    "test_resume.py", "test_own_data.py", "test_loggers.py",
)  # fmt: skip
"""Files of tests that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: of two workers neither is to wait for the other at the end."""
    places = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All workers have the same: none draws or decodes images that another one has."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "cache").mkdir(exist_ok=True)
    return folder / "cache"


@pytest.fixture
def command(tmp_path: Path, cache_home: Path) -> Any:
    """Run `python -m gan_aug.NAME ARGUMENTS` in an empty folder.

    `check`: it must succeed; `refused`: it must fail, with one error that has all these parts.
    """

    def run(
        name: str,
        *arguments: object,
        cwd: Path = tmp_path,
        check: bool = False,
        refused: Sequence[str] = (),
    ) -> Any:
        result = run_command(cache_home, name, *arguments, cwd=cwd, check=check)
        if refused:
            assert result.returncode == 1
            (line,) = (x for x in result.stderr.splitlines() if x.startswith("error: "))
            for part in [refused] if isinstance(refused, str) else refused:
                assert part in line
        return result

    return run


@pytest.fixture
def real_xrays() -> Path:
    """The real data set; tests that need it are skipped where it is absent."""
    if not REAL.is_dir():
        pytest.skip("the real X-rays are not here")
    return REAL


@pytest.fixture
def kaggle_folder(tmp_path: Path) -> Path:
    """A small data set in Kaggle's layout: 24 + 24 to train on, 8 + 8 to test on."""
    root = tmp_path / "xrays"
    seed = 0
    for split, n in (("train", 24), ("test", 8)):
        for i in range(n):
            patient = 500 * (split == "test") + i
            kind = "bacteria" if i % 2 else "virus"
            write_image(root / split / "NORMAL" / f"IM-{patient:04d}-0001.jpeg", seed)
            name = f"person{patient}_{kind}_{i}.jpeg"
            write_image(root / split / "PNEUMONIA" / name, seed + 1)
            seed += 2
    return root
