"""Further training images whose labels nobody tells: a GAN fitted on them, and they themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ORIGIN, TINY_STUDY, run_command

from gan_aug.arms.unlabelled import of_one_class
from gan_aug.data.sources.phantom import Phantom
from gan_aug.data.splits import Splits, make_splits
from gan_aug.report.study import read_study
from gan_aug.study.rules import saw_only_training_images

Command = Callable[..., Any]
STUDY = (
    *TINY_STUDY,
    "+arm@arms.real=real",
    "+arm@arms.unlabelled_gan=unlabelled_gan",
    "+arm@arms.self_training=self_training",
    "study.unlabelled=100",
    "study.question={arm:unlabelled_gan,reference:real}",
    "study.comparisons=[[unlabelled_gan,self_training]]",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "study.count=2",
    "study.steps=60",
    "study.gan_batches=250",
    "classifier.lr=0.01",
    "gans_dir=g",
)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    folder = tmp_path_factory.mktemp("unlabelled")
    run_command(cache_home, "study", *STUDY, "study_dir=s", cwd=folder, check=True)
    return folder


def test_the_gan_saw_the_unlabelled_images_and_no_label(study: Path) -> None:
    metrics = read(study / "s/draw_0/metrics.json")
    gan = metrics["gans"]["unlabelled"]
    config = read(study / gan["folder"] / "run.json")["config"]
    assert config["data"]["train_class"] == "unlabelled"
    assert config["data"]["subset"] == {"unlabelled": 100, "labelled": 0}
    manifest = read(study / "s/draw_0/synthetic/unlabelled_gan/manifest.json")
    assert len(manifest["seen_hashes"]) == 100
    assert manifest["checkpoint_sha256"] == gan["checkpoint_sha256"]
    assert sum(manifest["count"].values()) == 16 * 4  # sixteen for each of two of both classes
    (rule,) = (check for check in metrics["checks"] if check["rule"] == 1)
    assert rule["passed"]
    assert rule["detail"].startswith("100 images seen")
    (rule,) = (check for check in metrics["checks"] if check["rule"] == 4)
    assert rule["passed"], rule["detail"]
    assert "quality" not in metrics


def test_labels_are_the_judge_s_and_the_arms_take_as_many(study: Path) -> None:
    found = read_study(study / "s").first
    for arm in ("unlabelled_gan", "self_training"):
        (fit,) = found.fits_of(arm)
        assert fit.used is not None
        assert fit.used.added.images == {"normal": 2, "pneumonia": 2}


def test_the_same_command_goes_on(study: Path, cache_home: Path) -> None:
    arrays = study / "s/draw_0/fits/unlabelled_gan_0.npz"
    before = arrays.read_bytes()
    for path in (study / "s/draw_0").glob("fits/unlabelled_gan_0.*"):
        path.unlink()
    (study / "s/draw_0/metrics.json").unlink()
    record = read(study / "s/draw_0/run.json")
    (study / "s/draw_0/run.json").write_text(json.dumps(record | {"status": "running"}))
    run_command(cache_home, "study", *STUDY, "study_dir=s", cwd=study, check=True)
    assert arrays.read_bytes() == before
    assert read(study / "s/draw_0/metrics.json")["gans"]["unlabelled"]["reused"]


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    source = Phantom(40, 10, 0).load(16, 1, tmp_path_factory.mktemp("cache"))
    return make_splits(source, 0, {"normal": 12, "pneumonia": 12}, 3, 6)


def test_no_split_of_such_a_gan_tells_a_class(splits: Splits) -> None:
    told = of_one_class(splits, splits.unused)
    for name in ("train", "validation", "test", "development", "internal"):
        assert not getattr(told, name).labels.any()
    np.testing.assert_array_equal(told.train.hashes, splits.unused.hashes)
    assert list(told.classes) == ["unlabelled", "labelled"]


@pytest.mark.parametrize(("other", "passed"), [("unused", True), ("train", False)])
def test_a_gan_that_was_told_none_may_have_seen_those_alone(
    splits: Splits, tmp_path: Path, other: str, passed: bool
) -> None:
    folder = tmp_path / "synthetic" / "unlabelled_gan"
    folder.mkdir(parents=True)
    seen = getattr(splits, other).hashes.tolist()
    manifest = ORIGIN | {
        "format": 1,
        "files": {"normal/00000.png": "0" * 64},
        "image_size": 16,
        "channels": 1,
        "count": {"normal": 1},
        "sources": {},
        "seen_hashes": seen,
        "train_class": "unlabelled",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    allowed = set(splits.unused.hashes.tolist())
    assert saw_only_training_images(splits, tmp_path, allowed)[0] == passed
    ordinary = json.dumps(manifest | {"train_class": "normal"})
    (folder / "manifest.json").write_text(ordinary)
    assert saw_only_training_images(splits, tmp_path, allowed)[0] != passed


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["study.unlabelled=null"], "added.unlabelled=true: there are none; set study.unlabelled"),
        (["study.unlabelled=99999"], "study.unlabelled=99999: the draw leaves only"),
        (["model=cyclegan"], "model=cyclegan is fitted on classes, which unlabelled images have"),
        (
            ["arms.self_training.added.source=duplicate"],
            "or of the images themselves (source: real), not of source=duplicate",
        ),
        (
            ["arms.unlabelled_gan.added.replicate=1"],
            "arms.unlabelled_gan.added.unlabelled=true: added.replicate has no place beside it",
        ),
        (["study.count=90"], "images are taken for"),
    ],
)
def test_what_cannot_be_is_one_line(
    command: Command, tmp_path: Path, overrides: list[str], line: str
) -> None:
    own = [one for one in STUDY if not one.startswith("model.") or "model" not in overrides[0]]
    result = command("study", *own, *overrides, f"study_dir={tmp_path}")
    assert result.returncode != 0
    assert result.stderr.count("\n") == 1, result.stderr
    assert line in result.stderr
