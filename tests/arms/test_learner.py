"""Arms that learn from unlabelled images: what they learn, are shown and may read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support import BINARY, TINY_STUDY, read_json, run_command, settings_of, settled_study

from gan_aug.arms.base import ArmImages
from gan_aug.arms.check import check_arms
from gan_aug.data.image_table import ImageTable
from gan_aug.data.splits import Splits
from gan_aug.models.classifier import weights_hash
from gan_aug.report.metrics import measure_fit
from gan_aug.report.records import DrawResult
from gan_aug.settings.study import SettledStudy
from gan_aug.study import rules
from gan_aug.study.batches import used
from gan_aug.study.fits import fit_arm, predict
from gan_aug.study.images import DrawImages

ARMS = ("real", "classic", "self_training", "fixmatch", "classic_sgan")
STUDY = (
    *(one for one in TINY_STUDY if "classifier.hidden" not in one),
    *(f"+arm@arms.{name}={name}" for name in ARMS),
    "study.unlabelled=60",
    "study.question={arm: classic_sgan, reference: classic}",
    "study.splits=[validation,internal]",
    "study.endpoints=[{split: internal, metric: auroc}]",
    "arms.self_training.added.count={normal: 3, pneumonia: 0}",
    "quality.use=[]",
    "arms.fixmatch.learner.batch_size=6",
    "arms.classic_sgan.learner.batch_size=6",
    "arms.classic_sgan.learner.width=4",
)
CNN4 = ("model@classifier=cnn4", "classifier.lr=0.003", "classifier.ema_decay=0.5")


def table(images: torch.Tensor, labels: torch.Tensor) -> ImageTable:
    names = np.arange(len(labels)).astype(str)
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return ImageTable(pixels.numpy(), labels.numpy(), names, names, names, BINARY)


def accuracy(
    settings: Any, arm: str, labelled: ImageTable, pool: ImageTable, test: ImageTable
) -> float:
    """Fit an arm of a toy set and return its accuracy on other images of it."""
    images = ArmImages.of(labelled, {})
    if settings.arms[arm].learner:
        images = replace(images, unlabelled=pool.images)
    tables = {"validation": test, "internal": test}
    fit, data = fit_arm(settings, settings.arms[arm], images, 0, test, tables)
    measured = measure_fit(predict(fit, data), BINARY)
    return float(measured.splits["internal"]["at_0.5"]["accuracy"])


def toy(side: int, *overrides: str) -> Any:
    """Return a study's settings for a set of two classes that needs no files."""
    return settings_of(
        "study", *STUDY, f"data.image_size={side}", "data.channels=1", "data.num_classes=2",
        "data.classes=[normal,pneumonia]", "data.positive=pneumonia", "study.unlabelled=400",
        *overrides,
    )  # fmt: skip


def stripes(n: int, first: int, last: int, seed: int) -> ImageTable:
    """Return patches of stripes, lying or standing, with their left side from `first` to `last`."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    images = 0.1 * torch.randn(n, 1, 16, 16, generator=random)
    wave = 0.8 * (torch.arange(6) % 2 * 2 - 1.0)
    patches = (wave[:, None].expand(6, 6), wave[None].expand(6, 6))
    for i, left in enumerate(torch.randint(first, last + 1, (n,), generator=random).tolist()):
        images[i, 0, 5:11, left : left + 6] += patches[i % 2]
    return table(images, labels)


def test_fixmatch_carries_labels_to_places_that_no_labelled_image_shows() -> None:
    """Labelled patches stand on the left, unlabelled ones anywhere; those asked about, right.

    What tells where they stand apart, linear layers, must see that the class stays when a patch is
    moved; only unlabelled images show that.
    """
    settings = toy(
        16, "model=gan", "classifier.hidden=16", "classifier.lr=0.01",
        "study.steps=100", "study.validate_every=100",
        "arms.fixmatch.augment=null", "arms.fixmatch.learner.batch_size=32",
        *(f"arms.fixmatch.learner.strong.{key}=0" for key in (
            "flip", "degrees", "contrast", "brightness", "cutout")),
        "arms.fixmatch.learner.strong.shift=0.3", "arms.fixmatch.learner.strong.scale=[1.0,1.0]",
    )  # fmt: skip
    images = stripes(8, 0, 2, 0), stripes(400, 0, 10, 1), stripes(200, 7, 10, 2)
    real, fixmatch = (accuracy(settings, arm, *images) for arm in ("real", "fixmatch"))
    assert real < 0.85
    assert fixmatch > 0.95


def waves(n: int, seed: int) -> ImageTable:
    """Return lying or standing waves below noise that is more than twice as strong."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    wave = 0.25 * torch.sin(torch.linspace(0, 4 * torch.pi, 32))
    kinds = torch.stack([wave[:, None].expand(32, 32), wave[None].expand(32, 32)])
    noise = 0.6 * torch.randn(n, 1, 32, 32, generator=random)
    return table(kinds[labels][:, None] + noise, labels)


