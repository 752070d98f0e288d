"""Tables of one's own images, as programs write them."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from support import page_with, write_image

from gan_aug.data.sources.entries import Entry
from gan_aug.data.sources.patients import PatientPattern
from gan_aug.data.sources.table import MOST_BYTES, Table
from gan_aug.data.sources.tree import Tree, find_files
from gan_aug.runtime.errors import GanAugError

ROWS = ("A/1.png,폐렴,p1", "A/2.png,정상,p2", "B/3.png,폐렴,p1", "B/4.png,정상,p3")
FOUND = [
    Entry(path, label, None, patient) for path, label, patient in (row.split(",") for row in ROWS)
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for row in ROWS:
        write_image(folder / row.partition(",")[0], len(row))
    return folder


def read(
    root: Path,
    content: bytes | str,
    columns: dict[str, str] | None = None,
    exclude: list[str] | None = None,
    regex: str | None = None,
) -> tuple[list[Entry], Tree]:
    file = root.parent / "labels.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    tree = find_files(root, exclude, "error")
    table = Table(file, root, columns or {})
    return table.read(tree, PatientPattern(regex))[0], tree


def text(separator: str = ",", header: str = "path,label,patient") -> str:
    return "\r\n".join([header, *ROWS]).replace(",", separator)


@pytest.mark.parametrize(
    "content",
    [
        text().encode("utf-8-sig"),
        text(";").encode(),
        text("\t").encode("utf-16"),
        text("\t").encode("utf-16-be").join([b"\xfe\xff", b""]),
        text().replace("/", "\\").encode(),
        text().replace("A/", "./A/").encode(),
        "sep=;\r\n" + text(";"),
        ('"path" , "label","patient"\n' + "\n\n".join(f'"{r}"'.replace(",", '","') for r in ROWS)),
    ],
)
def test_as_programs_write_them(root: Path, content: bytes | str) -> None:
    found, left_out = read(root, content)
    assert found == FOUND
    assert not left_out.warnings
    assert not left_out.reasons


def test_korean_windows_is_read_and_said(root: Path) -> None:
    found, left_out = read(root, text(";").encode("cp949"))
    assert found == FOUND
    (warning,) = left_out.warnings
    assert "is not UTF-8, read as cp949" in warning


@pytest.mark.parametrize("where", [lambda root: root, lambda root: root.parent / "link"])
def test_absolute_paths_inside_the_root(root: Path, where: Callable[[Path], Path]) -> None:
    (root.parent / "link").symlink_to(root)
    top = where(root)
    rows = "\n".join(f"{root.resolve()}/{row}" for row in ROWS[:2])
    rows += "\n" + "\n".join(f"{top}/{row}" for row in ROWS[2:])
    assert read(top, f"path,label,patient\n{rows}")[0] == FOUND


def test_columns_by_their_own_names(root: Path) -> None:
    columns = {"path": "image_path", "label": "진단", "patient": "ID"}
    content = text(header="image_path,진단,ID")
    assert read(root, content, columns)[0] == FOUND
    with pytest.raises(GanAugError, match=r"lacks the column path; it has image_path, 진단, ID"):
        read(root, content)
    with pytest.raises(GanAugError, match="lacks the column age"):
        read(root, text(), {"patient": "age"})
    with pytest.raises(GanAugError, match=r"data\.columns\.id: is none of path, label, patient"):
        read(root, text(), {"id": "patient"})


def test_the_case_of_its_columns_does_not_matter(root: Path) -> None:
    """A Split that is not read would give a cut of our own in its place, without a word."""
    content = "Path,LABEL,Patient,Split,label\nA/1.png,X,7,Train,x\nB/3.png,Y,8,Test,y"
    assert read(root, content)[0] == [
        Entry("A/1.png", "x", "train", "7"),
        Entry("B/3.png", "y", "test", "8"),
    ]
    with pytest.raises(GanAugError, match="lacks the column label; it has path, Label, LABEL"):
        read(root, "path,Label,LABEL\nA/1.png,x,x")


@pytest.mark.parametrize("twice", ["Split,SPLIT", "split,split"])
def test_a_column_that_stands_twice_is_not_left_unread(root: Path, twice: str) -> None:
    content = f"path,label,{twice}\nA/1.png,x,train,test\nB/3.png,y,test,train"
    with pytest.raises(GanAugError, match=f"has the columns {twice.replace(',', ' and ')}; leave"):
        read(root, content)
    others = content.replace(twice, "split,Split")
    assert [entry.split for entry in read(root, others)[0]] == ["train", "test"]


@pytest.mark.parametrize("cell", ["nan", "NA", "<NA>", "None", "null", "n/a", "Unknown", "-", "?"])
def test_what_is_written_for_an_unknown_patient_is_none(root: Path, cell: str) -> None:
    """It would be one patient of many images, and the patients would count as known."""
    content = f"path,label,patient,split\nA/1.png,{cell},{cell},{cell}"
    assert read(root, content)[0] == [Entry("A/1.png", cell, None, None)]


def test_a_site_may_be_called_na(root: Path) -> None:
    """North America, say; its patients are not those of a row without a site."""
    content = "path,label,patient,site\nA/1.png,x,7,NA\nB/3.png,y,7,"
    assert [entry.patient for entry in read(root, content)[0]] == ["NA/7", "7"]


def test_names_in_another_form_of_unicode(root: Path) -> None:
    on_disk = unicodedata.normalize("NFD", "사진 1.png")
    write_image(root / "A" / on_disk, 9)
    content = text() + unicodedata.normalize("NFC", "\nA/사진 1.png,폐렴,p9")
    assert read(root, content)[0][-1] == Entry(f"A/{on_disk}", "폐렴", None, "p9")


def test_the_patient_may_be_in_the_path(root: Path) -> None:
    content = "path,label,patient\nA/1.png,x,\nB/3.png,y,p7"
    assert [e.patient for e in read(root, content, regex=r".*/(\d)\.png")[0]] == ["1", "p7"]


def test_a_site_and_a_split(root: Path) -> None:
    """Patients of two sites are two, whatever their numbers."""
    content = "path,label,patient,site,split\nA/1.png,x,7,S1,Training\nB/3.png,x,7,S2,VAL"
    assert read(root, content)[0] == [
        Entry("A/1.png", "x", "train", "S1/7"),
        Entry("B/3.png", "x", "val", "S2/7"),
    ]


def test_what_is_not_read_is_listed(root: Path) -> None:
    write_image(root / "A" / "5.png", 5)
    for i in range(3):
        write_image(root / "C" / "deep" / f"{i}.png", i)
    (root / "A" / "notes.txt").write_text("x")
    (root / ".cache").mkdir()
    rows = text() + "\nC/deep/0.png,폐렴,p9"
    found, left_out = read(root, rows, exclude=["C/*", "*4.png"])
    assert found == FOUND[:-1]
    assert left_out.reasons == {
        ".cache/": "hidden, or of the system (0 files)",
        "A/5.png": "not in data.table",
        "A/notes.txt": "no image by its name or first bytes",
        "B/4.png": "data.exclude=*4.png",
        "C/": "data.exclude=C/* (3 files)",
    }
    write_image(root / "D" / "deep" / "1.png", 7)
    assert read(root, rows)[1].reasons["D/"] == "not in data.table (1 file)"


def test_a_table_in_the_root_is_no_file_left_out(root: Path) -> None:
    (root / "labels.csv").write_text(text())
    tree = find_files(root, [], "error")
    Table(root / "labels.csv", root, {}).read(tree, PatientPattern(None))
    assert not tree.reasons


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as CSV"),
        ("path,label,patient", "has no rows"),
        (text() + "\n,b,p1", "line 6: has no path"),
        (text() + "\nx.png,,p1", "line 6: has no label"),
        (text() + "\n../x.png,b,p1", r"line 6: \.\./x\.png leads out of data\.root"),
        (text() + "\n/etc/x.png,b,p1", r"line 6: /etc/x\.png leads out of"),
        ("path,label,split\nA/1.png,b,later", "line 2: split=later is none of"),
        (text() + "\nA/1.png,x,y,more", "line 6: has 4 cells, the first line 3"),
        (text() + "\n" + text(), "line 6: is the header once more; were two tables joined"),
        (text() + "\n\ufeff" + text(), "line 6: is the header once more; were two tables joined"),
        ("path,label\n1.png,x\n4.png,y", r"no 1\.png in data\.root=.*; there is A/1\.png; write"),
        ("path,label\nA/1,x\nB/4,y", r"no A/1 in .*; there is A/1\.png; write .* endings"),
        ("path,label\nC/1.png,x\nC/4.png,y", r"no C/1\.png in .*; there is A/1\.png; write"),
        ("path,label\nC/x.png,x", r"no C/x\.png in data\.root=[^;]*; write paths as they are"),
        ("sep=;\npath;label\nA/1.png;x;y", "line 3: has 3 cells, the first line 2"),
        (text() + "\nC:\\images\\A\\1.png,x,y", r"line 6: C:\\images\\A\\1\.png leads out of"),
        (text() + "\nA/./1.png,x,y", r"has A/1\.png in 2 rows"),
        ("path,label,path\nA/1.png,x,B/1.png", "has twice the column path"),
        ('path,label\n"A/1.png,x' + "x" * 200_000, "cannot be read as CSV"),
        ("path,label\nA/\0.png,x", "holds NUL characters"),
        (b"path,label\nA/1.png,\xff\xff", "neither in UTF-8 nor"),
        (text().encode("utf-16-le"), "neither in UTF-8 nor in UTF-16 with its mark nor in cp949"),
        (",".join(f"c{i}" for i in range(300_000)) + ",path,label\n", "first line is longer than"),
    ],
)
def test_tables_that_are_refused(root: Path, content: bytes | str, message: str) -> None:
    with pytest.raises(GanAugError, match=message) as caught:
        read(root, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ("A/1.png,Effusion|Mass", "A/2.png,None"),
            "A/1.png: its label Effusion|Mass is several findings, and a classifier takes one",
        ),
        (
            ("A/1.png,Effusion", "A/2.png,Mass", 'B/3.png,"Effusion, Mass"'),
            "B/3.png: its label Effusion, Mass is several findings",
        ),
        (
            ("A/1.png,Effusion", "A/1.png,Mass", "A/2.png,None"),
            "has A/1.png in 2 rows, as Effusion and as Mass, and a classifier takes one label",
        ),
    ],
)
def test_several_findings_of_an_image_are_refused_with_what_to_do(
    root: Path, rows: tuple[str, ...], message: str
) -> None:
    with pytest.raises(GanAugError, match=re.escape(message)) as refused:
        read(root, "\n".join(["path,label", *rows]))
    said = str(refused.value)
    assert "\n" not in said
    assert "a column that says Effusion where that is found and other where it is not" in said


def test_a_comma_alone_makes_no_label_several_findings(root: Path) -> None:
    rows = ("A/1.png,Effusion", 'A/2.png,"Effusion, left"')
    assert read(root, "\n".join(["path,label", *rows]))[0][1].label == "Effusion, left"


def test_a_column_of_one_finding_may_be_the_label(root: Path) -> None:
    content = "path,Effusion,Mass\nA/1.png,1,0\nA/2.png,0,0"
    with pytest.raises(GanAugError, match="of a column for each finding, 0 or 1, one can be the"):
        read(root, content)
    found, _ = read(root, content, {"label": "Effusion"})
    assert [entry.label for entry in found] == ["1", "0"]


def test_what_a_page_says_makes_a_table_of_one_finding(root: Path) -> None:
    """Run as it stands there, on a table as NIH's."""
    (code,) = re.findall(
        r"```python\n(import polars as pl.*?)```",
        page_with("import polars as pl").read_text(),
        re.DOTALL,
    )
    rows = "Finding Labels,Patient ID,Image Index\nEffusion|Mass,7,A/1.png\nNo Finding,8,A/2.png"
    (root.parent / "Data_Entry_2017.csv").write_text(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root.parent)
        exec(code, {})
    found, _ = read(root, (root.parent / "effusion.csv").read_text())
    assert found == [
        Entry("A/1.png", "Effusion", None, "7"),
        Entry("A/2.png", "other", None, "8"),
    ]


def test_a_table_that_is_not_there(root: Path) -> None:
    with pytest.raises(
        GanAugError, match=r"\(No such file or directory\); name a file with a line"
    ):
        Table(root / "x.csv", root, {}).read(find_files(root, [], "error"), PatientPattern(None))


def test_a_huge_table_is_refused_at_once(root: Path) -> None:
    file = root.parent / "huge.csv"
    with file.open("wb") as sparse:
        sparse.truncate(100 * MOST_BYTES)
    started = time.monotonic()
    with pytest.raises(GanAugError, match=r"huge\.csv: cannot be read as CSV \(.* bytes, at most"):
        Table(file, root, {}).read(find_files(root, [], "error"), PatientPattern(None))
    assert time.monotonic() - started < 1
