"""The evaluate command, and quality while a GAN trains, on made-up X-rays."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support import TINY_GAN, TINY_QUALITY, read_json, refused, rewrite, run_command, settings_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_aug.data.settle import named
from gan_aug.evaluation.command import table_of
from gan_aug.evaluation.evaluator import Evaluator
from gan_aug.evaluation.subject import load_subject, with_data
from gan_aug.metrics.memorisation import OF_SOURCES
from gan_aug.settings.commands import SettledEvaluate
from gan_aug.training.watching import check_select

Command = Callable[..., Any]
GAN = (*TINY_GAN, *TINY_QUALITY, "data.source.train_per_class=200", "trainer.max_epochs=4")
SELECTED = (*GAN, "quality.every_n_epochs=2", "quality.select=kid")


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Path:
    """A folder with a GAN run that measured itself, `gan`, and one that did not, `plain`."""
    folder = tmp_path_factory.mktemp("quality")
    for name, arguments in (("gan", SELECTED), ("plain", GAN)):
        arguments = [*arguments, f"hydra.run.dir={name}"]
        run_command(cache_home, "train", *arguments, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def evaluated(home: Path, cache_home: Path) -> Path:
    arguments = ("checkpoint=gan/checkpoints/last.ckpt", "controls=true", *TINY_QUALITY)
    result = run_command(
        cache_home, "evaluate", *arguments, "hydra.run.dir=out", cwd=home, check=True
    )
    (home / "stdout.txt").write_text(result.stdout)
    return home / "out"


def test_every_number_stands_beside_its_baseline(evaluated: Path) -> None:
    metrics = read_json(evaluated / "metrics.json")
    values = metrics["classes"]["pneumonia"]["values"]
    assert list(values) == ["real", "generated", "copies", "one image", "flipped", "noise"]
    of_all = set(metrics["good"]) - set(OF_SOURCES)
    assert of_all == values["generated"].keys() - {"swd_16", "swd_32"}
    assert values["generated"].keys() == values["real"].keys()
    assert values["copies"]["nearest_pixel"] == pytest.approx(0, abs=1e-3)
    assert values["copies"]["copying_pixel"] == pytest.approx(1)
    assert values["one image"]["ms_ssim"] == pytest.approx(1, abs=1e-4)
    assert values["noise"]["swd"] > 1.3 * values["real"]["swd"]
    assert "membership_auc" not in values["noise"]  # noise has no discriminator
    images = metrics["classes"]["pneumonia"]["images"]
    assert (images["measured"], images["reference"], images["baseline"]) == (10, 10, 10)
    shares = metrics["reference_classifier"]["right_on_unseen_real"]
    assert all(0 <= share <= 1 for share in shares.values())


def test_an_evaluation_leaves_table_and_pictures(evaluated: Path) -> None:
    metrics = read_json(evaluated / "metrics.json")
    with (evaluated / "quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["extractor"] for row in rows} == {metrics["extractor"]}
    assert metrics["extractor"].endswith(metrics["extractor_sha256"][:8])
    (kid,) = [r for r in rows if (r["images"], r["metric"]) == ("generated", "kid")]
    assert float(kid["value"]) == metrics["classes"]["pneumonia"]["values"]["generated"]["kid"]
    for space in ("pixel", "feature"):
        with Image.open(evaluated / f"closest_{space}_pneumonia.png") as picture:
            assert min(picture.size) > 400
    printed = (evaluated.parent / "stdout.txt").read_text()
    assert "baseline: unseen real images" in printed
    assert "…" not in printed
    assert metrics["extractor"] in printed
    share = metrics["classes"]["pneumonia"]["real_passes"]
    assert 0 <= share <= 1
    assert f"real images in their place: {100 * share:.0f} %" in printed
    assert read_json(evaluated / "run.json")["status"] == "finished"


@pytest.mark.slow
def test_a_synthetic_set_gives_the_numbers_of_its_checkpoint(
    home: Path, evaluated: Path, command: Command
) -> None:
    """The run's set was made by its best checkpoint, with the same seed."""
    for name, what in (
        ("set", "synthetic.dir=gan/synthetic"),
        ("best", "checkpoint=gan/checkpoints/generator.safetensors"),
    ):
        command("evaluate", what, *TINY_QUALITY, f"hydra.run.dir={name}", cwd=home, check=True)
    found = [read_json(home / n / "metrics.json")["classes"]["pneumonia"] for n in ("set", "best")]
    of_set, of_checkpoint = (f["values"]["generated"] for f in found)
    assert of_checkpoint.keys() - of_set.keys() == {"membership_auc"}
    assert of_set == {k: v for k, v in of_checkpoint.items() if k in of_set}


def test_measuring_changes_nothing_of_the_training(home: Path) -> None:
    measured, plain = (weights(home / n / "checkpoints" / "last.ckpt") for n in ("gan", "plain"))
    assert all(torch.equal(measured[name], plain[name]) for name in plain)


def test_curves_are_logged_with_the_extractors_name(home: Path, evaluated: Path) -> None:
    extractor = read_json(evaluated / "metrics.json")["extractor"]
    events = EventAccumulator(str(home / "gan")).Reload()
    kid = events.Scalars(f"quality {extractor}/kid pneumonia")
    assert [event.step for event in kid] == [8, 16]  # 4 batches an epoch, every 2 epochs
    tags = EventAccumulator(str(home / "plain")).Reload().Tags()["scalars"]
    assert not [tag for tag in tags if tag.startswith("quality")]


