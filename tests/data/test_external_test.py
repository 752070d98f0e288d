"""`data.external`: further tests, read beside the data set and kept apart from it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import ORIGIN, settings_of, write_image

from gan_aug.data.image_table import ClassImages
from gan_aug.data.prepare import load, prepare
from gan_aug.data.source import Source
from gan_aug.data.splits import Splits, check_disjoint
from gan_aug.data.synthetic import read_set, write_set
from gan_aug.runtime.errors import GanAugError
from gan_aug.settings.study import StudySettings

SIZE = (32, 32)
MAPPED = {"No_findings": "normal", "Pneumonia": "pneumonia"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set: 20 + 20 to train on, 6 + 6 to test on, every image of a patient of its own."""
    root = tmp_path_factory.mktemp("own")
    for k, (split, n) in enumerate((("train", 20), ("test", 6))):
        for label, name in enumerate(("normal", "pneumonia")):
            for i in range(n):
                seed = 1000 * k + 100 * label + i
                write_image(root / split / name / f"p{seed}_0.png", seed, SIZE)
    return root


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """Another hospital's: 8 + 7 images, of 4 patients a class, classes by names of its own."""
    root = tmp_path / "nih"
    for label, (name, n) in enumerate((("No_findings", 8), ("Pneumonia", 7))):
        for i in range(n):
            file = f"{10 * label + i // 2:04d}_{i:03d}.png"
            write_image(root / name / file, 5000 + 100 * label + i, SIZE)
    return root


Settled = Callable[..., StudySettings]
Loaded = Callable[..., Source]


@pytest.fixture
def settings(own: Path) -> Settled:
    """The settings of a study of the data set with `data.external`."""

    def settings(external: Any, **changes: Any) -> Any:
        data = {
            "data__root": str(own), "data__image_size": 32, "data__external": external,
            "data__patient_regex": r"(p\d+)_", "data__cache_dir": str(own.with_name("own_cache")),
            "data__val_per_class": 4, "data__internal_per_class": 3, "data__subset": 6,
        }  # fmt: skip
        return settings_of("study", "+study=own", "data=folder", **{**data, **changes})

    return settings


@pytest.fixture
def loaded(settings: Settled) -> Loaded:
    """Read the data set with `data.external`."""
    return lambda external, **changes: load(settings(external, **changes).data)


@pytest.fixture
def cut(settings: Settled) -> Callable[..., Splits]:
    """Cut a draw of what was read."""
    return lambda source, draw=0: prepare(settings(None, data__draw=draw).data, source).splits


def in_full(folder: Path, **more: Any) -> dict[str, Any]:
    return {"nih": {"root": str(folder), "patient_regex": r"(\d+)_", "classes": MAPPED, **more}}


def test_it_is_a_part_of_every_draw_and_changes_nothing_else(
    loaded: Loaded, cut: Any, nih: Path
) -> None:
    without, source = cut(loaded(None)), loaded(in_full(nih))
    draws = [cut(source, draw) for draw in (0, 1)]
    table = draws[0].table("nih")
    assert table.counts() == {"normal": 8, "pneumonia": 7}
    assert table.classes == draws[0].classes
    assert len(set(table.patients.tolist())) == 8
    assert draws[1].table("nih").hashes.tolist() == table.hashes.tolist()
    for name in ("train", "validation", "test", "internal", "unused"):
        one, other = (each.table(name).hashes.tolist() for each in (without, draws[0]))
        assert one == other
    assert draws[0].fingerprint == without.fingerprint
    facts = draws[0].notes["external"]["nih"]
    assert (facts["images"], facts["patients"]) == (table.counts(), 8)
    assert draws[0].notes["used"]["nih"] == table.counts()
    assert without.notes["external"] == {}
    check_disjoint(draws[0])


def test_classes_are_matched_by_name_whatever_the_case(loaded: Loaded, nih: Path) -> None:
    (nih / "No_findings").rename(nih / "NORMAL")
    table = loaded({"nih": str(nih)}).external["nih"].table
    assert table.counts() == {"normal": 8, "pneumonia": 7}
    normal = table.of_class("normal").paths.tolist()
    assert all(path.startswith("NORMAL/") for path in normal)


def test_a_class_is_left_out_with_null_and_two_may_be_one(loaded: Loaded, nih: Path) -> None:
    for i, name in enumerate(("Effusion", "Infiltration", "Infiltration")):
        write_image(nih / name / f"90_{i}.png", 7000 + i, SIZE)
    classes = {**MAPPED, "Effusion": None, "Infiltration": "pneumonia"}
    one = loaded(in_full(nih, classes=classes)).external["nih"]
    assert one.table.counts() == {"normal": 8, "pneumonia": 9}
    assert one.facts["left_out"] == {"of the class Effusion": 1}


