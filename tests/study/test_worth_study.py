"""The study `worth` as typed, in a small form, to its report."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support import TINY_STUDY, read_json, run_command, start, wait_for

pytestmark = pytest.mark.slow
OWN = ("data.subset", "study.count", "study.steps")
"""Settings that this study has in another form."""
WORTH = (
    *("-m", "+study=worth", "draw=0", "study.per_class=10,20", "study_dir=s"),
    *(one for one in TINY_STUDY if not one.startswith(OWN)),
    "study.count=10",
    "study.ruler=[5,10,20,40]",
    "study.steps.max=40",
    "study.gan_curve_points=2",
    "quality.use=[kid]",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    folder = tmp_path_factory.mktemp("worth")
    run_command(cache_home, "study", *WORTH, cwd=folder, check=True)
    return folder / "s"


def test_every_arm_of_every_condition_is_reported(study: Path) -> None:
    summary = read_json(study / "summary.json")
    conditions = [{"per_class": n, "model": m} for n in (10, 20) for m in ("cyclegan", "dcgan")]
    blocks = summary["splits"]["internal"]["auroc"]
    assert [block["condition"] for block in blocks] == conditions
    for measure in summary["worth"]:
        assert measure["sizes"] == [5, 10, 20, 40]
        assert measure["own"] == measure["condition"]["per_class"]
        assert set(measure["arms"]) == set(blocks[0]["arms"])
    assert summary["control"] == "duplicate"
    assert summary["steps"]["budget"] == 40
    assert [row["condition"] for row in summary["costs"]["by_condition"]] == conditions
    broken = [rule["rule"] for rule in summary["rules"] if not rule["passed"]]
    assert broken == [9]  # one draw
    page = (study / "report.html").read_text()
    for part in ("Worth in real images", "The same number of steps for all", "What it cost"):
        assert part in page


def test_both_gans_share_what_has_none(study: Path) -> None:
    of_gans = {"gan", "classic_gan", "mixup"}
    for size in (10, 20):
        own = []
        for model in ("dcgan", "cyclegan"):
            metrics = read_json(study / f"per_class_{size}/{model}/draw_0/metrics.json")
            fits = {fit["arm"]: fit for fit in metrics["fits"]}
            own.append({arm for arm, fit in fits.items() if not fit.get("reused")})
        assert of_gans < own[0]
        assert own[1] == of_gans


def test_killed_at_any_moment_it_gives_the_same(
    study: Path, cache_home: Path, tmp_path: Path
) -> None:
    process = start(cache_home, *WORTH, cwd=tmp_path, name="study")
    wait_for(process, tmp_path, "s/per_class_*/*/draw_0/fits/gan_0.json")
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_command(cache_home, "study", *WORTH, cwd=tmp_path, check=True)
    again, whole = ((folder / "results.csv").read_bytes() for folder in (tmp_path / "s", study))
    assert again == whole
