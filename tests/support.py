"""What tests share: tiny configurations, the environment of a command, small images."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from forking import FIGURES, LEFT_OUT, ForkedCommand, Forker
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from gan_aug.data.classes import Classes
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.commands import kind_of
from gan_aug.settings.whole import validate

if TYPE_CHECKING:
    from gan_aug.data.splits import Splits
    from gan_aug.settings.study import SettledStudy, StudySettings

BINARY = Classes(("normal", "pneumonia"), "pneumonia")
ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "chest_xray"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
"""What tells a user how to use gan_aug."""

TINY_DATA = (
    "data=phantom",
    "data.source.train_per_class=80",
    "data.source.test_per_class=20",
    "data.image_size=32",
    "data.batch_size=8",
    "data.development_per_class=5",
    "data.val_per_class=10",
    "data.subset.normal=40",
    "data.subset.pneumonia=36",
)
FP32 = "trainer.precision=32-true"
"""What a test asserts must not depend on the machine; auto has tests of its own."""
TINY_GAN = ("+experiment=dcgan_pneumonia", *TINY_DATA, FP32, "model.width=4", "generate.count=10")
TINY_CNN = ("+experiment=cnn_baseline", *TINY_DATA, FP32, "model.width=4", "model.hidden=16")
TINY_QUALITY = (
    "quality.count=10",
    "quality.metrics.ms_ssim.function.pairs=50",
    "quality.reference_steps=10",
    "quality.fit_steps=5",
    "quality.classifier.width=4",
    "quality.classifier.hidden=16",
)
TINY_STUDY = (
    *TINY_DATA,
    *TINY_QUALITY,
    FP32,
    "data.source.train_per_class=200",
    "data.internal_per_class=10",
    "model.width=4",
    "classifier.width=4",
    "classifier.hidden=16",
    "study.count.pneumonia=10",
    "study.steps=12",
    "study.validate_every=6",
    "study.gan_batches=8",
    "study.repeats=1",
    "logger.tensorboard=null",
)

ORIGIN = {
    "model": "dcgan",
    "data": "phantom",
    "train_class": "pneumonia",
    "classes": ["normal", "pneumonia"],
    "makes": {"pneumonia": []},
    "source_hashes": [],
    "draw": 0,
    "training_seed": 0,
    "data_fingerprint": "f",
    "seen_hashes": ["0" * 64],
    "synthetic": None,
    "checkpoint_sha256": "0" * 64,
    "seed": 0,
    "chosen_by": None,
    "data_settings": {},
}
"""What a manifest says of a generator."""


RUN: dict[str, Any] = {
    "format": 1, "status": "finished", "reason": None, "name": "x", "command": ["python"],
    "overrides": [], "job": None, "sweep_folder": None, "started": "2026-01-01T00:00:00+00:00",
    "resumed": 0, "seconds": 60.0, "seed": 0, "git_commit": "c0ffee", "python": "3", "machine": "m",
    "versions": {"torch": "2"}, "given": {}, "config": {},
}  # fmt: skip
"""A run.json."""


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text())


def rewrite(path: Path, **facts: Any) -> None:
    """Change what a JSON file says, of a run's record say."""
    path.write_text(json.dumps(read_json(path) | facts))


def page_with(part: str) -> Path:
    """Return the page that says something: of several one in docs/, where README sums it up."""
    *_, page = (page for page in PAGES if part in page.read_text())
    return page


def environment(cache_home: Path) -> dict[str, str]:
    # Without compiled files every process would compile gan_aug again: 0.5 s.
    left_out = ("HYDRA_FULL_ERROR", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if k not in left_out}
    own = {"XDG_CACHE_HOME": str(cache_home), "OMP_NUM_THREADS": "1"}
    return {FIGURES: LEFT_OUT} | kept | own


_forker = Forker()


