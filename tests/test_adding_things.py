"""CONTRIBUTING's "Adding things", followed in a copy of the program: only the files it names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, TINY_QUALITY, environment

DATA_SET = '''
"""Stripes in three directions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.splits import Source


@dataclass(frozen=True)
class Stripes:
    per_class: int

    def load(self, image_size: int, channels: int | None, cache_dir: Path) -> Source:
        return Source(self._table(0, image_size), self._table(1, image_size))

    def _table(self, split: int, size: int) -> ImageTable:
        random = np.random.default_rng(split)
        n = 3 * self.per_class
        labels = np.repeat([0, 1, 2], self.per_class)
        y, x = np.mgrid[:size, :size]
        waves = np.stack([x, y, x + y])[labels] + random.integers(0, 8, n)[:, None, None]
        images = (waves // 4 % 2 * 160 + random.integers(0, 90, (n, size, size))).astype(np.uint8)
        names = np.array([f"{split}-{i}" for i in range(n)])
        hashes = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images])
        classes = Classes(("lying", "standing", "slanting"))
        return ImageTable(images[:, None], labels, names, names, hashes, classes)
'''
DATA_YAML = """
defaults: [base, _self_]
name: stripes
val_per_class: 10
source: {_target_: gan_aug.data.sources.stripes.Stripes, per_class: 90}
"""
METRIC = '''
"""How bright images are."""

from gan_aug.metrics.sample import Context, Sample


def brightness(real: Sample, fake: Sample, context: Context) -> dict[str, float]:
    return {"brightness": float(fake.images.mean())}
'''
METRIC_LINE = (
    "  brightness: {good: {brightness: baseline}, "
    "function: {_target_: gan_aug.metrics.brightness.brightness, _partial_: true}}\n"
)
NETWORK = '''
"""One linear layer on a coarse grid."""

from torch import Tensor, nn
from torch.nn import functional as F

from gan_aug.models.networks.base import ImageClassifier


class Coarse(ImageClassifier):
    def __init__(self, side: int, channels: int, classes: int) -> None:
        super().__init__()
        self.side = side
        self.last = nn.Linear(channels * side * side, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        return F.adaptive_max_pool2d(images, self.side).flatten(1)
'''


@pytest.mark.slow
def test_a_data_set_a_metric_and_a_classifier(tmp_path: Path, cache_home: Path) -> None:
    copy = tmp_path / "copy"
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    package, conf = copy / "src" / "gan_aug", copy / "conf"
    (package / "data" / "sources" / "stripes.py").write_text(DATA_SET)
    (conf / "data" / "stripes.yaml").write_text(DATA_YAML)
    (package / "metrics" / "brightness.py").write_text(METRIC)
    with (conf / "quality" / "base.yaml").open("a") as file:
        file.write(METRIC_LINE)
    (package / "models" / "networks" / "coarse.py").write_text(NETWORK)
    cnn = (conf / "model" / "cnn.yaml").read_text()
    network = "_target_: gan_aug.models.networks.coarse.Coarse\n    side: 16"
    cnn = cnn.replace("_target_: gan_aug.models.networks.cnn.SmallCNN", network)
    for setting in ("image_size: ${data.image_size}", "width: ${...width}", "hidden: ${...hidden}"):
        cnn = cnn.replace(f"    {setting}\n", "")
    (conf / "model" / "coarse.yaml").write_text(cnn.replace("name: cnn", "name: coarse"))

    def run(name: str, *arguments: str) -> None:
        kept = environment(cache_home) | {"PYTHONPATH": str(copy / "src")}
        command = [sys.executable, "-m", f"gan_aug.{name}", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | kept, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    small = ("data.image_size=32", "data.batch_size=10")
    run("inspect", "data=stripes", *small, "hydra.run.dir=i")
    run("train", "model=coarse", "data=stripes", *small, "trainer.max_epochs=3", "hydra.run.dir=c")
    run(
        "study", "+study=seed_protocol", "data=stripes", *small, *TINY_QUALITY,
        "model@classifier=coarse", "model@quality.classifier=coarse", "model.width=4",
        "quality.use=[brightness,judged]", "data.subset=20", "study.count={lying: 5}",
        "study.steps=20", "study.validate_every=20", "study.gan_batches=10", "study.repeats=1",
        "data.development_per_class=5", "data.internal_per_class=5", "study_dir=s",
    )  # fmt: skip
    assert json.loads((tmp_path / "i" / "inspect.json").read_text())["classes"][2] == "slanting"
    test = json.loads((tmp_path / "c" / "metrics.json").read_text())["test"]
    assert test["at_largest"]["accuracy"] > 0.4
    metrics = json.loads((tmp_path / "s" / "draw_0" / "metrics.json").read_text())
    values = metrics["quality"]["classes"]["lying"]["values"]
    assert 0 < values["generated"]["brightness"] < 255
    gan = next((tmp_path / "runs" / "gans").glob("*/checkpoints/last.ckpt"))
    asked = (*TINY_QUALITY, "quality.use=[brightness]")
    run("evaluate", f"checkpoint={gan}", *asked, "hydra.run.dir=e")
    assert (tmp_path / "e" / "quality.csv").read_text().count("brightness") == 2
