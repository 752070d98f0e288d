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

from gan_aug.data.held_out import HeldOut, cut_held_out, reference_classifier_images
from gan_aug.data.image_table import Images
from gan_aug.data.prepare import load, prepare
from gan_aug.data.settle import settle_training
from gan_aug.data.splits import Splits
from gan_aug.evaluation.command import broken_generators
from gan_aug.evaluation.evaluator import BASELINE, GENERATED, Evaluator, of_class
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
        of_class(splits.train, name), of_class(held_out.baseline, name), seed=0
    )
    return made | {"wrong class": of_class(held_out.baseline, other)}


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


def test_the_baseline_is_that_of_good_images(values: Values) -> None:
    baseline = values[BASELINE]
    assert abs(baseline["kid"]) < 0.15
    assert baseline["fid"] < 1
    for name in ("precision", "recall", "coverage"):
        assert baseline[name] > 0.85
    assert 0.85 < baseline["density"] < 1.25
    for space in ("pixel", "feature"):
        assert 0.35 < baseline[f"copying_{space}"] < 0.65
    assert baseline["judged_as_class"] > 0.55


@pytest.mark.slow
def test_the_baseline_of_what_fits_a_classifier(pneumonia: Values) -> None:
    baseline = pneumonia[BASELINE]
    assert baseline["gan_train_auroc"] > 0.7
    assert baseline["gan_train_accuracy"] > 0.6
    assert baseline["gan_test"] > 0.6
    assert 0.5 < baseline["ms_ssim"] < 0.8


def test_copies_are_found_out_by_memorisation_alone(values: Values) -> None:
    copies, baseline = values["copies"], values[BASELINE]
    for space in ("pixel", "feature"):
        assert copies[f"copying_{space}"] == pytest.approx(1, abs=1e-6)
        assert copies[f"nearest_{space}"] == pytest.approx(0, abs=1e-6)
        assert baseline[f"nearest_{space}"] > 0.5
    # To all else they are as good as real images.
    assert abs(copies["kid"]) < 0.15
    assert copies["fid"] < values["noise"]["fid"] / 5
    for name in ("precision", "recall", "coverage"):
        assert copies[name] > 0.5


def test_copies_are_too_easy_for_a_classifier_that_knows_them(pneumonia: Values) -> None:
    assert pneumonia["copies"]["gan_test"] > pneumonia[BASELINE]["gan_test"] + 0.05


def test_one_image_has_no_recall_and_no_coverage(values: Values) -> None:
    one, baseline = values["one image"], values[BASELINE]
    assert one["recall"] == 0
    assert one["coverage"] < 0.15
    assert one["fid"] > 10 * baseline["fid"]
    assert one["kid"] > 0.1
    # Precision and density say nothing of it: the image is a real one, good or bad luck decides.


def test_one_image_is_all_alike_and_teaches_nothing(pneumonia: Values) -> None:
    one, baseline = pneumonia["one image"], pneumonia[BASELINE]
    assert one["ms_ssim"] == pytest.approx(1, abs=1e-6)
    assert one["swd"] > 2 * baseline["swd"]
    assert one["gan_train_accuracy"] < 0.6
    assert one["gan_train_auroc"] < baseline["gan_train_auroc"] - 0.1


def test_noise_is_far_from_real_images(values: Values) -> None:
    noise, baseline = values["noise"], values[BASELINE]
    assert noise["kid"] > 0.3
    assert noise["fid"] > 10 * baseline["fid"]
    assert noise["recall"] < 0.15
    assert noise["coverage"] < 0.5
    assert noise["copying_pixel"] < 0.15
    assert noise["nearest_pixel"] > 1.2 * baseline["nearest_pixel"]


def test_noise_is_far_from_real_images_at_each_scale(pneumonia: Values) -> None:
    noise, baseline = pneumonia["noise"], pneumonia[BASELINE]
    for name in ("swd", "swd_32", "swd_16"):
        assert noise[name] > 2 * baseline[name]
    assert noise["gan_train_accuracy"] < 0.6


def test_precision_does_not_see_noise_with_the_classifiers_features_but_does_in_pixels(
    values: Values, splits: Splits, held_out: HeldOut, evaluator: Evaluator
) -> None:
    """The classifier was never shown noise: all of it lands among real images in its last layer."""
    assert values["noise"]["precision"] > 0.8
    assert values["noise"]["density"] > 0.8
    made = faults(splits, held_out, "pneumonia")
    sides = (of_class(held_out.reference, "pneumonia"), of_class(held_out.baseline, "pneumonia"))
    real, baseline, noise = (
        Sample(x, flat, evaluator.classifier.probabilities) for x in (*sides, made["noise"])
    )
    context = evaluator.context("pneumonia", held_out.reference, None)
    assert precision_recall(real, baseline, context)["precision"] > 0.7
    assert precision_recall(real, noise, context)["precision"] < 0.1
    assert density_coverage(real, noise, context)["density"] < 0.1


