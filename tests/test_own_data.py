"""A folder of one's own, five classes in colour, through every command; and a new class count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_study import metrics_of
from odd_files import draw, write_odd
from PIL import Image
from support import TINY_QUALITY, read_json, run_command

from gan_aug.data.classes import Classes

NAMES = ("원형", "stripes", "a square", "ring", "dots")
DATA = ("data=folder", "data.root=odd files", "data.image_size=32", "data.batch_size=10")
STUDY = (
    "+study=seed_protocol",
    *DATA,
    *TINY_QUALITY,
    "quality.reference_steps=120",
    "quality.use=[kid,judged,gan_train,gan_test]",
    "data.subset=16",
    "data.development_per_class=0",
    "data.internal_per_class=0",
    "study.splits=[validation,test]",
    'study.count={"ring": 5, "원형": 4}',
    "study.steps=40",
    "study.validate_every=20",
    "study.gan_batches=12",
    "study.repeats=1",
    "model.width=4",
    "classifier.width=8",
    "classifier.hidden=32",
)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A folder in which all commands have been run."""
    folder = tmp_path_factory.mktemp("own")
    for label, name in enumerate(NAMES):
        for i in range(130):
            write_odd(folder / "odd files" / name / f"사진 {i}", draw(label, i), i)

    def run(*arguments: str) -> None:
        result = run_command(cache_home, *arguments, cwd=folder, check=True)
        (folder / f"{arguments[0]}.txt").write_text(result.stdout + result.stderr)

    run("inspect", *DATA, "hydra.run.dir=inspect")
    run("study", *STUDY, "study_dir=s")
    gan = next((folder / "runs" / "gans").glob("*/checkpoints/last.ckpt"))
    measured = ("quality.count=10", *(o for o in TINY_QUALITY if "count" not in o))
    run("generate", f"checkpoint={gan}", "count=3", "output_dir=made")
    run("evaluate", f"checkpoint={gan}", *DATA, *measured, "hydra.run.dir=e")
    run("explain", f"checkpoint={gan}", *DATA, *measured, "images=4", "hydra.run.dir=x")
    run("report", "study_dir=s")
    return folder


