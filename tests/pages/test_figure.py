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
from PIL import Image

from gan_aug.data.classes import Classes
from gan_aug.metrics.classification import measure
from gan_aug.pages import figure as module
from gan_aug.pages.confusion import confusion_figure
from gan_aug.pages.figure import new_figure

STIX = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "STIXGeneral.ttf"
"""Comes with matplotlib and has letters that its usual font lacks, as a Korean font has others."""
NAMES = ("\u1d81\u1d84", "\u1d8d", "other")


@pytest.fixture(autouse=True)
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what has been warned of, and all fonts but matplotlib's own."""
    own = [f for f in font_manager.fontManager.ttflist if f.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    monkeypatch.setattr(module, "_warned", set())


def drawn(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        figure.savefig(buffer, format="png")
    assert not [str(w.message) for w in caught if "Glyph" in str(w.message)]
    return np.asarray(Image.open(buffer))


def matrix(*names: str) -> Figure:
    classes, k = Classes(names), len(names)
    found = measure(torch.eye(k), torch.arange(k), classes, None)
    return confusion_figure(dict(found), classes)


def test_letters_that_no_font_has_are_warned_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        drawn(matrix("폐렴", "정상", "other"))
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("렴 상 정 폐", "hangul", "fonts-noto-cjk", "fonts-nanum"):
        assert part in line


def test_a_font_that_was_installed_since_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """matplotlib keeps a list of fonts on disk and does not see new ones by itself."""
    boxes = drawn(matrix(*NAMES))
    assert "no installed font" in capsys.readouterr().err
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(STIX)])
    monkeypatch.setattr(module, "FALLBACKS", ("STIXGeneral",))
    monkeypatch.setattr(module, "_warned", set())
    assert not np.array_equal(drawn(matrix(*NAMES)), boxes)
    assert not capsys.readouterr().err


def test_a_name_is_no_formula() -> None:
    text = new_figure().text(0.5, 0.5, "a$x^$b")
    assert not text.get_parse_math()
    drawn(matrix("a$x^$b", "c", "d"))


def test_figures_are_made_in_one_place() -> None:
    """A Figure that is made by hand would have neither the fonts nor the warning."""
    root = Path(module.__file__).parents[1]
    made = [p.name for p in root.rglob("*.py") if " Figure(" in p.read_text()]
    assert made == []
