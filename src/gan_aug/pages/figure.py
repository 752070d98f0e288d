"""Figures, as matplotlib makes them without a screen, that can show the names of any class."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from gan_aug.runtime.errors import warn

_SANS = re.compile("Sans|Gothic|Hei")
_NO_CHARACTER = 0xFDD0
"""By Unicode, and for ever: a font that has it draws the same box for everything."""
_CANNOT_BE_READ = (OSError, RuntimeError, ValueError)

_families = ["DejaVu Sans"]
"""What figures are written with: matplotlib's own, then what names have needed so far."""
_without_font: set[str] = set()
"""Letters that were looked for in every font of this machine."""
_numbers: dict[str, str] = {}
"""Names with such letters, and what figures show in their place."""


def new_figure(**settings: Any) -> Figure:
    """Return a matplotlib figure that writes every name with a font that has its letters.

    Where no font of this machine has them, it shows a number in place of the name, as in [1], and
    a warning says so, once a name.
    """
    return _Figure(**settings)


def figure_png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def numbered_names(figures: Iterable[Figure]) -> str:
    """Return which names these figures, once drawn, show numbers for, in a sentence; else ''."""
    found: dict[str, str] = {}
    for figure in figures:
        if isinstance(figure, _Figure):
            found |= figure.numbers
    return _sentence(found) if found else ""


class _Figure(Figure):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.numbers: dict[str, str] = {}

    def draw(self, renderer: RendererBase) -> None:
        # A name is text: $a$ is no formula.
        with rc_context({"text.parse_math": False, "font.family": _families}):
            self._make_readable()
            super().draw(renderer)

    def _make_readable(self) -> None:
        all_axes = [axis for axis in self.findobj(Axis) if isinstance(axis, Axis)]
        for axis in all_axes:
            axis.get_ticklabels()  # which writes them
        texts = [text for text in self.findobj(Text) if isinstance(text, Text)]
        letters = {letter for text in texts for letter in text.get_text() if not letter.isspace()}
        missing = _missing(letters)
        for text in texts:
            text.set_fontfamily(_families)
            text.set_parse_math(False)
        if not missing:
            return
        # A name ends where other text begins, and may go on in brackets or in the next line.
        part = rf"[^\s:;,()\[\]]*[{re.escape(''.join(missing))}][^\s:;,()\[\]]*"
        name = re.compile(rf"{part}(?:\s+{part}|\s*\({part}\))*")
        known = set(_numbers)
        for axis in all_axes:  # which will write its labels again
            labels = [label.get_text() for label in axis.get_ticklabels()]
            numbers = [name.sub(self._number, label) for label in labels]
            if numbers != labels:
                axis.set_ticks(axis.get_ticklocs(), numbers)
        for text in texts:
            text.set_text(name.sub(self._number, text.get_text()))
        if new := {name: shown for name, shown in self.numbers.items() if name not in known}:
            warn(_sentence(new))

    def _number(self, found: re.Match[str]) -> str:
        name = " ".join(found[0].split())
        self.numbers[name] = _numbers.setdefault(name, f"[{len(_numbers) + 1}]")
        return self.numbers[name]


def _sentence(numbers: Mapping[str, str]) -> str:
    names = ", ".join(f"{number} is {name}" for name, number in numbers.items())
    return (
        "this machine has no font for the letters of some names, so figures show numbers in their "
        f"place: {names}; to see the names, install a package of fonts (fonts-noto-cjk for Korean, "
        "Chinese and Japanese, fonts-noto-core for others) and repeat the command"
    )


def _missing(letters: set[str]) -> set[str]:
    """Return the letters that no font here has; fonts for the others join `_families`."""
    for family in _families:
        letters = letters - _had_by(family, letters)
    wanted = letters - _without_font
    if not wanted:
        return letters
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:  # matplotlib keeps a list of its own, which may be older
            with suppress(*_CANNOT_BE_READ):
                font_manager.fontManager.addfont(path)
    names = {font.name for font in font_manager.fontManager.ttflist}
    had = {name: _had_by(name, wanted) for name in sorted(names, key=_plainest)}
    while wanted and (best := max(had, key=lambda name: len(had[name] & wanted), default=None)):
        if not had[best] & wanted:
            break
        _families.append(best)
        wanted = wanted - had[best]
        letters = letters - had[best]
    _without_font.update(wanted)
    return letters


def _plainest(family: str) -> tuple[bool, int, str]:
    """Return what to sort fonts by: of two with the same letters the first is taken."""
    return _SANS.search(family) is None, len(family), family


def _had_by(family: str, letters: set[str]) -> set[str]:
    """Return which letters a font has."""
    try:
        path = font_manager.findfont(FontProperties(family=[family]), fallback_to_default=False)
        font = font_manager.get_font(path)
    except _CANNOT_BE_READ:
        return set()
    if font.get_char_index(_NO_CHARACTER):
        return set()
    return {letter for letter in letters if font.get_char_index(ord(letter))}
