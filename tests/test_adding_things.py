"""The architecture page on adding things, followed in a copy: only the files that it names."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, TINY_DATA, TINY_QUALITY, TINY_STUDY, run_command

DATA_SET = '''
"""Stripes in three directions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_aug.data.classes import Classes
from gan_aug.data.image_table import ImageTable
from gan_aug.data.source import Source


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
METRIC_YAML = """
good: {brightness: baseline}
function: {_target_: gan_aug.metrics.brightness.brightness, _partial_: true}
"""
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
GAN = '''
"""Fully connected networks, and labels that move latents and judgement."""

from torch import Tensor, nn

from gan_aug.models.gans.latent import LatentGAN


class Generator(nn.Module):
    def __init__(
        self, image_size: int, channels: int, classes: int, latent_dim: int, width: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.labels = nn.Embedding(classes, latent_dim)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, width),
            nn.ReLU(),
            nn.Linear(width, channels * image_size**2),
            nn.Tanh(),
            nn.Unflatten(1, (channels, image_size, image_size)),
        )

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return self.layers(latents + self.labels(labels))


class Discriminator(nn.Module):
    def __init__(self, image_size: int, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels * image_size**2, width)
        self.labels = nn.Embedding(classes, width)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return (self.hidden(images.flatten(1)).relu() * self.labels(labels)).sum(dim=1)


class Flat(LatentGAN):
    FITTED_ON = "all"
    MIN_SIZE = 8
    POWER_OF_TWO = False
'''
GAN_YAML = """
defaults: [gan_base, _self_]
name: flat
balanced: true
latent_dim: 8
width: 16
module:
  _target_: gan_aug.models.gans.flat.Flat
  generator:
    _target_: gan_aug.models.gans.flat.Generator
    image_size: ${data.image_size}
    channels: ${data.channels}
    classes: ${data.num_classes}
    latent_dim: ${model.latent_dim}
    width: ${model.width}
  discriminator:
    _target_: gan_aug.models.gans.flat.Discriminator
    image_size: ${data.image_size}
    channels: ${data.channels}
    classes: ${data.num_classes}
    width: ${model.width}
  loss: hinge
  real_label: 1
  truncation: null
"""

SOURCE_OF_IMAGES = '''
"""Real images with grain on them."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from gan_aug.arms.base import AddedFrom, Draw
from gan_aug.data.image_table import ClassImages
from gan_aug.runtime.errors import GanAugError


class Grain(AddedFrom):
    name = "grain"
    grain: int = Field(default=20, ge=1, description="standard deviation")

    def check_settled(self, settled) -> None:
        if settled.arm.added.label_smoothing:
            raise GanAugError(f"{settled.key}.added.label_smoothing: has no place beside grain")

    def take(self, arm, draw: Draw, name: str, count: int) -> ClassImages:
        real = draw.real(arm).of_class(name).take(slice(count))
        noise = draw.random("grain", name).normal(0, self.grain, real.images.shape)
        grainy = np.clip(real.images + noise, 0, 255).astype(np.uint8)
        return ClassImages(grainy, real.hashes.tolist())
'''
MIXING = '''
"""The left of an added image beside the right of a real one."""

from __future__ import annotations

from pydantic import Field

from gan_aug.arms.base import Mixing, Parts
from gan_aug.settings.values import Share


class Beside(Mixing):
    alone = "shows an added image in every real one"
    beside: Share = Field(default=0, description="share of the width that is the added image")

    def shown(self, batch_size: int) -> int:
        return 2 * batch_size

    def parts(self, images, batch_size: int, title: str) -> Parts:
        real, added, _ = images.rows
        return Parts([(real, batch_size), (added, batch_size)])

    def combine(self, batch, random):
        n = len(batch["label"]) // 2
        width = round(self.beside * batch["image"].shape[-1])
        image, target = batch["image"][:n].clone(), batch["target"]
        image[..., :width] = batch["image"][n:, ..., :width]
        target = (1 - self.beside) * target[:n] + self.beside * target[n:]
        return {"image": image, "target": target} | {k: batch[k][:n] for k in ("label", "weight")}
'''
ARM_YAML = """
defaults: [base, _self_]
title: real images, each with part of a grainy one
added: {source: grain, grain: 30, beside: 0.25}
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the program; its commands run in its own folder `src`."""

    home: Path
    cache_home: Path

    @property
    def src(self) -> Path:
        return self.home / "src"

    @property
    def package(self) -> Path:
        return self.src / "gan_aug"

    @property
    def conf(self) -> Path:
        return self.home / "conf"

    def run(self, name: str, *arguments: str, refused: str = "") -> None:
        done = run_command(self.cache_home, name, *arguments, cwd=self.src)
        assert done.returncode == bool(refused), done.stdout + done.stderr
        assert refused in done.stderr

    def json(self, path: str) -> Any:
        return json.loads((self.src / path).read_text())


@pytest.fixture
def copy(tmp_path: Path, cache_home: Path) -> Copy:
    for folder in ("src", "conf"):
        hidden = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=hidden)
    return Copy(tmp_path, cache_home)


