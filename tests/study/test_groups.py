"""Further columns of a table reach a study's report, or are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import FP32, check_study, read_json, refused, settings_of, settled_study, write_image

from gan_aug.data.sources.phantom import Phantom
from gan_aug.study.groups import groups_to_keep, settle_groups

DECLARED = "{split: test, metric: auroc, group: {sex: F}}"
ENDPOINTS = "study.endpoints=[{{split: test, metric: auroc}},{}]"


def sex(i: int) -> str:
    return ("F", "M", "F", "M", "")[i // 2 % 5]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 100, a patient for each image: sex, age, view and a group of four images."""
    folder = tmp_path_factory.mktemp("own")
    lines = ["path,label,patient,sex,age,view,code"]
    for i in range(200):
        write_image(folder / "images" / f"{i}.png", i, (16, 16))
        few = "1" if i < 4 else "0"
        lines.append(
            f"{i}.png,{'sick' if i % 2 else 'well'},p{i},{sex(i)},{i},{'AP' * (i % 7 > 2)},{few}"
        )
    (folder / "table.csv").write_text("\n".join(lines))
    return folder


def study(root: Path, *more: str, table: bool = True) -> tuple[str, ...]:
    named = [f"data.table={root / 'table.csv'}"] if table else []
    return (
        "data=folder", f"data.root={root / 'images'}", *named, "data.image_size=32",
        "data.test_share=0.4", "data.val_share=0.2", "data.development_per_class=0",
        "data.internal_per_class=12", "data.subset=20", "data.batch_size=8",
        "study.splits=[validation,internal,test]", "+arm@arms.real=real",
        "+arm@arms.classic=classic", "study.question={arm: classic, reference: real}",
        "quality.use=[]", "study.steps=6", "study.validate_every=3", "study.repeats=1",
        "classifier.width=4", "classifier.hidden=16", "logger.tensorboard=null", FP32, *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("study.subgroups=[sexx]", "[sexx]: there is no column sexx; data.table has sex, view, "
         "code; without groups: age (has more than 20 values)"),
        ("study.subgroups=[sex,age]", "[sex,age]: the column age has more than 20 values, which "
         "tells no groups; add a column of at most 20 short values to data.table, age_group"),
        (ENDPOINTS.format("{split: test, metric: auroc, group: {sex: X}}"),
         "study.endpoints[1].group={sex: X}: X is none of the values F, M"),
        (ENDPOINTS.format("{split: test, metric: auroc, group: {six: F}}"), "no column six"),
        (ENDPOINTS.format("{split: test, metric: auroc, group: {code: 1}}"),
         "study.endpoints[1].group={code: 1}: 0 of these test images are"),
        (ENDPOINTS.format("{split: validation, metric: auroc, group: {sex: F}}"),
         "validation chooses, and is not measured by groups"),
        (f"study.endpoints=[{DECLARED}]", "study.endpoints[0].group: the primary endpoint is of"),
        (ENDPOINTS.format(f"{DECLARED},{DECLARED}"), "test (sex=F) auroc is there twice"),
        (ENDPOINTS.format("{split: test, metric: auroc, group: F}"),
         "study.endpoints[1].group=F: must be a column of data.table and one of its values"),
        ("study.subgroups=sex", "study.subgroups=sex: must be a list of at most 20 columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_refused_in_a_line(
    override: str, said: str, root: Path, cache_home: Path
) -> None:
    with refused(said):
        check_study(cache_home, *study(root, override))


def test_without_a_table_there_are_no_groups(root: Path, tmp_path: Path) -> None:
    asked = settings_of("study", *study(root, "study.subgroups=[sex]")).study
    phantoms = Phantom(train_per_class=4, test_per_class=4, seed=0).load(16, 1, tmp_path)
    with refused("study.subgroups=[sex]: nothing is said of these"):
        settle_groups(asked, phantoms)


def test_a_value_that_yaml_reads_as_a_number_is_the_table_s(root: Path, cache_home: Path) -> None:
    override = ENDPOINTS.format("{split: test, metric: auroc, group: {code: 0}}")
    settled, _ = settled_study(cache_home, *study(root, override))
    assert settled.study.endpoints[1].group == {"code": "0"}
    assert settled.study.endpoints[1].images == "test (code=0)"


def test_groups_of_an_external_test_are_those_of_its_own_table(
    root: Path, cache_home: Path
) -> None:
    lines = ["path,label,gender,sex"]
    lines += [f"{i}.png,{'sick' if i % 2 else 'well'},{'mf'[i // 2 % 2]}," for i in range(200, 260)]
    for i in range(200, 260):
        write_image(root / "other" / f"{i}.png", i, (16, 16))
    (root / "other.csv").write_text("\n".join(lines))
    external = f"{{root: {root / 'other'}, table: {root / 'other.csv'}}}"
    override = ENDPOINTS.format("{split: nih, metric: auroc, group: {gender: f}}")
    more = (f"data.external={{nih: {external}}}", "study.subgroups=[sex]", override)
    settled, splits = settled_study(cache_home, *study(root, *more))
    tables = {name: splits.table(name) for name in ("internal", "test", "nih")}
    kept = groups_to_keep(settled.study, tables)
    assert {split: [*columns] for split, columns in kept.items()} == {
        "internal": ["sex"], "test": ["sex"], "nih": ["gender"],
    }  # fmt: skip
    assert kept["nih"]["gender"].names == ("f", "m")
    with refused("{sex: F}: there is no column sex; ", " has gender"):
        check_study(cache_home, *study(root, more[0], override.replace("gender: f", "sex: F")))


@pytest.mark.slow
def test_columns_of_a_table_reach_the_report(
    root: Path, cache_home: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    run = ("study", *study(root, ENDPOINTS.format(DECLARED), "study_dir=s"))
    command(*run, "study.subgroups=[view]", check=True)
    metrics = tmp_path / "s" / "draw_0" / "metrics.json"
    result = read_json(metrics)
    _, splits = settled_study(cache_home, *run[1:])
    assert result["groups"].keys() == {"internal", "test"}
    for split, groups in result["groups"].items():
        paths = getattr(splits, split).paths.tolist()
        assert groups.keys() == {"view", "sex"}
        of_images = groups["sex"]["images"]
        found = ["" if code is None else groups["sex"]["names"][code] for code in of_images]
        assert found == [sex(int(path.partition(".")[0])) for path in paths]
    # Another column on a finished draw: no fit is done again.
    fits = {path: path.read_bytes() for path in metrics.parent.glob("fits/*.json")}
    command(*run, "study.subgroups=[view,code]", check=True)
    assert {path: path.read_bytes() for path in fits} == fits
    assert read_json(metrics)["groups"]["test"].keys() == {"view", "code", "sex"}
    command("report", "study_dir=s", check=True)
    rows = read_json(tmp_path / "s" / "summary.json")["subgroups"]["rows"]
    found = {(one["split"], one["column"], one["name"]) for one in rows}
    assert {("test", "sex", "M"), ("internal", "view", "AP"), ("test", "code", "1")} <= found
    page = (tmp_path / "s" / "report.html").read_text()
    assert "sex = F (declared)" in page


@pytest.mark.slow
def test_groups_do_not_go_to_other_images_where_rows_have_moved(
    root: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    """A table that was sorted since has the same fingerprint, and fits do not know its order."""
    table = tmp_path / "table.csv"
    header, *rows = (root / "table.csv").read_text().splitlines()
    splits = ("train", "train", "train", "val", "test")  # cut here, so that none is cut anew
    header, rows = f"{header},split", [f"{r},{splits[i // 2 % 5]}" for i, r in enumerate(rows)]
    table.write_text("\n".join([header, *rows]))
    run = ("study", *study(root, "study_dir=s", f"data.table={table}", table=False))
    command(*run, check=True)
    table.write_text("\n".join([header, *reversed(rows)]))
    said = ("real_0.json: the ", " images have another order")
    command(*run, "study.subgroups=[sex]", refused=said)
    table.write_text("\n".join([header, *rows]))
    command(*run, "study.subgroups=[sex]", check=True)
