"""Jobs of one study under several conditions do what they have in common once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_STUDY, read_json, run_command

from gan_aug.report.read import read_study
from gan_aug.report.summary import summarise

Command = Callable[..., Any]
STUDY = (
    *TINY_STUDY,
    "+arm@arms.real=real",
    "+arm@arms.duplicate=duplicate",
    "+arm@arms.gan=gan",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "quality.use=[]",
)
NO_GAN = ("~arms.gan", "study.question.arm=duplicate")
SWEPT = ("+study.condition.batches=${study.gan_batches}", "study.folder=b_${study.gan_batches}")
SHARED = "has been done before"


def run(cache_home: Path, folder: Path, batches: int, *more: str) -> str:
    arguments = (*STUDY, *SWEPT, *more, f"study.gan_batches={batches}")
    done = run_command(cache_home, "study", *arguments, cwd=folder, check=True)
    return str(done.stdout)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A study of two lengths of the GAN, and the second of them alone."""
    folder = tmp_path_factory.mktemp("shared")
    assert SHARED not in run(cache_home, folder, 6, "study_dir=s")
    (folder / "second.txt").write_text(run(cache_home, folder, 8, "study_dir=s"))
    assert SHARED not in run(cache_home, folder, 8, "study_dir=alone")
    return folder


def test_only_what_differs_is_fitted_again(study: Path) -> None:
    printed = (study / "second.txt").read_text()
    assert [arm for arm in ("real", "duplicate", "gan") if f"  {arm} 0: {SHARED}" in printed] == [
        "real",
        "duplicate",
    ]
    found = read_study(study / "s")
    reused = {
        (job.result.condition["batches"], fit.arm): fit.reused
        for job in found.jobs
        for fit in job.result.fits
    }
    assert {key for key, value in reused.items() if value} == {(8, "real"), (8, "duplicate")}
    assert all(check.passed for job in found.jobs for check in job.result.checks if check.rule != 6)


def test_a_shared_fit_is_the_one_that_the_job_would_have_done(study: Path) -> None:
    for arm in ("real", "duplicate", "gan"):
        both = []
        for name in ("s", "alone"):
            fits = study / name / "b_8" / "fits"
            with np.load(fits / f"{arm}_0.npz") as arrays:
                both.append(dict(arrays))
            both[-1] |= {"curve": read_json(fits / f"{arm}_0.json")["curve"]}
        for key, value in both[0].items():
            np.testing.assert_array_equal(value, both[1][key])


def test_the_report_counts_the_time_of_a_shared_fit_once(study: Path) -> None:
    costs = read_json(study / "s" / "summary.json")["costs"]
    seconds = [
        fit.seconds
        for job in read_study(study / "s").jobs
        for fit in job.result.fits
        if not fit.reused
    ]
    assert (costs["fits"], len(seconds)) == (4, 4)
    assert costs["fit_seconds_total"] == pytest.approx(sum(seconds))


def test_other_settings_are_another_fit(study: Path, cache_home: Path, tmp_path: Path) -> None:
    for change in ("study.steps=13", "classifier.lr=0.002", "seed=1", "data.batch_size=7"):
        shutil.copytree(study / "s" / ".fits", tmp_path / "s" / ".fits", dirs_exist_ok=True)
        assert SHARED not in run(cache_home, tmp_path, 8, "study_dir=s", change, *NO_GAN)
        shutil.rmtree(tmp_path / "s")


def test_a_damaged_one_is_fitted_again(study: Path, cache_home: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "s" / ".fits", tmp_path / "s" / ".fits")
    for path in (tmp_path / "s" / ".fits").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-1])
    assert SHARED not in run(cache_home, tmp_path, 8, "study_dir=s", *NO_GAN)
    shutil.rmtree(tmp_path / "s" / "b_8")
    assert f"  real 0: {SHARED}" in run(cache_home, tmp_path, 8, "study_dir=s", *NO_GAN)


def test_a_changed_number_is_not_taken(study: Path, cache_home: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "s" / ".fits", tmp_path / "s" / ".fits")
    for path in (tmp_path / "s" / ".fits").glob("*.json"):
        text = path.read_text()
        assert "val_loss" in text
        path.write_text(text.replace("val_loss", "loss", 1))
    assert SHARED not in run(cache_home, tmp_path, 8, "study_dir=s", *NO_GAN)


def test_the_time_of_a_fit_whose_job_is_gone_is_counted(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "s", tmp_path / "s")
    shutil.rmtree(tmp_path / "s" / "b_6")
    assert summarise(read_study(tmp_path / "s")).costs.fits == 3


def test_an_arm_of_the_ruler_that_is_the_draw_itself_is_its_arm_real(
    cache_home: Path, tmp_path: Path
) -> None:
    printed = run(
        cache_home, tmp_path, 6, "study_dir=s", *NO_GAN, "data.subset=20", "study.ruler=[10,20,30]"
    )
    assert [size for size in (10, 20, 30) if f"ruler_{size} 0: {SHARED}" in printed] == [20]
    fits = tmp_path / "s" / "b_6" / "fits"
    assert read_json(fits / "ruler_20_0.json")["arm"] == "ruler_20"
    assert (fits / "ruler_20_0.npz").read_bytes() == (fits / "real_0.npz").read_bytes()


def test_a_study_with_neither_conditions_nor_a_ruler_keeps_none(
    tmp_path: Path, command: Command
) -> None:
    command("study", *STUDY, *NO_GAN, "study_dir=s", check=True)
    assert not (tmp_path / "s" / ".fits").exists()
