"""What every metric makes of real images (its baseline) and of generators with a known fault.

Made-up X-rays, all of the same posture: so left and right matter here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import BINARY, ROOT, settings_of
from torch import Tensor

from gan_aug.data.held_out import HeldOut, cut_held_out
from gan_aug.data.image_table import Images
from gan_aug.data.prepare import load, prepare
from gan_aug.data.settle import settle_training
from gan_aug.data.splits import Splits
from gan_aug.evaluation.command import broken_generators
from gan_aug.evaluation.evaluator import BASELINE, GENERATED, Evaluator
from gan_aug.evaluation.reference_classifier import (
    find_or_fit_reference,
    fit_on_images,
)
from gan_aug.metrics.density_coverage import density_coverage
from gan_aug.metrics.memorisation import flat
from gan_aug.metrics.precision_recall import distances, precision_recall
from gan_aug.metrics.sample import Sample
from gan_aug.models.classifier import weights_hash
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.commands import SettledTrain
from gan_aug.settings.quality import QualitySettings

COUNT = 90
METRICS = sorted(path.stem for path in (ROOT / "conf" / "metric").glob("*.yaml"))
CHEAP = ("kid", "fid", "precision_recall", "density_coverage", "memorisation", "judged")
SETTINGS = (
    "data=phantom",
    "data.development_per_class=0",
    "data.train_class=pneumonia",
    "data.source.train_per_class=460",
    "data.source.test_per_class=10",
    "data.image_size=32",
    "data.val_per_class=6",
    "data.subset.normal=40",
    "data.subset.pneumonia=40",
    f"quality.count={COUNT}",
    "quality.reference_steps=120",
    "quality.fit_steps=60",
    "quality.metrics.ms_ssim.function.pairs=100",
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> SettledTrain:
    folder = tmp_path_factory.mktemp("reference")
    places = (f"data.cache_dir={cache_home}", f"quality.reference_dir={folder}")
    every = f"quality.use=[{','.join(METRICS)}]"
    typed = settings_of("train", *SETTINGS, *places, every)
    settled: SettledTrain = settle_training(typed, load(typed.data))[0]
    return settled


@pytest.fixture(scope="module")
def quality(settings: SettledTrain) -> QualitySettings:
    return settings.quality


def using(quality: QualitySettings, *names: str) -> QualitySettings:
    """Return conf/quality with these metrics."""
    return quality.model_copy(update={"use": list(names)})


def elsewhere(quality: QualitySettings, folder: Path, steps: int = 2) -> QualitySettings:
    """Return conf/quality with another folder of reference classifiers, fitted for less long."""
    return quality.model_copy(update={"reference_dir": str(folder), "reference_steps": steps})


@pytest.fixture(scope="module")
def splits(settings: SettledTrain) -> Splits:
    return prepare(settings.data).splits


@pytest.fixture(scope="module")
def held_out(splits: Splits) -> HeldOut:
    return cut_held_out(splits, COUNT, BINARY.names)


@pytest.fixture(scope="module")
def evaluator(quality: QualitySettings, splits: Splits) -> Evaluator:
    return Evaluator(quality, splits)


def faults(splits: Splits, held_out: HeldOut, name: str) -> dict[str, Images]:
    """Return the broken generators' images, and real ones of the other class."""
    (other,) = set(BINARY) - {name}
    made = broken_generators(
        splits.train.of_class(name).images, held_out.baseline.of_class(name).images, seed=0
    )
    return made | {"wrong class": held_out.baseline.of_class(other).images}


Values = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def pneumonia(evaluator: Evaluator, splits: Splits, held_out: HeldOut) -> Values:
    """Every metric."""
    rows = faults(splits, held_out, "pneumonia")
    values: Values = evaluator.against_baseline(rows, "pneumonia", held_out, None).values
    return values


@pytest.fixture(scope="module")
def normal(quality: QualitySettings, splits: Splits, held_out: HeldOut) -> Values:
    """Those that take no time."""
    rows = faults(splits, held_out, "normal")
    values: Values = (
        Evaluator(using(quality, *CHEAP), splits)
        .against_baseline(rows, "normal", held_out, None)
        .values
    )
    return values