def test_flipped_images_are_seen_by_kid_fid_and_coverage(values: Values) -> None:
    """The heart is on the other side; the classifier's features know the place of things."""
    flipped, baseline = values["flipped"], values[BASELINE]
    assert flipped["kid"] > 0.3
    assert flipped["fid"] > 10 * baseline["fid"]
    assert flipped["coverage"] < baseline["coverage"] - 0.02
    assert flipped["copying_pixel"] < 0.3


def test_flipped_images_are_seen_by_swd_but_not_by_ms_ssim(pneumonia: Values) -> None:
    """Patches keep their side; pairs of flipped images are as alike as before."""
    flipped, baseline = pneumonia["flipped"], pneumonia[BASELINE]
    assert flipped["swd"] > 1.5 * baseline["swd"]
    assert flipped["ms_ssim"] == pytest.approx(baseline["ms_ssim"], abs=1e-6)


def test_images_of_the_wrong_class_are_judged_so(values: Values) -> None:
    wrong, baseline = values["wrong class"], values[BASELINE]
    assert wrong["judged_as_class"] < 0.45 < 0.55 < baseline["judged_as_class"]
    assert wrong["kid"] > 0.3
    assert wrong["fid"] > 10 * baseline["fid"]
    assert wrong["copying_feature"] < 0.4


def test_images_of_the_wrong_class_teach_nothing(pneumonia: Values) -> None:
    wrong, baseline = pneumonia["wrong class"], pneumonia[BASELINE]
    assert wrong["gan_train_auroc"] < 0.6
    assert wrong["gan_train_accuracy"] < 0.6
    assert wrong["gan_test"] < 0.4 < baseline["gan_test"]


def memorised(known: Images) -> Callable[[Images], Tensor]:
    """Return a discriminator: the nearer to an image that it knows, the more real."""
    return lambda images: -distances(flat(images), flat(known)).min(dim=1).values


def test_membership_tells_a_memorising_discriminator_from_an_indifferent_one(
    quality: QualitySettings, splits: Splits, held_out: HeldOut
) -> None:
    asked = Evaluator(using(quality, "membership"), splits)
    name = "pneumonia"
    rows = {
        GENERATED: of_class(held_out.baseline, name),
        "noise": of_class(held_out.baseline, name),
    }

    def auc(discriminator: Callable[[Images], Tensor] | None) -> dict[str, Any]:
        found = asked.against_baseline(rows, name, held_out, discriminator).values
        assert found["noise"] == {}  # only the GAN's own images have a discriminator
        return {row: found[row].get("membership_auc") for row in (BASELINE, GENERATED)}

    knows = auc(memorised(of_class(splits.train, name)))
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

    table = reference_classifier_images(splits)
    find_or_fit_reference(elsewhere(quality, tmp_path), table, splits.fingerprint)
    assert states() == before


def test_a_classifier_is_found_again(
    quality: QualitySettings, evaluator: Evaluator, splits: Splits
) -> None:
    files = sorted(Path(quality.reference_dir).glob("*.safetensors"))
    changed = [f.stat().st_mtime_ns for f in files]
    found = find_or_fit_reference(quality, reference_classifier_images(splits), splits.fingerprint)
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
        table = reference_classifier_images(draw)
        return find_or_fit_reference(asked, table, draw.fingerprint).sha256

    one = fitted("a", splits, 3)
    assert fitted("b", prepare(data).splits, 3) == one
    assert fitted("b", splits, 4) != one


def test_a_classifier_of_the_same_files_shown_otherwise_is_another(
    quality: QualitySettings, splits: Splits, tmp_path: Path
) -> None:
    """`data.fit=pad` after `squeeze`: its opinions are of other pixels."""
    quality = elsewhere(quality, tmp_path)
    table = reference_classifier_images(splits)
    for images in (table.images, 255 - np.asarray(table.images)):
        find_or_fit_reference(quality, replace(table, images=images), splits.fingerprint)
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
    table = reference_classifier_images(splits)
    sound = find_or_fit_reference(quality, table, splits.fingerprint)
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
    again = find_or_fit_reference(quality, table, splits.fingerprint)
    assert (again.sha256, again.feature_scale) == (sound.sha256, sound.feature_scale)
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("warning: ")]
    assert line.startswith(f"warning: {path}: ")
    assert line.endswith("; fitting the reference classifier again")
    find_or_fit_reference(quality, table, splits.fingerprint)
    assert "warning" not in capsys.readouterr().err


def test_a_classifier_does_not_depend_on_the_order_of_the_classes(
    quality: QualitySettings, splits: Splits
) -> None:
    images = {label: of_class(splits.train, name) for label, name in enumerate(BINARY)}
    backwards = dict(reversed(images.items()))
    fits = [fit_on_images(quality, x, 3, "test") for x in (images, backwards)]
    assert weights_hash(fits[0]) == weights_hash(fits[1])


def test_a_class_without_images_gives_one_line(
    evaluator: Evaluator, splits: Splits, held_out: HeldOut
) -> None:
    asked = evaluator.context("pneumonia", held_out.reference, None)
    none = replace(asked, other_train={0: asked.other_train[0][:0]})
    with pytest.raises(GanAugError, match="data.subset.normal") as error:
        none.fit({1: none.train.images, **none.other_train}, "gan_test")
    assert len(str(error.value).splitlines()) == 1
