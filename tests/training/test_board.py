"""What TensorBoard shows of training runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback
from support import TINY_CNN, TINY_GAN, read_json, rewrite, run_command
from tensorboard_view import View

from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.base import Node
from gan_aug.training.plugins import Fitting, build_all

SHORT = ("trainer.max_epochs=2", "trainer.log_every_n_steps=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A sweep of GANs over a setting, and a classifier; the folder that holds both."""
    home = tmp_path_factory.mktemp("board")
    swept = ("model.lr_g=1e-4,1e-3", "model.d_steps=2", "quality.every_n_epochs=null")
    for arguments in (
        ("-m", *TINY_GAN, *SHORT, *swept, "hydra.sweep.dir=runs/sweep", "hydra/launcher=basic"),
        (*TINY_CNN, *SHORT, "model.lr=2e-3", "hydra.run.dir=runs/cnn"),
    ):
        run_command(cache_home, "train", *arguments, cwd=home, check=True)
    return home / "runs"


def test_hparams_hold_settings_as_numbers_and_last_metrics_of_every_run(runs: Path) -> None:
    rows = View(runs).hparams()
    gans = {f"sweep/lr_g_{lr}": lr for lr in (0.0001, 0.001)}
    assert rows.keys() == {*gans, "cnn"}
    for name, lr_g in gans.items():
        settings = rows[name]["settings"]
        expected = {"model": "dcgan", "lr_g": lr_g, "d_steps": 2, "lr_d": 2e-4, "seed": 0,
                    "real_pneumonia": 36, "max_epochs": 2, "train_class": "pneumonia",
                    "data": "phantom", "spectral_norm": False}  # fmt: skip
        assert {key: settings[key] for key in expected} == expected
        metrics = read_json(runs / name / "metrics.json")
        latest = metrics["last_logged"]
        # Two epochs of 36 images in batches of 8, whatever model.batches says of studies.
        assert settings["batches"] == metrics["batches"] == 8
        assert rows[name]["metrics"]["loss/d"] == pytest.approx(latest["loss/d"])
    assert rows["cnn"]["settings"]["lr"] == 2e-3
    test = read_json(runs / "cnn" / "metrics.json")["test"]["at_0.5"]
    assert rows["cnn"]["metrics"]["test/auroc"] == pytest.approx(test["auroc"])


def test_custom_scalars_put_together_what_belongs_together(runs: Path) -> None:
    view = View(runs)
    charts = view.charts()
    tags = view.tags("scalars")
    shown = {
        (category, chart): {t for found in tags.values() for t in found if _matches(patterns, t)}
        for category, of in charts.items()
        for chart, patterns in of.items()
    }
    assert shown["Classifier", "loss in training and validation"] == {"train/loss", "val/loss"}
    assert shown["GAN", "D(x) and D(G(z))"] == {
        "score/D[x]", "score/D[G[z]] before g step", "score/D[G[z]] after g step",
    }  # fmt: skip
    assert shown["GAN", "losses of D and G"] == {"loss/d", "loss/g"}
    # TensorBoard's page takes what follows the first parenthesis for the name of a run.
    assert not [t for found in tags.values() for t in found if "(" in t]


def _matches(patterns: list[str], tag: str) -> bool:
    return any(re.match(pattern, tag) for pattern in patterns)


def test_a_run_that_was_resumed_has_one_row(runs: Path, cache_home: Path) -> None:
    before = View(runs).hparams()["cnn"]
    rewrite(runs / "cnn" / "run.json", status="running")
    arguments = (*TINY_CNN, *SHORT, "model.lr=2e-3", "hydra.run.dir=runs/cnn")
    run_command(cache_home, "train", *arguments, cwd=runs.parent, check=True)
    after = View(runs).hparams()["cnn"]
    assert after["settings"] == before["settings"]
    assert after["sessions"] == ["cnn"]
    assert len(list((runs / "cnn").glob("*hparams"))) == 1
    assert len(list((runs / "cnn").glob("*layout"))) == 1


class Own(Callback):
    """A callback of a user's."""

    def __init__(self, fitting: Fitting | None = None, every: int = 1) -> None:
        self.fitting, self.every = fitting, every


def build_callbacks(run: Any, **nodes: dict[str, object] | None) -> list[Own]:
    typed = {k: None if node is None else Node.model_validate(node) for k, node in nodes.items()}
    return build_all(typed, "callbacks", Fitting(run, None, 7, Path(), "", {}, {}))


def test_entries_of_ones_own_are_built_and_null_leaves_one_out() -> None:
    run, own = object(), {"_target_": f"{__name__}.Own", "every": 3}
    plain, told = build_callbacks(run, a=own, b=own | {"_partial_": True}, c=None)
    assert (plain.fitting, plain.every, told.every) == (None, 3, 3)
    assert told.fitting is not None
    assert (told.fitting.run, told.fitting.done) == (run, 7)
    for bad in (own | {"none": 1}, own | {"_partial_": True, "none": 1}):
        with pytest.raises(GanAugError, match=r"callbacks\.bad: cannot be built"):
            build_callbacks(run, bad=bad)


def test_a_single_run_is_named_by_time_and_settings(tmp_path: Path, cache_home: Path) -> None:
    arguments = ("+experiment=cnn_baseline", "data.root=nowhere", "model.lr=2e-3", "model.width=8")
    run_command(cache_home, "train", *arguments, cwd=tmp_path)
    (folder,) = (tmp_path / "runs" / "cnn_baseline").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\+lr_0.002\+width_8", folder.name)