@pytest.fixture(params=BINARY.names)
def values(request: pytest.FixtureRequest) -> Values:
    """Each class in turn."""
    found: Values = request.getfixturevalue(request.param)
    return found


Fact = tuple[str, str, Callable[[float, float], bool]]
"""A set of images, a value, and what must hold of it beside that of the baseline."""

OF_BOTH_CLASSES: list[Fact] = [
    (BASELINE, "kid", lambda v, _: abs(v) < 0.15),
    (BASELINE, "fid", lambda v, _: v < 1),
    *((BASELINE, name, lambda v, _: v > 0.85) for name in ("precision", "recall", "coverage")),
    (BASELINE, "density", lambda v, _: 0.85 < v < 1.25),
    (BASELINE, "copying_pixel", lambda v, _: 0.35 < v < 0.65),
    (BASELINE, "copying_feature", lambda v, _: 0.35 < v < 0.65),
    (BASELINE, "judged_as_class", lambda v, _: v > 0.55),
    # Copies are found out by memorisation alone: to all else they are as good as real images.
    ("copies", "copying_pixel", lambda v, _: abs(v - 1) < 1e-6),
    ("copies", "copying_feature", lambda v, _: abs(v - 1) < 1e-6),
    ("copies", "nearest_pixel", lambda v, b: v < 1e-6 and b > 0.5),
    ("copies", "nearest_feature", lambda v, b: v < 1e-6 and b > 0.5),
    ("copies", "kid", lambda v, _: abs(v) < 0.15),
    *(("copies", name, lambda v, _: v > 0.5) for name in ("precision", "recall", "coverage")),
    # Precision and density say nothing of one image: it is a real one, good or bad luck decides.
    ("one image", "recall", lambda v, _: v == 0),
    ("one image", "coverage", lambda v, _: v < 0.15),
    ("one image", "fid", lambda v, b: v > 10 * b),
    ("one image", "kid", lambda v, _: v > 0.1),
    ("noise", "kid", lambda v, _: v > 0.3),
    ("noise", "fid", lambda v, b: v > 10 * b),
    ("noise", "recall", lambda v, _: v < 0.15),
    ("noise", "coverage", lambda v, _: v < 0.5),
    ("noise", "copying_pixel", lambda v, _: v < 0.15),
    ("noise", "nearest_pixel", lambda v, b: v > 1.2 * b),
    # The heart is on the other side; the classifier's features know the place of things.
    ("flipped", "kid", lambda v, _: v > 0.3),
    ("flipped", "fid", lambda v, b: v > 10 * b),
    ("flipped", "coverage", lambda v, b: v < b - 0.02),
    ("flipped", "copying_pixel", lambda v, _: v < 0.3),
    ("wrong class", "judged_as_class", lambda v, b: v < 0.45 < 0.55 < b),
    ("wrong class", "kid", lambda v, _: v > 0.3),
    ("wrong class", "fid", lambda v, b: v > 10 * b),
    ("wrong class", "copying_feature", lambda v, _: v < 0.4),
]
OF_PNEUMONIA: list[Fact] = [
    (BASELINE, "gan_train_auroc", lambda v, _: v > 0.7),
    (BASELINE, "gan_train_accuracy", lambda v, _: v > 0.6),
    (BASELINE, "gan_test", lambda v, _: v > 0.6),
    (BASELINE, "ms_ssim", lambda v, _: 0.5 < v < 0.8),
    # Copies are too easy for a classifier that knows them.
    ("copies", "gan_test", lambda v, b: v > b + 0.05),
    ("one image", "ms_ssim", lambda v, _: abs(v - 1) < 1e-6),
    ("one image", "swd", lambda v, b: v > 2 * b),
    ("one image", "gan_train_accuracy", lambda v, _: v < 0.6),
    ("one image", "gan_train_auroc", lambda v, b: v < b - 0.1),
    *(("noise", name, lambda v, b: v > 2 * b) for name in ("swd", "swd_32", "swd_16")),
    ("noise", "gan_train_accuracy", lambda v, _: v < 0.6),
    # Patches keep their side; pairs of flipped images are as alike as before.
    ("flipped", "swd", lambda v, b: v > 1.5 * b),
    ("flipped", "ms_ssim", lambda v, b: abs(v - b) < 1e-6),
    ("wrong class", "gan_train_auroc", lambda v, _: v < 0.6),
    ("wrong class", "gan_train_accuracy", lambda v, _: v < 0.6),
    ("wrong class", "gan_test", lambda v, b: v < 0.4 < b),
]


