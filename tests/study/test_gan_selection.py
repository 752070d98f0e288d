"""Which of a GAN's weights, and which of several GANs, a study takes."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import ORIGIN, TINY_STUDY, check_study, read_json, refused, run_command, settled_study

from gan_aug.data.image_table import ClassImages
from gan_aug.data.synthetic import write_set
from gan_aug.report.records import GANFacts
from gan_aug.runtime.errors import Diverged
from gan_aug.runtime.files import sha256_of
from gan_aug.study import gans
from gan_aug.study.images import DrawImages

STUDY = (
    *TINY_STUDY,
    "+arm@arms.real=real",
    "+arm@arms.gan=gan",
    "study.gan_batches=20",
    "study.gan_curve_points=4",
    "model.lr_g=0.03",  # the last weights are not the best ones
    "quality.use=[kid,precision_recall,ms_ssim]",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split:internal,metric:auroc}]",
    "gans_dir=g",
)
BREAK = """
import torch
from lightning.pytorch import Callback

class Break(Callback):
    def __init__(self, fitting, batch):
        self.batch = batch

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if module.batches_done == self.batch:
            with torch.no_grad():
                next(module.generator.parameters()).fill_(float("nan"))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A draw whose GAN is the best checkpoint of the best of two fits."""
    folder = tmp_path_factory.mktemp("selection")
    arguments = (*STUDY, "study.gan_select=kid", "study.gan_fits=2", "study_dir=s")
    run_command(cache_home, "study", *arguments, cwd=folder, check=True)
    return folder


def test_the_best_checkpoint_of_the_best_fit_gives_the_images(study: Path) -> None:
    metrics = read_json(study / "s/draw_0/metrics.json")
    gan = metrics["gans"]["pneumonia"]
    folders = [path.parent for path in (study / "g").glob("*/metrics.json")]
    assert len(folders) == 2
    lowest = {}
    for folder in folders:
        with (folder / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["name"].endswith("/kid pneumonia")]
        curve = {int(row["batch"]): float(row["value"]) for row in rows}
        assert len(curve) == 4
        lowest[folder] = min(curve.values())
        best = read_json(folder / "metrics.json")
        assert best["best_score"] == pytest.approx(lowest[folder])
        assert curve[best["best_batches"]] == pytest.approx(lowest[folder])
    assert any(read_json(folder / "metrics.json")["best_batches"] < 20 for folder in folders)
    chosen = min(folders, key=lambda folder: lowest[folder])
    assert Path(gan["folder"]) == chosen.relative_to(study)
    assert gan["chosen"] == read_json(chosen / "metrics.json")["best_batches"]
    assert gan["checkpoint_sha256"] == sha256_of(chosen / "checkpoints/best.ckpt")
    manifest = read_json(study / "s/draw_0/synthetic/pneumonia_gan/manifest.json")
    assert manifest["checkpoint_sha256"] == gan["checkpoint_sha256"]
    seconds = [read_json(folder / "run.json")["seconds"] for folder in folders]
    assert gan["seconds"] == pytest.approx(sum(seconds))
    assert all(check["passed"] for check in metrics["checks"] if check["rule"] in (1, 5))


def test_without_it_the_same_gan_is_another_file(study: Path, cache_home: Path) -> None:
    before = set((study / "g").glob("*/metrics.json"))
    arguments = (*STUDY, "quality.use=[kid]", "study_dir=last")
    run_command(cache_home, "study", *arguments, cwd=study, check=True)
    (folder,) = {path.parent for path in set((study / "g").glob("*/metrics.json")) - before}
    gan = read_json(study / "last/draw_0/metrics.json")["gans"]["pneumonia"]
    assert gan["checkpoint_sha256"] == sha256_of(folder / "checkpoints/last.ckpt")
    assert gan["chosen"] is None


def test_the_report_says_when_the_weights_were_taken(study: Path) -> None:
    gan = read_json(study / "s/draw_0/metrics.json")["gans"]["pneumonia"]
    (row,) = read_json(study / "s/summary.json")["costs"]["by_condition"]
    assert (row["gans"], row["batches"], row["chosen"]) == (1, 20, gan["chosen"])
    assert row["seconds"] == pytest.approx(gan["seconds"])
    page = (study / "s/report.html").read_text()
    assert f"{gan['chosen']} batches" in page
    assert "It took: a GAN" in page


def test_a_replicate_is_another_gan_of_the_same_images(
    study: Path, cache_home: Path, tmp_path: Path
) -> None:
    more = (
        "+arm@arms.again=gan",
        "arms.again.added.replicate=1",
        "arms.again.added.count={normal: 0, pneumonia: 4}",
        "study.gan_curve_points=null",
        "quality.use=[kid]",
    )
    run_command(cache_home, "study", *STUDY, *more, "study_dir=s", cwd=tmp_path, check=True)
    metrics = read_json(tmp_path / "s/draw_0/metrics.json")
    assert list(metrics["gans"]) == ["pneumonia", "pneumonia, replicate 1"]
    sets = [
        read_json(tmp_path / "s/draw_0/synthetic" / name / "manifest.json")
        for name in ("pneumonia_gan", "pneumonia_gan_1")
    ]
    assert sets[0]["checkpoint_sha256"] != sets[1]["checkpoint_sha256"]
    assert sets[0]["seen_hashes"] == sets[1]["seen_hashes"]
    assert [one["count"] for one in sets] == [{"pneumonia": 10}, {"pneumonia": 4}]
    runs = [read_json(tmp_path / gan["folder"] / "run.json") for gan in metrics["gans"].values()]
    configs = [run["config"] for run in runs]
    assert configs[0].pop("seed") != configs[1].pop("seed")
    assert configs[0] == configs[1]
    assert list(metrics["quality"]["classes"]) == ["pneumonia"]
    assert all(check["passed"] for check in metrics["checks"] if check["rule"] in (1, 4))


def test_a_set_of_more_images_is_that_of_the_gan_too(cache_home: Path, tmp_path: Path) -> None:
    """An earlier version wrote as many as any replicate needs; a draw of it may be gone on with."""
    settings, splits = settled_study(cache_home, *STUDY)
    made = {"pneumonia": ClassImages(np.zeros((3, 1, 32, 32), np.uint8))}
    write_set(tmp_path / "set", made, ORIGIN | {"seen_hashes": splits.train.hashes.tolist()})
    facts = SimpleNamespace(checkpoint_sha256=ORIGIN["checkpoint_sha256"])
    gan: Any = SimpleNamespace(name="pneumonia", facts=facts)
    draw = DrawImages(settings, splits, tmp_path)
    assert len(draw._read_set(gan, tmp_path / "set", 2, 0)) == 3
    with refused("set: holds images of another GAN"):
        draw._read_set(gan, tmp_path / "set", 4, 0)


def test_what_chooses_a_gan_may_not_change_and_the_rest_may(
    study: Path, cache_home: Path, tmp_path: Path
) -> None:
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    arguments = (*STUDY, "study.gan_select=kid", "study.gan_fits=2", "study_dir=s")

    def again(*more: str) -> Any:
        return run_command(cache_home, "study", *arguments, *more, cwd=tmp_path)

    for change in ("quality.seed=1", "quality.reference_steps=21", "study.gan_curve_points=3"):
        assert change.partition("=")[0] in again(change).stderr
    before = (tmp_path / "s/draw_0/metrics.json").read_text()
    changed = again("quality.use=[kid,fid]", "quality.metrics.ms_ssim.function.pairs=20")
    assert changed.returncode == 0, changed.stderr
    after = read_json(tmp_path / "s/draw_0/metrics.json")
    assert after["gans"]["pneumonia"]["checkpoint_sha256"] in before
    assert "fid" in after["quality"]["good"]


def test_a_fit_that_diverges_is_not_the_one_to_take(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(one: gans.GANFit) -> gans.GANFit:
        if one.number in failing:
            raise Diverged(f"GAN {one.number}: its weights are not finite")
        one.score = float(one.number)
        one.facts = GANFacts(
            seconds=1.0, batches=5, diverged=False, chosen=3, checkpoint_sha256="y", reused=False,
            folder="", sources=[],
        )  # fmt: skip
        return one

    monkeypatch.setattr(gans.GANFit, "fit_once", fit)
    several = ("study.gan_select=kid", "study.gan_fits=3")
    draw, failing = settled_study(cache_home, *STUDY, *several), {0}
    assert gans.find_or_fit(*draw, "pneumonia").number == 1
    failing = {0, 1, 2}
    with pytest.raises(Diverged, match="GAN 0"):
        gans.find_or_fit(*draw, "pneumonia")


def test_a_gan_that_diverges_later_keeps_what_was_chosen(
    study: Path, tmp_path: Path, cache_home: Path
) -> None:
    """A draw left out for it would be missing for a reason; too early, there is nothing to take."""
    (tmp_path / "mine.py").write_text(BREAK)

    def broken_at(batch: int, *more: str) -> Any:
        own = f"+callbacks.x={{_target_: mine.Break, _partial_: true, batch: {batch}}}"
        arguments = (*STUDY, "study.gan_select=kid", "quality.use=[kid]", own, *more)
        return run_command(cache_home, "study", *arguments, cwd=tmp_path)

    late = broken_at(12, "study_dir=s")
    assert late.returncode == 0, late.stderr
    assert "training diverged" in late.stderr
    assert "the checkpoint that was best by kid before is taken" in late.stderr
    gan = read_json(tmp_path / "s/draw_0/metrics.json")["gans"]["pneumonia"]
    assert gan["diverged"]
    assert gan["chosen"] in (5, 10)
    assert 12 < gan["batches"] <= 20
    assert gan["checkpoint_sha256"] == sha256_of(tmp_path / gan["folder"] / "checkpoints/best.ckpt")
    assert "1, of which 1 diverged later" in (tmp_path / "s/report.html").read_text()
    early = broken_at(3, "study_dir=t", "gans_dir=h")
    assert early.returncode != 0
    assert early.stderr.splitlines()[-1].startswith("error: training diverged")
    # A curve point comes before the loss is looked at: what it measures is no GAN.
    unseen = broken_at(4, "trainer.log_every_n_steps=3", "study_dir=u", "gans_dir=i")
    assert unseen.returncode != 0
    assert not list((tmp_path / "i").glob("*/checkpoints/best.ckpt"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"gan_fits": 2}, "study.gan_fits=2: one of them is taken by study.gan_select"),
        ({"gan_select": "kid", "gan_curve_points": None}, "set study.gan_curve_points and"),
        ({"gan_select": "kid"}, "set study.gan_curve_points and quality.use"),
        ({"gan_select": "ms_ssim"}, "study.gan_select=ms_ssim: choose one of kid, precision,"),
        ({"gan_select": "fid"}, "study.gan_select=fid: choose one of"),
    ],
)
def test_what_cannot_choose_is_one_line(
    changes: dict[str, Any], line: str, cache_home: Path
) -> None:
    use = [] if "quality.use" in line else ["kid", "fid", "precision_recall", "ms_ssim"]
    named = {f"study__{key}": value for key, value in changes.items()}
    with refused(line):
        check_study(cache_home, *STUDY, **named, quality__use=use)
