"""A Python class of one's own in place of a GAN: in a study, in `train`, on its page of docs."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import (
    ROOT,
    TINY_QUALITY,
    TINY_STUDY,
    check_study,
    read_json,
    settings_of,
    settled_study,
    write_image,
)

from gan_aug.runtime.errors import GanAugError
from gan_aug.study import gans

Command = Callable[..., Any]

SPY = '''
"""Mixes pairs of real images, and writes down what it was given."""

import hashlib
import json
import os
import signal

import numpy as np


class Spy:
    def __init__(self, log, dies=False):
        self.log, self.dies, self.folder = log, dies, None

    def fit(self, images, labels, seed):
        saw = [[hashlib.sha256(i.tobytes()).hexdigest(), int(k)] for i, k in zip(images, labels)]
        began = bool(self.folder) and (self.folder / "half").exists()
        with open(self.log, "a") as log:
            log.write(json.dumps({"saw": saw, "seed": seed, "began": began}) + "\\n")
        if self.dies and not began:
            (self.folder / "half").write_text("done")
            os.kill(os.getpid(), signal.SIGKILL)
        self.images, self.labels = images, labels

    def sample(self, label, count, seed):
        own = self.images[self.labels == label].astype(float)
        one, other = np.random.default_rng(seed).integers(len(own), size=(2, count))
        return ((own[one] + own[other]) / 2).astype(np.uint8)


class Going(Spy):
    def keep_in(self, folder):
        self.folder = folder
'''
ARMS = tuple(f"~arms.{arm}" for arm in ("more_real", "classic", "oversample", "classic_gan"))
BASE = (
    "+study=seed_protocol",
    *(one for one in TINY_STUDY if not one.startswith(("model.width", "study.gan_batches"))),
    *ARMS,
    "study.comparisons=[]",
    "study.count=10",
    "study.repeats=1",
    "model=generator",
)
STUDY = (*BASE, "model._target_=spy.Spy", "+model.log=log", "quality.use=[]")


@pytest.fixture(autouse=True)
def spy(tmp_path: Path) -> Path:
    """The file of the classes, where the commands run."""
    path = tmp_path / "spy.py"
    path.write_text(SPY)
    return path


def refits(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def training_images(*overrides: str) -> list[list[Any]]:
    """Return hash and label of each training image of the draw, as a generator should see them."""
    from gan_aug.data.prepare import prepare

    train = prepare(settings_of("study", *overrides).data).splits.train
    hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in np.asarray(train.images)]
    return [[digest, int(label)] for digest, label in zip(hashes, train.labels, strict=True)]


def test_it_sees_its_draw_alone(command: Command, tmp_path: Path, cache_home: Path) -> None:
    """Rule 1; and no sentence of the report takes it for a GAN."""
    command("study", *STUDY, "study_dir=one", check=True)
    (fit,) = refits(tmp_path)
    assert fit["saw"] == training_images(*STUDY, f"data.cache_dir={cache_home / 'gan_aug'}")
    draw = read_json(tmp_path / "one" / "draw_0" / "metrics.json")
    assert draw["arms"]["gan"]["added"] == {"normal": 10, "pneumonia": 10}
    assert draw["arms"]["gan"]["title"] == "real images + Spy images"
    assert all(check["passed"] for check in draw["checks"] if check["rule"] == 1)
    assert {gan["batches"] for gan in draw["gans"].values()} == {None}

    page = (tmp_path / "one" / "report.html").read_text()
    said = re.sub(r"data:image[^\"]*|<code>.*?</code>|<!--.*?-->", "", page)
    assert "Spys: 1 (generator)." in said
    assert not re.findall(r"[^<>]*\bGANs?\b[^<>]*", said)


@pytest.mark.slow
def test_it_is_fitted_once_until_its_file_changes(command: Command, tmp_path: Path) -> None:
    draws = []
    for study in ("one", "two"):
        command("study", *STUDY, f"study_dir={study}", check=True)
        draws.append(read_json(tmp_path / study / "draw_0" / "metrics.json"))
    assert len(refits(tmp_path)) == 1
    assert [draw["gans"]["normal"]["reused"] for draw in draws] == [False, True]
    for one, two in zip(*(draw["fits"] for draw in draws), strict=True):
        assert one["predictions"] == two["predictions"]

    (tmp_path / "spy.py").write_text(f"{SPY}\n# mended\n")
    said = "holds a run with other settings (model.source: "
    command("study", *STUDY, "study_dir=two", refused=said)
    command("study", *STUDY, "study_dir=three", check=True)
    assert len(refits(tmp_path)) == 2


@pytest.mark.slow
def test_one_a_class_goes_on_where_it_was_killed(command: Command, tmp_path: Path) -> None:
    own = ("model._target_=spy.Going", "+model.log=log", "model.fitted_on=one")
    killed = command("study", *BASE, *own, "+model.dies=true", "quality.use=[]")
    assert killed.returncode == -9
    assert command("study", *BASE, *own, "+model.dies=true", "quality.use=[]").returncode == -9
    command("study", *BASE, *own, "+model.dies=true", "quality.use=[]", check=True)
    fits = refits(tmp_path)
    assert [fit["began"] for fit in fits] == [False, True, False, True]
    assert [{label for _, label in fit["saw"]} for fit in fits] == [{0}, {0}, {1}, {1}]
    assert fits[0]["seed"] == fits[1]["seed"] != fits[2]["seed"] == fits[3]["seed"]
    assert fits[0]["saw"] == fits[1]["saw"]


@pytest.mark.slow
def test_it_does_not_go_on_with_other_images(command: Command, tmp_path: Path) -> None:
    """What it kept has seen those, and the manifest would not say so."""
    for i in range(48):
        name = f"images/{('train', 'val', 'test')[i % 3]}/{'ab'[i // 3 % 2]}/{i}.png"
        write_image(tmp_path / name, i, (32, 32))
    run = (
        "data=folder", "data.root=images", "data.image_size=32", "model=generator",
        "model._target_=spy.Going", "+model.log=log", "+model.dies=true", "generate.count=4",
        "hydra.run.dir=run", "data.subset=3",
    )  # fmt: skip
    assert command("train", *run).returncode == -9
    write_image(tmp_path / "images/train/a/0.png", 100, (32, 32))
    said = "run/kept: was fitted on other images: the data set has changed"
    command("train", *run, refused=said)
    write_image(tmp_path / "images/train/a/0.png", 0, (32, 32))
    command("train", *run, check=True)


def test_its_images_are_read_while_nobody_writes_them(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that needs more writes the set anew, while others that had enough read it."""
    locked = []

    def read_json(folder: Path) -> Any:
        locked.append(folder.with_name("key.lease").exists())
        raise GanAugError("enough")

    monkeypatch.setattr(gans, "read_set", lambda folder, *_, **__: read_json(folder.parent))
    fit = gans.fit_of(*settled_study(cache_home, *STUDY), "normal")
    fit.folder = tmp_path / "key"
    with pytest.raises(GanAugError, match="enough"):
        fit.images(1, 0)
    assert locked == [True]
    assert not list(tmp_path.glob("key*"))


