"""Every behaviour of an arm, in two small studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_study import change
from support import TINY_STUDY, read_json, run_command

from gan_aug.report.read import read_study

STUDY = (
    *TINY_STUDY,
    "+arm@arms.real=real",
    "+arm@arms.mixup=mixup",
    "+arm@arms.mixup_control=mixup_control",
    "+arm@arms.soft=gan",
    "arms.soft.added.labels=predicted",
    "+arm@arms.gan=gan",
    "+arm@arms.unlabelled_gan=unlabelled_gan",
    "+arm@arms.self_training=self_training",
    "arms.unlabelled_gan.added.count=2",
    "arms.self_training.added.count=2",
    "study.unlabelled=100",
    "study.question={arm:mixup,reference:real}",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "study.count=10",
    "study.steps=60",
    "study.gan_batches=100",
    "classifier.lr=0.01",
    "quality.use=[]",
)
PAIRS = (
    *(one for one in TINY_STUDY if not one.startswith(("model.", "study.count", "data.subset"))),
    "+arm@arms.real=real",
    "+arm@arms.paired=paired",
    "+arm@arms.paired_control=paired_control",
    "model=cyclegan",
    "model.width=4",
    "study.question={arm:paired,reference:real}",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "data.subset=20",
    "study.count=20",
    "quality.use=[]",
)
OTHER = {"normal": "pneumonia", "pneumonia": "normal"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    folder = tmp_path_factory.mktemp("ways")
    run_command(cache_home, "study", *STUDY, "study_dir=s", cwd=folder, check=True)
    return folder / "s"


def test_mixup_has_its_control_and_keeps_the_rules(study: Path) -> None:
    found = read_study(study)
    assert found.first.control == "mixup_control"
    checks = {check.rule: check for check in found.first.checks}
    assert checks[4].passed, checks[4].detail
    for arm in ("mixup", "mixup_control"):
        (fit,) = found.first.fits_of(arm)
        assert fit.used is not None
        assert fit.used.added.total == fit.used.real.total == fit.steps * 8


def test_soft_labels_change_what_is_learned(study: Path) -> None:
    predictions = []
    for arm in ("gan", "soft"):
        with np.load(study / "draw_0" / "fits" / f"{arm}_0.npz") as arrays:
            predictions.append(arrays["internal_logits"])
    assert not np.array_equal(*predictions)
    metrics = read_json(study / "draw_0/metrics.json")
    used = {fit["arm"]: fit["used"] for fit in metrics["fits"]}
    assert used["soft"] == used["gan"]  # the same images, as often


def test_a_gan_of_unlabelled_images_saw_these_and_no_label(study: Path) -> None:
    metrics = read_json(study / "draw_0/metrics.json")
    gan = metrics["gans"]["unlabelled"]
    config = read_json(study.parent / gan["folder"] / "run.json")["config"]
    assert config["data"]["train_class"] == "unlabelled"
    assert config["data"]["subset"] == {"unlabelled": 100, "labelled": 0}
    manifest = read_json(study / "draw_0/synthetic/unlabelled_gan/manifest.json")
    assert len(manifest["seen_hashes"]) == 100
    assert manifest["checkpoint_sha256"] == gan["checkpoint_sha256"]
    assert sum(manifest["count"].values()) == 16 * 4  # sixteen for each of two of both classes
    (rule,) = (check for check in metrics["checks"] if check["rule"] == 1)
    assert rule["passed"], rule["detail"]
    used = {fit["arm"]: fit["used"] for fit in metrics["fits"]}
    for arm in ("unlabelled_gan", "self_training"):
        assert used[arm]["added"]["images"] == {"normal": 2, "pneumonia": 2}


def test_the_same_command_goes_on(study: Path, cache_home: Path) -> None:
    arrays = study / "draw_0/fits/unlabelled_gan_0.npz"
    before = arrays.read_bytes()
    for path in (study / "draw_0").glob("fits/unlabelled_gan_0.*"):
        path.unlink()
    (study / "draw_0/metrics.json").unlink()
    change(study / "draw_0/run.json", lambda record: record.update(status="running"))
    run_command(cache_home, "study", *STUDY, "study_dir=s", cwd=study.parent, check=True)
    assert arrays.read_bytes() == before
    assert read_json(study / "draw_0/metrics.json")["gans"]["unlabelled"]["reused"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """Translations of all training images, each beside its source, and their control."""
    folder = tmp_path_factory.mktemp("pairs")
    arguments = (*PAIRS, "study_dir=s")
    run_command(cache_home, "study", *arguments, cwd=folder, check=True)
    return folder / "s"


def test_pairs_have_their_control_and_keep_the_rules(pairs: Path) -> None:
    found = read_study(pairs)
    assert found.first.control == "paired_control"
    checks = {check.rule: check for check in found.first.checks}
    assert checks[1].passed
    assert checks[4].passed, checks[4].detail
    for arm in ("paired", "paired_control"):
        (fit,) = found.first.fits_of(arm)
        assert fit.used is not None
        assert fit.used.added.images == {"normal": 20, "pneumonia": 20}
        assert fit.used.added.total == fit.used.real.total
        # Both sides of a pair: as many of each class as of the other.
        real, added = fit.used.real.shown, fit.used.added.shown
        of_other = arm == "paired"
        assert added == {k: real[o] if of_other else real[k] for k, o in OTHER.items()}
