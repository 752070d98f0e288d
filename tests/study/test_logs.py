"""What TensorBoard shows of a study."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_study import metrics_of
from support import TINY_STUDY, read_json, rewrite, run_command
from tensorboard_view import View

STUDY = (
    "+study=lr_ratio_sweep", *(one for one in TINY_STUDY if "tensorboard" not in one),
    "quality.use=[kid]", "model.lr_d=2e-4", "model.g_steps=1", "study_dir=s",
    "~arms.classic", "~arms.oversample",
)  # fmt: skip
SWEPT = ("-m", *STUDY, "model.lr_g=1e-4,1e-3", "hydra/launcher=basic")
ARMS = ("real", "duplicate", "gan")


def draw_of(lr_g: str) -> str:
    return f"lr_g_{lr_g}_lr_d_0.0002_steps_1_1/draw_0"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A draw under each of two learning rates; returns the folder it was started in."""
    folder = tmp_path_factory.mktemp("events")
    run_command(cache_home, "study", *SWEPT, cwd=folder, check=True)
    return folder


def test_every_fit_is_a_row_of_hparams(home: Path) -> None:
    rows = View(home / "s").hparams()
    assert rows.keys() == {f"{draw_of(lr)}/{a}_0" for lr in ("0.0001", "0.001") for a in ARMS}
    for lr in ("0.0001", "0.001"):
        metrics = read_json(home / "s" / draw_of(lr) / "metrics.json")
        for fit in metrics["fits"]:
            row = rows[f"{draw_of(lr)}/{fit['arm']}_0"]
            added = 10 if fit["arm"] in ("duplicate", "gan") else 0
            expected = {"arm": fit["arm"], "repeat": 0, "draw": 0, "lr_g": float(lr),
                        "lr_d": 2e-4, "d_steps": 1, "gan_batches": 8, "steps": 12, "weight": 1,
                        "added_pneumonia": added, "added_normal": 0, "real_normal": 40,
                        "primary": "development"}  # fmt: skip
            assert {key: row["settings"].get(key) for key in expected} == expected
            found, measured = row["metrics"], metrics_of(home / "s" / draw_of(lr), fit)
            assert found["Primary/auroc"] == pytest.approx(measured.value("development", "auroc"))
            assert found["internal/accuracy"] == pytest.approx(
                measured.value("internal", "accuracy")
            )
            kid = metrics["quality"]["classes"]["pneumonia"]["values"]["generated"]["kid"]
            shown = pytest.approx(kid) if fit["arm"] == "gan" else None
            assert found.get("quality/kid pneumonia") == shown


def test_a_fit_has_its_curve_and_its_confusion_matrix(home: Path) -> None:
    view = View(home / "s")
    for fit in read_json(home / "s" / draw_of("0.001") / "metrics.json")["fits"]:
        run = f"{draw_of('0.001')}/{fit['arm']}_0"
        for tag, name in (("train/loss", "train_loss"), ("val/loss", "val_loss")):
            points = [(event.step, event.value) for event in view.runs[run].Scalars(tag)]
            assert points == [(p["step"], pytest.approx(p[name])) for p in fit["curve"]]
        assert view.tags("images")[run] == ["development/confusion_matrix"]
    assert list(view.charts()) == ["Classifier"]
    grids = view.tags("images")[draw_of("0.001")]
    assert grids == ["images/real_pneumonia", "images/synthetic_pneumonia"]
    (image,) = view.runs[draw_of("0.001")].Images(grids[0])
    path = home / "s" / draw_of("0.001") / "grids" / "real_pneumonia.png"
    assert image.encoded_image_string == path.read_bytes()


def test_a_draw_that_was_stopped_is_whole_and_has_nothing_twice(
    home: Path, cache_home: Path
) -> None:
    """Stopped between a fit's result and its events, with one more fit to do."""
    draw = home / "s" / draw_of("0.0001")
    before, metrics = View(home / "s"), read_json(draw / "metrics.json")
    (draw / "metrics.json").unlink()
    rewrite(draw / "run.json", status="running")
    shutil.rmtree(draw / "duplicate_0")
    shutil.rmtree(draw / "gan_0")
    (draw / "fits" / "gan_0.json").unlink()
    run_command(cache_home, "study", *SWEPT, cwd=home, check=True)
    after = View(home / "s")
    for kind in ("scalars", "images"):
        assert after.tags(kind) == before.tags(kind)
    assert after.hparams() == before.hparams()
    for arm in ARMS:
        points = after.runs[f"{draw_of('0.0001')}/{arm}_0"].Scalars("val/loss")
        assert [point.step for point in points] == [6, 12]
    # The fit that was taken away had been kept for jobs of other conditions.
    own = ("seconds", "reused")
    without = [{k: v for k, v in f.items() if k not in own} for f in metrics["fits"]]
    again = read_json(draw / "metrics.json")["fits"]
    assert [{k: v for k, v in f.items() if k not in own} for f in again] == without


def test_without_the_logger_there_are_no_events(home: Path, cache_home: Path) -> None:
    own = ("model.lr_g=1e-4", "study_dir=none", "gans_dir=gans", "logger.tensorboard=null")
    run_command(cache_home, "study", *STUDY, *own, cwd=home, check=True)
    assert not list((home / "none").rglob("*tfevents*"))
    assert not list((home / "gans").rglob("*tfevents*"))
    fits = [read_json(home / s / draw_of("0.0001") / "metrics.json")["fits"] for s in ("none", "s")]
    assert [f["predictions"] for f in fits[0]] == [f["predictions"] for f in fits[1]]
