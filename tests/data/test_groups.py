"""What a table says of images beside their class: kept in every cut, and known by no name."""

from __future__ import annotations

import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from support import write_image

from gan_aug.data.groups import ColumnsRead
from gan_aug.data.image_table import ImageTable, concatenate
from gan_aug.data.source import Source
from gan_aug.data.sources.folder import Folder
from gan_aug.data.splits import make_splits

COLUMNS = "path,label,patient,site,split,sex,age,note,empty,view,view"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "images"
    for i in range(60):
        write_image(folder / f"{i}.png", i, (12, 12))
    return folder


def cells(i: int) -> dict[str, str]:
    return {
        "path": f"{i}.png", "label": "ab"[i % 2], "patient": f"p{i}",
        "site": "서울" if i < 20 else "B", "split": "", "sex": ("F", " M", "")[i // 2 % 3],
        "age": str(i), "note": "x" * 61, "empty": "", "view": "AP",
    }  # fmt: skip


def load(root: Path, header: str = COLUMNS, test: bool = True) -> Source:
    names = header.split(",")
    lines = [header]
    for i in range(60):
        row = cells(i)
        row["split"] = ("test" if i % 3 == 0 else "train") if test else ""
        row["subset"] = row["split"].title()
        lines.append(",".join(row[name] for name in names))
    (root.parent / "table.csv").write_text("\n".join(lines))
    table = str(root.parent / "table.csv")
    reader = Folder(str(root), table=table, exclude=["7.png"], test_share=0.3, val_share=0.25)
    return reader.load(8, 1, root.parent / "cache")


def said(table: ImageTable, column: str) -> list[str | None]:
    groups = table.groups[column]
    return [None if code < 0 else groups.names[code] for code in groups.of_images]


def numbers(table: ImageTable) -> list[int]:
    return [int(path.partition(".")[0]) for path in table.paths.tolist()]


def test_every_image_keeps_its_group_through_all_cuts(root: Path) -> None:
    source = load(root)
    splits = make_splits(source, 1, {"a": 6, "b": 6}, 3, 3, 3)
    parts = (splits.train, splits.validation, splits.internal, splits.test, splits.development)
    tables = [*parts, splits.unused, splits.train.of_class("a"), splits.test.take(slice(1, 4))]
    tables.append(concatenate(splits.train, splits.unused))
    for table in tables:
        assert len(table)
        assert said(table, "sex") == [cells(i)["sex"].strip() or None for i in numbers(table)]
        assert said(table, "site") == [cells(i)["site"] for i in numbers(table)]
    assert source.train.groups.keys() == {"site", "sex"}
    assert source.train.groups["sex"].names == ("F", "M")
    assert source.train.groups["sex"].of_images.dtype == np.int8


def test_columns_that_tell_no_groups_are_left_out_with_a_reason(root: Path) -> None:
    assert load(root).no_groups == {
        "age": "has more than 20 values",
        "note": "has values of more than 60 characters",
        "empty": "has no value in any row",
        "view": "stands twice in the first line of data.table",
    }


def test_a_column_that_looks_like_splits_is_named(root: Path) -> None:
    """They would be cut anew, and the table's own test images trained on."""
    (said,) = load(root, "path,label,patient,sex,subset").notes.warnings
    assert "its column subset looks like splits" in said
    assert "set 'data.columns={split: subset}'" in said
    assert load(root, COLUMNS + ",subset").notes.warnings == []


def test_further_columns_change_neither_data_nor_cache(root: Path) -> None:
    with_groups = load(root)
    kept = {path.name for path in (root.parent / "cache").iterdir()}
    without = load(root, "path,label,patient,site,split")
    assert without.train.groups.keys() == {"site"}
    assert without.fingerprint() == with_groups.fingerprint()
    assert {path.name for path in (root.parent / "cache").iterdir()} == kept
    cut = load(root, test=False)  # the test split is cut from train
    assert said(cut.test, "sex") == [cells(i)["sex"].strip() or None for i in numbers(cut.test)]


def test_tables_with_other_columns_join_by_those_they_share(root: Path) -> None:
    one, other = load(root).train, load(root, "path,label,patient,split,sex").train
    both = concatenate(one, other)
    assert both.groups.keys() == {"sex"}
    assert said(both, "sex") == said(one, "sex") + said(other, "sex")


def test_a_name_whose_letters_stand_in_parts_is_the_column_s() -> None:
    """macOS writes Hangul so: the values are under that name, reports have the usual one."""
    written = unicodedata.normalize("NFD", "성별")
    read = ColumnsRead([written])
    for i, value in enumerate(("남", "여")):
        read.add(f"{i}.png", {written: value})
    assert read.of(["1.png", "0.png"])["성별"].of_images.tolist() == [1, 0]
    assert read.left_out == {}


def test_a_column_of_many_values_costs_no_memory() -> None:
    read = ColumnsRead(["age", "sex"])
    for i in range(1000):
        read.add(f"{i}.png", {"age": str(i), "sex": "FM"[i % 2]})
    assert read.of(["3.png", "2.png"]).keys() == {"sex"}
    assert len(read._cells) == 1


def test_a_wide_table_costs_a_byte_a_cell() -> None:
    """One of some thousand columns, most of them empty, may come from anyone."""
    names = [f"c{i}" for i in range(500)]
    read, cells = ColumnsRead(names), dict.fromkeys(names, "")
    tracemalloc.start()
    for i in range(500):
        read.add(f"{i}.png", cells | {"c0": "FM"[i % 2]})
    assert tracemalloc.get_traced_memory()[0] < 4 * 500 * 500
    tracemalloc.stop()
    assert read.of(["3.png", "2.png"])["c0"].of_images.tolist() == [1, 0]