def test_splits_of_its_own_are_all_taken(loaded: Loaded, nih: Path) -> None:
    for split, name in zip(("train", "test"), MAPPED, strict=True):
        (nih / split).mkdir()
        shutil.move(nih / name, nih / split / name)
    assert loaded(in_full(nih)).external["nih"].table.counts() == {"normal": 8, "pneumonia": 7}


def test_it_may_be_a_table(loaded: Loaded, nih: Path, tmp_path: Path) -> None:
    """Of which one finding may stand against the rest."""
    rows = [f"{path.relative_to(nih)},{i}" for i, path in enumerate(sorted(nih.rglob("*.png")))]
    labels = ["normal" if row.startswith("No") else "pneumonia" for row in rows]
    lines = [f"{row},{label}" for row, label in zip(rows, labels, strict=True)]
    table = tmp_path / "nih.csv"
    table.write_text("\n".join(["path,who,label", *lines]))
    entry = {"root": str(nih), "table": str(table), "columns": {"patient": "who"}}
    one = loaded({"nih": entry}).external["nih"]
    assert one.table.counts() == {"normal": 8, "pneumonia": 7}
    assert one.facts["patients"] == 15


def test_it_may_be_another_data_set(loaded: Loaded) -> None:
    phantom = {
        "_target_": "gan_aug.data.sources.phantom.Phantom",
        **{"train_per_class": 5, "test_per_class": 4, "seed": 3, "target": "class"},
    }
    table = loaded({"made": {"source": phantom}}).external["made"].table
    assert table.counts() == {"normal": 9, "pneumonia": 9}
    assert table.images.shape == (18, 1, 32, 32)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_planted_duplicate_is_left_out_and_named(
    part: str, loaded: Loaded, cut: Any, own: Path, nih: Path
) -> None:
    copied = next((own / part / "pneumonia").iterdir())
    shutil.copy(copied, nih / "Pneumonia" / "0099_000.png")
    shutil.copy(nih / "Pneumonia" / "0010_000.png", nih / "Pneumonia" / "0098_000.png")
    source = loaded(in_full(nih))
    one = source.external["nih"]
    assert one.table.counts() == {"normal": 8, "pneumonia": 7}
    assert one.facts["left_out"] == {"in the data set too": 1, "copies of its own images": 1}
    (said,) = cut(source).notes["warnings"]
    assert "data.external.nih: 1 of its images are in the data set too" in said
    assert "Pneumonia/0099_000.png" in said


def test_a_planted_near_duplicate_is_named(loaded: Loaded, own: Path, nih: Path) -> None:
    copied = next((own / "train" / "normal").iterdir())
    with Image.open(copied) as image:
        image.point(lambda value: round(0.9 * value + 12)).save(nih / "Pneumonia" / "0099_0.png")
    source = loaded(in_full(nih))
    one = source.external["nih"]
    assert one.table.counts() == {"normal": 8, "pneumonia": 8}
    there = str(copied.relative_to(own))
    assert one.facts["near_duplicates"] == [("Pneumonia/0099_0.png", there)]
    (said,) = one.facts["warnings"]
    assert f"Pneumonia/0099_0.png like {there}" in said
    unseen = loaded(in_full(nih), data__fit="pad").external["nih"].facts
    assert unseen["near_duplicates"] == []
    (said,) = unseen["warnings"]
    assert said.startswith("data.external.nih: nobody looked whether its images look like")


def test_a_patient_that_both_have_is_named(loaded: Loaded, nih: Path) -> None:
    def warnings() -> list[str]:
        facts = loaded(in_full(nih, patient_regex=r"(p?\d+)_")).external["nih"].facts
        return [one for one in facts["warnings"] if "the same people" in one]

    assert not warnings()
    write_image(nih / "Pneumonia" / "p3_1.png", 8001, SIZE)
    (said,) = warnings()
    assert said.startswith("data.external.nih: 1 of its patients have a name that the data set has")
    assert "such as p3;" in said


def test_an_image_of_it_in_training_is_found(loaded: Loaded, cut: Any, nih: Path) -> None:
    splits = cut(loaded(in_full(nih)))
    hashes = splits.train.hashes.copy()
    hashes[3] = splits.table("nih").hashes[5]
    leaked = replace(splits, train=replace(splits.train, hashes=hashes))
    with pytest.raises(GanAugError, match="the same image is in training and in nih"):
        check_disjoint(leaked)