@pytest.fixture(scope="module")
def busi_like(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """README's commands for one's own images, on as many grey ones of each class as BUSI has."""
    folder = tmp_path_factory.mktemp("busi")
    for label, (name, n) in enumerate({"benign": 437, "malignant": 210, "normal": 133}.items()):
        for i in range(n):
            path = folder / "DIR" / name / f"{name} ({i}).png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw(label, i)[..., 0]).save(path)
    tiny = ("data.image_size=32", "trainer.precision=32-true", "model.width=4")
    quality = ("quality.count=30", *(o for o in TINY_QUALITY if "count" not in o))

    def run(*arguments: str) -> None:
        result = run_command(cache_home, *arguments, cwd=folder, check=True)
        (folder / f"{arguments[-1]}.txt").write_text(result.stdout + result.stderr)

    same = ("data=folder", "data.root=DIR", "data.train_class=malignant")
    run("train", "+experiment=gan", *same, *tiny, "model.batches=6", "hydra.run.dir=gan")
    gan = "checkpoint=gan/checkpoints/last.ckpt"
    run("evaluate", gan, *same, *quality, "hydra.run.dir=evaluated")
    run("explain", gan, *same, *quality, "images=4", "hydra.run.dir=explained")
    run("generate", gan, *same, "count=3", "output_dir=made")
    run(
        "study", "+study=own", "data.root=DIR", "study.rare=malignant", "draw=1", *tiny, *quality,
        "data.subset.malignant=40", "study.gan_batches=6", "study.repeats=1",
        "study.steps={max:20,choose:validation}", "study.validate_every=10",
        "classifier.width=4", "classifier.hidden=8", "name=busi",
    )  # fmt: skip
    return folder


def test_a_gan_of_all_images_of_a_class_can_be_measured(busi_like: Path) -> None:
    said = (busi_like / "hydra.run.dir=gan.txt").read_text()
    assert "  train: 0 benign, 134 malignant, 0 normal\n" in said
    assert "left to measure it with (evaluate, explain), twice: 17 malignant" in said
    assert read_json(busi_like / "gan" / "metrics.json")["batches"] == 6
    images = read_json(busi_like / "evaluated" / "metrics.json")["classes"]["malignant"]["images"]
    assert (images["measured"], images["train"]) == (17, 134)
    assert "N = 17" in (busi_like / "hydra.run.dir=evaluated.txt").read_text()
    assert (busi_like / "explained" / "explain.html").stat().st_size > 0
    assert read_json(busi_like / "made" / "manifest.json")["count"] == {"malignant": 3}


def test_a_study_that_names_no_number(busi_like: Path) -> None:
    study = busi_like / "runs" / "study" / "busi_folder"
    declared = read_json(study / "declaration.json")
    assert declared["numbers"] == {
        "data.internal_per_class": 17,
        "data.subset": {"benign": 68, "malignant": 40, "normal": 68},
        "study.count": {"benign": 0, "malignant": 28, "normal": 0},
        "study.ruler": {"malignant": [20, 40, 80, 117]},
    }
    metrics = read_json(study / "draw_1" / "metrics.json")
    assert metrics["ruler"]["own"] == 40
    assert metrics["quality"]["classes"].keys() == {"malignant"}
    assert {c["rule"] for c in metrics["checks"] if not c["passed"]} <= {3}  # no patients known
    config = read_json(study / "draw_1" / "run.json")["config"]
    assert config["data"]["subset"] == declared["numbers"]["data.subset"]
    assert list(config["arms"]) == declared["arms"]


def test_what_there_is(home: Path) -> None:
    found = read_json(home / "inspect" / "inspect.json")
    assert found["channels"] == 3
    assert found["classes"] == sorted(NAMES)
    assert {sum(of[name] for of in found["images"].values()) for name in NAMES} == {130}
    assert set(found["modes"]) == {"RGB", "P", "DICOM", "RGBA"}


def test_a_study_of_five_classes(home: Path) -> None:
    metrics = read_json(home / "s" / "draw_0" / "metrics.json")
    assert metrics["classes"] == sorted(NAMES)
    assert metrics["positive"] is None
    assert set(metrics["gans"]) == {"ring", "원형"}
    (fit,) = [f for f in metrics["fits"] if f["arm"] == "real"]
    measured = metrics_of(home / "s" / "draw_0", fit, Classes(tuple(sorted(NAMES))))
    test = measured.splits["test"]["at_largest"]
    assert measured.threshold is None
    assert test["accuracy"] > 0.4  # of five
    with np.load(home / "s" / "draw_0" / "fits" / "real_0.npz") as arrays:
        called = arrays["test_logits"].argmax(axis=1)
        assert arrays["test_logits"].shape == (len(arrays["test_labels"]), 5)
        for label, name in enumerate(sorted(NAMES)):
            of_class = called[arrays["test_labels"] == label] == label
            assert test[f"sensitivity_{name}"] == pytest.approx(of_class.mean())
    (gan,) = [f for f in metrics["fits"] if f["arm"] == "gan"]
    added = {"ring": 5, "원형": 4, "stripes": 0, "a square": 0, "dots": 0}
    assert gan["used"]["added"]["images"] == added
    broken = {check["rule"] for check in metrics["checks"] if not check["passed"]}
    assert broken == {3}  # nothing tells the patients
    for name in ("ring", "원형"):
        quality = metrics["quality"]["classes"][name]
        assert quality["values"]["real"]["judged_as_class"] > 0.3
        assert set(quality["images"]) >= {f"{n} to test classifiers" for n in NAMES if n != name}


def test_the_report_of_five_classes(home: Path) -> None:
    summary = read_json(home / "s" / "summary.json")
    assert set(summary["splits"]["test"]) >= {"accuracy", "auroc", "sensitivity_a square"}
    page = (home / "s" / "report.html").read_text()
    for part in ("by the most probable class", "cannot be excluded", "sensitivity, 원형"):
        assert part in page
    assert "at 0.5" not in page
    header = (home / "s" / "results.csv").read_text().splitlines()[0]
    assert "test_sensitivity_ring" in header


def test_images_of_one_class_from_its_gan(home: Path) -> None:
    (made,) = read_json(home / "made" / "manifest.json")["count"].items()
    assert made[0] in ("ring", "원형")
    assert made[1] == 3
    assert len(list((home / "made" / made[0]).glob("*.png"))) == 3


def test_its_quality_and_what_it_looks_at(home: Path) -> None:
    (found,) = read_json(home / "e" / "metrics.json")["classes"].values()
    for name in ("kid", "recall", "judged_as_class", "gan_train_auroc", "gan_test"):
        assert np.isfinite(found["values"]["generated"][name]), name
    numbers = read_json(home / "x" / "explain.json")
    assert sum(title.startswith("unseen real") for title in numbers["images"]) == 5
    assert (home / "x" / "explain.html").stat().st_size > 0