@pytest.mark.slow
def test_a_data_set_a_metric_and_a_classifier(copy: Copy) -> None:
    package, conf, run = copy.package, copy.conf, copy.run
    (package / "data" / "sources" / "stripes.py").write_text(DATA_SET)
    (conf / "data" / "stripes.yaml").write_text(DATA_YAML)
    (package / "metrics" / "brightness.py").write_text(METRIC)
    (conf / "metric" / "brightness.yaml").write_text(METRIC_YAML)
    (package / "models" / "networks" / "coarse.py").write_text(NETWORK)
    cnn = (conf / "model" / "cnn.yaml").read_text()
    network = "_target_: gan_aug.models.networks.coarse.Coarse\n    side: 16"
    cnn = cnn.replace("_target_: gan_aug.models.networks.cnn.SmallCNN", network)
    for setting in ("image_size: ${data.image_size}", "width: ${...width}", "hidden: ${...hidden}"):
        cnn = cnn.replace(f"    {setting}\n", "")
    own = [line for line in cnn.splitlines() if not line.startswith(("width:", "hidden:"))]
    coarse = "\n".join(own).replace("name: cnn", "name: coarse")
    (conf / "model" / "coarse.yaml").write_text(coarse)

    small = ("data.image_size=32", "data.batch_size=10")
    run("inspect", "data=stripes", *small, "hydra.run.dir=i")
    run("train", "model=coarse", "data=stripes", *small, "trainer.max_epochs=3", "hydra.run.dir=c")
    own_classifier = [one for one in TINY_QUALITY if "classifier" not in one]
    run(
        "study", "+study=seed_protocol", "data=stripes", *small, *own_classifier,
        "model@classifier=coarse", "model@quality.classifier=coarse", "model.width=4",
        "quality.use=[brightness,judged]", "data.subset=20", "study.count={lying: 5}",
        "study.steps=20", "study.validate_every=20", "study.gan_batches=10", "study.repeats=1",
        "data.development_per_class=5", "data.internal_per_class=5", "study_dir=s",
    )  # fmt: skip
    assert copy.json("i/inspect.json")["classes"][2] == "slanting"
    test = copy.json("c/metrics.json")["test"]
    assert test["at_largest"]["accuracy"] > 0.4
    metrics = copy.json("s/draw_0/metrics.json")
    values = metrics["quality"]["classes"]["lying"]["values"]
    assert 0 < values["generated"]["brightness"] < 255
    gan = next((copy.src / "runs" / "gans").glob("*/checkpoints/last.ckpt"))
    asked = (*TINY_QUALITY, "quality.use=[brightness]")
    run("evaluate", f"checkpoint={gan}", *asked, "hydra.run.dir=e")
    assert (copy.src / "e" / "quality.csv").read_text().count("brightness") == 2


@pytest.mark.slow
def test_a_gan_is_a_file_and_its_settings(copy: Copy) -> None:
    (copy.package / "models" / "gans" / "flat.py").write_text(GAN)
    (copy.conf / "model" / "flat.yaml").write_text(GAN_YAML)
    copy.run(
        "train", "model=flat", *TINY_DATA, *TINY_QUALITY, "trainer.max_epochs=2",
        "data.source.train_per_class=200", "generate.count=6", "quality.every_n_epochs=2",
        "quality.use=[kid,membership]", "hydra.run.dir=g",
    )  # fmt: skip
    checkpoint = "checkpoint=g/checkpoints/last.ckpt"
    copy.run("generate", checkpoint, "count=8", "output_dir=set")
    copy.run("explain", checkpoint, *TINY_QUALITY, "images=4", "hydra.run.dir=e")
    copy.run(
        "study", "+study=seed_protocol", *TINY_STUDY, "model=flat", "study.count.normal=10",
        "study.repeats=1", "quality.use=[kid,membership]", "study_dir=s",
    )  # fmt: skip
    own, again = (copy.json(f"{folder}/manifest.json") for folder in ("g/synthetic", "set"))
    assert own["count"] == {"normal": 6, "pneumonia": 6}
    assert own["files"].items() <= again["files"].items()
    assert again["makes"] == {"normal": [], "pneumonia": []}
    assert (copy.src / "e" / "explain.html").is_file()
    classes = copy.json("s/draw_0/metrics.json")["quality"]["classes"]
    assert classes.keys() == {"normal", "pneumonia"}
    for name in classes:
        assert {"kid", "membership_auc"} <= classes[name]["values"]["generated"].keys()
    assert len(list((copy.src / "runs" / "gans").glob("*/run.json"))) == 1  # fitted once for both


@pytest.mark.slow
def test_a_behaviour_of_arms_is_a_file_and_an_arm_with_it(copy: Copy) -> None:
    """Where added images come from, and how they join the real ones, each in a file of its own."""
    (copy.package / "arms" / "grain.py").write_text(SOURCE_OF_IMAGES)
    (copy.package / "arms" / "beside.py").write_text(MIXING)
    (copy.conf / "arm" / "beside.yaml").write_text(ARM_YAML)
    study = (
        *TINY_STUDY, "study.steps=20", "+arm@arms.real=real", "+arm@arms.beside=beside",
        "+arm@arms.grain=base", "arms.grain.title=grain", "arms.grain.added.source=grain",
        "study.question={arm: beside, reference: real}", "study.count=12", "quality.use=[]",
        "study_dir=s",
    )  # fmt: skip
    copy.run("study", *study)
    metrics = copy.json("s/draw_0/metrics.json")
    used = {fit["arm"]: fit["used"] for fit in metrics["fits"]}
    assert used["grain"]["added"]["images"] == {"normal": 12, "pneumonia": 12}
    assert sum(used["beside"]["added"]["shown"].values()) == 20 * 8
    (rule,) = (check for check in metrics["checks"] if check["rule"] == 4)
    assert rule["passed"], rule["detail"]
    for wrong, line in (
        ("arms.beside.added.beside=2", "arms.beside.added.beside=2: must be a number from 0 to"),
        ("arms.beside.added.ratio=0.5", "beside=0.25: shows an added image in every real one, so"),
        ("arms.beside.added.label_smoothing=0.1", "has no place beside grain"),
        ("arms.beside.added.source=grian", "one of none, duplicate, folder, gan, grain, real"),
    ):
        copy.run("study", *study, wrong, "study_dir=w", refused=line)
