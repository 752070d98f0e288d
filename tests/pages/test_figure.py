"""Names of classes in figures: letters of other scripts, and what is no formula."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from pages_check import overlapping
from PIL import Image

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import measure
from gan_aug.pages import figure as module
from gan_aug.pages.confusion import confusion_figure
from gan_aug.pages.figure import figure_png, numbered_names

STIX = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "STIXGeneral.ttf"
"""Comes with matplotlib and has letters that its usual font lacks, as a Korean font has others."""
NAMES = ("\u1d81\u1d84", "\u1d8d", "other")
KOREAN = ("폐렴", "정상", "other")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the fonts and names of former figures."""
    monkeypatch.setattr(module, "_families", list(module._families[:1]))
    monkeypatch.setattr(module, "_without_font", set())
    monkeypatch.setattr(module, "_numbers", {})


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the machine matplotlib's own fonts alone."""
    own = [f for f in font_manager.fontManager.ttflist if f.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)


def drawn(figure: Figure) -> np.ndarray:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        png = figure_png(figure)
    assert not [str(w.message) for w in caught if "Glyph" in str(w.message)]
    return np.asarray(Image.open(io.BytesIO(png)))


def texts_of(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}  # type: ignore[attr-defined]


def matrix(*names: str) -> Figure:
    classes, k = Classes(names), len(names)
    found = measure(torch.eye(k), torch.arange(k), classes, None)
    return confusion_figure(dict(found), classes)


@pytest.mark.skipif(bool(module._missing({"폐", "렴"})), reason="needs a font for Korean")
def test_a_font_of_this_machine_writes_korean(capsys: pytest.CaptureFixture[str]) -> None:
    figure = matrix(*KOREAN)
    drawn(figure)
    assert set(KOREAN) <= texts_of(figure)
    assert numbered_names([figure]) == ""
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("no_fonts")
def test_names_that_no_font_can_write_are_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [matrix(*KOREAN), matrix("정상", "세균성 폐렴", "정상 (정상)")]
    for figure in figures:
        figure.axes[0].set_title("세균성\n폐렴: rho = 0.1")
        drawn(figure)
        drawn(figure)  # as TensorBoard does, again
    first, second = map(texts_of, figures)
    assert {"[1]", "[2]", "[3]: rho = 0.1", "other"} <= first
    assert {"[2]", "[3]", "[3]: rho = 0.1", "[4]"} <= second
    told = numbered_names(figures)
    for part in ("[1] is 폐렴", "[2] is 정상", "[3] is 세균성 폐렴", "fonts-noto-cjk"):
        assert part in told
    assert "[1]" not in numbered_names(figures[1:])
    lines = capsys.readouterr().err.splitlines()
    assert [line.count("] is ") for line in lines] == [3, 1]
    assert "no font" in lines[0]


@pytest.mark.usefixtures("no_fonts")
def test_a_font_that_was_installed_since_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """matplotlib keeps a list of fonts on disk and does not see new ones by itself."""
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(STIX), __file__])
    figure = matrix(*NAMES)
    drawn(figure)
    assert set(NAMES) <= texts_of(figure)
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("no_fonts")
def test_a_font_of_boxes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fonts of last resort have the same box for every letter."""
    monkeypatch.setattr(module, "_NO_CHARACTER", ord("\u1d81"))
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(STIX)])
    figure = matrix(*NAMES)
    drawn(figure)
    assert {"[1]", "[2]"} <= texts_of(figure)


@pytest.mark.parametrize(
    "names", [("a", "b"), ("moderately differentiated", "well differentiated")]
)
def test_names_of_classes_do_not_overlap(names: tuple[str, ...]) -> None:
    assert overlapping(matrix(*names)) == []


def test_a_name_is_no_formula() -> None:
    figure = matrix("a$x^$b", "c", "d")
    drawn(figure)
    assert not any(text.get_parse_math() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def test_figures_are_made_in_one_place() -> None:
    """A Figure that is made by hand would have neither the fonts nor the warning."""
    root = Path(module.__file__).parents[1]
    made = [p.name for p in root.rglob("*.py") if " Figure(" in p.read_text()]
    assert made == []