@pytest.mark.slow
def test_more_images_are_further_ones(command: Command, tmp_path: Path) -> None:
    """Quality and larger arms want more than there are: those that were there stay the first."""
    command("study", *STUDY, "study_dir=one", check=True)
    (folder,) = (tmp_path / "runs" / "gans").glob("*/")
    before = {path.name: path.read_bytes() for path in folder.glob("synthetic/normal/*.png")}
    assert len(before) == 10
    use = "quality.use=[kid,membership,memorisation]"
    more = command("study", *STUDY, "study_dir=two", "study.count=70", use, check=True)
    after = {path.name: path.read_bytes() for path in folder.glob("synthetic/normal/*.png")}
    assert len(after) == 70
    assert {name: after[name] for name in before} == before
    assert len(refits(tmp_path)) == 2
    draw = read_json(tmp_path / "two" / "draw_0" / "metrics.json")
    generated = draw["quality"]["classes"]["normal"]["values"]["generated"]
    assert "kid" in generated
    assert "membership_auc" not in generated  # it has no discriminator
    one = read_json(tmp_path / "one" / "draw_0" / "metrics.json")["gans"]["normal"]
    assert one["checkpoint_sha256"] == draw["gans"]["normal"]["checkpoint_sha256"]

    assert "does not make the same" not in more.stderr

    next(folder.glob("synthetic/normal/00003.png")).write_bytes(b"damaged")
    third = command("study", *STUDY, "study_dir=three", "study.count=70", check=True)
    assert "00003.png: is not the file its manifest lists" in third.stderr
    mended = {path.name: path.read_bytes() for path in folder.glob("synthetic/normal/*.png")}
    assert {name: mended[name] for name in before} == before