def broken(facts: list[Fact], values: Values) -> list[str]:
    """Return the facts that do not hold."""
    found = ((row, name, values[row][name], values[BASELINE][name], ok) for row, name, ok in facts)
    return [f"{row}: {name}={v:g}, not {b:g}" for row, name, v, b, ok in found if not ok(v, b)]


def test_cheap_metrics_of_good_images_and_of_faults(values: Values) -> None:
    assert broken(OF_BOTH_CLASSES, values) == []
    assert values["copies"]["fid"] < values["noise"]["fid"] / 5


def test_all_other_metrics_of_good_images_and_of_faults(pneumonia: Values) -> None:
    assert broken(OF_PNEUMONIA, pneumonia) == []


def test_precision_does_not_see_noise_with_the_classifiers_features_but_does_in_pixels(
    values: Values, splits: Splits, held_out: HeldOut, evaluator: Evaluator
) -> None:
    """The classifier was never shown noise: all of it lands among real images in its last layer."""
    assert values["noise"]["precision"] > 0.8
    assert values["noise"]["density"] > 0.8
    made = faults(splits, held_out, "pneumonia")
    sides = (t.of_class("pneumonia").images for t in (held_out.reference, held_out.baseline))
    real, baseline, noise = (
        Sample(x, flat, evaluator.classifier.probabilities) for x in (*sides, made["noise"])
    )
    context = evaluator.context("pneumonia", held_out.reference, None)
    assert precision_recall(real, baseline, context)["precision"] > 0.7
    assert precision_recall(real, noise, context)["precision"] < 0.1
    assert density_coverage(real, noise, context)["density"] < 0.1


def memorised(known: Images) -> Callable[[Images], Tensor]:
    """Return a discriminator: the nearer to an image that it knows, the more real."""
    return lambda images: -distances(flat(images), flat(known)).min(dim=1).values


def test_membership_tells_a_memorising_discriminator_from_an_indifferent_one(
    quality: QualitySettings, splits: Splits, held_out: HeldOut
) -> None:
    asked = Evaluator(using(quality, "membership"), splits)
    name = "pneumonia"
    rows = {
        GENERATED: held_out.baseline.of_class(name).images,
        "noise": held_out.baseline.of_class(name).images,
    }

    def auc(discriminator: Callable[[Images], Tensor] | None) -> dict[str, Any]:
        found = asked.against_baseline(rows, name, held_out, discriminator).values
        assert found["noise"] == {}  # only the GAN's own images have a discriminator
        return {row: found[row].get("membership_auc") for row in (BASELINE, GENERATED)}

    knows = auc(memorised(splits.train.of_class(name).images))
    assert knows[GENERATED] == pytest.approx(1)
    assert 0.35 < knows[BASELINE] < 0.65  # it knows neither half of the unseen images
    assert auc(lambda x: torch.zeros(len(x))) == {BASELINE: 0.5, GENERATED: 0.5}
    of_contrast = auc(lambda x: torch.tensor(x).float().std(dim=(1, 2, 3)))
    assert 0.3 < of_contrast[BASELINE] < 0.7
    assert 0.3 < of_contrast[GENERATED] < 0.7
    assert auc(None) == {BASELINE: None, GENERATED: None}