def test_no_generator_may_have_seen_it(loaded: Loaded, cut: Any, nih: Path, tmp_path: Path) -> None:
    splits = cut(loaded(in_full(nih)))
    table = splits.table("nih")
    images = {"pneumonia": ClassImages(np.asarray(table.images[:2]))}
    for folder, seen, part in (
        ("saw", table.hashes[0], "its generator saw 1 nih images"),
        ("is", splits.train.hashes[0], "is the nih image No_findings/0000_000.png, pixel for pixe"),
    ):
        origin = ORIGIN | {"seen_hashes": [str(seen)], "classes": list(splits.classes)}
        write_set(tmp_path / folder, images, origin)
        with pytest.raises(GanAugError, match=part):
            read_set(tmp_path / folder, splits)


def test_another_content_has_another_fingerprint(loaded: Loaded, nih: Path) -> None:
    def fingerprint(**more: Any) -> Any:
        return loaded(in_full(nih, **more)).external["nih"].facts["fingerprint"]

    first = fingerprint()
    assert fingerprint() == first
    # Numbers depend on these too, and draws are compared by nothing else of a set.
    assert fingerprint(window=[40, 400]) != first
    assert fingerprint(patient_regex=r"(\d)") != first
    swapped = {"No_findings": "pneumonia", "Pneumonia": "normal"}
    assert fingerprint(classes=swapped) != first
    write_image(nih / "Pneumonia" / "0099_000.png", 8000, SIZE)
    assert fingerprint() != first


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"classes": None},
        "data.external.nih: has the classes No_findings, Pneumonia, the data set normal, pneumonia;"
        " say what No_findings is: 'data.external={nih: {root: DIR, classes: {No_findings: normal, "
        "Pneumonia: pneumonia}}}'",
    ),
    ({"classes": {"No_findings": "healthy"}}, "nih.classes.No_findings=healthy: healthy is none"),
    ({"classes": {"None": "normal"}}, "data.external.nih.classes.None: None is none of the"),
    ({"classes": {**MAPPED, "Pneumonia": None}}, "data.external.nih: has no images of pneumonia"),
    ({"classes": {**MAPPED, "Pneumonia": "normal"}}, "has no images of pneumonia, and a test"),
    ({"root": "nowhere"}, "data.external.nih.root=nowhere: no such folder"),
    ({"patient_regex": "x"}, "data.external.nih.patient_regex=x: has no group"),
    ({"table": "nowhere.csv"}, "data.external.nih.table=nowhere.csv: cannot be read"),
    ({"root": None}, "data.external: each set needs root=DIR"),
    ({"patients": "x"}, "data.external.nih.patients=x: there is no such setting"),
]


@pytest.mark.parametrize(("change", "part"), WRONG, ids=lambda v: str(v)[:40])
def test_what_is_wrong_is_said_in_a_line(
    change: dict[str, Any], part: str, loaded: Loaded, nih: Path
) -> None:
    with pytest.raises(GanAugError, match=re.escape(part)) as refused:
        loaded(in_full(nih, **change))
    assert "\n" not in str(refused.value)


def test_an_image_in_two_classes_is_refused_or_left_out(loaded: Loaded, nih: Path) -> None:
    shutil.copy(nih / "Pneumonia" / "0010_000.png", nih / "No_findings" / "0098_000.png")
    with pytest.raises(GanAugError, match=r"data.external.nih: .* same image, in two classes"):
        loaded(in_full(nih))
    one = loaded(in_full(nih), data__on_conflict="drop").external["nih"]
    assert one.table.counts() == {"normal": 8, "pneumonia": 6}
    assert one.facts["left_out"] == {"in two of its classes": 2}


@pytest.mark.parametrize("name", ["test", "Train", "a_b", "1st", "", "a b", "validation"])
def test_names_that_are_taken_or_no_words_are_refused(name: str, settings: Settled) -> None:
    with pytest.raises(GanAugError, match=re.escape(f"data.external.{name}: names a split")):
        settings({name: "nih"})


def test_an_endpoint_may_be_on_it(settings: Settled) -> None:
    endpoints = [{"split": "nih", "metric": "auroc", "smallest_effect": 0.01}]
    study = settings({"nih": "nih"}, study__endpoints=endpoints).study
    assert study.primary == "nih"
    with pytest.raises(GanAugError, match=re.escape("study.endpoints[0].split=nih: is none of")):
        settings(None, study__endpoints=endpoints)
    with pytest.raises(GanAugError, match="study.splits: nih is none of"):
        settings(None, study__splits=["validation", "test", "internal", "nih"])
