"""Figures, as matplotlib makes them without a screen, that can show the names of any class."""

from __future__ import annotations

import io
import unicodedata
import warnings
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from gan_aug.run.errors import warn

FALLBACKS = (
    *("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo"),
    *("AppleGothic", "UnDotum", "Baekmuk Gulim", "Noto Sans CJK JP", "Noto Sans CJK SC"),
    *("Microsoft YaHei", "PingFang SC", "Hiragino Sans", "Yu Gothic", "WenQuanYi Micro Hei"),
    *("Droid Sans Fallback", "Arial Unicode MS", "Noto Sans", "Noto Sans Arabic"),
    *("Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Hebrew"),
)
"""Fonts for letters that matplotlib's own has not, those for Korean first."""

_warned: set[str] = set()


def new_figure(**settings: Any) -> Figure:
    """Return a matplotlib figure whose text falls back to the fonts that are installed.

    It warns once of letters that none of them has.
    """
    _use_installed()
    # Names are text: $a$ is no formula.
    matplotlib.rcParams["text.parse_math"] = False
    # Said once for all letters, below.
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
    return _Figure(**settings)


def figure_png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


class _Figure(Figure):
    def draw(self, renderer: RendererBase) -> None:
        super().draw(renderer)
        if not _missing(self):
            return
        known = {font.fname for font in font_manager.fontManager.ttflist}
        for path in font_manager.findSystemFonts():
            if path not in known:  # matplotlib keeps a list of its own, which may be older
                font_manager.fontManager.addfont(path)
        _use_installed()
        for text in self.findobj(Text):
            text.set_fontfamily(matplotlib.rcParams["font.family"])
        super().draw(renderer)
        if unseen := _missing(self) - _warned:
            _warned.update(unseen)
            scripts = {unicodedata.name(letter, "?").split()[0].lower() for letter in unseen}
            warn(
                f"no installed font has the letters {' '.join(sorted(unseen)[:10])} "
                f"({', '.join(sorted(scripts))}): figures show boxes in their place; install a "
                "package of fonts (fonts-noto-cjk or fonts-nanum for Korean, fonts-noto for "
                "others) and repeat the command"
            )


def _use_installed() -> None:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in FALLBACKS if name in installed)]
    matplotlib.rcParams["font.family"] = families


def _missing(figure: Figure) -> set[str]:
    """Return the letters of a drawn figure that none of its fonts has."""
    texts = "".join(text.get_text() for text in figure.findobj(Text))
    letters = {letter for letter in texts if letter.isprintable() and ord(letter) > 127}
    for family in matplotlib.rcParams["font.family"] if letters else []:
        font = font_manager.get_font(font_manager.findfont(FontProperties(family=[family])))
        letters = {letter for letter in letters if not font.get_char_index(ord(letter))}
    return letters