def run_command(
    cache_home: Path, name: str, *arguments: object, cwd: Path, check: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m gan_aug.NAME ARGUMENTS` to its end; `check`: it must succeed."""
    result = _forker.run(
        [f"gan_aug.{name}", *map(str, arguments)], cwd, environment(cache_home) | env, timeout=3600
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def run_python(cache_home: Path, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in `cwd`; what it imports is loaded already."""
    (cwd / "script.py").write_text(code)
    return _forker.run(["script"], cwd, environment(cache_home), timeout=3600)


def start(
    cache_home: Path, *arguments: str, cwd: Path | None = None, name: str = "train"
) -> ForkedCommand:
    """Start `python -m gan_aug.NAME ARGUMENTS` and go on."""
    where = cwd or Path.cwd()
    return _forker.start([f"gan_aug.{name}", *arguments], where, environment(cache_home))


def wait_for(process: ForkedCommand, folder: Path, pattern: str) -> Path:
    """Wait until the process has written a file."""
    found: Path = wait_until(lambda: next(folder.glob(pattern), None), process)
    return found


def wait_until(condition: Callable[[], Any], process: ForkedCommand) -> Any:
    """Wait, ten minutes at most, until a condition holds while the process runs; return it."""
    deadline = time.monotonic() + 600
    while not (found := condition()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def write_image(path: Path, seed: int, size: tuple[int, int] = (50, 40)) -> None:
    """Write an image of noise that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0]), np.uint8)
    Image.fromarray(pixels).save(path)


@cache
def _of_groups(command: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(command, list(overrides))


def _chooses(override: Override) -> bool:
    """Tell whether an override chooses a file of a group."""
    group = (ROOT / "conf" / override.key_or_group).is_dir()
    return group and not isinstance(override.value(), dict)


@cache
def _composed(command: str, *overrides: str) -> DictConfig:
    """Compose the files once for each choice of them, 0.3 s; Hydra sets values in them after."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    cfg = copy.deepcopy(_of_groups(command, *(one.input_line for one in parsed if _chooses(one))))
    set_in = ConfigLoaderImpl._apply_overrides_to_config
    set_in([one for one in parsed if not _chooses(one)], cfg)
    return cfg


def composed(command: str, *overrides: str, **changes: Any) -> DictConfig:
    """Return a configuration, composed once; `data__draw=1` sets data.draw in it."""
    cfg = copy.deepcopy(_composed(command, *overrides))
    for key, value in changes.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, force_add=True)
    return cfg


def check_study(cache_home: Path, *overrides: str, **changes: Any) -> None:
    """Check a study's settings as the command does, up to the first fit; see `composed`."""
    from gan_aug.arms.check import check_arms, check_settled_arms
    from gan_aug.study.draw import check_first

    settled, splits = settled_study(cache_home, *overrides, checked_by=check_arms, **changes)
    check_settled_arms(settled, splits)
    check_first(settled)


def settled_study(
    cache_home: Path,
    *overrides: str,
    checked_by: Callable[[StudySettings], None] = lambda _: None,
    **changes: Any,
) -> tuple[SettledStudy, Splits]:
    """Return what a study's command settles, and the images of its draw; see `composed`."""
    from gan_aug.data.prepare import load
    from gan_aug.study.settle import settle_study

    where = {"data__cache_dir": str(cache_home / "gan_aug")}
    settings = settings_of("study", *overrides, **where | changes)
    checked_by(settings)
    return settle_study(settings, load(settings.data))


def assert_one_line(result: Any, *parts: str) -> None:
    """Assert that a command failed with one line, which has all these parts: no traceback.

    Warnings, and how far images are decoded, may stand beside it.
    """
    told = (line for line in result.stderr.splitlines() if "first use" not in line)
    lines = [line for line in told if not line.startswith("warning: ")]
    assert result.returncode == 1
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


@contextmanager
def refused(*parts: str) -> Iterator[None]:
    """Assert that what is done inside is refused in one line, which has all these parts."""
    with pytest.raises(GanAugError) as caught:
        yield
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def settings_of(command: str, *overrides: str, **changes: Any) -> Any:
    """Return the validated settings of a command; see `composed`."""
    return validate(composed(command, *overrides, **changes), kind_of(command))