@pytest.mark.slow
def test_sgan_finds_what_real_images_have_in_common() -> None:
    """Four labelled images are mostly noise; what is no noise is in all the unlabelled ones."""
    settings = toy(
        32, *CNN4, "classifier.width=8", "classifier.dropout=0.1", "classifier.ema_decay=0.9",
        "classifier.betas=[0.9,0.999]", "study.steps=200",
        "study.validate_every=200", "arms.classic_sgan.augment=null",
        "arms.classic_sgan.learner.batch_size=16", "arms.classic_sgan.learner.latent_dim=16",
        "arms.classic_sgan.learner.lr=0.001",
    )  # fmt: skip
    images = waves(4, 0), waves(400, 1), waves(200, 2)
    real, sgan = (accuracy(settings, arm, *images) for arm in ("real", "classic_sgan"))
    assert real < 0.9
    assert sgan > 0.97


@pytest.fixture(scope="module")
def draw(cache_home: Path) -> tuple[SettledStudy, Splits]:
    steps = ("study.steps=3", "study.validate_every=3")
    return settled_study(cache_home, *STUDY, *CNN4, *steps, checked_by=check_arms)


@pytest.mark.parametrize("arm", ["fixmatch", "classic_sgan"])
def test_no_arm_reads_the_labels_of_unlabelled_images(
    draw: tuple[SettledStudy, Splits], tmp_path: Path, arm: str
) -> None:
    (settings, splits), found = draw, []
    others = replace(splits.unused, labels=1 - splits.unused.labels)
    for one in (splits, replace(splits, unused=others)):
        images = DrawImages(settings, one, tmp_path).of_arm(settings.arms[arm])
        fit, data = fit_arm(settings, settings.arms[arm], images, 0, splits.validation)
        found.append((weights_hash(fit.module), used(data.shown, data.pool, splits.classes)))
        assert not any("learner" in name for name in fit.module.state_dict())
    assert found[0] == found[1]
    shown = found[0][1]
    assert shown.unlabelled is not None
    assert (shown.unlabelled.images, shown.unlabelled.shown) == (18, 18)
    assert shown.real.total == 3 * 8
    assert shown.added.total == 0


def test_a_batch_of_labelled_images_is_that_of_an_arm_without_a_learner(
    draw: tuple[SettledStudy, Splits], tmp_path: Path
) -> None:
    settings, splits = draw
    images, shown = DrawImages(settings, splits, tmp_path), []
    for name in ("classic", "fixmatch"):
        arm = settings.arms[name]
        fit, data = fit_arm(settings, arm, images.of_arm(arm), 0, splits.validation)
        shown.append((fit.initial_weights, fit.steps, data.shown[data.pool.real].tolist()))
    assert shown[0] == shown[1]


def test_rule_1_says_what_learners_saw(
    draw: tuple[SettledStudy, Splits], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settled, splits), result = draw, SimpleNamespace(external=[])
    passed, detail = rules._seen(settled, splits, result, tmp_path)
    assert passed
    saw = "fixmatch and classic_sgan saw the draw's training images and 60 unlabelled ones, 0 of"
    assert f"{saw} them held out" in detail
    held_out = splits.internal
    monkeypatch.setattr(rules, "unlabelled_of", lambda *_: held_out)
    passed, detail = rules._seen(settled, splits, result, tmp_path)
    assert not passed
    assert f"{len(held_out)} unlabelled ones, {len(held_out)} of them held out" in detail


@pytest.mark.slow
def test_a_draw_keeps_the_rules_and_is_found_again(cache_home: Path, tmp_path: Path) -> None:
    strong = "augment@arms.fixmatch.learner.strong=randaugment"
    arguments = (*STUDY, *CNN4, strong, "+study.condition.steps=${study.steps}", "study_dir=s")
    first = run_command(cache_home, "study", *arguments, cwd=tmp_path, check=True)
    assert "has been done before" not in first.stdout
    draw = tmp_path / "s" / "draw_0"
    metrics = read_json(draw / "metrics.json")
    assert not (draw / "synthetic").exists()
    assert not metrics["gans"]
    checks = {check["rule"]: check for check in metrics["checks"]}
    assert all(checks[rule]["passed"] for rule in (1, 2, 3, 4, 5)), checks
    assert "classic_sgan saw the draw's training images" in checks[1]["detail"]
    fits = {fit["arm"]: fit for fit in metrics["fits"]}
    assert len({fit["initial_weights"] for fit in fits.values()}) == 1
    for arm in ARMS:
        learns = arm in ("fixmatch", "classic_sgan")
        unlabelled = fits[arm]["used"]["unlabelled"]
        assert unlabelled == ({"images": 60, "shown": 72} if learns else None)
        assert metrics["arms"][arm]["unlabelled"] == (60 if learns else 0)
    assert "learns from 60 further images" in (tmp_path / "s" / "report.html").read_text()

    arguments = (*arguments, "study.folder=again")
    again = run_command(cache_home, "study", *arguments, cwd=tmp_path, check=True)
    for arm in ARMS:
        assert f"{arm} 0: has been done before" in again.stdout

    # Rule 4: an arm that was shown its unlabelled images less often than it says.
    fits["fixmatch"]["used"]["unlabelled"]["shown"] -= 1
    result = DrawResult.model_validate(metrics)
    broken = rules.check_rules(*settled_study(cache_home, *arguments), result, draw)[3]
    assert not broken.passed
    assert "fixmatch was shown unlabelled images: 60, 71 times; it should" in broken.detail
