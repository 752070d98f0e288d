"""A study measured on another hospital's images, from its fits to its report and archive."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fake_study import change, report_of
from PIL import Image
from support import TINY_CNN, TINY_STUDY, read_json, run_command, settled_study

from gan_aug.data.sources.phantom import Phantom
from gan_aug.study.gans import fit_of

pytestmark = pytest.mark.slow
Command = Callable[..., Any]
N = 24
"""External images of each class, of two a patient."""
EXTERNAL = "data.external={nih:{root:nih,patient_regex:'(\\d+)_',classes:{No_findings:normal}}}"
ENDPOINTS = (
    "study.endpoints=[{split:nih,metric:auroc,smallest_effect:0.01},{split:test,metric:auroc}]"
)
STUDY = (
    *TINY_STUDY, "+arm@arms.real=real", "+arm@arms.duplicate=duplicate",
    "study.question.arm=duplicate", "quality.use=[]", "study_dir=s",
)  # fmt: skip
MANY = ("-m", *STUDY, EXTERNAL, ENDPOINTS, "draw=range(0,2)", "hydra/launcher=basic")


def write_external(folder: Path, seed: int = 9) -> Path:
    """Write phantoms of another hospital: darker, of less contrast, other names of classes."""
    table = Phantom(N, 1, seed).load(32, 1, folder.parent / "cache").train
    for label, name in enumerate(("No_findings", "Pneumonia")):
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(table.images[table.labels == label]):
            file = folder / name / f"{100 * label + i // 2:04d}_{i:03d}.png"
            Image.fromarray((0.5 * image[0] + 10).astype(np.uint8)).save(file)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """Two draws; returns the folder that the command was started in."""
    folder = tmp_path_factory.mktemp("external")
    write_external(folder / "nih")
    result = run_command(cache_home, "study", *MANY, cwd=folder, check=True)
    (folder / "stdout.txt").write_text(result.stdout)
    return folder


def area(scores: Any, labels: Any) -> float:
    """Return the AUROC as the share of pairs that are in order."""
    inside, outside = scores[labels == 1], scores[labels == 0]
    above = (inside[:, None] > outside).mean() + 0.5 * (inside[:, None] == outside).mean()
    return float(above)


def test_every_fit_is_measured_on_it(study: Path) -> None:
    table = pl.read_csv(study / "s" / "results.csv")
    for draw in range(2):
        metrics = read_json(study / "s" / f"draw_{draw}" / "metrics.json")
        assert metrics["splits"]["nih"] == {"normal": N, "pneumonia": N}
        for fit in metrics["fits"]:
            with np.load(study / f"s/draw_{draw}/fits/{fit['arm']}_0.npz") as arrays:
                logits, labels = arrays["nih_logits"], arrays["nih_labels"]
                assert len(np.unique(arrays["nih_patients"])) == N
            row = table.filter(pl.col("draw") == draw, pl.col("arm") == fit["arm"])
            assert row["nih_auroc"].item() == pytest.approx(area(logits, labels), abs=1e-6)
            right = ((logits > 0) == labels).mean()
            assert row["nih_accuracy"].item() == pytest.approx(right, abs=1e-6)
            assert fit["external_tests"].keys() == {"nih"}
        record = read_json(study / "s" / f"draw_{draw}" / "run.json")["data"]
        assert record["used"]["nih"] == {"normal": N, "pneumonia": N}
        assert record["external"]["nih"]["fingerprint"] == fit["external_tests"]["nih"]
    assert f"nih: {N} normal, {N} pneumonia" in (study / "stdout.txt").read_text()


def test_an_archive_gives_the_same_report(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "s", tmp_path / "s")
    report_of(tmp_path / "s", tmp_path / "kept.zip")
    with zipfile.ZipFile(tmp_path / "kept.zip") as archive:
        archive.extractall(tmp_path / "again")
    report_of(tmp_path / "again")
    for name in ("results.csv", "summary.json"):
        assert (tmp_path / "again" / name).read_text() == (study / "s" / name).read_text()


def test_draws_of_other_external_images_do_not_go_together(
    study: Path, tmp_path: Path, command: Command
) -> None:
    shutil.copytree(study / "s", tmp_path / "s")
    write_external(tmp_path / "nih", seed=10)
    said = ("data.external.nih: holds other images (fingerprint ", "s/draw_0 was measured on")
    command("study", *STUDY, EXTERNAL, ENDPOINTS, "draw=2", refused=said)


def test_a_draw_does_not_go_on_with_other_external_images(
    study: Path, tmp_path: Path, command: Command
) -> None:
    shutil.copytree(study / "s" / "draw_0", tmp_path / "s" / "draw_0")
    change(tmp_path / "s/draw_0/run.json", lambda record: record.update(status="interrupted"))
    write_external(tmp_path / "nih", seed=10)
    said = "real_0.json: was measured on other images of data.external"
    command("study", *STUDY, EXTERNAL, ENDPOINTS, refused=said)


def test_fits_and_gans_are_the_same_without(study: Path, tmp_path: Path, command: Command) -> None:
    command("study", *STUDY, check=True)
    for arm in ("real", "duplicate"):
        name = f"s/draw_0/fits/{arm}_0.npz"
        with np.load(study / name) as one, np.load(tmp_path / name) as other:
            assert {k for k in one if not k.startswith("nih_")} == set(other)
            for key in other:
                np.testing.assert_array_equal(one[key], other[key])
    assert "external" not in (tmp_path / "s" / "results.csv").read_text()
    assert "Side by side" not in (tmp_path / "s" / "report.html").read_text()
    nih = {"nih": {"root": str(study / "nih"), "classes": {"No_findings": "normal"}}}
    one, other = (
        fit_of(*settled_study(tmp_path, *STUDY, data__external=external), "pneumonia")
        for external in (None, nih)
    )
    assert other.config.data.external is None
    assert one.folder == other.folder


def test_a_single_run_is_measured_on_it_too(study: Path, tmp_path: Path, command: Command) -> None:
    shutil.copytree(study / "nih", tmp_path / "nih")
    result = command(
        "train", *TINY_CNN, "trainer.max_epochs=1", "hydra.run.dir=r", EXTERNAL, check=True
    )
    metrics = read_json(tmp_path / "r" / "metrics.json")
    measured = metrics["external"]["nih"]["at_0.5"]
    assert sum(measured[k] for k in ("tn", "fp", "fn", "tp")) == 2 * N
    assert "nih images" in result.stdout
    logged = (tmp_path / "r" / "metrics.csv").read_text()
    assert "test_nih/auroc" in logged  # a search takes no metric whose name begins with test
