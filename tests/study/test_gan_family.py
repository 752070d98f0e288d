"""GANs of several classes, and those that translate, in commands and in a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import (
    TINY_DATA,
    TINY_QUALITY,
    TINY_STUDY,
    check_study,
    read_json,
    refused,
    settings_of,
)

from gan_aug.data.prepare import load
from gan_aug.data.settle import settle_training
from gan_aug.training.run import serving_of

Command = Callable[..., Any]

SMALL = ("model.width=4", "trainer.precision=32-true", "trainer.log_every_n_steps=2")


@pytest.mark.parametrize(
    "model",
    ["cyclegan", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cdcgan", "pix2pix"))],
)
def test_a_checkpoint_works_everywhere(model: str, command: Command, tmp_path: Path) -> None:
    """Train, generate, evaluate and explain: no command knows which GAN it is."""
    train = (f"+experiment={model}_pneumonia", *TINY_DATA, *SMALL)
    train = (*train, "data.source.train_per_class=200")  # some are left to measure with
    short = ("trainer.max_epochs=1", "generate.count=10", "quality.every_n_epochs=null")
    command("train", *train, *short, "hydra.run.dir=run", check=True)
    checkpoint = "checkpoint=run/checkpoints/last.ckpt"
    command("generate", checkpoint, "count=12", "output_dir=set", "seed=3", check=True)
    manifest = read_json(tmp_path / "set" / "manifest.json")
    expected = ["pneumonia"] if model == "pix2pix" else ["normal", "pneumonia"]
    assert manifest["count"] == dict.fromkeys(expected, 12)
    assert bool(manifest["sources"]) == (model != "cdcgan")
    use = "quality.use=[kid,ms_ssim,precision_recall,memorisation,membership]"
    result = command(
        "evaluate", checkpoint, *TINY_QUALITY, use, "hydra.run.dir=evaluated", check=True
    )
    classes = read_json(tmp_path / "evaluated" / "metrics.json")["classes"]
    assert sorted(classes) == expected
    generated = classes["pneumonia"]["values"]["generated"]
    assert ("copying_source_pixel" in generated) == (model != "cdcgan")
    assert "membership_auc" in generated
    assert "the gate" in result.stdout
    small = ("filters=2", "patches=2", "images=4")
    command("explain", checkpoint, *TINY_QUALITY, *small, "hydra.run.dir=explained", check=True)
    assert (tmp_path / "explained" / "explain.html").is_file()
    assert (tmp_path / "explained" / "interpolation.png").exists() == (model == "cdcgan")


@pytest.mark.parametrize("model", ["stargan", pytest.param("cdcgan", marks=pytest.mark.slow)])
def test_a_study_fits_a_gan_of_all_classes_once(
    model: str, command: Command, tmp_path: Path
) -> None:
    command(
        "study", "+study=seed_protocol", *TINY_STUDY, f"model={model}", "model.batch_size=8",
        "study.count=10", "study.repeats=1", "quality.use=[kid,memorisation]", "study_dir=study",
        *(f"~arms.{arm}" for arm in ("more_real", "classic", "oversample", "classic_gan")),
        "study.comparisons=[]", check=True,
    )  # fmt: skip
    draw = read_json(tmp_path / "study" / "draw_0" / "metrics.json")
    checkpoints = {gan["checkpoint_sha256"] for gan in draw["gans"].values()}
    assert sorted(draw["gans"]) == ["normal", "pneumonia"]
    assert len(checkpoints) == 1
    assert draw["arms"]["gan"]["added"] == {"normal": 10, "pneumonia": 10}
    assert all(check["passed"] for check in draw["checks"] if check["rule"] == 1)
    generated = draw["quality"]["classes"]["normal"]["values"]["generated"]
    assert ("copying_source_pixel" in generated) == (model == "stargan")
    assert read_json(tmp_path / "study" / "summary.json")["costs"]["gans"] == 1


def test_a_class_that_a_pair_leaves_out_is_refused(cache_home: Path) -> None:
    with refused("added.count.bacteria=10: model=cyclegan makes normal, virus only"):
        check_study(
            cache_home, "+study=seed_protocol", *TINY_STUDY, "data.target=subtype",
            "model=cyclegan", "model.pair=[normal,virus]", "data.subset=30", "study.count=10",
            "model.batch_size=8",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "setting", "part"),
    [
        ("study", "model.batch_size=9", "model.batch_size=9: model=cyclegan takes as many"),
        ("train", "data.batch_size=9", "data.batch_size=9: model=cyclegan takes as many"),
        ("train", "data.subset.normal=0", "data.subset.normal: model=cyclegan"),
        ("train", "model.pair=[normal,cat]", "model.pair"),
        ("train", "data.train_class=normal", "data.train_class=normal: model=cyclegan"),
        ("evaluate", "+quality.gate.copying_source_pixel=1", "quality.gate.copying_source_pixel"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, setting: str, part: str, tmp_path: Path, cache_home: Path
) -> None:
    (tmp_path / "last.ckpt").touch()
    given = {
        "study": ("+study=seed_protocol", *TINY_STUDY, "model=cyclegan"),
        "train": ("+experiment=cyclegan_pneumonia", *TINY_DATA, *SMALL),
        "evaluate": (f"checkpoint={tmp_path / 'last.ckpt'}",),
    }
    with refused(part):
        settings = settings_of(
            name, *given[name], setting, data__cache_dir=str(cache_home / "gan_aug")
        )
        settled, prepared = settle_training(settings, load(settings.data))
        serving_of(settled, prepared.splits)