def states() -> list[Any]:
    """Return all global random states, and torch's switches."""
    kind, keys, *rest = np.random.get_state()
    flags = (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
    python = random.getstate()
    return [python, kind, keys.tolist(), rest, torch.get_rng_state().tolist(), flags]


@pytest.fixture
def other_switches() -> Iterator[None]:
    """Switches that are not those a classifier is fitted with."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.backends.cudnn.benchmark = before[1]


@pytest.mark.usefixtures("other_switches")
def test_the_same_images_give_the_same_values_and_no_global_random_number_is_drawn(
    quality: QualitySettings, pneumonia: Values, splits: Splits, held_out: HeldOut, tmp_path: Path
) -> None:
    # Other random states than when `pneumonia` was measured.
    torch.manual_seed(31)
    np.random.seed(31)
    random.seed(31)
    before = states()
    evaluator = Evaluator(quality, splits)
    rows = {"noise": faults(splits, held_out, "pneumonia")["noise"]}
    again = evaluator.against_baseline(rows, "pneumonia", held_out, None).values
    assert states() == before
    assert again == {row: pneumonia[row] for row in (BASELINE, "noise")}

    find_or_fit_reference(elsewhere(quality, tmp_path), splits)
    assert states() == before


def test_a_classifier_is_found_again(
    quality: QualitySettings, evaluator: Evaluator, splits: Splits
) -> None:
    files = sorted(Path(quality.reference_dir).glob("*.safetensors"))
    changed = [f.stat().st_mtime_ns for f in files]
    found = find_or_fit_reference(quality, splits)
    assert found.facts() == evaluator.classifier.facts()
    assert found.sha256 == weights_hash(found.module)
    assert [f.stat().st_mtime_ns for f in files] == changed
    assert len(files) == 1


def test_a_classifier_does_not_depend_on_where_or_for_which_draw_it_is_fitted(
    settings: SettledTrain, splits: Splits, tmp_path: Path
) -> None:
    data = settings.data.model_copy(update={"draw": 3, "subset": {"normal": 20, "pneumonia": 30}})

    def fitted(folder: str, draw: Splits, steps: int) -> str:
        asked = elsewhere(settings.quality, tmp_path / folder, steps)
        return find_or_fit_reference(asked, draw).sha256

    one = fitted("a", splits, 3)
    assert fitted("b", prepare(data).splits, 3) == one
    assert fitted("b", splits, 4) != one


def test_a_classifier_of_the_same_files_shown_otherwise_is_another(
    quality: QualitySettings, splits: Splits, tmp_path: Path
) -> None:
    """`data.fit=pad` after `squeeze`: its opinions are of other pixels."""
    quality = elsewhere(quality, tmp_path)
    negative = replace(splits.unused, images=255 - np.asarray(splits.unused.images))
    for draw in (splits, replace(splits, unused=negative)):
        find_or_fit_reference(quality, draw)
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".lease"]) == 2


@pytest.mark.parametrize(
    "damage", ["truncated", "other weights", "something else", "nan", "flipped"]
)
def test_a_damaged_classifier_is_fitted_again(
    damage: str,
    quality: QualitySettings,
    splits: Splits,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quality = elsewhere(quality, tmp_path)
    sound = find_or_fit_reference(quality, splits)
    (path,) = tmp_path.glob("*.safetensors")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "something else":
        torch.save(["no reference classifier"], path)
    elif damage == "flipped":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata()
        weights = load_file(path)
        next(iter(weights.values()))[0] += float("nan") if damage == "nan" else 1
        save_file(weights, path, notes)
    capsys.readouterr()
    again = find_or_fit_reference(quality, splits)
    assert (again.sha256, again.feature_scale) == (sound.sha256, sound.feature_scale)
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("warning: ")]
    assert line.startswith(f"warning: {path}: ")
    assert line.endswith("; fitting the reference classifier again")
    find_or_fit_reference(quality, splits)
    assert "warning" not in capsys.readouterr().err


def test_a_classifier_does_not_depend_on_the_order_of_the_classes(
    quality: QualitySettings, splits: Splits
) -> None:
    images = {label: splits.train.of_class(name).images for label, name in enumerate(BINARY)}
    backwards = dict(reversed(images.items()))
    fits = [fit_on_images(quality, x, 3, "test") for x in (images, backwards)]
    assert weights_hash(fits[0]) == weights_hash(fits[1])


def test_a_class_without_images_gives_one_line(
    evaluator: Evaluator, splits: Splits, held_out: HeldOut
) -> None:
    asked = evaluator.context("pneumonia", held_out.reference, None)
    none = replace(asked, other_train={0: asked.other_train[0][:0]})
    said = "quality.use: gan_train and gan_test train a classifier, .*data.subset.normal=400"
    with pytest.raises(GanAugError, match=said) as error:
        none.fit({1: none.train.images, **none.other_train}, "train")
    assert len(str(error.value).splitlines()) == 1