def test_the_selected_checkpoint_is_the_one_with_the_lowest_kid(home: Path) -> None:
    events = EventAccumulator(str(home / "gan")).Reload()
    (tag,) = [t for t in events.Tags()["scalars"] if "/kid" in t]
    scores = {event.step: event.value for event in events.Scalars(tag)}
    best = torch.load(home / "gan" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["batches_done"] == min(scores, key=lambda step: scores[step])
    manifest = read_json(home / "gan" / "synthetic" / "manifest.json")
    digest = hashlib.sha256((home / "gan" / "checkpoints" / "best.ckpt").read_bytes()).hexdigest()
    assert manifest["checkpoint_sha256"] == digest


def test_a_run_with_curves_can_be_gone_on_with(home: Path, command: Command) -> None:
    """Interrupted after its first measurement, it ends with the same curves and best checkpoint."""
    again = (*SELECTED, "hydra.run.dir=again")
    command("train", *again, "trainer.max_epochs=2", cwd=home, check=True)
    record = read_json(home / "again" / "run.json")
    record["given"]["trainer"]["max_epochs"] = 4
    rewrite(home / "again" / "run.json", status="interrupted", given=record["given"])
    shutil.rmtree(home / "again" / "synthetic")
    command("train", *again, cwd=home, check=True)
    for name in ("last", "best"):
        once, twice = (weights(home / f / "checkpoints" / f"{name}.ckpt") for f in ("gan", "again"))
        assert all(torch.equal(once[k], twice[k]) for k in once)

    def curves(folder: str) -> list[str]:
        lines = (home / folder / "metrics.csv").read_text().splitlines()
        return [line for line in lines if "quality" in line]

    assert len(curves("gan")) == 2 * 7
    assert curves("gan") == curves("again")


LAST = "checkpoint=gan/checkpoints/last.ckpt"


@pytest.fixture
def at_home(home: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the GANs are, as the command is, without a process of its own."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "checkpoint, synthetic.dir, external.dir: set just one"),
        (["checkpoint=x", "synthetic.dir=y"], "synthetic.dir, external.dir: set just one"),
        (["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt: no such file"),
        (["synthetic.dir=nowhere"], "synthetic.dir=nowhere: no such folder"),
        ([LAST, "quality.use=[kidd]"], "quality.use: kidd is none of"),
        ([LAST, "quality.count=0"], "quality.count=0: must be"),
    ],
)
def test_bad_input_is_refused(
    arguments: list[str], part: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    with refused(part):
        settings_of("evaluate", *TINY_QUALITY, *arguments)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([LAST, "data.draw=1"], "its generator saw"),
        ([LAST, "+data.source.seed=1"], "name the data set it was fitted on"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(
    arguments: list[str], part: str, at_home: None
) -> None:
    typed = settings_of("evaluate", *TINY_QUALITY, *arguments)
    with refused(part):
        load_subject(with_data(typed, [a.lstrip("+").split("=")[0] for a in arguments]))


@pytest.mark.parametrize(
    "what", ["checkpoint=gan/checkpoints/last.ckpt", "synthetic.dir=gan/synthetic"]
)
def test_it_takes_what_images_there_are_and_says_so(
    what: str, at_home: None, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = settings_of("evaluate", *TINY_QUALITY, what, "quality.use=[]", "quality.count=300")
    typed = with_data(typed, [])
    subject = load_subject(typed)
    quality = typed.changed(SettledEvaluate, named(subject.data, subject.splits)).quality
    held_out = subject.held_out(300, ["pneumonia"])
    made = {"generated": subject.generated["pneumonia"].images}
    evaluator = Evaluator(quality, subject.splits)
    measured = evaluator.against_baseline(made, "pneumonia", held_out, None)
    n = measured.images["measured"]
    assert 10 <= n < 300
    assert (measured.images["reference"], measured.images["baseline"]) == (n, n)
    table = table_of(evaluator.quality({"pneumonia": measured}), "pneumonia")
    assert f"N = {n}" in str(table.title)
    warned = capsys.readouterr().err.splitlines()
    assert any(f"only {n} pneumonia images" in line for line in warned)


@pytest.mark.parametrize(
    ("select", "every", "part"),
    [
        ("ms_ssim", 2, "quality.select=ms_ssim: choose one of kid, "),
        ("kid", "null", "quality.select=kid: chooses by what is measured in training"),
    ],
)
def test_what_cannot_choose_is_refused(select: str, every: object, part: str) -> None:
    asked = (f"quality.every_n_epochs={every}", f"quality.select={select}")
    with refused(part):
        check_select(select, settings_of("train", *GAN, *asked).quality, "quality.select")


def test_the_same_command_measures_again(home: Path, evaluated: Path, command: Command) -> None:
    """Another file may have the name by now."""
    folder = shutil.copytree(evaluated, home / "one")
    given = read_json(folder / "run.json")["given"]
    given |= {"controls": False, "checkpoint": "plain/checkpoints/last.ckpt"}
    given["quality"]["use"] = ["ms_ssim"]
    rewrite(folder / "run.json", given=given)
    (folder / "metrics.json").unlink()
    what = ("checkpoint=plain/checkpoints/last.ckpt", "quality.use=[ms_ssim]", *TINY_QUALITY)
    command("evaluate", *what, "hydra.run.dir=one", cwd=home, check=True)
    assert list(read_json(folder / "metrics.json")["good"]) == ["ms_ssim"]
    assert read_json(folder / "run.json")["resumed"] == 1
