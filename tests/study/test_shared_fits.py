"""Jobs of one study under several conditions do what they have in common once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support import TINY_STUDY, read_json, run_command, settled_study

from gan_aug.report.read import read_study
from gan_aug.report.summary import summarise
from gan_aug.study.fits import DrawFits
from gan_aug.study.images import DrawImages

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


def shared(cache_home: Path, *overrides: str) -> Path | None:
    """Return where a fit of the arm `real` is kept for all jobs of the study."""
    settings, splits = settled_study(cache_home, *STUDY, *NO_GAN, *overrides)
    images = DrawImages(settings, splits, Path("unused")).of_arm(settings.arms["real"])
    return DrawFits(settings, splits, Path("unused")).shared("real", 0, images)


def test_other_settings_are_another_fit(cache_home: Path) -> None:
    changes = ("study.steps=13", "classifier.lr=0.002", "seed=1", "data.batch_size=7")
    fits = {shared(cache_home, *SWEPT, change) for change in changes}
    same = {shared(cache_home, *SWEPT, f"study.gan_batches={n}") for n in (6, 8)}
    assert (len(fits | same), len(same)) == (len(changes) + 1, 1)
    assert shared(cache_home) is None, "with neither a condition nor a ruler none stands twice"


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