@pytest.mark.slow
def test_a_replicate_may_add_fewer_images(command: Command, tmp_path: Path) -> None:
    fewer = ("arms.again.added.replicate=1", "arms.again.added.count=4")
    command("study", *STUDY, "+arm@arms.again=gan", *fewer, "study_dir=one", check=True)
    arms = read_json(tmp_path / "one" / "draw_0" / "metrics.json")["arms"]
    assert arms["again"]["added"] == {"normal": 4, "pneumonia": 4}


@pytest.mark.slow
def test_images_of_two_fits_are_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(SPY.replace("default_rng(seed)", "default_rng()"))
    command("study", *STUDY, "study_dir=one", check=True)
    more = command("study", *STUDY, "study_dir=two", "study.count=20", check=True)
    assert "Spy does not make the same pneumonia images again from the same seed" in more.stderr


@pytest.mark.slow
def test_train_makes_a_set_that_other_commands_take(command: Command, tmp_path: Path) -> None:
    data = [one for one in TINY_STUDY if one.startswith(("data.", "data="))]
    own = ("model=generator", "model._target_=spy.Spy", "+model.log=log", "generate.count=12")
    command("train", *data, *own, "hydra.run.dir=run", check=True)
    command("train", *data, *own, "hydra.run.dir=run", check=True)
    assert len(refits(tmp_path)) == 1
    manifest = read_json(tmp_path / "run" / "synthetic" / "manifest.json")
    assert manifest["count"] == {"normal": 12, "pneumonia": 12}
    command(
        "evaluate", "synthetic.dir=run/synthetic", *TINY_QUALITY, "quality.use=[kid]",
        "hydra.run.dir=measured", check=True,
    )  # fmt: skip
    added = ("data.synthetic.dir=run/synthetic", "data.synthetic.count=12")
    small = ("model.width=4", "model.hidden=16", "trainer.max_epochs=1", "hydra.run.dir=cnn")
    fitted = command("train", "+experiment=cnn_baseline", *data, *added, *small)
    assert "synthetic images added to training: 24" in fitted.stdout, fitted.stderr
    for name in ("generate", "explain"):
        more = ("count=3", "output_dir=more") if name == "generate" else ()
        said = "generators of one's own leave none"
        command(name, "checkpoint=run/checkpoints/last.ckpt", *more, refused=said)


@pytest.mark.slow
def test_the_page_of_docs_says_what_works(command: Command, tmp_path: Path) -> None:
    """Its example and its first command, as they are printed."""
    page = (ROOT / "docs" / "how-to" / "own_generator.md").read_text()
    example = re.search(r"Save this as `(\w+\.py)`.*?```python\n(.*?)```", page, re.S)
    printed = re.search(r"```\n(python -m gan_aug\.study \+study=own draw=0.*?)```", page, re.S)
    assert example is not None
    assert printed is not None
    assert len(example[2].strip().splitlines()) <= 30
    (tmp_path / example[1]).write_text(example[2])
    typed = shlex.split(printed[1].replace("\\\n", " "))
    command(typed[2].removeprefix("gan_aug."), *typed[3:], check=True)
    draw = read_json(tmp_path / "runs/study/own_phantom/draw_0/metrics.json")
    assert draw["method"]["generator"] == "PCAGenerator"
    assert draw["arms"]["gan"]["added"]["normal"] == draw["arms"]["duplicate"]["added"]["normal"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model._target_=null"], "model._target_=null: must name a class, as package.module."),
        (
            ["model._target_=no_such.X"],
            "model._target_=no_such.X: cannot be imported .No module named",
        ),
        (
            ["model._target_=fractions.Fraction", "+model.a=1"],
            "model._target_=fractions.Fraction: cannot be built",
        ),
        (["model._target_=pathlib.Path"], "model._target_=pathlib.Path: has no method fit"),
        (["model.fitted_on=two"], "model.fitted_on=two: must be one of one, all"),
        (["study.gan_select=kid"], "study.gan_select=kid: .*set study.gan_select=null"),
        (["+arm@arms.paired=paired"], "arms.paired.added.paired=True: an image is paired with"),
        (
            ["+arm@arms.more=unlabelled_gan", "study.unlabelled=10"],
            "arms.more.added.unlabelled=true: needs a GAN, and model=generator is none",
        ),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], says: str, cache_home: Path) -> None:
    with pytest.raises(GanAugError, match=says):
        check_study(cache_home, *BASE, "model._target_=toy.X", "quality.use=[]", *overrides)
